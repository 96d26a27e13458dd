"""What is kept about a person can be taken out and erased, and the audit chain still holds."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from dashboard import crypto
from dashboard.models import (
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Connection,
    Delivery,
    Instance,
    InstanceState,
    ItemState,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Preset,
    Role,
    SavedView,
    Sheet,
    User,
    Workflow,
)
from dashboard.services import (
    audit,
    batch_states,
    batches,
    personal_data,
    personal_erasure,
    sheet_rows,
    team_access,
    triggers,
)
from dashboard.services.errors import Refused
from dashboard.services.sheet_tables import Table
from tests.factories import (
    AccountFactory,
    BatchFactory,
    BatchItemFactory,
    ContractFactory,
    InstanceFactory,
    MembershipFactory,
    UserFactory,
    WorkflowFactory,
    person,
    preset_of,
)
from tests.services.conftest import Meanwhile

pytestmark = pytest.mark.django_db
JO = "jo.miller@example.com"


@pytest.fixture
def workflow(admin: Membership) -> Workflow:
    made = WorkflowFactory(account=admin.account)
    ContractFactory(workflow=made)
    return made


@pytest.fixture
def leaver(admin: Membership) -> User:
    """An operator who did something and leaves."""
    member = person(admin.account, Role.OPERATOR, name="Lea Leaver")
    with transaction.atomic():
        audit.record("session.started", actor=member.user, account=admin.account, subject=member.user)
    return member.user


def deed_of(user: User, workflow: Workflow, state: str, name: str = "NDA") -> Operation:
    return Operation.objects.create(
        key=f"key-{state}-{name}",
        kind=OperationKind.TRIGGER,
        state=state,
        account=workflow.account,
        actor=user,
        workflow=workflow,
        instance_name=name,
    )


def row_of(admin: Membership, workflow: Workflow, state: str) -> BatchItem:
    batch = BatchFactory(account=workflow.account, actor=admin.user, workflow=workflow, state=state)
    sealed = crypto.seal(json.dumps({"Email": JO}), *batches.inputs_place(batch, 1))
    row = {"position": 1, "sealed_inputs": sealed, "label": "NDA Miller", "state": ItemState.NOT_SENT}
    return BatchItemFactory(batch=batch, workflow=workflow, **row)


def run(*words: str) -> str:
    said = StringIO()
    call_command("person_data", *words, stdout=said)
    return said.getvalue()


def test_an_export_holds_the_person_and_their_deeds_and_no_secret(leaver: User, workflow: Workflow) -> None:
    deed_of(leaver, workflow, OperationState.CONFIRMED)
    Connection.objects.update_or_create(user=leaver, defaults={"sealed_access_token": "v1.key.sealed-token"})
    text = run("export", leaver.email)
    (about,) = json.loads(text)["people"]
    assert (about["name"], about["docusign_id"], about["email"]) == ("Lea Leaver", leaver.sub, leaver.email)
    assert [each["role"] for each in about["accounts"]] == ["operator"]
    assert [each["kind"] for each in about["deeds"]] == ["trigger"]
    assert [each["action"] for each in about["audit"]] == ["session.started"]
    assert "sealed" not in text
    assert JO not in str(list(AuditEntry.objects.values()))
    assert AuditEntry.objects.filter(action="person.exported").exists()


def test_a_value_is_found_in_plain_and_sealed_places_and_nowhere_else(admin: Membership, workflow: Workflow) -> None:
    with_it = InstanceFactory(workflow=workflow, trigger_inputs={"People": [{"Email": JO.upper()}]})
    InstanceFactory(workflow=workflow, trigger_inputs={"Email": "somebody@example.com"})
    preset = preset_of(admin, workflow, {"Email": JO})
    preset_of(admin, workflow, {"Email": "somebody@example.com"}, name="Other")
    row = row_of(admin, workflow, BatchState.DONE)
    found = personal_data.find_mentions(JO)
    assert (found.inputs, found.presets, found.rows) == ([with_it.pk], [preset.pk], [row.pk])
    assert found.names == found.operations == found.files == []


@pytest.mark.parametrize("text", ["", "jo", "  a  "])
def test_a_text_that_is_found_everywhere_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        personal_data.find_mentions(text)


def test_an_erased_person_leaves_a_tombstone_and_the_chain_holds(leaver: User, workflow: Workflow) -> None:
    """A-4: the audit keeps what it recorded; everything else about the person goes."""
    deed = deed_of(leaver, workflow, OperationState.CONFIRMED)
    link = InstanceFactory(workflow=workflow, sealed_url="v1.key.link", url_owner=leaver)
    before = (leaver.name, leaver.email, leaver.sub)
    assert "would be erased" in run("erase", str(leaver.pk))
    assert User.objects.get(pk=leaver.pk).name == before[0]
    run("erase", str(leaver.pk), "--yes")
    stored = User.objects.get(pk=leaver.pk)
    assert (stored.name, stored.email, stored.is_active) == (personal_erasure.TOMBSTONE, "", False)
    assert stored.session_epoch > leaver.session_epoch
    assert not Connection.objects.filter(user=leaver).exists()
    assert not Membership.objects.filter(user=leaver).exists()
    deed.refresh_from_db()
    link.refresh_from_db()
    assert (str(deed.actor), link.sealed_url) == (personal_erasure.TOMBSTONE, "")
    rows: list[Any] = [*User.objects.values(), *Operation.objects.values(), *Instance.objects.values()]
    assert not [value for value in before if value in str(rows)]
    assert AuditEntry.objects.get(action="session.started").actor_name == "Lea Leaver"
    assert audit.verify_chain().is_ok


@pytest.mark.parametrize("state", [OperationState.PLANNED, OperationState.UNKNOWN, OperationState.NEEDS_PERSON])
def test_nobody_is_erased_while_their_deeds_are_open(leaver: User, workflow: Workflow, state: str) -> None:
    deed_of(leaver, workflow, state)
    with pytest.raises(Refused, match="not over"):
        personal_erasure.erase_person(leaver)
    assert Membership.objects.filter(user=leaver).exists()


def test_a_deed_that_began_before_its_person_was_erased_is_noticed(
    leaver: User, workflow: Workflow, meanwhile: Meanwhile
) -> None:
    meanwhile(personal_erasure, "lock_mirror", lambda: deed_of(leaver, workflow, OperationState.PLANNED))
    with pytest.raises(Refused, match="not over"):
        personal_erasure.erase_person(leaver)
    assert Membership.objects.filter(user=leaver).exists()


def test_the_last_admin_is_not_erased(admin: Membership) -> None:
    with pytest.raises(CommandError, match="last admin"):
        run("erase", str(admin.user_id), "--yes")


def test_a_name_that_two_people_have_erases_neither(admin: Membership, leaver: User) -> None:
    person(admin.account, Role.VIEWER, name="Lea Leaver")
    with pytest.raises(CommandError, match="2 persons found"):
        run("erase", "Lea Leaver", "--yes")


def test_a_value_goes_from_everything_that_is_over(admin: Membership, workflow: Workflow) -> None:
    row = InstanceFactory(workflow=workflow, status=InstanceState.COMPLETED, trigger_inputs={"Email": JO})
    preset_of(admin, workflow, {"Email": JO})
    item = row_of(admin, workflow, BatchState.DONE)
    deed_of(admin.user, workflow, OperationState.CONFIRMED, name=f"NDA {JO}")
    assert "4 rows would be" in run("erase_value", JO)
    assert run("erase_value", JO, "--yes") == "Erased: 4 rows.\n"
    row.refresh_from_db()
    item.refresh_from_db()
    assert (row.trigger_inputs, item.sealed_inputs, item.label) == ({}, "", personal_erasure.ERASED)
    assert row.inputs_erased_at is not None
    assert not Preset.objects.exists()
    assert personal_data.find_mentions(JO) == personal_data.Mentions()
    assert audit.verify_chain().is_ok


def test_a_value_that_may_still_be_sent_stays_with_everything_else(admin: Membership, workflow: Workflow) -> None:
    row = InstanceFactory(workflow=workflow, trigger_inputs={"Email": JO})
    row_of(admin, workflow, BatchState.PAUSED)
    with pytest.raises(Refused, match="in 1 row of files"):
        personal_erasure.erase_mentions(JO)
    row.refresh_from_db()
    assert row.trigger_inputs == {"Email": JO}


def test_a_row_that_is_opened_again_during_the_erasing_stays_with_everything_else(
    admin: Membership, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = InstanceFactory(workflow=workflow, trigger_inputs={"Email": JO})
    item = row_of(admin, workflow, BatchState.DONE)

    def lock(account_id: Any) -> None:
        Batch.objects.filter(pk=item.batch_id).update(state=BatchState.RUNNING)

    monkeypatch.setattr(personal_erasure, "lock_mirror", lock)
    with pytest.raises(Refused, match="in 1 row of files"):
        personal_erasure.erase_mentions(JO)
    row.refresh_from_db()
    assert row.trigger_inputs == {"Email": JO}


def delivered(workflow: Workflow, body: bytes, state: str = Delivery.State.APPLIED) -> Delivery:
    return Delivery.objects.create(
        account=workflow.account,
        dedupe_key=body.decode()[:64],
        body=body,
        received_at=timezone.now(),
        state=state,
    )


def test_events_of_docusign_are_found_taken_out_and_erased(workflow: Workflow) -> None:
    """V-4: they are kept as they came, so they may hold whatever an instance holds."""
    other = delivered(workflow, b'{"email": "somebody@example.com"}')
    mine = delivered(workflow, b'{"email": "jo.m\\u0069ller@example.com"}')
    assert personal_data.find_mentions(JO).deliveries == [mine.pk]
    assert [each["body"] for each in json.loads(run("export", JO))["events"]] == [{"email": JO}]
    assert run("erase_value", JO, "--yes") == "Erased: 1 row.\n"
    assert list(Delivery.objects.all()) == [other]


def test_an_event_that_waits_is_read_before_it_is_erased(workflow: Workflow) -> None:
    delivered(workflow, JO.encode(), Delivery.State.WAITING)
    with pytest.raises(Refused, match="events that are not over"):
        personal_erasure.erase_mentions(JO)
    assert Delivery.objects.exists()


def test_an_export_opens_what_is_sealed(admin: Membership, workflow: Workflow) -> None:
    preset_of(admin, workflow, {"Email": JO})
    item = row_of(admin, workflow, BatchState.DONE)
    planned = BatchFactory(
        account=admin.account,
        actor=admin.user,
        workflow=workflow,
        state=BatchState.PLANNED,
        source=Batch.Source.SHEET,
        confirmed_at=None,
    )
    sheet_rows.start_sheet(planned, Table(["Email"], [["a@example.com"], [JO]], [2, 3]), "people.csv")
    deed = deed_of(admin.user, workflow, OperationState.CONFIRMED)
    sealed = crypto.seal(json.dumps({"Email": JO}), *triggers.payload_place(deed))
    Operation.objects.filter(pk=deed.pk).update(sealed_payload=sealed)
    found = json.loads(run("export", JO))
    assert [each["values"] for each in found["presets"]] == [{"Email": JO}]
    assert [(each["label"], each["inputs"]) for each in found["rows_of_bulk_runs"]] == [(item.label, {"Email": JO})]
    assert [(each["file_name"], each["rows"]) for each in found["files"]] == [("people.csv", [{"Email": JO}])]
    assert [each["inputs"] for each in found["deeds"]] == [{"Email": JO}]
    assert Sheet.objects.get().sealed_table not in str(found)


def test_what_docusign_and_people_wrote_elsewhere_is_found_and_said_to_stay(
    admin: Membership, workflow: Workflow
) -> None:
    row = InstanceFactory(workflow=workflow, metadata={"owner": JO}, tags=["x"])
    batch = BatchFactory(account=admin.account, actor=admin.user, workflow=workflow, reason=f"Asked by {JO}")
    view = SavedView.objects.create(
        account=admin.account, owner=admin.user, name="Jo", query="name=jo.miller%40example.com"
    )
    found = personal_data.find_mentions(JO)
    assert (found.members, found.words) == ([row.pk], {"runs": [batch.pk], "views": [view.pk]})
    assert json.loads(run("export", JO))["words"]["runs"][0]["reason"] == f"Asked by {JO}"
    said = run("erase_value", JO, "--yes")
    assert "1 instance at Docusign" in said
    assert "2 texts in names, reasons and settings" in said


def test_an_account_reads_in_its_audit_only_what_was_its_own(
    admin: Membership, workflow: Workflow, leaver: User
) -> None:
    """A-1: neither people nor numbers of another account."""
    other = AccountFactory()
    InstanceFactory(workflow=workflow, trigger_inputs={"Email": JO})
    elsewhere = WorkflowFactory(account=other)
    for _ in range(2):
        InstanceFactory(workflow=elsewhere, account=other, trigger_inputs={"Email": JO})
    AccountFactory()
    run("export", JO)
    run("export", leaver.email)
    run("erase_value", JO, "--yes")
    kept = AuditEntry.objects.filter(action__startswith="person.").order_by("seq")
    assert sorted((each.action, each.account_id, str(each.detail)) for each in kept) == sorted(
        (action, str(account.pk), str(detail))
        for action, account, detail in (
            ("person.exported", admin.account, {"people": []}),
            ("person.exported", other, {"people": []}),
            ("person.exported", admin.account, {"people": [str(leaver.pk)]}),
            ("person.erased", admin.account, {"rows": 1}),
            ("person.erased", other, {"rows": 2}),
        )
    )


def test_who_was_switched_off_stays_so_when_erased(admin: Membership, leaver: User) -> None:
    """S-8: only an admin lets them in again, also after they asked to be erased."""
    environment, sub = leaver.environment, leaver.sub
    asked = {"environment": environment, "sub": sub, "among": [str(admin.account_id)]}
    team_access.switch_off(leaver.memberships.get(), actor=admin.user)
    assert "stay switched off" in run("erase", str(leaver.pk), "--yes")
    assert sub not in str(list(User.objects.values()))
    assert team_access.barred_accounts(**asked) == {str(admin.account_id)}
    team_access.switch_on(Membership.objects.get(user=leaver), actor=admin.user)
    assert team_access.barred_accounts(**asked) == set()
    # They came again, were switched off again, and ask again.
    again = MembershipFactory(account=admin.account, user=UserFactory(environment=environment, sub=sub))
    team_access.switch_off(again, actor=admin.user)
    personal_erasure.erase_person(again.user)
    assert team_access.barred_accounts(**asked) == {str(admin.account_id)}


def test_no_sentence_of_this_console_names_an_erased_person(
    admin: Membership, leaver: User, workflow: Workflow
) -> None:
    batch = BatchFactory(account=admin.account, actor=admin.user, workflow=workflow)
    Batch.objects.filter(pk=batch.pk).update(message=batch_states.PAUSED.format(leaver))
    deed = deed_of(admin.user, workflow, OperationState.CONFIRMED)
    said = "Settled by hand: {} looked at Docusign and found that it happened."
    Operation.objects.filter(pk=deed.pk).update(message=said.format(leaver))
    personal_erasure.erase_person(leaver)
    batch.refresh_from_db()
    deed.refresh_from_db()
    assert (batch.message, deed.message) == ("Paused by Erased person.", said.format("Erased person"))


def test_a_row_that_a_person_has_to_decide_about_keeps_its_value(admin: Membership, workflow: Workflow) -> None:
    """U-4: it may turn out that it has to be sent again."""
    item = row_of(admin, workflow, BatchState.DONE)
    BatchItem.objects.filter(pk=item.pk).update(state=ItemState.NEEDS_PERSON)
    with pytest.raises(Refused, match="in 1 row of files"):
        personal_erasure.erase_mentions(JO)
