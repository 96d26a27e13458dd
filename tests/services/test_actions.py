"""Cancel, pause and resume: what happened is read back."""

from collections.abc import Callable
from typing import Any

import pytest

from dashboard.models import AuditEntry, Instance, Membership, Operation, OperationState, Workflow, WorkflowState
from dashboard.services import actions, operations, sync
from dashboard.services.authorization_server import environment
from dashboard.services.errors import Refused
from maestro_api import MaestroClient
from maestro_api.simulator import Simulator
from tests.services.conftest import new_key

Act = Callable[..., Operation]
Posts = Callable[[], list[dict[str, Any]]]
CANCEL = {"method": "POST", "path": "/actions/cancel"}
PAUSE = {"method": "POST", "path": "/actions/pause"}
RESUME = {"method": "POST", "path": "/actions/resume"}


@pytest.fixture
def instance(ada: Membership, simulator: Simulator) -> Instance:
    """A running instance that holds still."""
    simulator.world.settings.moving = False
    found = Instance.objects.filter(status="in_progress").first()
    assert found is not None
    simulator.clear_ledger()
    return found


@pytest.fixture
def cancel(ada: Membership, instance: Instance) -> Act:
    def canceled(**changes: Any) -> Operation:
        wanted = {"actor": ada.user, "membership": ada, "reason": "Sent by mistake", "key": new_key()}
        return operations.cancel_instance(instance, **(wanted | changes))

    return canceled


@pytest.fixture
def pause(ada: Membership, workflow: Workflow) -> Act:
    return lambda: operations.pause_workflow(workflow, actor=ada.user, membership=ada, key=new_key())


@pytest.fixture
def resume(ada: Membership, workflow: Workflow) -> Act:
    def resumed() -> Operation:
        workflow.refresh_from_db()
        return operations.resume_workflow(workflow, actor=ada.user, membership=ada, key=new_key())

    return resumed


FAULTS: list[dict[str, Any]] = [
    {"reset": "before"},
    {"reset": "after"},
    {"reset": "mid_body"},
    {"truncate_gzip": True},
    {"content_type": "text/html"},
    {"status": 200, "body": ""},
    {"status": 200, "body": '{"status": "can'},
    {"status": 409},
    {"status": 429},
    {"status": 500},
    {"status": 502, "body": "<html>Bad gateway</html>"},
    {"status": 504},
]


def results() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("seq").values_list("action", "result"))


def test_a_cancel_is_sent_once_and_read_back(cancel: Act, instance: Instance, posts: Posts) -> None:
    """U-6: one intent, one call, one result."""
    assert cancel().message == "The instance is canceled."
    instance.refresh_from_db()
    assert instance.status == "canceled"
    assert len(posts()) == 1
    assert results() == [("instance.cancel_asked", "intent"), ("instance.canceled", "ok")]
    assert AuditEntry.objects.get(action="instance.cancel_asked").reason == "Sent by mistake"


def test_a_lost_answer_to_a_cancel_is_settled_by_reading(cancel: Act, simulator: Simulator, posts: Posts) -> None:
    """U-6: a reset after the commit is a success, and is not sent again."""
    simulator.set_faults([{"match": CANCEL, "do": {"reset": "after"}}])
    operation = cancel()
    assert operation.state == "confirmed"
    assert "answer was lost" in operation.message
    assert len(posts()) == 1
    assert [result for _, result in results()] == ["intent", "ok"]


def test_a_cancel_that_had_no_effect_is_repeated_after_a_fresh_read(
    cancel: Act, simulator: Simulator, posts: Posts
) -> None:
    """U-6: read first, then send again."""
    simulator.set_faults([{"match": CANCEL | {"times": 1}, "do": {"status": 503}}])
    operation = cancel()
    assert (operation.state, operation.attempts, len(posts())) == ("confirmed", 2, 2)
    assert [result for _, result in results()] == ["intent", "ok"]
    kinds = [entry["path"].rsplit("/", 1)[-1] for entry in simulator.ledger()]
    assert kinds[0] == "cancel"
    assert kinds[1] != "cancel"


def test_a_cancel_is_never_sent_more_than_three_times(cancel: Act, simulator: Simulator, posts: Posts) -> None:
    """U-6: then it stays unknown, and the worker goes on."""
    simulator.set_faults([{"match": CANCEL, "do": {"status": 500}}])
    operation = cancel()
    assert operation.state == "unknown"
    assert len(posts()) == 3


def test_a_cancel_of_what_somebody_else_canceled_says_so(cancel: Act, instance: Instance, simulator: Simulator) -> None:
    """U-6: 409, and the wanted state is there."""
    simulator.set_instance(str(instance.pk), workflow_status="Canceled")
    assert cancel().message == "It was already canceled."


def test_a_cancel_that_came_too_late_says_what_it_is(cancel: Act, instance: Instance, simulator: Simulator) -> None:
    """U-6: another terminal state is not a success."""
    simulator.set_instance(str(instance.pk), workflow_status="Completed")
    operation = cancel()
    assert (operation.state, operation.message) == ("rejected", "Too late: it is completed. Nothing was changed.")
    instance.refresh_from_db()
    assert instance.status == "completed"


def test_a_cancel_of_a_finished_instance_is_refused_without_a_call(
    cancel: Act, instance: Instance, simulator: Simulator
) -> None:
    Instance.objects.filter(pk=instance.pk).update(status="completed", raw_status="Completed")
    instance.refresh_from_db()
    with pytest.raises(Refused, match="too late to cancel: the instance is completed"):
        cancel()
    assert simulator.ledger() == []
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("status", [400, 403, 404])
def test_a_refused_cancel_is_shown_and_not_repeated(
    status: int, cancel: Act, simulator: Simulator, posts: Posts
) -> None:
    """Fault matrix: 400, 403, 404 are shown, without a retry."""
    simulator.set_faults([{"match": CANCEL, "do": {"status": status}}])
    assert cancel().state == "rejected"
    assert len(posts()) == 1


def test_the_same_cancel_form_twice_gives_the_first_result(cancel: Act, posts: Posts) -> None:
    """U-7: one form, one call, although the instance is canceled by now."""
    key = new_key()
    assert cancel(key=key) == cancel(key=key)
    assert len(posts()) == 1


def test_a_second_cancel_waits_for_the_outcome_of_the_first(
    cancel: Act, simulator: Simulator, posts: Posts, connect: Callable[..., Membership]
) -> None:
    """U-6: two tabs do not send the same thing while one outcome is open."""
    simulator.set_faults([{"match": CANCEL, "do": {"status": 500}}])
    cancel()
    before = len(posts())
    with pytest.raises(Refused, match="outcome is still open"):
        cancel()
    assert len(posts()) == before


def test_a_pause_and_a_resume_are_remembered_with_who_and_when(
    pause: Act, resume: Act, workflow: Workflow, ada: Membership
) -> None:
    assert pause().state == "confirmed"
    workflow.refresh_from_db()
    assert (workflow.asked_state, workflow.asked_by, workflow.is_paused) == ("paused", ada.user, True)
    assert resume().state == "confirmed"
    workflow.refresh_from_db()
    assert (workflow.asked_state, workflow.is_paused) == ("active", False)


def test_a_pause_that_the_list_does_not_show_is_still_remembered(
    pause: Act, workflow: Workflow, simulator: Simulator, ada: Membership
) -> None:
    """Both truths: what was confirmed here, and what Docusign's list says; a sync does not wipe it away."""
    simulator.set_profile(paused_as="active")
    operation = pause()
    assert operation.message == "Docusign accepted the pause; its list does not say so."
    sync.sync_membership(ada)
    workflow.refresh_from_db()
    assert (workflow.status, workflow.is_paused_by_us) == (WorkflowState.ACTIVE, True)
    assert (workflow.look.label, workflow.docusign_look.label) == ("Paused", "Active")


def test_a_pause_that_somebody_undid_at_docusign_is_past(
    pause: Act, workflow: Workflow, simulator: Simulator, ada: Membership
) -> None:
    pause()
    simulator.set_workflow(str(workflow.pk), status="active")
    sync.sync_membership(ada)
    workflow.refresh_from_db()
    assert not workflow.is_paused
    assert (workflow.asked_state, workflow.asked_ended_at is not None) == ("paused", True)


@pytest.mark.parametrize("listed", ["paused", "inactive", "active"])
def test_a_lost_answer_to_a_pause_ends_confirmed(listed: str, pause: Act, simulator: Simulator, posts: Posts) -> None:
    """U-6: whatever the list calls a paused workflow, at most three calls find out."""
    simulator.set_profile(paused_as=listed)
    simulator.set_faults([{"match": PAUSE | {"times": 1}, "do": {"reset": "after"}}])
    assert pause().state == "confirmed"
    assert len(posts()) <= 3


@pytest.mark.parametrize("listed", ["paused", "active"])
def test_a_lost_answer_to_a_resume_ends_confirmed(
    listed: str, pause: Act, resume: Act, simulator: Simulator, posts: Posts
) -> None:
    """U-6: a list that says active all the time proves nothing, so the call is repeated and its 409 counts."""
    simulator.set_profile(paused_as=listed)
    pause()
    simulator.set_faults([{"match": RESUME | {"times": 1}, "do": {"reset": "after"}}])
    assert resume().state == OperationState.CONFIRMED
    assert len(posts()) <= 4


def test_a_pause_by_somebody_without_the_right_is_shown_as_such(
    connect: Callable[..., Membership], workflow: Workflow
) -> None:
    """V-5: Docusign's refusal of this person's own token."""
    pia = connect("Pia Preparer")
    operation = operations.pause_workflow(workflow, actor=pia.user, membership=pia, key=new_key())
    assert operation.state == "rejected"
    assert "do not have permission" in operation.message


def test_what_is_in_the_wanted_state_already_is_refused(pause: Act, resume: Act, workflow: Workflow) -> None:
    with pytest.raises(Refused, match="Only a paused workflow"):
        resume()
    pause()
    workflow.refresh_from_db()
    with pytest.raises(Refused, match="already paused"):
        pause()


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize("times", [1, 9])
def test_whatever_answers_a_cancel_the_result_is_what_docusign_holds(
    fault: dict[str, Any],
    times: int,
    cancel: Act,
    instance: Instance,
    ada: Membership,
    simulator: Simulator,
    posts: Posts,
) -> None:
    """U-6: at most three calls; "done" only where it is done, "refused" never where it is done."""
    simulator.set_faults([{"match": CANCEL | {"times": times}, "do": fault}])
    operation = cancel()
    simulator.set_faults([])
    sent = len(posts())
    # Asked past the console's own budget, which may be told to wait.
    client = MaestroClient(environment(), str(ada.account_id), simulator.token("Ada Admin")["access_token"])
    held = client.get_instance(str(instance.workflow_id), str(instance.pk)).status
    assert 1 <= sent <= 3
    assert operation.state in {"confirmed", "unknown", "rejected"}
    assert (operation.state == "confirmed") <= (held == "canceled")
    assert (operation.state == "rejected") <= (held == "in_progress")
    assert results()[0][1] == "intent"


def test_a_second_cancel_that_had_not_seen_the_first_is_refused_by_the_database(
    cancel: Act, simulator: Simulator, posts: Posts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U-6: looking and writing are two statements, and somebody may come in between."""
    simulator.set_faults([{"match": CANCEL, "do": {"status": 500}}])
    cancel()
    before = len(posts())
    monkeypatch.setattr(actions, "refuse_a_second", lambda operation: None)
    with pytest.raises(Refused, match="Nothing was sent"):
        cancel()
    assert len(posts()) == before
    assert Operation.objects.count() == 1
