"""A person with a filled mirror, a workflow of the simulator, and its contract."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.models import Batch, Contract, Instance, Membership, Workflow
from dashboard.services import contracts, visibility
from maestro_api.simulator import Simulator
from tests import filled_mirror
from tests.sheet_files import CANARY, BulkFile, pasted, sent


@pytest.fixture
def ada(connect: Callable[..., Membership], simulator: Simulator) -> Membership:
    """A manager of the account with a filled mirror."""
    membership = connect("Ada Admin")
    filled_mirror.fill(membership, simulator)
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


@pytest.fixture
def bulk(contract: Contract) -> BulkFile:
    """A file for the workflow."""
    return BulkFile(contract)


@pytest.fixture
def prepared(browser_of_ada: Client, workflow: Workflow, bulk: BulkFile) -> Batch:
    """A bulk run of three rows, checked; the last has a date that is none."""
    rows = [
        bulk.row("NDA one", "Firm one"),
        bulk.row("NDA two", "Firm two"),
        bulk.row("NDA three", CANARY, date="soon"),
    ]
    text = pasted(bulk.header, *rows)
    answer = browser_of_ada.post(reverse("bulk-start", args=[workflow.pk]), sent(pasted=text))
    assert answer.status_code == 302, answer.context["form"].errors
    batch = Batch.objects.get()
    answer = browser_of_ada.post(reverse("batch-columns", args=[batch.pk]), bulk.choice())
    assert answer.status_code == 302, answer.context["form"].errors
    return batch
