"""Bulk runs that two windows change at once: only what was asked about starts, and each is told what really came of it."""

from uuid import UUID

import pytest
from django.utils import timezone

from dashboard.models import Account, AuditEntry, Batch, BatchItem, BatchState, ItemState, Membership
from dashboard.services import batch_states, batches, second_person
from dashboard.services.errors import Refused
from dashboard.services.instances import lock_mirror
from tests.factories import BatchFactory, BatchItemFactory, InstanceFactory, WorkflowFactory
from tests.services.bulk import cancel_batch


@pytest.fixture
def frozen(account: Account, operator: Membership) -> Batch:
    """Three cancels that wait for their confirm."""
    workflow = WorkflowFactory(account=account)
    return cancel_batch(operator, [InstanceFactory(workflow=workflow) for _ in range(3)])


@pytest.fixture
def running(operator: Membership) -> Batch:
    """A run of which nothing is sent yet."""
    batch = BatchFactory(
        account=operator.account, actor=operator.user, state=BatchState.RUNNING, next_send_at=timezone.now()
    )
    BatchItemFactory(batch=batch, position=1)
    return batch


def test_the_count_in_the_audit_is_that_of_the_list_that_starts(
    frozen: Batch, operator: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A-1: a row was left out by another window just before the lock was taken."""

    def late(account_id: UUID) -> None:
        BatchItem.objects.filter(batch=frozen, position=1).update(state=ItemState.LEFT_OUT)
        lock_mirror(account_id)

    monkeypatch.setattr(batches, "lock_mirror", late)
    batches.confirm(frozen, membership=operator, key="confirm")
    assert AuditEntry.objects.get(action="batch.confirmed").detail["count"] == 2


@pytest.mark.parametrize("change", ["a row left out", "another in its place", "a row renamed"])
def test_a_list_that_changed_since_the_question_does_not_start(
    frozen: Batch, operator: Membership, change: str
) -> None:
    """U-8: only what was asked about starts; as many rows may be others."""
    first = BatchItem.objects.filter(batch=frozen, position=1)
    if change == "another in its place":
        first.update(state=ItemState.LEFT_OUT)
    seen = second_person.digest_of(frozen)
    if change == "a row renamed":
        first.update(label="Elder")
    elif change == "a row left out":
        first.update(state=ItemState.LEFT_OUT)
    else:
        first.update(state=ItemState.WAITING)
        BatchItem.objects.filter(batch=frozen, position=2).update(state=ItemState.LEFT_OUT)
    with pytest.raises(Refused, match="was changed after you were asked"):
        batches.confirm(frozen, membership=operator, key="confirm", seen=seen)
    assert Batch.objects.get().state == BatchState.PLANNED
    batches.confirm(frozen, membership=operator, key="confirm", seen=second_person.digest_of(frozen))
    assert batches.confirm(frozen, membership=operator, key="confirm", seen=seen).state == BatchState.RUNNING


def test_a_persons_pause_wins_over_the_hold_that_ends_by_itself(running: Batch, operator: Membership) -> None:
    """U-8, O-9: it was held for the sign-in a moment before; nothing goes on until somebody says so."""
    batches.hold(running, Batch.Hold.RECONNECT, "It waits for a connection")
    batches.pause(running, membership=operator)
    assert (running.hold, running.message) == (Batch.Hold.PERSON, f"Paused by {operator.user}.")
    assert not batch_states.resume_by_itself(running)
    assert Batch.objects.get().state == BatchState.PAUSED


def test_an_undo_pressed_twice_gives_the_first_result(frozen: Batch, operator: Membership) -> None:
    """U-7: from two windows, or by a double click."""
    batches.confirm(frozen, membership=operator, key="confirm")
    for _ in range(2):
        batches.undo(Batch.objects.get(), membership=operator)
    assert AuditEntry.objects.filter(action="batch.undone").count() == 1
    assert batches.counts(frozen) == {ItemState.NOT_SENT: 3}


def test_an_undo_of_what_somebody_stopped_says_that_it_is_over(frozen: Batch, operator: Membership) -> None:
    """There is nothing left to stop instead."""
    batches.confirm(frozen, membership=operator, key="confirm")
    batches.stop(frozen, membership=operator)
    with pytest.raises(Refused, match="is done"):
        batches.undo(frozen, membership=operator)
    assert not AuditEntry.objects.filter(action="batch.undone").exists()
