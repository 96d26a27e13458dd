"""U-12: a restored database sends nothing until a person goes on, and then nothing a second time."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from dashboard.models import (
    Account,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Contract,
    Instance,
    InstanceState,
    ItemState,
    Membership,
    Operation,
    OperationKind,
    OperationState,
)
from dashboard.services import batch_runs, batches, reconcile, restores, searching, undo
from maestro_api.simulator import Simulator
from tests.services.bulk import Worker, sheet_batch, started, states
from tests.services.form_values import new_key

Posts = Callable[[], list[dict[str, Any]]]


@pytest.mark.parametrize("is_secret_changed", [False, True])
def test_a_list_that_the_backup_calls_unconfirmed_is_looked_for_before_it_goes(
    worker: Worker,
    ada: Membership,
    contract: Contract,
    made: Callable[[], int],
    posts: Posts,
    settings: Any,
    is_secret_changed: bool,
) -> None:
    """U-12: it was confirmed and sent after the backup was made; the second confirm finds that, also after a break-in that cost
    the secret."""
    batch = sheet_batch(ada, contract, ["Bulk 1", "Bulk 2"])
    sealed = dict(BatchItem.objects.filter(batch=batch).values_list("pk", "sealed_inputs"))
    worker.work(started(batch, ada))
    assert (batch.state, len(posts())) == (BatchState.DONE, 2)
    _back_to_planned(batch, sealed)
    restores.declare(ada.account)
    if is_secret_changed:
        settings.OLD_SECRET_KEYS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another-secret-key-that-is-long-enough-to-pass-the-start-checks"
    started(batch, ada)
    assert states(batch) == [ItemState.UNKNOWN] * 2
    worker.work(batch, seconds=150)
    assert (batch.state, states(batch)) == (BatchState.DONE, [ItemState.CONFIRMED] * 2)
    assert (made(), len(posts())) == (2, 2)


def _back_to_planned(batch: Batch, sealed: dict[int, str]) -> None:
    for pk, inputs in sealed.items():
        waiting = {"state": ItemState.WAITING, "operation": None, "instance": None, "settled_at": None}
        BatchItem.objects.filter(pk=pk).update(sealed_inputs=inputs, message="", **waiting)
    Operation.objects.filter(key__startswith="b:").delete()
    planned = {"confirmed_at": None, "starts_at": None, "next_send_at": None, "ended_at": None}
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.PLANNED, confirm_key="", **planned)
    batch.refresh_from_db()


def test_a_retry_after_a_restore_looks_first(ada: Membership, rows: Callable[[int], Batch]) -> None:
    """U-12: the retry may have been sent already, by the database that is gone."""
    batch = rows(2)
    batches.stop(batch, membership=ada)
    restores.declare(ada.account)
    batches.retry(batch, membership=ada, key=new_key())
    assert states(batch) == [ItemState.UNKNOWN] * 2


def test_a_retry_long_after_a_restore_looks_first(
    worker: Worker, ada: Membership, rows: Callable[[int], Batch], simulator: Simulator
) -> None:
    """U-12: the run went on and ended since, but its refused row may have been retried by the database that is gone."""
    simulator.set_faults([{"match": {"method": "POST", "times": 1}, "do": {"status": 400, "body": {"message": "No"}}}])
    batch = rows(2)
    worker.clock.shift(timedelta(seconds=1))
    batch_runs.run_batch(batch.pk)
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.RUNNING, ended_at=None)
    restores.declare(ada.account)
    batch.refresh_from_db()
    batches.resume(batch, membership=ada)
    worker.work(batch)
    assert states(batch) == [ItemState.REJECTED, ItemState.CONFIRMED]
    batches.retry(batch, membership=ada, key=new_key())
    assert states(batch) == [ItemState.UNKNOWN, ItemState.CONFIRMED]


def test_a_stop_after_a_restore_leaves_the_doubt(ada: Membership, rows: Callable[[int], Batch]) -> None:
    """U-12: what the stop calls unsent may have been sent."""
    batch = rows(2)
    restores.declare(ada.account)
    batches.stop(batch, membership=ada)
    batches.retry(batch, membership=ada, key=new_key())
    assert states(batch) == [ItemState.UNKNOWN] * 2


def test_rows_that_were_sent_before_the_stop_of_a_restored_run_are_found_by_the_retry(
    worker: Worker, ada: Membership, contract: Contract, made: Callable[[], int], posts: Posts
) -> None:
    """U-12: what the retry calls the second attempt was the first one of the database that is gone."""
    batch = sheet_batch(ada, contract, ["Bulk 1", "Bulk 2"])
    sealed = dict(BatchItem.objects.filter(batch=batch).values_list("pk", "sealed_inputs"))
    worker.work(started(batch, ada))
    _back_to_planned(batch, sealed)
    _sends_again_by_itself(batch)
    restores.declare(ada.account)
    batches.stop(batch, membership=ada)
    batches.retry(batch, membership=ada, key=new_key())
    worker.work(batch, seconds=150)
    assert states(batch) == [ItemState.CONFIRMED] * 2
    assert (made(), len(posts())) == (2, 2)


def test_a_row_that_was_refused_and_retried_before_the_restore_is_found(
    worker: Worker, ada: Membership, contract: Contract, made: Callable[[], int], simulator: Simulator
) -> None:
    """U-12: what the restored run calls the first attempt was refused; the second one ran."""
    simulator.set_faults([{"match": {"method": "POST", "times": 1}, "do": {"status": 400, "body": {"message": "No"}}}])
    batch = sheet_batch(ada, contract, ["Bulk 1", "Bulk 2"])
    sealed = dict(BatchItem.objects.filter(batch=batch).values_list("pk", "sealed_inputs"))
    worker.work(started(batch, ada))
    batches.retry(batch, membership=ada, key=new_key())
    worker.work(batch)
    assert (states(batch), made()) == ([ItemState.CONFIRMED] * 2, 2)
    BatchItem.objects.filter(batch=batch).update(attempt=1)
    _back_to_planned(batch, sealed)
    _sends_again_by_itself(batch)
    restores.declare(ada.account)
    started(batch, ada)
    worker.work(batch, seconds=150)
    assert (states(batch), made()) == ([ItemState.CONFIRMED] * 2, 2)


def _sends_again_by_itself(batch: Batch) -> None:
    """What is not found is sent again, so that only what is found is not."""
    Account.objects.filter(pk=batch.account_id).update(resend_allowed=True)
    searching._latest.clear()


def test_a_cancel_that_still_waited_is_not_sent_from_a_restored_database(
    ada: Membership, posts: Posts, simulator: Simulator
) -> None:
    running = Instance.objects.filter(account=ada.account, status=InstanceState.IN_PROGRESS).latest("sort_at")
    simulator.clear_ledger()
    operation = undo.plan_cancel(running, actor=ada.user, membership=ada, reason="Recalled", key=new_key())
    restores.declare(ada.account)
    operation.refresh_from_db()
    assert (operation.state, operation.message, posts()) == (OperationState.REJECTED, restores.NOT_SENT, [])


def test_a_trigger_that_was_to_be_sent_again_is_unknown_after_a_restore(
    ada: Membership, contract: Contract, posts: Posts
) -> None:
    """U-12: it may have been sent again already."""
    operation = Operation.objects.create(
        key=new_key(),
        kind=OperationKind.TRIGGER,
        state=OperationState.PLANNED,
        account=ada.account,
        actor=ada.user,
        workflow=contract.workflow,
        marker=new_key(),
        attempts=1,
    )
    restores.declare(ada.account)
    operation.refresh_from_db()
    assert (operation.state, posts()) == (OperationState.UNKNOWN, [])


def test_the_command_says_what_it_held_and_leaves_it_in_the_audit(
    ada: Membership, rows: Callable[[int], Batch]
) -> None:
    rows(1)
    said = StringIO()
    call_command("restored", stdout=said)
    assert "1 bulk run held, 0 deeds in doubt." in said.getvalue()
    assert AuditEntry.objects.get(action="account.restored").detail == {"operations": 0, "batches": 1}


def looked_for(worker: Worker, operation: Operation, *, minutes: int) -> Operation:
    """What the worker makes of one operation in this time."""
    for _ in range(minutes * 12):
        worker.clock.shift(timedelta(seconds=5))
        for row in reconcile.due():
            reconcile.settle_unknown(row)
    operation.refresh_from_db()
    return operation


def test_a_single_trigger_that_is_found_nowhere_after_a_restore_waits_for_a_person(
    worker: Worker, trigger: Callable[..., Operation], ada: Membership, posts: Posts, simulator: Simulator
) -> None:
    """U-12: its two absences of before, and those of now, send nothing again by themselves."""
    simulator.set_faults([{"match": {"method": "POST", "times": 1}, "do": {"reset": "before"}}])
    operation = trigger()
    assert operation.state == OperationState.UNKNOWN
    sent = len(posts())
    Operation.objects.filter(pk=operation.pk).update(absent_looks=1, last_absent_at=operation.sent_at)
    restores.declare(ada.account)
    operation.refresh_from_db()
    assert (operation.absent_looks, operation.last_absent_at) == (0, None)
    looked_for(worker, operation, minutes=10)
    assert (operation.state, operation.message) == (OperationState.NEEDS_PERSON, reconcile.RESTORED)
    assert len(posts()) == sent


def test_a_single_cancel_of_before_a_restore_is_not_repeated(
    worker: Worker, ada: Membership, posts: Posts, simulator: Simulator
) -> None:
    """U-12: a person asks again."""
    running = Instance.objects.filter(account=ada.account, status=InstanceState.IN_PROGRESS).latest("sort_at")
    operation = Operation.objects.create(
        key=new_key(),
        kind=OperationKind.CANCEL,
        state=OperationState.SENT,
        account=ada.account,
        actor=ada.user,
        workflow=running.workflow,
        instance=running,
        attempts=1,
    )
    simulator.clear_ledger()
    restores.declare(ada.account)
    looked_for(worker, operation, minutes=10)
    assert (operation.state, posts()) == (OperationState.REJECTED, [])
