"""A person whose mirror is filled, a workflow that can be triggered, and a way to trigger it."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from dashboard.models import Contract, Membership, Operation, Workflow
from dashboard.services import contracts, operations, sync, visibility
from maestro_api.simulator import Simulator

_keys = (f"key-{number}" for number in itertools.count(1))
GUESSES: dict[str, Any] = {"string": "Lindqvist Print AB", "number": 7, "boolean": True, "date": "2026-12-01"}


def new_key() -> str:
    return next(_keys)


def inputs_for(contract: Contract) -> dict[str, Any]:
    """Values that the simulator accepts for a contract."""
    asked = [field for field in contract.fields if not field["is_system"]]
    return {
        field["name"]: field["default"] if field["has_default"] else GUESSES.get(field["kind"], "x") for field in asked
    }


@pytest.fixture
def ada(connect: Callable[..., Membership]) -> Membership:
    """A manager of the account with a filled mirror."""
    membership = connect("Ada Admin")
    assert sync.sync_membership(membership), membership.sync_error
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
