"""What is usual for a workflow, and what stands still for longer."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.models import InstanceState, Membership, Rights, Workflow
from dashboard.services import needs, pace, visibility
from tests.factories import InstanceFactory, WorkflowFactory

pytestmark = pytest.mark.django_db


def completed(workflow: Workflow, *hours: float, steps: int | None = 4) -> None:
    """Completed instances of four steps that took these hours each."""
    for number in hours:
        began = timezone.now() - timedelta(days=30)
        InstanceFactory(
            workflow=workflow, status=InstanceState.COMPLETED, started_at=began, total_steps=steps,
            ended_at=began + timedelta(hours=number),
        )  # fmt: skip


def running(workflow: Workflow, days: float, **members: object) -> object:
    at = timezone.now() - timedelta(days=days)
    return InstanceFactory(workflow=workflow, started_at=at, last_modified_at=at, **members).pk


def test_the_usual_step_is_the_median_over_completed_instances(operator: Membership) -> None:
    workflow = WorkflowFactory(account=operator.account)
    completed(workflow, 4, 8, 12, 400, 16)
    completed(workflow, 1000, steps=None)
    assert pace.measure_due() == 1
    workflow.refresh_from_db()
    assert (workflow.usual_step_seconds, workflow.pace_sample) == (3 * 3600, 5)
    assert pace.pace_of(workflow).words == "3 hours (median of 5 completed)"


def test_each_workflow_is_measured_once_an_hour_a_few_at_a_time(operator: Membership) -> None:
    WorkflowFactory.create_batch(pace.A_TURN + 3, account=operator.account)
    assert [pace.measure_due(), pace.measure_due(), pace.measure_due()] == [pace.A_TURN, 3, 0]
    Workflow.objects.update(pace_at=timezone.now() - pace.EVERY)
    assert pace.measure_due() == pace.A_TURN


def test_too_few_completed_instances_say_nothing(operator: Membership) -> None:
    workflow = WorkflowFactory(account=operator.account)
    completed(workflow, 4, 8, 12, 16)
    running(workflow, 300)
    pace.measure_due()
    workflow.refresh_from_db()
    assert workflow.pace_sample == 4
    assert pace.pace_of(workflow) is None
    assert pace.idle_of(operator).ids == []


def test_idle_is_three_usual_steps_and_at_least_a_day(operator: Membership) -> None:
    quick, slow = WorkflowFactory.create_batch(2, account=operator.account)
    completed(quick, 1, 1, 1, 1, 1)
    completed(slow, *[4 * 48] * 5)
    pace.measure_due()
    late = running(quick, 1.1)
    running(quick, 0.9)
    running(slow, 5.9)
    later = running(slow, 6.1)
    running(quick, 50, status=InstanceState.FAILED)
    assert pace.idle_of(operator).ids == [later, late]


def test_idle_instances_of_others_are_not_counted(operator: Membership) -> None:
    """V-3: the same rule as for rows."""
    workflow = WorkflowFactory(account=operator.account)
    completed(workflow, *[1] * 5)
    pace.measure_due()
    running(workflow, 9)
    mine = running(workflow, 8, started_by=visibility.own_id(operator))
    operator.rights = Rights.OWN
    assert pace.idle_of(operator).ids == [mine]


def test_a_count_that_stopped_early_says_so(operator: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = WorkflowFactory(account=operator.account)
    completed(workflow, *[1] * 5)
    pace.measure_due()
    for days in (4, 5, 6):
        running(workflow, days)
    assert not pace.idle_of(operator).is_least
    monkeypatch.setattr(pace, "LOOKED_AT", 2)
    idle = pace.idle_of(operator)
    assert (len(idle.ids), idle.is_least) == (2, True)


def test_the_story_of_an_idle_instance_gives_its_numbers() -> None:
    usual = pace.Pace(timedelta(days=1.2), 180)
    story = needs.idle_story(timezone.now() - timedelta(days=9, hours=3), usual)
    assert story == "No step for 9 days; a step here usually takes 1.2 days (median of 180 completed)."


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=1), "1 day"), (timedelta(hours=3.5), "3.5 hours"), (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=12), "12 min"), (timedelta(days=100), "100 days"), (timedelta(days=4000), "4,000 days"),
    ],
)  # fmt: skip
def test_a_span_is_one_figure(span: timedelta, text: str) -> None:
    assert pace.span_text(span) == text
