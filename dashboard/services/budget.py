"""How much of an account's call quota is left, and when Docusign wants to be left alone.

The one rule: a time that Docusign named is honoured by every process, and a dead Docusign is asked rarely (R-5, R-8).
"""

from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from dashboard.models import Account, ApiBudget
from dashboard.services.errors import DocusignUnavailable
from dashboard.services.timings import BREAKER_FAILURES, BREAKER_OPEN, POLLING_FLOOR
from maestro_api import LimitState, MaestroError, RateLimited, ServerError, TransportError, UnreadableResponse


class Lane(StrEnum):
    """Who a call is for: people come first, bulk work next, looking by itself last (R-3)."""

    PEOPLE = "people"
    BATCH = "batch"
    BACKGROUND = "background"


LIMIT_SENTENCE = "Docusign allows no more calls for this account until {:%H:%M:%S} UTC; nothing was sent."
DOWN_SENTENCE = (
    "Docusign did not answer several times in a row; it is asked again at {:%H:%M:%S} UTC. Nothing was sent."
)
SHORTEST_BLOCK = timedelta(seconds=1)


def note_limits(account: Account, limits: LimitState) -> None:
    """Remember what the answer's headers said."""
    if not limits.is_known:
        return
    values = {
        "hourly_limit": limits.hourly_limit,
        "hourly_remaining": limits.hourly_remaining,
        "hourly_reset_at": limits.hourly_reset_at,
        "burst_limit": limits.burst_limit,
        "burst_remaining": limits.burst_remaining,
    }
    known = {name: value for name, value in values.items() if value is not None}
    ApiBudget.objects.update_or_create(account=account, defaults=known | {"seen_at": timezone.now()})


def check(account: Account) -> None:
    """Raise DocusignUnavailable while the account is blocked or the breaker is open."""
    budget = ApiBudget.objects.filter(account=account).first()
    now = timezone.now()
    if budget is None:
        return
    if budget.blocked_until and budget.blocked_until > now:
        raise DocusignUnavailable(LIMIT_SENTENCE.format(budget.blocked_until), retry_at=budget.blocked_until)
    if budget.open_until and budget.open_until > now:
        raise DocusignUnavailable(DOWN_SENTENCE.format(budget.open_until), retry_at=budget.open_until)
    if budget.failures >= BREAKER_FAILURES and not _take_probe(account, now):
        raise DocusignUnavailable(DOWN_SENTENCE.format(now + BREAKER_OPEN), retry_at=now + BREAKER_OPEN)


def saved_until(account: Account) -> datetime | None:
    """Until when the worker looks no more by itself, so that the rest of the hour is left to people; None while it may (R-3)."""
    budget = getattr(account, "budget", None)
    if budget is None or not budget.hourly_limit or budget.hourly_remaining is None or budget.seen_at is None:
        return None
    if budget.hourly_remaining >= budget.hourly_limit * POLLING_FLOOR:
        return None
    next_hour = budget.seen_at.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    until: datetime = budget.hourly_reset_at or next_hour
    return until if until > timezone.now() else None


def _take_probe(account: Account, now: datetime) -> bool:
    """After the pause one caller may try; the others wait for its result."""
    return bool(ApiBudget.objects.filter(account=account, open_until__lte=now).update(open_until=now + BREAKER_OPEN))


def note_success(account: Account) -> None:
    """Docusign answered: the breaker closes."""
    ApiBudget.objects.filter(account=account).exclude(failures=0, open_until=None).update(failures=0, open_until=None)


def note_failure(account: Account, error: MaestroError) -> None:
    """Count what speaks against Docusign's health; a limit blocks until the time that was named."""
    now = timezone.now()
    if isinstance(error, RateLimited):
        until = now + max(timedelta(seconds=error.retry_after or 30.0), SHORTEST_BLOCK)
        ApiBudget.objects.get_or_create(account=account)
        shorter = Q(blocked_until=None) | Q(blocked_until__lt=until)
        ApiBudget.objects.filter(shorter, account=account).update(blocked_until=until)
    elif isinstance(error, TransportError | ServerError | UnreadableResponse):
        ApiBudget.objects.get_or_create(account=account)
        ApiBudget.objects.filter(account=account).update(
            failures=F("failures") + 1,
            open_until=Case(
                When(failures__gte=BREAKER_FAILURES - 1, then=Value(now + BREAKER_OPEN)), default=F("open_until")
            ),
        )
