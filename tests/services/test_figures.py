"""Counts and days: exactly what the person may see, in the person's zone."""

import uuid
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import InstanceDenial, Membership, Rights, Role, WorkflowAccess
from dashboard.services import charts, figures, visibility
from dashboard.services.figures import Day
from tests.factories import InstanceFactory, WorkflowFactory, lists, person

STATES = ["in_progress", "completed", "completed", "failed", "canceled", "expired"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def pia(operator: Membership) -> Membership:
    """Somebody to whom Docusign shows only own instances."""
    return person(operator.account, Role.OPERATOR, rights=Rights.OWN, name="Pia")


def fill(membership: Membership) -> None:
    """Own and foreign instances in two workflows, in all states, over 40 days."""
    for workflow in (WorkflowFactory(account=membership.account), WorkflowFactory(account=membership.account)):
        lists(membership, workflow)
        for place in range(24):
            began = timezone.now() - timedelta(days=place * 1.7, hours=place)
            ended = began + timedelta(hours=5)
            status = STATES[place % len(STATES)]
            starter = visibility.own_id(membership) if place % 3 else str(uuid.uuid4())
            InstanceFactory(
                workflow=workflow, status=status, started_by=starter, started_at=began, last_modified_at=ended,
                ended_at=None if status == "in_progress" else ended,
            )  # fmt: skip


def counted_by_hand(membership: Membership) -> tuple[Counter[str], Counter[tuple[str, date]]]:
    """The same figures from the visible rows themselves."""
    states: Counter[str] = Counter()
    days: Counter[tuple[str, date]] = Counter()
    for row in visibility.visible_instances(membership):
        states[row.status] += 1
        days["started", timezone.localtime(row.started_at).date()] += 1
        if row.ended_at:
            days[row.status, timezone.localtime(row.ended_at).date()] += 1
    return states, days


def are_true(membership: Membership) -> bool:
    states, days = counted_by_hand(membership)
    shown = figures.days_of(membership)
    assert figures.state_counts(membership) == states
    assert [(day.started, day.completed, day.failed, day.canceled) for day in shown] == [
        tuple(days[what, day.day] for what in ("started", "completed", "failed", "canceled")) for day in shown
    ]
    return sum(states.values()) > 0 and any(day.started for day in shown)


def test_a_manager_is_shown_the_figures_of_everything(operator: Membership) -> None:
    fill(operator)
    assert are_true(operator)
    assert sum(figures.state_counts(operator).values()) == 48


def test_who_sees_only_own_instances_is_shown_the_figures_of_those(pia: Membership) -> None:
    """V-3: counts obey the same rule as rows."""
    fill(pia)
    assert are_true(pia)
    assert sum(figures.state_counts(pia).values()) == 32


def test_a_workflow_that_is_open_to_somebody_counts_whole(pia: Membership) -> None:
    """V-3: own instances there are not counted twice."""
    fill(pia)
    access = WorkflowAccess.objects.filter(user_id=pia.user_id).first()
    WorkflowAccess.objects.filter(pk=access.pk).update(others_proven_at=timezone.now())
    assert are_true(pia)
    assert sum(figures.state_counts(pia).values()) == 40
    days = figures.days_of(pia, access.workflow)
    assert sum(day.started for day in days) > sum(day.started for day in figures.days_of(pia)) / 2


@pytest.mark.parametrize("rights", [Rights.MANAGE, Rights.OWN])
def test_what_docusign_denied_is_in_no_figure(operator: Membership, rights: Rights) -> None:
    """V-6: hidden from this person at once, from the counts as well."""
    operator.rights = rights
    fill(operator)
    before = sum(figures.state_counts(operator).values())
    for row in visibility.visible_instances(operator).order_by("-started_at")[:4]:
        InstanceDenial.objects.create(user=operator.user, instance=row, denied_at=timezone.now())
    assert are_true(operator)
    assert sum(figures.state_counts(operator).values()) == before - 4


def test_nothing_is_counted_for_whom_docusign_shows_nothing(operator: Membership) -> None:
    fill(operator)
    operator.rights = Rights.NONE
    assert not figures.state_counts(operator)
    assert sum(day.started for day in figures.days_of(operator)) == 0


def test_figures_cost_a_fixed_number_of_queries(
    operator: Membership, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    fill(operator)
    with django_assert_max_num_queries(4):
        assert figures.state_counts(operator)
        assert figures.days_of(operator)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Europe/Berlin", date(2026, 10, 24), 24),
        ("America/Santiago", date(2026, 9, 6), 23),  # midnight itself is skipped
        ("America/New_York", date(2026, 11, 1), 25),
        ("UTC", date(2026, 3, 29), 24),
    ],
)
def test_a_day_has_as_many_hours_as_its_zone_gives_it(zone: str, day: date, hours: int, operator: Membership) -> None:
    """One instance an hour around the change of the clocks: the day holds as many as it has hours."""
    workflow = WorkflowFactory(account=operator.account)
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    with time_machine.travel(noon + timedelta(days=3), tick=False), timezone.override(ZoneInfo(zone)):
        Membership.objects.update(rights_proven_at=timezone.now())
        operator.refresh_from_db()
        for hour in range(-40, 40):
            InstanceFactory(workflow=workflow, started_at=noon + timedelta(hours=hour, minutes=30))
        shown = {each.day: each.started for each in figures.days_of(operator)}
    assert shown[day] == hours
    assert sum(shown.values()) == 80


def test_the_days_end_with_today_of_the_persons_zone(operator: Membership) -> None:
    with time_machine.travel(datetime(2026, 5, 1, 23, 30, tzinfo=UTC), tick=False):
        with timezone.override(ZoneInfo("Pacific/Auckland")):
            there = figures.days_of(operator)
        with timezone.override(ZoneInfo("America/Los_Angeles")):
            here = figures.days_of(operator)
    assert (there[-1].day, here[-1].day) == (date(2026, 5, 2), date(2026, 5, 1))
    assert len(there) == len(here) == 30


@pytest.mark.parametrize(
    ("most", "top"), [(0, 4), (4, 4), (5, 8), (9, 12), (80, 80), (81, 100), (413, 800), (1_000_000, 1_000_000)]
)
def test_a_scale_is_round_and_reaches_the_largest_value(most: int, top: int) -> None:
    assert charts.scale_of(most) == top


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (950, "950"), (1500, "1.5k"), (20_000, "20k"), (3_000_000, "3m")]
)
def test_numbers_beside_the_scale_are_short(number: int, text: str) -> None:
    assert charts.short(number) == text


def test_a_chart_says_in_numbers_what_it_draws() -> None:
    days = [Day(date(2026, 5, 11), 80, 31, 4, 3), Day(date(2026, 5, 12), 40, 33, 1, 0)]
    chart = charts.day_chart(days, key="days", title="Instances per day")
    assert [(each.label, each.total) for each in chart.series] == [
        ("Started", 120), ("Completed", 64), ("Failed", 5), ("Canceled", 3)
    ]  # fmt: skip
    assert "120 started, 64 completed, 5 failed, 3 canceled" in chart.description
    assert "Most started on 11 May 2026: 80." in chart.description
    assert len(chart.bars) == 7
    assert max(float(bar.height) for bar in chart.bars) == charts.FLOOR - charts.TOP
    assert chart.labels[-1].text == "12 May"


def test_no_bar_leaves_the_chart() -> None:
    days = [Day(date(2026, 5, 1) + timedelta(days=place), place, place // 2, place, 3) for place in range(30)]
    chart = charts.day_chart(days, key="days", title="Instances per day")
    rights = [float(bar.x[:-1]) + float(bar.width[:-1]) for bar in chart.bars]
    assert max(rights) <= 100
    assert min(float(bar.y) for bar in chart.bars) >= charts.TOP - 0.1
