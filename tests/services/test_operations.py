"""Triggering: once, never lost, and honest about what is not known."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection

from dashboard import crypto
from dashboard.models import ApiBudget, AuditEntry, Connection, Contract, Instance, Membership, Operation, Workflow
from dashboard.services import edges, operations
from dashboard.services.errors import DocusignUnavailable, Drifted, ReconnectNeeded, Refused
from dashboard.services.triggers import payload_place, send_trigger, url_place
from maestro_api.simulator import Simulator
from tests.services.conftest import inputs_for, new_key

Posts = Callable[[], list[dict[str, Any]]]
Trigger = Callable[..., Operation]
POST = {"method": "POST", "path": "/actions/trigger"}
DOUBTFUL: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 502, "body": "<html>Bad gateway</html>"},
    {"status": 503},
    {"status": 504},
    {"reset": "before"},
    {"reset": "after"},
    {"reset": "mid_body"},
    {"truncate_gzip": True},
    {"content_type": "text/html"},
    {"status": 200, "body": ""},
    {"status": 201, "body": '{"instance_url": "https://apps-d.docusign.com/x"}'},
    {"status": 201, "body": '{"instance_id": 7'},
]


def test_a_trigger_costs_two_calls_and_gives_an_instance(trigger: Trigger, simulator: Simulator) -> None:
    operation = trigger()
    assert [(entry["method"], entry["path"].rsplit("/", 1)[-1]) for entry in simulator.ledger()] == [
        ("GET", "trigger-requirements"),
        ("POST", "trigger"),
    ]
    assert operation.state == "confirmed"
    instance = operation.instance
    assert instance is not None
    assert (instance.name, instance.full_name) == ("NDA Lindqvist", operation.instance_name)
    assert (instance.marker, instance.raw_status, instance.look.label) == (operation.marker, "", "Not read yet")
    assert instance.started_by == operation.actor.sub


def test_the_link_is_sealed_for_the_person_who_triggered(trigger: Trigger) -> None:
    """O-16: the credential is stored only sealed, and belongs to the starter."""
    operation = trigger()
    instance = Instance.objects.get(pk=operation.instance_id)
    assert "mtsec" not in instance.sealed_url
    assert "mtsec" in crypto.unseal(instance.sealed_url, *url_place(instance.pk))
    assert instance.url_owner == operation.actor
    assert operation.sealed_payload == ""


def test_intent_and_audit_are_stored_before_anything_is_sent(
    trigger: Trigger, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U-1, A-2: at the moment of the call the row says sent, with its lease, and the audit holds the intent."""
    seen: list[Any] = []
    answer = simulator.handle

    def watched(request: Any) -> Any:
        if request.method == "POST":
            row = Operation.objects.get()
            seen.extend([row.state, row.lease_until is not None, row.attempts, row.sealed_payload != ""])
            seen.extend(AuditEntry.objects.values_list("action", "result"))
        return answer(request)

    monkeypatch.setattr(simulator, "handle", watched)
    trigger()
    assert seen == ["sent", True, 1, True, ("instance.trigger_asked", "intent")]


def test_nothing_is_asked_of_docusign_inside_a_transaction(
    trigger: Trigger, ada: Membership, workflow: Workflow, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-1: no network call while the database waits."""
    depths = set()
    outside = len(connection.atomic_blocks)
    answer = simulator.handle

    def watched(request: Any) -> Any:
        depths.add(len(connection.atomic_blocks) - outside)
        return answer(request)

    monkeypatch.setattr(simulator, "handle", watched)
    instance = trigger().instance
    operations.cancel_instance(instance, actor=ada.user, membership=ada, reason="", key=new_key())
    operations.pause_workflow(workflow, actor=ada.user, membership=ada, key=new_key())
    assert depths == {0}


@pytest.mark.parametrize("fault", DOUBTFUL, ids=str)
def test_a_doubtful_answer_makes_it_unknown_after_one_post(
    fault: dict[str, Any], trigger: Trigger, simulator: Simulator, posts: Posts
) -> None:
    """U-2: whatever may have happened is unknown and is not sent again by itself."""
    simulator.set_faults([{"match": POST, "do": fault}])
    operation = trigger()
    assert operation.state == "unknown"
    assert operation.next_check_at is not None
    assert len(posts()) == 1
    assert "not known yet" in operation.message
    assert AuditEntry.objects.first().action == "instance.trigger_unknown"


@pytest.mark.parametrize(
    ("status", "said"), [(400, "no"), (403, "may not"), (404, "gone"), (409, "not now"), (422, "bad")]
)
def test_a_refusal_is_shown_with_docusigns_words(
    status: int, said: str, trigger: Trigger, simulator: Simulator, posts: Posts
) -> None:
    """Fault matrix: a complete refusal is final, in Docusign's text, and is not repeated."""
    body = {"type": "about:blank", "title": "Refused", "status": status, "detail": f"It is {said}."}
    simulator.set_faults([{"match": POST, "do": {"status": status, "body": body}}])
    operation = trigger()
    assert operation.state == "rejected"
    assert f"It is {said}." in operation.message
    assert (operation.http_status, len(posts())) == (status, 1)
    assert AuditEntry.objects.first().result == "refused"


def test_complaints_about_inputs_are_kept_by_input(trigger: Trigger, contract: Contract, simulator: Simulator) -> None:
    body = {
        "type": "about:blank",
        "title": "Bad Request",
        "status": 400,
        "errors": [{"code": "X", "message": "Not an address.", "target": "trigger_inputs.Contact email"}],
    }
    simulator.set_faults([{"match": POST, "do": {"status": 400, "body": body}}])
    assert trigger().field_errors == {"Contact email": ["Not an address."]}


def test_a_limit_is_refused_with_the_time_and_then_nothing_is_asked(
    trigger: Trigger, simulator: Simulator, ada: Membership, posts: Posts
) -> None:
    """R-5: nothing is queued silently; until the named time nothing more is sent."""
    simulator.set_faults([{"match": POST, "do": {"status": 429, "headers": {"Retry-After": "120"}}}])
    operation = trigger()
    assert operation.state == "rejected"
    assert "no more calls for this account until" in operation.message
    simulator.clear_ledger()
    with pytest.raises(DocusignUnavailable) as refusal:
        trigger()
    assert refusal.value.retry_at == ApiBudget.objects.get(account=ada.account).blocked_until
    assert simulator.ledger() == []


def test_a_changed_contract_sends_nothing_and_names_the_change(
    trigger: Trigger, workflow: Workflow, simulator: Simulator, posts: Posts
) -> None:
    schema = [{"field_name": "Cost centre", "field_data_type": "String"}]
    simulator.set_workflow(str(workflow.pk), trigger_input_schema=schema)
    with pytest.raises(Drifted) as drift:
        trigger()
    assert "“Cost centre” is new (string, required)." in drift.value.changes
    assert [field["name"] for field in drift.value.contract.fields] == ["Cost centre"]
    assert posts() == []
    assert not Operation.objects.exists()


def test_the_same_form_twice_gives_the_first_result(trigger: Trigger, posts: Posts) -> None:
    """U-7: Back and resend, or a double click, sends once."""
    key = new_key()
    first, second = trigger(key=key), trigger(key=key)
    assert first == second
    assert len(posts()) == 1


def test_the_same_form_with_other_values_is_refused(trigger: Trigger, posts: Posts) -> None:
    """U-7: a used form never passes off its first result as the result of other values."""
    key = new_key()
    trigger(key=key)
    with pytest.raises(Refused, match="with other values"):
        trigger(key=key, name="Something else")
    assert len(posts()) == 1


def test_another_persons_form_is_refused(
    trigger: Trigger, connect: Callable[..., Membership], contract: Contract, posts: Posts
) -> None:
    key = new_key()
    trigger(key=key)
    olu = connect("Olu Operator")
    with pytest.raises(Refused, match="already used"):
        trigger(key=key, actor=olu.user, membership=olu)
    assert len(posts()) == 1


def test_a_name_that_is_only_a_forged_marker_is_refused(trigger: Trigger) -> None:
    """U-3: after cleaning nothing is left."""
    with pytest.raises(Refused) as refusal:
        trigger(name=" ·k7q2fd93xyz ")
    assert refusal.value.field == "name"


FULL = {
    "sqlite": "CREATE TRIGGER full_disk BEFORE INSERT ON dashboard_auditentry BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    "postgresql": "ALTER TABLE dashboard_auditentry ADD CONSTRAINT full_disk CHECK (false) NOT VALID",
}


def test_without_audit_nothing_is_sent(trigger: Trigger, posts: Posts) -> None:
    """A-2: an intent that cannot be recorded is not carried out."""
    with connection.cursor() as cursor:
        cursor.execute(FULL[connection.vendor])
    with pytest.raises(DatabaseError):
        trigger()
    assert posts() == []
    assert not Operation.objects.exists()


def test_without_a_grant_nothing_is_sent(trigger: Trigger, ada: Membership, posts: Posts) -> None:
    Connection.objects.filter(user=ada.user).update(state=Connection.State.RECONNECT_NEEDED)
    ada.user.connection.refresh_from_db()
    with pytest.raises(ReconnectNeeded):
        trigger()
    assert posts() == []


def test_each_person_writes_with_their_own_token(
    trigger: Trigger, connect: Callable[..., Membership], contract: Contract, posts: Posts
) -> None:
    """V-5: nobody's token is borrowed."""
    olu = connect("Olu Operator")
    trigger()
    trigger(actor=olu.user, membership=olu)
    assert len({entry["token"] for entry in posts()}) == 2


def test_an_expired_token_is_renewed_once_and_the_trigger_sent_once_more(
    trigger: Trigger, simulator: Simulator, posts: Posts
) -> None:
    """Fault matrix 401: nothing ran, so one refresh and one repetition are safe."""
    simulator.set_faults([{"match": POST | {"times": 1}, "do": {"status": 401, "body": "Unauthorized"}}])
    assert trigger().state == "confirmed"
    assert [entry["status"] for entry in posts()] == [401, 201]


def test_inputs_never_reach_the_audit(trigger: Trigger, contract: Contract) -> None:
    """A-5, V-4: what people typed is not in the audit."""
    canary = "canary-4711@example.com"
    trigger(inputs=inputs_for(contract) | {"Contact email": canary})
    assert canary not in "".join(str(entry.__dict__) for entry in AuditEntry.objects.all())


@pytest.mark.parametrize("taken_over", [{"lease_until": None}, {"fence": 2}, {"state": "unknown"}])
def test_a_sender_that_slept_too_long_sends_nothing(
    ada: Membership, workflow: Workflow, posts: Posts, taken_over: dict[str, Any]
) -> None:
    """U-9: after the lease others settle the operation, so a sender that wakes up late must not send it."""
    late = sent_operation(ada, workflow)
    Operation.objects.filter(pk=late.pk).update(**taken_over)
    send_trigger(late, ada, deadline=10.0)
    assert posts() == []
    send_trigger(sent_operation(ada, workflow), ada, deadline=10.0)
    assert len(posts()) == 1, "a sender whose claim holds does send"


def sent_operation(membership: Membership, workflow: Workflow) -> Operation:
    """An operation whose sender has committed its intent and is about to send."""
    key = new_key()
    operation = Operation(
        key=key,
        kind="trigger",
        account=membership.account,
        actor=membership.user,
        workflow=workflow,
        marker=key,
        instance_name=f"NDA {key}",
    )
    operation.sealed_payload = crypto.seal("{}", *payload_place(operation))
    assert edges.insert_sent(operation)
    return operation
