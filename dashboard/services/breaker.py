"""Whether Docusign answers: five failures in a row, or every second of twenty calls in a minute, and it is left alone (R-8).

The one rule: while the breaker is open nobody asks; after thirty seconds one call may, and its answer decides for all.
"""

from datetime import datetime
from typing import Any

from django.db.models import Case, DateTimeField, F, IntegerField, Q, Value, When
from django.utils import timezone

from dashboard.models import Account, ApiBudget
from dashboard.services.timings import BREAKER_FAILURES, BREAKER_OPEN, CLOCK_SKEW, WATCH, WATCH_CALLS
from maestro_api import (
    ConnectFailed,
    ConnectionLost,
    DeadlineExceeded,
    RateLimited,
    RequestTimedOut,
    ResponseTooLarge,
    ServerError,
    TLSFailed,
    Unauthorized,
    UnreadableResponse,
)

SHUT = Q(open_until=None)
FAILURES = frozenset(
    kind.__name__
    for kind in (
        *(ConnectFailed, TLSFailed, RequestTimedOut, DeadlineExceeded, ConnectionLost),
        *(ServerError, UnreadableResponse, ResponseTooLarge, Unauthorized, RateLimited),
    )
)
"""The errors that speak against Docusign's health; any other answer, a refusal too, is a sign of life."""


def half_open(now: datetime) -> Q:
    """The pause is over and nobody has tried yet."""
    return Q(open_until__lte=now)


def watched(now: datetime) -> dict[str, Any]:
    """The columns that count one more call within the minute."""
    is_over = (
        Q(watch_began_at=None) | Q(watch_began_at__lte=now - WATCH) | Q(watch_began_at__gt=now + CLOCK_SKEW)
    )  # fmt: skip
    return {
        "watch_began_at": Case(
            When(is_over, then=Value(now)), default=F("watch_began_at"), output_field=DateTimeField()
        ),
        "watch_calls": Case(When(is_over, then=Value(1)), default=F("watch_calls") + 1, output_field=IntegerField()),
        "watch_failures": Case(When(is_over, then=Value(0)), default=F("watch_failures"), output_field=IntegerField()),
    }


def note_answer(account: Account, *, is_probe: bool = False) -> None:
    """Docusign answered. Only the answer to the probe closes an open breaker; calls from before it say nothing new."""
    rows = ApiBudget.objects.filter(account=account)
    if is_probe:
        rows.update(failures=0, open_until=None, watch_calls=0, watch_failures=0)
    else:
        rows.filter(SHUT, failures__gt=0).update(failures=0)


def note_failure(account: Account) -> None:
    """One call failed; the breaker opens when that was one too many."""
    now = timezone.now()
    opens = Q(failures__gte=BREAKER_FAILURES - 1) | Q(
        watch_calls__gte=WATCH_CALLS, watch_calls__lte=(F("watch_failures") + 1) * 2
    )
    ApiBudget.objects.get_or_create(account=account)
    ApiBudget.objects.filter(account=account).update(
        failures=F("failures") + 1,
        watch_failures=F("watch_failures") + 1,
        open_until=Case(
            # Calls that were under way when it opened do not make the pause longer.
            When(open_until__gt=now, then=F("open_until")),
            When(opens, then=Value(now + BREAKER_OPEN)),
            default=F("open_until"),
            output_field=DateTimeField(),
        ),
    )
