"""Bulk runs carried out by a worker's slices, in process, with the simulator as Docusign."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from dashboard.models import (
    Account,
    ApiBudget,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Connection,
    Contract,
    Instance,
    InstanceState,
    ItemState,
    Membership,
    Operation,
    OperationState,
    Workflow,
)
from dashboard.services import audit, batch_runs, batches, budget, operations
from dashboard.services.timings import RUNNER_LEASE
from maestro_api import LimitState
from maestro_api.simulator import Simulator
from tests.services.bulk import ShiftingFlag, Worker, cancel_batch, sheet_batch, started, states
from tests.services.conftest import new_key

TRIGGERS = {"method": "POST", "path": "/actions/trigger"}
Hold = Batch.Hold
Posts = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def worker(ada: Membership, settings: Any) -> Iterator[Worker]:
    """A worker in a minute of its own, far from the turn of an hour."""
    settings.BATCH_RATE_PER_SECOND = 5
    Account.objects.filter(pk=ada.account_id).update(resend_allowed=True)
    flag = batch_runs.Ending.flag
    with time_machine.travel(datetime.now(UTC).replace(minute=5, second=0), tick=False) as clock:
        batch_runs.end_with(ShiftingFlag(clock))
        yield Worker(clock)
    batch_runs.end_with(flag)


@pytest.fixture
def made(simulator: Simulator) -> Callable[[], int]:
    """How many instances of the bulk run Docusign really has."""
    return lambda: sum(name.startswith("Bulk ") for name in simulator.world.instances.names.values())


@pytest.fixture
def rows(ada: Membership, contract: Contract) -> Callable[[int], Batch]:
    """A confirmed run of so many triggers."""
    return lambda number: started(sheet_batch(ada, contract, (f"Bulk {n}" for n in range(number))), ada)


@pytest.fixture
def running(ada: Membership, workflow: Workflow) -> list[Instance]:
    found = list(Instance.objects.filter(account=ada.account, status=InstanceState.IN_PROGRESS)[:3])
    assert len(found) == 3
    return found


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


def test_other_inputs_than_at_the_check_hold_the_run_with_what_changed(
    worker: Worker, rows: Callable[[int], Batch], contract: Contract, simulator: Simulator, posts: Posts
) -> None:
    """Drift between check and run: nothing is sent, and the difference is told in sentences."""
    batch = rows(2)
    Contract.objects.filter(pk=contract.pk).update(digest="0" * 64, last_seen_at=timezone.now() - timedelta(hours=1))
    Contract.objects.filter(pk=contract.pk).update(
        fields=[*contract.fields, {**contract.fields[0], "name": "Cost center", "is_system": False}]
    )
    worker.work(batch, seconds=3)
    assert (batch.state, batch.hold, len(posts())) == (BatchState.PAUSED, Hold.DRIFT, 0)
    assert batch.drift == ["“Cost center” is no longer asked for."]
    assert AuditEntry.objects.get(action="batch.held").detail == {"hold": "drift"}


def test_the_contract_is_read_once_a_minute_at_most(
    worker: Worker, rows: Callable[[int], Batch], simulator: Simulator, settings: Any
) -> None:
    settings.BATCH_RATE_PER_SECOND = 0.5
    worker.work(rows(12), seconds=40)
    asked = [entry for entry in simulator.ledger() if "trigger-requirements" in entry["path"]]
    assert len(asked) <= 1


def test_a_workflow_that_somebody_paused_holds_the_run_and_fails_no_row(
    worker: Worker, rows: Callable[[int], Batch], workflow: Workflow, simulator: Simulator, ada: Membership
) -> None:
    """Paused at Docusign by somebody else: the refused row keeps its place."""
    batch = rows(3)
    simulator.set_workflow(str(workflow.pk), status="paused")
    worker.work(batch, seconds=5)
    assert (batch.state, batch.hold) == (BatchState.PAUSED, Hold.WORKFLOW)
    assert states(batch) == [ItemState.WAITING] * 3
    simulator.set_workflow(str(workflow.pk), status="active")
    Workflow.objects.filter(pk=workflow.pk).update(status="active", raw_status="active")
    batches.resume(batch, membership=ada)
    worker.work(batch)
    assert states(batch) == [ItemState.CONFIRMED] * 3


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


def test_a_grant_that_ends_in_mid_run_pauses_it_until_the_reconnect(
    worker: Worker,
    rows: Callable[[int], Batch],
    ada: Membership,
    simulator: Simulator,
    made: Callable[[], int],
    settings: Any,
) -> None:
    """O-9: paused and not failed; after the reconnect it goes on by itself, with no row lost and none twice."""
    settings.BATCH_RATE_PER_SECOND = 0.2
    batch = rows(6)
    worker.work(batch, seconds=8)
    assert 0 < made() < 6
    Connection.objects.filter(user=ada.user).update(state=Connection.State.RECONNECT_NEEDED)
    before = made()
    worker.work(batch, seconds=20)
    assert (batch.state, batch.hold, made()) == (BatchState.PAUSED, Hold.RECONNECT, before)
    assert ItemState.REJECTED not in states(batch)
    Connection.objects.filter(user=ada.user).update(state=Connection.State.ACTIVE)
    worker.work(batch, seconds=60)
    assert (batch.state, states(batch), made()) == (BatchState.DONE, [ItemState.CONFIRMED] * 6, 6)


def test_a_grant_that_docusign_revoked_holds_the_run_at_the_first_row(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, simulator: Simulator
) -> None:
    """O-9: found out by the call itself; the row waits with the others."""
    batch = rows(2)
    simulator.revoke("Ada Admin")
    worker.work(batch, seconds=10)
    assert (batch.state, batch.hold) == (BatchState.PAUSED, Hold.RECONNECT)
    assert set(states(batch)) <= {ItemState.WAITING, ItemState.PLANNED}


def test_an_unknown_row_waits_for_the_reconnect_and_goes_to_nobody(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, simulator: Simulator
) -> None:
    """O-9: without a token nobody can look it up, which is no reason to trouble a person."""
    simulator.set_faults([{"match": TRIGGERS | {"times": 1}, "do": {"reset": "after"}}])
    batch = rows(1)
    worker.clock.shift(timedelta(seconds=1))
    batch_runs.run_batch(batch.pk)
    Connection.objects.filter(user=ada.user).update(state=Connection.State.RECONNECT_NEEDED)
    worker.work(batch, seconds=60)
    assert states(batch) == [ItemState.UNKNOWN]
    Connection.objects.filter(user=ada.user).update(state=Connection.State.ACTIVE)
    worker.work(batch, seconds=150)
    assert (batch.state, states(batch)) == (BatchState.DONE, [ItemState.CONFIRMED])


def test_selected_instances_are_canceled_after_the_undo_window(
    worker: Worker, ada: Membership, running: list[Instance], posts: Posts
) -> None:
    batch = started(cancel_batch(ada, running), ada)
    worker.work(batch, seconds=9)
    assert len(posts()) == 0
    worker.work(batch, seconds=20)
    assert (batch.state, states(batch), len(posts())) == (BatchState.DONE, [ItemState.CONFIRMED] * 3, 3)
    assert set(Instance.objects.filter(batch_items__batch=batch).values_list("status", flat=True)) == {"canceled"}
    assert set(Operation.objects.values_list("reason", flat=True)) == {"Template recalled by Legal"}


def test_what_ended_since_the_freezing_is_skipped_with_why(
    worker: Worker, ada: Membership, running: list[Instance], simulator: Simulator, posts: Posts
) -> None:
    """U-6: read just before; the mirror still calls it running, nothing is sent for it."""
    batch = started(cancel_batch(ada, running), ada)
    ended = BatchItem.objects.get(batch=batch, position=2)
    simulator.set_instance(str(ended.instance_id), status="completed")
    worker.work(batch, seconds=30)
    assert states(batch) == [ItemState.CONFIRMED, ItemState.SKIPPED, ItemState.CONFIRMED]
    ended.refresh_from_db()
    assert ended.message == "Too late: it is completed. Nothing was changed."
    assert (ended.operation, ended.status_then, len(posts())) == (None, "in_progress", 2)
    assert Instance.objects.get(pk=ended.instance_id).status == InstanceState.COMPLETED


def test_what_somebody_else_is_canceling_is_skipped(
    worker: Worker, ada: Membership, running: list[Instance], simulator: Simulator, posts: Posts
) -> None:
    batch = started(cancel_batch(ada, running), ada)
    item = BatchItem.objects.select_related("instance", "workflow").get(batch=batch, position=1)
    Operation.objects.create(
        key=new_key(), kind="cancel", state="unknown", account=ada.account, actor=ada.user,
        workflow=item.workflow, instance=item.instance, next_check_at=timezone.now() + timedelta(hours=1),
        sent_at=timezone.now(),
    )  # fmt: skip
    worker.work(batch, seconds=30)
    assert states(batch)[0] == ItemState.SKIPPED
    item.refresh_from_db()
    assert "has already asked for this" in item.message


def test_an_instance_that_docusign_does_not_answer_is_left_unsent_after_three_looks(
    worker: Worker, ada: Membership, running: list[Instance], simulator: Simulator, posts: Posts
) -> None:
    batch = cancel_batch(ada, running)
    silent = BatchItem.objects.get(batch=batch, position=1)
    simulator.set_faults([{"match": {"method": "GET", "path": str(silent.instance_id)}, "do": {"status": 500}}])
    worker.work(started(batch, ada), seconds=90)
    assert states(batch) == [ItemState.NOT_SENT, ItemState.CONFIRMED, ItemState.CONFIRMED]


def test_workflows_are_paused_and_what_is_paused_already_is_skipped(
    worker: Worker, ada: Membership, workflow: Workflow, simulator: Simulator
) -> None:
    others = Workflow.objects.filter(account=ada.account, status="active").exclude(pk=workflow.pk)[:1]
    batch = batches.create_batch(
        ada.account, actor=ada.user, kind="pause", source="selection", name="Pause two", key=new_key()
    )
    batches.freeze_workflows(batch, [workflow, *others])
    started(batch, ada)
    operations.pause_workflow(workflow, actor=ada.user, membership=ada, key=new_key())
    worker.work(batch)
    assert (batch.state, states(batch)) == (BatchState.DONE, [ItemState.SKIPPED, ItemState.CONFIRMED])


def test_refused_rows_are_sent_again_by_a_retry_and_settled_ones_are_not(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, simulator: Simulator, made: Callable[[], int]
) -> None:
    simulator.set_faults([{"match": TRIGGERS | {"times": 2}, "do": {"status": 400, "body": {"message": "No"}}}])
    batch = worker.work(rows(3))
    assert batches.retry(batch, membership=ada, key="again") == 2
    assert batches.retry(batch, membership=ada, key="again") == 2
    worker.work(batch)
    assert (batch.state, states(batch), made()) == (BatchState.DONE, [ItemState.CONFIRMED] * 3, 3)
    assert sorted(BatchItem.objects.filter(batch=batch).values_list("attempt", flat=True)) == [1, 2, 2]


def test_the_first_rows_also_show_whether_names_come_back(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, simulator: Simulator
) -> None:
    """U-5: only while that is not known; each further reading would cost a call."""
    batch = worker.work(rows(3))
    assert batch.state == BatchState.DONE
    assert not [entry for entry in simulator.ledger() if entry["method"] == "GET" and "/instances/" in entry["path"]]
    assert ApiBudget.objects.get(account=ada.account).hour_used > 0
