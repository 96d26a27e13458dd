"""Bulk runs up to their confirm, and what a person may do with them afterwards."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import (
    Account,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Instance,
    InstanceState,
    ItemState,
    Membership,
    Operation,
    OperationKind,
    Policy,
)
from dashboard.services import audit, batch_states, batches
from dashboard.services.batches import Eta
from dashboard.services.errors import NeedsSecondPerson, Refused
from tests.factories import BatchFactory, BatchItemFactory, InstanceFactory, WorkflowFactory
from tests.services.conftest import new_key

Make = Callable[..., Batch]


@pytest.fixture
def three(account: Account) -> list[Instance]:
    workflow = WorkflowFactory(account=account, name="Supplier NDA")
    return [InstanceFactory(workflow=workflow, name=name) for name in ("Birch", "Alder", "Cedar")]


@pytest.fixture
def planned(operator: Membership) -> Make:
    """A list that was just made, of a person of the account."""

    def made(**changes: Any) -> Batch:
        wanted: dict[str, Any] = {
            "actor": operator.user,
            "kind": OperationKind.CANCEL,
            "source": Batch.Source.SELECTION,
            "name": "Cancel 3 instances",
            "key": new_key(),
            "reason": "Template recalled",
        }
        return batches.create_batch(operator.account, **(wanted | changes))

    return made


@pytest.fixture
def frozen(planned: Make, three: list[Instance]) -> Batch:
    batch = planned()
    batches.freeze_instances(batch, Instance.objects.order_by("name_order"))
    return batch


def test_the_same_form_once_more_gives_the_first_list(planned: Make) -> None:
    """U-7: whatever is submitted twice is made once."""
    assert planned(key="form").pk == planned(key="form").pk
    assert Batch.objects.count() == 1


def test_the_form_of_another_list_is_refused(planned: Make) -> None:
    """U-7: other parameters under the same key are a mistake, not a repeat."""
    planned(key="form")
    with pytest.raises(Refused, match="already used for something else"):
        planned(key="form", kind=OperationKind.PAUSE)


def test_a_selection_is_frozen_in_its_order_with_names_and_states(frozen: Batch) -> None:
    rows = BatchItem.objects.filter(batch=frozen).order_by("position")
    assert list(rows.values_list("position", "label", "status_then", "state")) == [
        (1, "Alder", "in_progress", "waiting"),
        (2, "Birch", "in_progress", "waiting"),
        (3, "Cedar", "in_progress", "waiting"),
    ]
    assert (frozen.total, frozen.frozen_at is not None) == (3, True)


def test_a_selection_stays_as_it_was_whatever_becomes_of_the_instances(frozen: Batch) -> None:
    Instance.objects.filter(name="Alder").update(status=InstanceState.COMPLETED, name="Elder")
    item = BatchItem.objects.get(batch=frozen, position=1)
    assert (item.label, item.status_then) == ("Alder", "in_progress")


def test_what_had_ended_already_is_skipped_without_asking_docusign(planned: Make, three: list[Instance]) -> None:
    Instance.objects.filter(name="Birch").update(status=InstanceState.COMPLETED)
    batch = planned()
    assert batches.freeze_instances(batch, Instance.objects.order_by("-name_order")) == 3
    assert batches.counts(batch) == {ItemState.WAITING: 2, ItemState.SKIPPED: 1}
    assert BatchItem.objects.get(state=ItemState.SKIPPED).message == "It had already ended when it was selected."


def test_a_part_of_a_list_can_be_frozen(planned: Make, three: list[Instance]) -> None:
    batch = planned()
    assert batches.freeze_instances(batch, Instance.objects.order_by("name_order")[:2]) == 2
    assert list(batch.items.order_by("position").values_list("label", flat=True)) == ["Alder", "Birch"]


def test_a_list_is_frozen_once(frozen: Batch) -> None:
    with pytest.raises(Refused, match="already frozen"):
        batches.freeze_instances(frozen, Instance.objects.all())
    assert frozen.items.count() == 3


def test_freezing_takes_the_same_few_statements_however_long_the_list(planned: Make, three: list[Instance]) -> None:
    """One statement moves all rows, so that fifty thousand of them are a matter of a second."""
    batch = planned()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        batches.freeze_instances(batch, Instance.objects.all())
    assert len(queries) <= 7


def test_a_confirm_starts_the_undo_window_and_is_recorded(frozen: Batch, operator: Membership, settings: Any) -> None:
    """A-1, U-8: the count and the reason stand in the audit; nothing is sent before the window is over."""
    settings.UNDO_SECONDS = 10
    batches.confirm(frozen, membership=operator, key="confirm")
    assert frozen.state == BatchState.RUNNING
    assert frozen.confirmed_at is not None
    assert frozen.starts_at == frozen.next_send_at == frozen.confirmed_at + timedelta(seconds=10)
    entry = AuditEntry.objects.get(action="batch.confirmed")
    assert (entry.detail["count"], entry.reason, entry.object_type) == (3, "Template recalled", "batch")
    assert audit.verify_chain().is_ok


def test_a_run_of_triggers_starts_at_once(planned: Make, operator: Membership) -> None:
    batch = planned(kind=OperationKind.TRIGGER, source=Batch.Source.SHEET)
    BatchItemFactory(batch=batch)
    Batch.objects.filter(pk=batch.pk).update(frozen_at=timezone.now())
    batches.confirm(batch, membership=operator, key="confirm")
    assert batch.starts_at == batch.confirmed_at


def test_a_double_confirm_starts_once(frozen: Batch, operator: Membership) -> None:
    """U-7: the second click finds the first one's start."""
    batches.confirm(frozen, membership=operator, key="confirm")
    starts_at = frozen.starts_at
    assert batches.confirm(frozen, membership=operator, key="confirm").starts_at == starts_at
    assert AuditEntry.objects.filter(action="batch.confirmed").count() == 1


def test_another_form_does_not_confirm_it_again(frozen: Batch, operator: Membership) -> None:
    batches.confirm(frozen, membership=operator, key="confirm")
    with pytest.raises(Refused, match="already running"):
        batches.confirm(frozen, membership=operator, key="another")


def test_an_empty_list_is_not_confirmed(planned: Make, operator: Membership) -> None:
    batch = planned()
    batches.freeze_instances(batch, Instance.objects.none())
    with pytest.raises(Refused, match="nothing to do"):
        batches.confirm(batch, membership=operator, key="confirm")


def test_a_list_that_is_not_frozen_is_not_confirmed(planned: Make, operator: Membership) -> None:
    with pytest.raises(Refused, match="not complete"):
        batches.confirm(planned(), membership=operator, key="confirm")


def test_only_its_own_person_confirms_a_run(frozen: Batch, admin: Membership) -> None:
    """V-5: it is sent with that person's token, so even an admin does not start it."""
    with pytest.raises(Refused, match="own connection"):
        batches.confirm(frozen, membership=admin, key="confirm")
    assert Batch.objects.get().state == BatchState.PLANNED


def test_a_list_that_needs_a_second_person_is_not_started(frozen: Batch, operator: Membership) -> None:
    policy = Policy.objects.create(
        account=frozen.account, kind=OperationKind.CANCEL, least_count=3, created_by=operator.user
    )
    with pytest.raises(NeedsSecondPerson) as refusal:
        batches.confirm(frozen, membership=operator, key="confirm")
    assert refusal.value.policy == policy
    assert Batch.objects.get().state == BatchState.PLANNED


@pytest.fixture
def running(operator: Membership) -> Batch:
    """A run of four of which one is sent."""
    batch = BatchFactory(
        account=operator.account, actor=operator.user, state=BatchState.RUNNING, next_send_at=timezone.now()
    )
    for position in range(1, 5):
        BatchItemFactory(batch=batch, position=position)
    BatchItem.objects.filter(batch=batch, position=1).update(state=ItemState.CONFIRMED)
    return batch


def test_a_run_is_paused_and_resumed(running: Batch, operator: Membership) -> None:
    batches.pause(running, membership=operator)
    assert (running.state, running.hold) == (BatchState.PAUSED, Batch.Hold.PERSON)
    assert running.message == f"Paused by {operator.user}."
    batches.resume(running, membership=operator)
    assert (running.state, running.hold, running.message) == (BatchState.RUNNING, "", "")
    actions = AuditEntry.objects.order_by("seq").values_list("action", flat=True)
    assert list(actions) == ["batch.paused", "batch.resumed"]


def test_the_pace_of_a_resumed_run_counts_from_the_resume(running: Batch, operator: Membership) -> None:
    """R-4: what was not sent during a pause is not made up for."""
    Batch.objects.filter(pk=running.pk).update(next_send_at=timezone.now() - timedelta(hours=1))
    batches.pause(running, membership=operator)
    before = timezone.now()
    batches.resume(running, membership=operator)
    assert running.next_send_at is not None
    assert running.next_send_at >= before


def test_a_stop_leaves_what_waits_unsent_and_ends_the_run(running: Batch, operator: Membership) -> None:
    """U-8: with nothing in flight it is done at once."""
    batches.stop(running, membership=operator, reason="Wrong list")
    assert running.state == BatchState.DONE
    assert batches.counts(running) == {ItemState.CONFIRMED: 1, ItemState.NOT_SENT: 3}
    assert AuditEntry.objects.get(action="batch.stopped").reason == "Wrong list"
    assert AuditEntry.objects.get(action="batch.done").detail == {"confirmed": 1, "not_sent": 3}


def test_a_stopped_run_waits_for_what_is_in_flight(running: Batch, operator: Membership) -> None:
    BatchItem.objects.filter(batch=running, position=2).update(state=ItemState.UNKNOWN)
    batches.stop(running, membership=operator)
    assert running.state == BatchState.STOPPING


def test_within_the_window_a_cancel_of_many_is_undone(frozen: Batch, operator: Membership) -> None:
    batches.confirm(frozen, membership=operator, key="confirm")
    Batch.objects.filter(pk=frozen.pk).update(starts_at=timezone.now() + timedelta(seconds=5))
    batches.undo(frozen, membership=operator)
    assert (frozen.state, batches.counts(frozen)) == (BatchState.DONE, {ItemState.NOT_SENT: 3})
    assert {frozen.message, *frozen.items.values_list("message", flat=True)} == {batch_states.UNDONE}
    assert AuditEntry.objects.filter(action="batch.undone").count() == 1
    assert not Operation.objects.exists()


def test_an_undone_retry_still_settles_what_was_under_way(running: Batch, operator: Membership) -> None:
    """Within the window of a retry something may be open from before: it is not left behind in a run that is done."""
    for position, state in ((2, ItemState.UNKNOWN), (3, ItemState.REJECTED)):
        BatchItem.objects.filter(batch=running, position=position).update(state=state)
    batches.retry(running, membership=operator, key="again")
    Batch.objects.filter(pk=running.pk).update(starts_at=timezone.now() + timedelta(seconds=5))
    batches.undo(running, membership=operator)
    assert (running.state, running.message) == (BatchState.STOPPING, batch_states.RETRY_UNDONE)
    BatchItem.objects.filter(batch=running, position=2).update(state=ItemState.CONFIRMED)
    assert batch_states.wind_up(running)
    assert batches.counts(running) == {ItemState.CONFIRMED: 2, ItemState.NOT_SENT: 2}


def test_a_row_that_comes_back_after_a_stop_does_not_keep_the_run_open(running: Batch, operator: Membership) -> None:
    """U-8: the refusal of the call in flight was about the workflow, so its row waits again when everything was stopped."""
    BatchItem.objects.filter(batch=running, position=2).update(state=ItemState.SENT)
    batches.stop(running, membership=operator)
    BatchItem.objects.filter(batch=running, position=2).update(**batch_states.AGAIN)
    assert batch_states.wind_up(running)
    assert batches.counts(running) == {ItemState.CONFIRMED: 1, ItemState.NOT_SENT: 3}


def test_after_the_window_a_run_is_not_undone(running: Batch, operator: Membership) -> None:
    with pytest.raises(Refused, match="time to undo is over"):
        batches.undo(running, membership=operator)
    assert Batch.objects.get().state == BatchState.RUNNING


@pytest.mark.parametrize("deed", [batches.pause, batches.stop, batches.undo, batches.resume])
def test_a_run_of_somebody_else_is_left_alone(deed: Callable[..., Batch], running: Batch, viewer: Membership) -> None:
    with pytest.raises(Refused, match="or an admin"):
        deed(running, membership=viewer)
    assert Batch.objects.get().state == BatchState.RUNNING


def test_an_admin_stops_the_run_of_anybody_in_the_account(running: Batch, admin: Membership) -> None:
    batches.stop(running, membership=admin)
    assert AuditEntry.objects.get(action="batch.stopped").actor_name == str(admin.user)


def test_an_admin_of_another_account_does_not(running: Batch, outsider: Membership) -> None:
    with pytest.raises(Refused):
        batches.stop(running, membership=outsider)


def test_a_run_that_is_done_is_not_paused(running: Batch, operator: Membership) -> None:
    batches.stop(running, membership=operator)
    with pytest.raises(Refused, match="is done"):
        batches.pause(running, membership=operator)


def test_a_held_run_says_why_and_what_changed(running: Batch) -> None:
    assert batches.hold(running, Batch.Hold.DRIFT, "Other inputs", ["“Email” is new."])
    assert (running.state, running.message, running.drift) == (BatchState.PAUSED, "Other inputs", ["“Email” is new."])
    assert not batches.hold(running, Batch.Hold.DRIFT, "Again")


def test_only_what_surely_did_not_run_is_tried_again(running: Batch, operator: Membership) -> None:
    """U-2: an unknown row or one that needs a person is never part of a retry."""
    for position, state in ((2, ItemState.REJECTED), (3, ItemState.NEEDS_PERSON), (4, ItemState.NOT_SENT)):
        BatchItem.objects.filter(batch=running, position=position).update(state=state)
    Batch.objects.filter(pk=running.pk).update(state=BatchState.DONE)
    assert batches.retry(running, membership=operator, key="again") == 2
    running.refresh_from_db()
    assert running.state == BatchState.RUNNING
    rows = running.items.order_by("position").values_list("state", "attempt")
    assert list(rows) == [("confirmed", 1), ("waiting", 2), ("needs_person", 1), ("waiting", 2)]


def test_only_its_own_person_sends_again(running: Batch, admin: Membership) -> None:
    """V-5: an admin ends the run of anybody, and sends nothing with another person's token."""
    BatchItem.objects.filter(batch=running, position=2).update(state=ItemState.REJECTED)
    with pytest.raises(Refused, match="own connection"):
        batches.retry(running, membership=admin, key="again")
    assert not AuditEntry.objects.exists()


def test_a_retry_of_nothing_is_refused(running: Batch, operator: Membership) -> None:
    with pytest.raises(Refused, match="nothing to try again"):
        batches.retry(running, membership=operator, key="again")


def test_the_time_to_go_is_that_of_the_pace(running: Batch, settings: Any) -> None:
    """R-4: three rows at half a row a second."""
    settings.BATCH_RATE_PER_SECOND = 0.5
    estimate = batches.eta(running)
    assert estimate.seconds == pytest.approx(6, abs=0.5)
    assert estimate.per_second == 0.5
    assert batches.price(running) == 9


def test_the_time_to_go_knows_the_calls_of_the_hour(running: Batch, settings: Any) -> None:
    """R-3, R-4: what the lane does not allow in this hour comes in the next."""
    settings.BATCH_RATE_PER_SECOND = 50
    BatchItem.objects.bulk_create(
        BatchItem(batch=running, position=number, workflow=running.items.first().workflow)
        for number in range(10, 1_000)
    )
    estimate = batches.eta(running)
    assert estimate.seconds is not None
    assert estimate.seconds > 60


def test_of_a_paused_run_no_time_is_said_but_why(running: Batch, operator: Membership) -> None:
    batches.pause(running, membership=operator)
    assert batches.eta(running) == Eta(None, pytest.approx(batches.eta(running).per_second), running.message)


def test_a_list_that_is_confirmed_at_the_same_moment_is_not_forgotten(frozen: Batch, operator: Membership) -> None:
    """It was picked as abandoned, and its question was answered before it was deleted."""
    picked = Batch.objects.filter(pk=frozen.pk)
    batches.confirm(frozen, membership=operator, key="confirm")
    assert batch_states.drop_unconfirmed(picked) == 0
    assert Batch.objects.get() == frozen
