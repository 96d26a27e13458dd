"""T-P: the budget is never exceeded, whatever the order of claims of all lanes, headers and time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.models import Account, ApiBudget
from dashboard.services import budget
from dashboard.services.errors import DocusignUnavailable
from dashboard.services.quota import BURST_SHARES, HOUR_SHARES, Lane
from maestro_api import LimitState

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
HOURLY, BURST = 30, 10


@dataclass
class Docusign:
    """What Docusign counts: fixed windows of the clock, over us and the others."""

    hours: dict[int, int] = field(default_factory=dict)
    bursts: dict[int, int] = field(default_factory=dict)

    def count(self, now: datetime, calls: int = 1) -> None:
        hour, burst = self._keys(now)
        self.hours[hour] = self.hours.get(hour, 0) + calls
        self.bursts[burst] = self.bursts.get(burst, 0) + calls

    def used(self, now: datetime) -> tuple[int, int]:
        hour, burst = self._keys(now)
        return self.hours.get(hour, 0), self.bursts.get(burst, 0)

    def headers(self, now: datetime) -> LimitState:
        used, burst = self.used(now)
        reset_at = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return LimitState(HOURLY, max(0, HOURLY - used), reset_at, BURST, max(0, BURST - burst))

    def _keys(self, now: datetime) -> tuple[int, int]:
        seconds = int(now.timestamp())
        return seconds // 3600, seconds // 30


def refused_until(account: Account, lane: Lane) -> datetime | None:
    """Claim one call; None when it was granted, else when the lane may come again."""
    try:
        budget.claim(account, lane)
    except DocusignUnavailable as refusal:
        return refusal.retry_at
    return None


CLAIM = st.tuples(st.just("claim"), st.sampled_from(Lane), st.integers(0, 2))
STEPS = st.lists(
    st.one_of(
        CLAIM,
        CLAIM,
        st.tuples(st.just("pass"), st.sampled_from([1, 7, 29, 31, 600, 3599, 3601]), st.just(0)),
        st.tuples(st.just("answer"), st.just(0), st.integers(0, 4)),
    ),
    max_size=60,
)


@pytest.mark.django_db
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_order_of_claims_answers_and_time_exceeds_a_share(steps: list[tuple[str, object, int]]) -> None:
    """R-1, R-3: what Docusign counts never passes the share of the lane that adds to it; answers come late and in any order."""
    docusign, on_the_way = Docusign(), list[tuple[LimitState, datetime]]()
    with time_machine.travel(NOON + timedelta(minutes=3), tick=False) as clock:
        account = Account.objects.create(pk=uuid4(), environment="simulator", name="Property")
        ApiBudget.objects.create(account=account, hourly_limit=HOURLY, burst_limit=BURST)
        for kind, value, number in steps:
            now = datetime.now(UTC)
            if kind == "pass":
                clock.shift(float(str(value)))
            elif kind == "answer" and on_the_way:
                limits, claimed_at = on_the_way.pop(number % len(on_the_way))
                budget.note_limits(account, limits, claimed_at)
            elif kind == "claim":
                lane = Lane(str(value))
                if (until := refused_until(account, lane)) is not None:
                    assert until > now
                    continue
                docusign.count(now)
                used, burst = docusign.used(now)
                assert used <= HOURLY
                assert (used - 1) * 100 < HOURLY * HOUR_SHARES[lane]
                assert (burst - 1) * 100 < BURST * BURST_SHARES[lane]
                on_the_way.append((docusign.headers(now), now))


@pytest.mark.django_db
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(others=st.lists(st.integers(0, 12), max_size=12), lanes=st.lists(st.sampled_from(Lane), max_size=12))
def test_what_others_used_is_heeded_as_soon_as_an_answer_tells(others: list[int], lanes: list[Lane]) -> None:
    """R-1: once told, no call is sent that the headers showed to be one too many."""
    docusign = Docusign()
    with time_machine.travel(NOON, tick=False) as clock:
        account = Account.objects.create(pk=uuid4(), environment="simulator", name="Property")
        for number, lane in zip(others, lanes, strict=False):
            clock.shift(30)
            now = datetime.now(UTC)
            docusign.count(now, number)
            budget.note_limits(account, docusign.headers(now), now)
            before = docusign.used(now)
            if refused_until(account, lane) is not None:
                continue
            docusign.count(now)
            assert before[0] * 100 < HOURLY * HOUR_SHARES[lane]
            assert docusign.used(now)[0] <= HOURLY
            budget.note_limits(account, docusign.headers(now), now)
