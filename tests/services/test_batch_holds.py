"""What holds a bulk run up, and how it goes on without losing a row."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.utils import timezone

from dashboard import crypto
from dashboard.models import (
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Connection,
    Contract,
    ItemState,
    Membership,
    Operation,
    Workflow,
)
from dashboard.services import batch_runs, batches, restores
from maestro_api.simulator import Simulator
from tests.services.bulk import Worker, sheet_batch, states

TRIGGERS = {"method": "POST", "path": "/actions/trigger"}
Hold = Batch.Hold
Posts = Callable[[], list[dict[str, Any]]]


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


def test_a_worker_without_the_key_leaves_every_row_as_it_is(
    worker: Worker, rows: Callable[[int], Batch], made: Callable[[], int], settings: Any
) -> None:
    """O-11: a worker that was not given the key yet sends nothing, and refuses no row for it."""
    batch = rows(3)
    right, settings.TOKEN_KEYS = settings.TOKEN_KEYS, ["YW5vdGhlciB0b2tlbiBrZXkgb2YgMzIgYnl0ZXMhISE="]
    worker.work(batch, seconds=5)
    assert (states(batch), made()) == ([ItemState.WAITING] * 3, 0)
    assert (batch.state, "does not hold the key" in batch.message) == (BatchState.RUNNING, True)
    settings.TOKEN_KEYS = right
    worker.work(batch)
    assert states(batch) == [ItemState.CONFIRMED] * 3


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


def test_rows_that_an_older_copy_calls_waiting_are_found_and_not_sent_again(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, made: Callable[[], int], posts: Posts
) -> None:
    """U-12: everything was sent after the backup was made; after the restore nothing is sent twice, and what is missing is sent."""
    batch = worker.work(rows(3))
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.RUNNING, ended_at=None)
    copies = {item.position: item for item in BatchItem.objects.filter(batch=sheet_batch(ada, batch.contract, "abc"))}
    for item in BatchItem.objects.filter(batch=batch):
        payload = crypto.unseal(
            copies[item.position].sealed_inputs, *batches.inputs_place(copies[item.position].batch, item.position)
        )
        item.sealed_inputs = crypto.seal(payload, *batches.inputs_place(batch, item.position))
        item.state, item.operation, item.instance, item.settled_at = ItemState.WAITING, None, None, None
        item.save()
    BatchItem.objects.create(
        batch=batch,
        position=4,
        label="Bulk 3",
        workflow=batch.workflow,
        sealed_inputs=crypto.seal(payload, *batches.inputs_place(batch, 4)),
    )
    Operation.objects.filter(key__startswith="b:").delete()
    restores.declare(ada.account)
    worker.work(batch, seconds=5)
    assert (batch.hold, len(posts())) == (Hold.RESTORED, 3)
    batches.resume(batch, membership=ada)
    assert states(batch) == [ItemState.UNKNOWN] * 4
    worker.work(batch, seconds=150)
    assert (batch.state, states(batch)) == (BatchState.DONE, [ItemState.CONFIRMED] * 4)
    assert (made(), len(posts())) == (4, 4)
    assert AuditEntry.objects.get(action="batch.doubted").detail == {"count": 4}
