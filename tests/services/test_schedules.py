"""What the worker does at regular times."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.utils import timezone

from dashboard.models import Heartbeat, Schedule
from dashboard.services import schedules
from dashboard.services.schedules import Regular

pytestmark = pytest.mark.django_db


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two jobs in place of the real ones, noting that they ran."""
    calls: list[str] = []

    def noting(name: str) -> Callable[[], int]:
        return lambda: calls.append(name) or 1

    regulars = (
        Regular("often", timedelta(seconds=10), noting("often")),
        Regular("rarely", timedelta(seconds=60), noting("rarely")),
    )
    monkeypatch.setattr(schedules, "REGULARS", regulars)
    return calls


def test_each_job_runs_when_it_is_due_and_not_before(ran: list[str]) -> None:
    with time_machine.travel(datetime(2026, 5, 1, tzinfo=UTC), tick=False) as clock:
        for _ in range(7):
            schedules.run_due()
            clock.shift(10)
    assert (ran.count("often"), ran.count("rarely")) == (7, 2)


def test_a_second_worker_finds_nothing_to_do(ran: list[str]) -> None:
    """U-9: claimed by one conditional update."""
    assert [schedules.run_due(), schedules.run_due()] == [2, 0]
    Schedule.objects.update(due_at=timezone.now() - timedelta(days=1))
    assert [schedules.run_due(), schedules.run_due()] == [2, 0]


def test_a_worker_shows_that_it_lives_and_says_goodbye() -> None:
    """R-12: the sign of life that readiness looks at."""
    Heartbeat.objects.create(worker="gone", started_at=timezone.now(), beat_at=timezone.now() - timedelta(hours=2))
    for _ in range(2):
        schedules.beat(timezone.now())
    assert [row.worker for row in Heartbeat.objects.all()] == [schedules.worker_name()]
    schedules.say_goodbye()
    assert not Heartbeat.objects.exists()
