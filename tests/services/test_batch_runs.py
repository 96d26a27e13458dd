"""Bulk runs carried out by a worker's slices, in process, with the simulator as Docusign."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from dashboard.models import (
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    ItemState,
    Membership,
    Operation,
    OperationState,
    Role,
)
from dashboard.services import audit, batch_runs, batches, budget
from dashboard.services.timings import RUNNER_LEASE
from maestro_api import LimitState
from maestro_api.simulator import Simulator
from tests.services.bulk import Worker, states

TRIGGERS = {"method": "POST", "path": "/actions/trigger"}
Hold = Batch.Hold
Posts = Callable[[], list[dict[str, Any]]]


def test_every_row_is_triggered_once_and_the_run_is_done(
    worker: Worker, rows: Callable[[int], Batch], made: Callable[[], int]
) -> None:
    """U-1: five rows, five instances, one operation each with its audit entries; the inputs are gone."""
    batch = worker.work(rows(5))
    assert batch.state == BatchState.DONE
    assert states(batch) == [ItemState.CONFIRMED] * 5
    assert made() == 5
    assert Operation.objects.filter(item__batch=batch, state=OperationState.CONFIRMED).count() == 5
    assert not BatchItem.objects.exclude(sealed_inputs="").exists()
    done = AuditEntry.objects.get(action="batch.done")
    assert done.detail == {"confirmed": 5}
    assert audit.verify_chain().is_ok


def test_a_confirmed_row_knows_its_instance(worker: Worker, rows: Callable[[int], Batch]) -> None:
    item = BatchItem.objects.get(batch=worker.work(rows(1)))
    assert item.instance is not None
    assert item.instance.name == "Bulk 0"
    assert item.settled_at is not None


def test_items_are_sent_at_the_pace_and_not_faster(
    worker: Worker, rows: Callable[[int], Batch], simulator: Simulator, settings: Any
) -> None:
    """R-4: ten rows at two a second take four and a half seconds, and no second sees more than two and a half."""
    settings.BATCH_RATE_PER_SECOND = 2
    batch = rows(10)
    begin = batch.starts_at
    worker.work(batch)
    sent = sorted(Operation.objects.filter(item__batch=batch).values_list("sent_at", flat=True))
    assert begin is not None
    late = [(moment - begin).total_seconds() - place / 2 for place, moment in enumerate(sent)]
    assert all(0 <= seconds <= 1.6 for seconds in late), late


def test_a_run_that_stood_still_makes_up_for_one_item_at_most(
    worker: Worker, rows: Callable[[int], Batch], settings: Any, posts: Posts
) -> None:
    """R-4: no burst accumulates while nobody worked."""
    settings.BATCH_RATE_PER_SECOND = 1
    batch = rows(9)
    worker.clock.shift(timedelta(seconds=60))
    first = timezone.now()
    worker.work(batch, seconds=1)
    sent = Operation.objects.filter(item__batch=batch, sent_at__lt=first + timedelta(seconds=1.9))
    assert sent.count() <= 3


def test_an_answer_that_was_lost_is_found_and_not_sent_again(
    worker: Worker, rows: Callable[[int], Batch], made: Callable[[], int], simulator: Simulator, posts: Posts
) -> None:
    """U-2: a reset after the deed is settled by the marker; the run ends only then."""
    simulator.set_faults([{"match": TRIGGERS | {"times": 2}, "do": {"reset": "after"}}])
    batch = worker.work(rows(4), seconds=30)
    assert batch.state == BatchState.DONE
    assert (states(batch), made(), len(posts())) == ([ItemState.CONFIRMED] * 4, 4, 4)


def test_what_surely_did_not_run_is_sent_again_by_the_run_itself(
    worker: Worker, rows: Callable[[int], Batch], made: Callable[[], int], simulator: Simulator
) -> None:
    """U-2, U-4: a reset before the deed is unknown first, absent from two complete lists, and then sent again."""
    simulator.set_faults([{"match": TRIGGERS | {"times": 1}, "do": {"reset": "before"}}])
    batch = rows(3)
    worker.work(batch, seconds=40)
    assert sorted(states(batch)) == [ItemState.CONFIRMED, ItemState.CONFIRMED, ItemState.UNKNOWN]
    assert batch.state == BatchState.RUNNING
    worker.work(batch, seconds=90)
    assert (batch.state, states(batch), made()) == (BatchState.DONE, [ItemState.CONFIRMED] * 3, 3)
    assert Operation.objects.get(resends=1).attempts == 2


def test_a_paused_run_does_not_send_again_what_was_lost(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, simulator: Simulator, posts: Posts
) -> None:
    """U-8: the looks go on while it is paused, sending does not."""
    simulator.set_faults([{"match": TRIGGERS | {"times": 1}, "do": {"reset": "before"}}])
    batch = rows(1)
    worker.turn(batch)
    batches.pause(batch, membership=ada)
    worker.work(batch, seconds=120)
    assert (states(batch), len(posts())) == ([ItemState.PLANNED], 1)
    batches.resume(batch, membership=ada)
    worker.work(batch)
    assert (states(batch), len(posts())) == ([ItemState.CONFIRMED], 2)


def test_a_stopped_run_withdraws_what_was_to_be_sent_again(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, simulator: Simulator, posts: Posts
) -> None:
    """U-8: it stays stopping until the outcome is known, and sends nothing more."""
    simulator.set_faults([{"match": TRIGGERS | {"times": 1}, "do": {"reset": "before"}}])
    batch = rows(2)
    worker.turn(batch)
    batches.stop(batch, membership=ada)
    first = len(posts())
    assert batch.state == BatchState.STOPPING
    worker.work(batch, seconds=150)
    assert (batch.state, len(posts())) == (BatchState.DONE, first)
    assert Operation.objects.filter(state=OperationState.WITHDRAWN).count() == 1
    assert ItemState.NOT_SENT in states(batch)


def test_an_older_runner_gets_no_slot(worker: Worker, rows: Callable[[int], Batch], posts: Posts) -> None:
    """U-9: whoever was stopped and wakes up is refused in the transaction that would store the intent."""
    batch = rows(2)
    worker.clock.shift(timedelta(seconds=1))
    stale = batch_runs.Slice(batch, batch.fence)
    Batch.objects.filter(pk=batch.pk).update(fence=batch.fence + 1)
    item = BatchItem.objects.select_related("workflow").filter(batch=batch).first()
    membership = batch_runs.membership_of(batch)
    assert item is not None
    assert membership is not None
    stale._carry_out(item, membership)
    assert (states(batch), len(posts())) == ([ItemState.WAITING] * 2, 0)
    assert not Operation.objects.exists()


def test_a_run_that_a_living_worker_holds_is_not_taken(
    worker: Worker, rows: Callable[[int], Batch], posts: Posts
) -> None:
    """U-9: one runner at a time, and the next once the lease has ended."""
    batch = rows(1)
    worker.clock.shift(timedelta(seconds=1))
    held_until = timezone.now() + RUNNER_LEASE
    Batch.objects.filter(pk=batch.pk).update(runner="other:1", lease_until=held_until, fence=7)
    batch_runs.run_batch(batch.pk)
    assert len(posts()) == 0
    worker.clock.shift(RUNNER_LEASE)
    batch_runs.run_batch(batch.pk)
    assert len(posts()) == 1


def test_slices_leave_a_thread_to_everything_else(worker: Worker, rows: Callable[[int], Batch]) -> None:
    """R-3: of four runs that are due, two are queued for the one worker."""
    for _ in range(4):
        rows(1)
    worker.clock.shift(timedelta(seconds=1))
    assert batch_runs.run_due() == 2
    assert batch_runs.run_due() == 0


def test_a_worker_that_was_asked_to_end_sends_nothing_more(
    worker: Worker, rows: Callable[[int], Batch], posts: Posts
) -> None:
    """U-10: the flag is looked at before each item, and the lease is given back."""
    batch = rows(3)
    worker.clock.shift(timedelta(seconds=1))
    batch_runs.Ending.flag.set()
    batch_runs.run_batch(batch.pk)
    batch.refresh_from_db()
    assert (len(posts()), batch.lease_until, batch.runner) == (0, None, "")


def test_the_batch_lane_leaves_a_fifth_of_the_hour_to_people(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, posts: Posts, trigger: Callable[..., Operation]
) -> None:
    """R-3: with 500 calls left a person triggers, and the run waits for the next hour with the reason."""
    batch = rows(2)
    budget.note_limits(ada.account, LimitState(3000, 500))
    worker.work(batch, seconds=5)
    assert len(posts()) == 0
    assert batch.state == BatchState.RUNNING
    assert "kept for people" in batch.message
    estimate = batches.eta(batch)
    assert estimate.seconds is not None
    assert estimate.seconds > 50 * 60
    assert trigger().state == OperationState.CONFIRMED
    worker.clock.shift(timedelta(minutes=56))
    worker.work(batch, seconds=20)
    assert batch.state == BatchState.DONE


def test_a_refusal_for_too_many_calls_keeps_the_rows_place(
    worker: Worker, rows: Callable[[int], Batch], simulator: Simulator, posts: Posts
) -> None:
    """R-5: nothing is asked before the time that Docusign named, and no row fails."""
    limit = {
        "status": 429,
        "headers": {"Retry-After": "45"},
        "body": {"errorCode": "HOURLY_APIINVOCATION_LIMIT_EXCEEDED"},
    }
    simulator.set_faults([{"match": TRIGGERS | {"times": 1}, "do": limit}])
    batch = rows(3)
    worker.work(batch, seconds=40)
    assert (len(posts()), states(batch)) == (1, [ItemState.PLANNED, ItemState.WAITING, ItemState.WAITING])
    assert "until" in batch.message
    worker.work(batch, seconds=30)
    assert (batch.state, states(batch)) == (BatchState.DONE, [ItemState.CONFIRMED] * 3)


def test_a_docusign_that_cannot_be_reached_fails_no_row(
    worker: Worker, rows: Callable[[int], Batch], simulator: Simulator, made: Callable[[], int]
) -> None:
    """R-8: the breaker holds the run back while Docusign is down, and it goes on by itself."""
    simulator.set_faults([{"match": {}, "do": {"status": 503}}])
    batch = worker.work(rows(3), seconds=60)
    assert ItemState.REJECTED not in states(batch)
    simulator.set_faults([])
    worker.work(batch, seconds=400)
    assert (batch.state, states(batch), made()) == (BatchState.DONE, [ItemState.CONFIRMED] * 3, 3)


def test_a_row_that_docusign_refuses_is_refused_and_the_others_go_on(
    worker: Worker, rows: Callable[[int], Batch], simulator: Simulator, made: Callable[[], int]
) -> None:
    simulator.set_faults(
        [{"match": TRIGGERS | {"times": 1}, "do": {"status": 400, "body": {"message": "No such supplier"}}}]
    )
    batch = worker.work(rows(3))
    assert (batch.state, made()) == (BatchState.DONE, 2)
    assert states(batch) == [ItemState.REJECTED, ItemState.CONFIRMED, ItemState.CONFIRMED]
    assert BatchItem.objects.get(batch=batch, position=1).sealed_inputs != ""


def test_who_may_only_look_by_now_sends_nothing_more(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, posts: Posts
) -> None:
    """The role was taken after the confirm: every row keeps its place until somebody decides."""
    batch = rows(2)
    Membership.objects.filter(pk=ada.pk).update(role=Role.VIEWER)
    worker.work(batch, seconds=5)
    assert (batch.state, batch.hold, len(posts())) == (BatchState.PAUSED, Hold.PERSON, 0)
    assert states(batch) == [ItemState.WAITING] * 2


def test_emergency_stops_that_cannot_freeze_take_no_slice_from_runs(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership
) -> None:
    """Their lease is renewed for as long as their person is away, which may be for good."""
    batch = rows(1)
    for number in range(batch_runs.SLICES_A_WORKER):
        stop = batches.create_batch(
            ada.account, actor=ada.user, kind="cancel", source="emergency", name="Stop", key=f"stop-{number}"
        )
        Batch.objects.filter(pk=stop.pk).update(lease_until=timezone.now() + timedelta(hours=1))
    worker.clock.shift(timedelta(seconds=1))
    assert batch_runs.queue_due() == 1
    batch.refresh_from_db()
    assert batch.lease_until is not None
