"""How long inputs are kept, as an admin sets it on the workflow's page."""

import uuid
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.models import AuditEntry, Membership, Workflow
from tests.factories import WorkflowFactory, lists

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]


@pytest.fixture
def workflow(admin: Membership, operator: Membership) -> Workflow:
    made = WorkflowFactory(account=admin.account, name="Supplier NDA")
    for each in (admin, operator):
        lists(each, made)
    return made


def posted(days: str) -> dict[str, str]:
    return {"key": uuid.uuid4().hex, "days": days}


def test_the_page_says_how_long_and_lets_an_admin_change_it(
    admin: Membership, operator: Membership, workflow: Workflow, signed_in: SignedIn
) -> None:
    page, address = reverse("workflow", args=[workflow.pk]), reverse("input-retention", args=[workflow.pk])
    seen = signed_in(operator).get(page).content.decode()
    assert "90 days after the end, the usual time" in seen
    assert address not in seen
    client = signed_in(admin)
    assert address in client.get(page).content.decode()
    assert client.post(address, posted("30")).headers["Location"] == page
    assert "30 days after the end<" in client.get(page).content.decode()
    assert AuditEntry.objects.get(action="workflow.input_retention_set").detail == {"days": 30, "before": None}
    client.post(address, posted(""))
    workflow.refresh_from_db()
    assert workflow.inputs_kept_days is None


@pytest.mark.parametrize("days", ["0", "-1", "3651", "soon", "1e3"])
def test_a_number_that_cannot_be_kept_is_refused_beside_its_field(
    admin: Membership, workflow: Workflow, signed_in: SignedIn, days: str
) -> None:
    answer = signed_in(admin).post(reverse("input-retention", args=[workflow.pk]), posted(days))
    assert answer.status_code == 422
    workflow.refresh_from_db()
    assert workflow.inputs_kept_days is None
    assert not AuditEntry.objects.exists()


def test_the_question_says_that_it_cannot_be_taken_back(
    admin: Membership, workflow: Workflow, signed_in: SignedIn
) -> None:
    client = signed_in(admin)
    client.post(reverse("input-retention", args=[workflow.pk]), posted("14"))
    text = client.get(reverse("input-retention", args=[workflow.pk])).content.decode()
    assert 'value="14"' in text
    assert "cannot be brought back" in text
