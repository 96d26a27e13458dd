"""A person with a filled mirror, a workflow of the simulator, and its contract."""

from collections.abc import Callable

import pytest
from django.test import Client

from dashboard.models import Contract, Instance, Membership, Workflow
from dashboard.services import contracts, sync, visibility
from maestro_api.simulator import Simulator


@pytest.fixture
def ada(connect: Callable[..., Membership]) -> Membership:
    """A manager of the account with a filled mirror."""
    membership = connect("Ada Admin")
    assert sync.sync_membership(membership), membership.sync_error
    return membership


@pytest.fixture
def browser_of_ada(ada: Membership, signed_in: Callable[..., Client]) -> Client:
    return signed_in(ada)


@pytest.fixture
def workflow(ada: Membership, simulator: Simulator) -> Workflow:
    """An active workflow; the ledger starts empty."""
    found = visibility.visible_workflows(ada).get(name="Supplier NDA")
    simulator.clear_ledger()
    return found


@pytest.fixture
def contract(ada: Membership, workflow: Workflow, simulator: Simulator) -> Contract:
    found = contracts.read_contract(workflow, membership=ada)
    simulator.clear_ledger()
    return found


@pytest.fixture
def running(ada: Membership, simulator: Simulator) -> Instance:
    """An instance in progress."""
    found = visibility.visible_instances(ada).filter(status="in_progress").order_by("pk").first()
    assert found is not None
    simulator.clear_ledger()
    return found
