"""A person whose mirror is filled, a workflow that can be triggered, and a way to trigger it."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine

from dashboard.models import Account, Batch, Contract, Membership, Operation, Workflow
from dashboard.services import batch_runs, contracts, operations, visibility
from maestro_api.simulator import Simulator
from tests import filled_mirror
from tests.services.bulk import ShiftingFlag, Worker, sheet_batch, started
from tests.services.form_values import inputs_for, new_key

__all__ = ["Meanwhile", "inputs_for", "new_key"]
Meanwhile = Callable[[Any, str, Callable[[], object]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """What another process does in the midst of a deed: right after the next call of a function in a module, once."""

    def let(module: Any, name: str, happen: Callable[[], object]) -> None:
        function = getattr(module, name)

        def then_it_happens(*args: Any, **options: Any) -> Any:
            monkeypatch.setattr(module, name, function)
            result = function(*args, **options)
            happen()
            return result

        monkeypatch.setattr(module, name, then_it_happens)

    return let


@pytest.fixture
def ada(connect: Callable[..., Membership], simulator: Simulator) -> Membership:
    """A manager of the account with a filled mirror."""
    membership = connect("Ada Admin")
    filled_mirror.fill(membership, simulator)
    return membership


@pytest.fixture
def workflow(ada: Membership, simulator: Simulator) -> Workflow:
    """An active workflow that Ada may trigger; the ledger starts empty."""
    found = visibility.visible_workflows(ada).get(name="Supplier NDA")
    simulator.clear_ledger()
    return found


@pytest.fixture
def contract(ada: Membership, workflow: Workflow, simulator: Simulator) -> Contract:
    found = contracts.read_contract(workflow, membership=ada)
    simulator.clear_ledger()
    return found


@pytest.fixture
def trigger(ada: Membership, workflow: Workflow, contract: Contract) -> Callable[..., Operation]:
    """Trigger the workflow as Ada, with a fresh form unless said otherwise."""

    def triggered(**changes: Any) -> Operation:
        wanted: dict[str, Any] = {
            "actor": ada.user,
            "membership": ada,
            "name": "NDA Lindqvist",
            "inputs": inputs_for(contract),
            "key": new_key(),
            "contract_hash": contract.digest,
        }
        return operations.trigger_workflow(workflow, **(wanted | changes))

    return triggered


@pytest.fixture
def posts(simulator: Simulator) -> Callable[[], list[dict[str, Any]]]:
    """The writes that reached Docusign."""
    return lambda: [entry for entry in simulator.ledger() if entry["method"] == "POST" and "/v1/" in entry["path"]]


@pytest.fixture
def worker(ada: Membership, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker in a minute of its own, far from the turn of an hour; its slices, too, are as long as its own clock says."""
    monkeypatch.setattr(batch_runs, "time", SimpleNamespace(monotonic=time.time))
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
