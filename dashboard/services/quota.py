"""An account's quota: the figures of its budget row as they count at a moment.

The one rule: a window that is over counts nothing, and what Docusign has not said is filled from its documentation.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings

from dashboard.models import ApiBudget
from dashboard.services.timings import (
    BURST,
    BURST_CALLS,
    CLOCK_SKEW,
    HOURLY_CALLS,
    PRODUCTION_BURST_CALLS,
    RESET_SLACK,
)

HOUR = timedelta(hours=1)


class Lane(StrEnum):
    """Who a call is for: people come first, bulk work next, looking by itself last (R-3)."""

    PEOPLE = "people"
    BATCH = "batch"
    BACKGROUND = "background"


HOUR_SHARES = {Lane.PEOPLE: 100, Lane.BATCH: 80, Lane.BACKGROUND: 60}
"""Up to how much of the hour's calls, in percent, a lane may add to; the rest is left to the lanes before it."""
BURST_SHARES = {Lane.PEOPLE: 100, Lane.BATCH: 80, Lane.BACKGROUND: 50}


def documented_burst() -> int:
    """The calls of 30 seconds that Docusign documents for the configured environment."""
    return PRODUCTION_BURST_CALLS if settings.DOCUSIGN_ENVIRONMENT == "production" else BURST_CALLS


def hour_start(now: datetime) -> datetime:
    """The begin of the clock hour."""
    return now.replace(minute=0, second=0, microsecond=0)


def burst_start(now: datetime) -> datetime:
    """The begin of the 30 seconds of the clock."""
    length = int(BURST.total_seconds())
    return now.replace(second=now.second // length * length, microsecond=0)


@dataclass(frozen=True, slots=True)
class Quota:
    """The quota at a moment. `is_told` says whether the hour's figures come from Docusign's own headers."""

    limit: int
    used: int
    others: int
    resets_at: datetime
    burst_limit: int
    burst_used: int
    burst_ends_at: datetime
    is_told: bool

    @property
    def spent(self) -> int:
        return self.used + self.others

    @property
    def left(self) -> int:
        return max(0, self.limit - self.spent)

    def hour_allows(self, lane: Lane) -> bool:
        """Whether the hour leaves this lane one more call."""
        return self.spent * 100 < self.limit * HOUR_SHARES[lane]

    def burst_allows(self, lane: Lane) -> bool:
        """Whether the 30 seconds leave this lane one more call."""
        return self.burst_used * 100 < self.burst_limit * BURST_SHARES[lane]

    def left_for(self, lane: Lane) -> int:
        """How many calls this lane may still make in the hour."""
        return max(0, -(-self.limit * HOUR_SHARES[lane] // 100) - self.spent)


def quota_of(row: ApiBudget | None, now: datetime) -> Quota:
    """The figures of a budget row, or of none, as they count now."""
    limit = row.hourly_limit if row and row.hourly_limit else HOURLY_CALLS
    burst_limit = row.burst_limit if row and row.burst_limit else documented_burst()
    used, others, resets_at, is_told = 0, 0, hour_start(now) + HOUR, False
    if row is not None and row.hour_began_at is not None and not is_hour_over(row, now):
        used, others = row.hour_used, row.hour_others
        resets_at = row.hourly_reset_at or row.hour_began_at + HOUR
        is_told = row.hourly_remaining is not None
    burst_used, burst_ends_at = 0, burst_start(now) + BURST
    began = row.burst_began_at if row else None
    if row is not None and began is not None and now - BURST < began <= now + CLOCK_SKEW:
        burst_used, burst_ends_at = row.burst_used, began + BURST
    return Quota(limit, used, others, resets_at, burst_limit, burst_used, burst_ends_at, is_told)


def is_hour_over(row: ApiBudget, now: datetime) -> bool:
    """Whether the hour that the row counts has ended; the twin of `budget.hour_over` for a row that is in hand."""
    if row.hour_began_at is None or row.hour_began_at > now + CLOCK_SKEW:
        return True
    if row.hourly_reset_at is not None:
        return row.hourly_reset_at <= now - RESET_SLACK
    return row.hour_began_at <= now - HOUR
