"""Reading every contract about once an hour, inside the budget, whatever Docusign answers to one of them."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from dashboard.models import ApiBudget, Contract, Membership, Workflow, WorkflowState
from dashboard.services import contract_readings, contracts
from maestro_api.simulator import Simulator


@pytest.fixture(autouse=True)
def queued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The workflows whose reading was queued, instead of a worker."""
    found: list[str] = []
    monkeypatch.setattr(contract_readings.jobs, "enqueue", lambda name, pk, **_: found.append(str(pk)))
    return found


def readings(simulator: Simulator) -> list[str]:
    return [row["path"] for row in simulator.ledger() if "trigger-requirements" in row["path"]]


def test_every_active_workflow_has_its_turn_within_the_hour(ada: Membership, queued: list[str]) -> None:
    """Contracts are read about hourly, spread over the hour."""
    active = {str(row.pk) for row in Workflow.objects.filter(status=WorkflowState.ACTIVE)}
    turns = [contract_readings.read_due() for _ in range(60)]
    assert set(queued) == active
    assert len(queued) == len(active)
    assert max(turns) == contract_readings.LEAST_A_TURN
    Workflow.objects.update(contract_read_at=timezone.now() - contract_readings.EVERY)
    assert contract_readings.read_due() == contract_readings.LEAST_A_TURN


def test_many_workflows_share_the_hour(ada: Membership) -> None:
    Workflow.objects.bulk_create(
        Workflow(pk=f"00000000-0000-4000-8000-{place:012d}", account=ada.account, status=WorkflowState.ACTIVE)
        for place in range(600)
    )
    assert 10 <= contract_readings.read_due() <= 11


def test_a_turn_is_claimed_once(ada: Membership, queued: list[str]) -> None:
    """U-9: another worker that saw the same row finds it claimed."""
    now = timezone.now()
    due = contract_readings._due(ada.account, now)
    assert [contract_readings._queue(*row, now) for row in due] == [1] * len(due)
    assert [contract_readings._queue(*row, now) for row in due] == [0] * len(due)
    assert len(queued) == len(due)


def test_a_reading_stores_the_version(ada: Membership, workflow: Workflow, simulator: Simulator) -> None:
    contract_readings.read_one(str(workflow.pk))
    assert contracts.current_contract(workflow) is not None
    assert len(readings(simulator)) == 1


@pytest.mark.parametrize(
    ("do", "is_soon"),
    [({"status": 403}, False), ({"status": 404}, False), ({"status": 503}, True), ({"body": "{"}, True)],
    ids=str,
)
def test_a_failed_reading_is_noted_and_made_again_later(
    do: dict[str, Any], is_soon: bool, ada: Membership, workflow: Workflow, simulator: Simulator
) -> None:
    Workflow.objects.update(contract_read_at=timezone.now())
    simulator.set_faults([{"match": {"path": "trigger-requirements"}, "do": do}])
    contract_readings.read_one(str(workflow.pk))
    workflow.refresh_from_db()
    assert workflow.contract_error
    due_in = workflow.contract_read_at + contract_readings.EVERY - timezone.now()
    assert (due_in <= contract_readings.AGAIN_AFTER) is is_soon
    assert due_in > timedelta(minutes=5)
    simulator.set_faults([])
    ApiBudget.objects.all().delete()
    contract_readings.read_one(str(workflow.pk))
    workflow.refresh_from_db()
    assert workflow.contract_error == ""


def test_one_refusal_keeps_no_other_from_being_read(ada: Membership, workflow: Workflow, simulator: Simulator) -> None:
    other = Workflow.objects.filter(status=WorkflowState.ACTIVE).exclude(pk=workflow.pk).first()
    simulator.set_faults([{"match": {"path": f"{workflow.pk}/trigger-requirements"}, "do": {"status": 403}}])
    contract_readings.read_one(str(workflow.pk))
    contract_readings.read_one(str(other.pk))
    assert not Contract.objects.filter(workflow=workflow).exists()
    assert Contract.objects.filter(workflow=other).exists()


def test_a_blocked_budget_stops_the_reading_before_a_call(
    ada: Membership, workflow: Workflow, simulator: Simulator
) -> None:
    """R-3: nothing is sent while Docusign asked us to stay away."""
    until = timezone.now() + timedelta(minutes=5)
    ApiBudget.objects.update_or_create(account=ada.account, defaults={"blocked_until": until})
    contract_readings.read_one(str(workflow.pk))
    workflow.refresh_from_db()
    assert readings(simulator) == []
    assert "until" in workflow.contract_error


def test_where_nobody_may_read_for_everybody_it_is_silent(
    ada: Membership, workflow: Workflow, simulator: Simulator
) -> None:
    Membership.objects.update(may_sync=False)
    contract_readings.read_one(str(workflow.pk))
    workflow.refresh_from_db()
    assert (workflow.contract_error, readings(simulator)) == ("", [])


def test_a_workflow_that_is_gone_ends_the_job_quietly(ada: Membership, simulator: Simulator) -> None:
    simulator.clear_ledger()
    contract_readings.read_one("00000000-0000-4000-8000-000000000000")
    assert readings(simulator) == []


def test_requirements_that_come_back_are_a_version_of_their_own(
    ada: Membership, workflow: Workflow, simulator: Simulator
) -> None:
    """The history tells both changes, and the newest version is the one in force."""
    found = []
    for name in ("First", "Second", "First"):
        simulator.set_workflow(
            str(workflow.pk), trigger_input_schema=[{"field_name": name, "field_data_type": "Number"}]
        )
        found.append(contracts.read_contract(workflow, membership=ada))
    (newest, changes), *_, (oldest, _) = contracts.history(workflow)
    assert [newest, oldest] == [found[2], found[0]]
    assert newest.digest == oldest.digest
    assert {(change.field, change.kind) for change in changes} == {("Second", "removed"), ("First", "added")}
    assert contracts.current_contract(workflow) == newest
