"""The mirror of workflows, and the memory of what was done here."""

import uuid
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.utils import timezone

from dashboard.models import Account, Workflow, WorkflowAccess, WorkflowState
from dashboard.services import workflows
from maestro_api import Workflow as ApiWorkflow
from maestro_api.decoding import workflows_of
from tests.factories import WorkflowFactory, lists, person

pytestmark = pytest.mark.django_db


def answer(**members: Any) -> ApiWorkflow:
    """A workflow as the client reads it from the wire."""
    wire = {"id": str(uuid.uuid4()), "name": "NDA", "status": "active"} | members
    (found,), _ = workflows_of([msgspec.Raw(msgspec.json.encode(wire))])
    return found


def as_listed(workflow: Workflow, **members: Any) -> Workflow:
    workflows.apply_workflows(workflow.account, [answer(id=str(workflow.pk), **members)])
    workflow.refresh_from_db()
    return workflow


def test_a_list_is_taken_in_and_a_second_look_changes_nothing(account: Account) -> None:
    rows = [answer(name="A"), answer(name="B", status="Deployed")]
    workflows.apply_workflows(account, rows)
    version = Account.objects.get(pk=account.pk).version
    workflows.apply_workflows(account, rows)
    assert Account.objects.get(pk=account.pk).version == version
    odd = Workflow.objects.get(name="B")
    assert (odd.status, odd.look.label, odd.look.tone) == ("unknown", "Deployed", "unknown")


def test_a_workflow_of_another_account_is_left_alone(account: Account) -> None:
    """V-1: rows never move between accounts."""
    foreign = WorkflowFactory(name="Theirs")
    found = workflows.apply_workflows(
        account, [answer(id=str(foreign.pk), name="Ours"), answer(account_id=str(uuid.uuid4()))]
    )
    foreign.refresh_from_db()
    assert (found, foreign.name) == ([], "Theirs")


def test_what_is_no_longer_listed_loses_access_and_keeps_its_rows(account: Account) -> None:
    """R-10, V-2: access is this person's, the rows stay for everybody."""
    one, two, other = person(account, "viewer"), WorkflowFactory(account=account), person(account, "viewer")
    three = WorkflowFactory(account=account)
    lists(one, two, three)
    lists(other, two)
    workflows.apply_access(one, [three])
    assert list(WorkflowAccess.objects.filter(user=one.user).values_list("workflow", flat=True)) == [three.pk]
    assert WorkflowAccess.objects.filter(user=other.user).count() == 1
    assert Workflow.objects.count() == 2


@pytest.fixture
def paused(account: Account) -> Workflow:
    """Paused here a while ago; the list still says active."""
    workflow = WorkflowFactory(account=account, modified_at=timezone.now() - timedelta(days=3))
    workflows.remember(workflow, state=WorkflowState.PAUSED, actor=person(account, "operator").user)
    workflow.refresh_from_db()
    return workflow


@pytest.mark.parametrize("word", ["active", "paused", "inactive"])
def test_what_the_list_calls_a_paused_workflow_does_not_end_the_memory(word: str, paused: Workflow) -> None:
    """How a paused workflow is listed is not documented, so these words do not contradict it."""
    assert as_listed(paused, status=word).is_paused
    memory = workflows.pause_memory(paused)
    assert memory is not None
    assert not memory.is_past


def test_the_time_of_our_own_pause_does_not_end_the_memory(paused: Workflow) -> None:
    now = timezone.now().isoformat()
    assert as_listed(paused, metadata={"modified_at": now}).is_paused_by_us


def test_a_later_change_at_docusign_makes_the_memory_past(paused: Workflow) -> None:
    """Both are kept: what was done here, and that something came after it."""
    later = (timezone.now() + timedelta(hours=1)).isoformat()
    as_listed(paused, metadata={"modified_at": later})
    memory = workflows.pause_memory(paused)
    assert memory is not None
    assert (memory.state, memory.is_past, paused.is_paused) == ("paused", True, False)


@pytest.mark.parametrize(("first", "then"), [("paused", "active"), ("active", "archived")])
def test_another_word_after_the_pause_makes_the_memory_past(first: str, then: str, paused: Workflow) -> None:
    as_listed(paused, status=first)
    as_listed(paused, status=then)
    assert not paused.is_paused_by_us
    assert paused.asked_ended_at is not None


def test_a_new_pause_counts_again(paused: Workflow) -> None:
    as_listed(paused, status="archived")
    as_listed(paused, status="active")
    workflows.remember(paused, state=WorkflowState.PAUSED, actor=person(paused.account, "operator").user)
    paused.refresh_from_db()
    assert paused.is_paused_by_us
