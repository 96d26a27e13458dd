"""Bulk runs carried out by a worker's slices, in process, with the simulator as Docusign."""

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from dashboard import crypto
from dashboard.models import (
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Contract,
    Instance,
    ItemState,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Workflow,
)
from dashboard.services import batch_runs, batches
from maestro_api.simulator import Simulator
from tests.services.conftest import inputs_for, new_key


@pytest.fixture(autouse=True)
def _quick(settings: Any) -> None:
    settings.BATCH_RATE_PER_SECOND = 50
    settings.UNDO_SECONDS = 0


def trigger_batch(ada: Membership, contract: Contract, names: Iterable[str]) -> Batch:
    """A checked and frozen list of rows of a file, as the check of a sheet leaves it."""
    batch = batches.create_batch(
        ada.account,
        actor=ada.user,
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
    Batch.objects.filter(pk=batch.pk).update(total=len(items), frozen_at=batch.created_at)
    batch.refresh_from_db()
    return batch


def states(batch: Batch) -> list[str]:
    return list(BatchItem.objects.filter(batch=batch).order_by("position").values_list("state", flat=True))


def run(batch: Batch) -> Batch:
    batch_runs.run_batch(batch.pk)
    batch.refresh_from_db()
    return batch


@pytest.fixture
def made(simulator: Simulator) -> Callable[[str], list[str]]:
    """The names at Docusign that begin so."""
    return lambda start: [name for name in simulator.world.instances.names.values() if name.startswith(start)]


def test_every_row_is_triggered_once_and_the_run_is_done(
    ada: Membership, contract: Contract, made: Callable[[str], list[str]]
) -> None:
    """U-1: five rows, five instances, one operation each."""
    batch = trigger_batch(ada, contract, (f"Bulk {n}" for n in range(5)))
    batches.confirm(batch, membership=ada, key=new_key())
    run(batch)
    assert batch.state == BatchState.DONE
    assert states(batch) == [ItemState.CONFIRMED] * 5
    assert len(made("Bulk ")) == 5
    assert not BatchItem.objects.exclude(sealed_inputs="").exists()
    assert AuditEntry.objects.filter(action="batch.confirmed").get().detail["count"] == 5


def test_selected_instances_are_canceled_one_by_one(ada: Membership, simulator: Simulator) -> None:
    batch = batches.create_batch(
        ada.account, actor=ada.user, kind="cancel", source="selection", name="Cancel", key=new_key(), reason="Recalled"
    )
    total = batches.freeze_instances(batch, Instance.objects.running().order_by("-sort_at")[:4])
    assert total == 4
    batches.confirm(batch, membership=ada, key=new_key())
    run(batch)
    assert states(batch) == [ItemState.CONFIRMED] * 4
    assert Instance.objects.filter(batch_items__batch=batch, status="canceled").count() == 4
    assert set(Operation.objects.values_list("state", "reason")) == {(OperationState.CONFIRMED, "Recalled")}
    assert Workflow.objects.exists()
