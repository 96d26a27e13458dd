"""Bulk runs for tests: lists as the pages leave them, and a worker whose clock the test moves.

The one rule: only the product's own services change a run; the test makes time pass.
"""

import json
import threading
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from dashboard import crypto
from dashboard.models import Batch, BatchItem, BatchState, Contract, Instance, Membership, OperationKind
from dashboard.services import batch_runs, batches, operations
from tests.services.form_values import inputs_for, new_key


def sheet_batch(membership: Membership, contract: Contract, names: Iterable[str]) -> Batch:
    """A checked and frozen list of rows of a file."""
    batch = batches.create_batch(
        membership.account,
        actor=membership.user,
        kind=OperationKind.TRIGGER,
        source=Batch.Source.SHEET,
        name="suppliers.csv",
        key=new_key(),
        workflow=contract.workflow,
        contract=contract,
    )
    payload = json.dumps(inputs_for(contract))
    items = [
        BatchItem(
            batch=batch,
            position=number,
            label=name,
            workflow=contract.workflow,
            sealed_inputs=crypto.seal(payload, *batches.inputs_place(batch, number)),
        )
        for number, name in enumerate(names, start=1)
    ]
    BatchItem.objects.bulk_create(items)
    Batch.objects.filter(pk=batch.pk).update(total=len(items), frozen_at=timezone.now())
    batch.refresh_from_db()
    return batch


def cancel_batch(membership: Membership, instances: Iterable[Instance]) -> Batch:
    """These instances, frozen for a cancel."""
    batch = batches.create_batch(
        membership.account,
        actor=membership.user,
        kind=OperationKind.CANCEL,
        source=Batch.Source.SELECTION,
        name="Cancel the selected",
        key=new_key(),
        reason="Template recalled by Legal",
    )
    rows = Instance.objects.filter(pk__in=[instance.pk for instance in instances])
    batches.freeze_instances(batch, rows.order_by("name_order", "pk"))
    return batch


def started(batch: Batch, membership: Membership) -> Batch:
    return batches.confirm(batch, membership=membership, key=new_key())


def states(batch: Batch) -> list[str]:
    """The states of the items in their order."""
    return list(BatchItem.objects.filter(batch=batch).order_by("position").values_list("state", flat=True))


class ShiftingFlag(threading.Event):
    """Waiting takes no time: the clock is moved instead."""

    def __init__(self, clock: Any) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        self.clock.shift(timedelta(seconds=timeout or 0))
        return self.is_set()


class Worker:
    """What a worker does in its turns, one second after the other."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock

    def turn(self, batch: Batch) -> None:
        """One second: sweep, look at what is unknown, and a slice of the run if it is due."""
        self.clock.shift(timedelta(seconds=1))
        operations.sweep()
        for row in operations.due():
            operations.settle_unknown(row)
        batch_runs.run_due()
        batch.refresh_from_db()
        is_moving = Q(state__in=(BatchState.RUNNING, BatchState.STOPPING))
        if Batch.objects.filter(is_moving, pk=batch.pk, next_send_at__lte=timezone.now()).exists():
            batch_runs.run_batch(batch.pk)
            batch.refresh_from_db()

    def work(self, batch: Batch, *, seconds: int = 30) -> Batch:
        """Turns until the run is over, or the time is."""
        for _ in range(seconds):
            self.turn(batch)
            if batch.is_over:
                break
        return batch
