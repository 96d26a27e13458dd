"""What the worker does at regular times."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
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


def test_of_two_workers_that_saw_the_same_job_due_one_runs_it(ran: list[str]) -> None:
    """U-9: whoever read first may claim last."""
    schedules.run_due()
    Schedule.objects.update(due_at=timezone.now() - timedelta(days=1))
    regular, now = schedules.REGULARS[0], timezone.now()
    assert [schedules._claim(regular, now), schedules._claim(regular, now)] == [True, False]


def test_a_turn_in_which_nothing_is_due_writes_nothing(ran: list[str]) -> None:
    """Every worker has one each second, and on SQLite one writer at a time."""
    schedules.run_due()
    with CaptureQueriesContext(connection) as captured:
        assert schedules.run_due() == 0
    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["SELECT"]


def test_a_clock_that_was_put_back_stops_no_job(ran: list[str]) -> None:
    """U-9: what is due only in a year was claimed by a clock that ran ahead; a minute of difference between machines is none."""
    with time_machine.travel(datetime(2027, 5, 1, tzinfo=UTC), tick=False):
        schedules.run_due()
    with time_machine.travel(datetime(2026, 5, 1, tzinfo=UTC), tick=False) as clock:
        assert [schedules.run_due(), schedules.run_due()] == [2, 0]
        clock.shift(-50)
        assert schedules.run_due() == 0


def test_a_worker_shows_that_it_lives_and_says_goodbye() -> None:
    """R-12: the sign of life that readiness looks at."""
    Heartbeat.objects.create(worker="gone", started_at=timezone.now(), beat_at=timezone.now() - timedelta(hours=2))
    for _ in range(2):
        schedules.beat(timezone.now())
    assert [row.worker for row in Heartbeat.objects.all()] == [schedules.worker_name()]
    schedules.say_goodbye()
    assert not Heartbeat.objects.exists()
