"""How much of an account's call quota is left, and who may use it: one bucket for all processes (R-1 to R-5).

The one rule: a call is claimed by one conditional update before it is sent; what cannot be claimed is not sent.
"""

import random
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Case, DateTimeField, F, IntegerField, Q, Value, When
from django.db.models.functions import Coalesce, Greatest
from django.db.models.lookups import LessThan
from django.utils import timezone

from dashboard.models import Account, ApiBudget
from dashboard.services import breaker
from dashboard.services.errors import DocusignUnavailable
from dashboard.services.quota import (
    BURST_SHARES,
    HOUR,
    HOUR_SHARES,
    Lane,
    Quota,
    burst_start,
    documented_burst,
    hour_start,
    quota_of,
)
from dashboard.services.timings import BREAKER_OPEN, BURST, CLOCK_SKEW, HOURLY_CALLS, LIMIT_JITTER, RESET_SLACK
from maestro_api import LimitState

__all__ = ["Lane", "check", "claim", "note_limits", "note_refusal", "obstacle", "saved_until"]

LIMIT_SENTENCE = "Docusign allows no more calls for this account until {:%H:%M:%S} UTC; nothing was sent."
DOWN_SENTENCE = (
    "Docusign did not answer several times in a row; it is asked again at {:%H:%M:%S} UTC. Nothing was sent."
)
USED_SENTENCE = (
    "All {:,} calls that Docusign allows this account in an hour are used, {:,} of them by other apps. "
    "The next are free at {:%H:%M:%S} UTC. Nothing was sent."
)
KEPT_SENTENCES = {
    Lane.BATCH: "The rest of this hour's calls is kept for people. Batches go on at {:%H:%M:%S} UTC. Nothing was sent.",
    Lane.BACKGROUND: (
        "The rest of this hour's calls is kept for people. This console looks by itself again at {:%H:%M:%S} UTC. "
        "Nothing was sent."
    ),
}
BURST_SENTENCE = (
    "Docusign allows {:,} calls in 30 seconds, and they are used. The next are free at {:%H:%M:%S} UTC. "
    "Nothing was sent."
)
SHORTEST_BLOCK = timedelta(seconds=1)
TRIES = 4


def claim(account: Account, lane: Lane) -> bool:
    """Take one call out of the bucket, or raise DocusignUnavailable with the time and the reason.

    True when the call is the probe of a breaker that was open: its answer decides for all.
    """
    for _ in range(TRIES):
        now = timezone.now()
        rows = ApiBudget.objects.filter(_may_call(lane, now), account=account)
        if rows.filter(breaker.SHUT).update(**_claimed(now)):
            return False
        row = ApiBudget.objects.filter(account=account).first()
        if row is None:
            ApiBudget.objects.get_or_create(account=account)
            continue
        if reason := obstacle(row, lane, now):
            raise reason
        if rows.filter(breaker.half_open(now)).update(open_until=now + BREAKER_OPEN, **_claimed(now)):
            return True
    # Others were quicker each time; whoever asks again in a moment finds a window that stands still.
    raise DocusignUnavailable(LIMIT_SENTENCE.format(now + SHORTEST_BLOCK), retry_at=now + SHORTEST_BLOCK)


def check(account: Account, lane: Lane = Lane.PEOPLE) -> None:
    """Raise DocusignUnavailable when a claim would be refused now; takes nothing."""
    row = ApiBudget.objects.filter(account=account).first()
    if reason := obstacle(row, lane, timezone.now()):
        raise reason


def obstacle(row: ApiBudget | None, lane: Lane, now: datetime) -> DocusignUnavailable | None:
    """Why this lane may not call now, in a sentence and with the time at which it may; None when it may."""
    if row is not None and row.blocked_until and row.blocked_until > now:
        return DocusignUnavailable(LIMIT_SENTENCE.format(row.blocked_until), retry_at=row.blocked_until)
    if row is not None and row.open_until and row.open_until > now:
        return DocusignUnavailable(DOWN_SENTENCE.format(row.open_until), retry_at=row.open_until)
    quota = quota_of(row, now)
    if not quota.hour_allows(lane):
        return DocusignUnavailable(_hour_sentence(quota, lane), retry_at=quota.resets_at + RESET_SLACK)
    if not quota.burst_allows(lane):
        ends = quota.burst_ends_at
        return DocusignUnavailable(BURST_SENTENCE.format(quota.burst_limit, ends), retry_at=ends)
    return None


def _hour_sentence(quota: Quota, lane: Lane) -> str:
    if lane in KEPT_SENTENCES:
        return KEPT_SENTENCES[lane].format(quota.resets_at)
    return USED_SENTENCE.format(quota.limit, quota.others, quota.resets_at)


def saved_until(account: Account) -> datetime | None:
    """Until when the worker looks no more by itself, so that the rest of the hour is left to people; None while it may (R-3)."""
    row: ApiBudget | None = getattr(account, "budget", None)
    quota = quota_of(row, timezone.now())
    return None if quota.hour_allows(Lane.BACKGROUND) else quota.resets_at


def note_limits(account: Account, limits: LimitState, claimed_at: datetime | None = None) -> None:
    """Take over what an answer's headers said (R-2); `claimed_at` is when its call was claimed.

    The figures of an answer that belongs to a window of the past change nothing in the present one.
    """
    if not limits.is_known:
        return
    now = timezone.now()
    ApiBudget.objects.get_or_create(account=account)
    rows = ApiBudget.objects.filter(account=account)
    if claimed_at is None:
        claimed_at = now
        rows.filter(hour_over(now)).update(**_new_hour(now), hour_used=0)
        rows.filter(_burst_over(now)).update(burst_began_at=burst_start(now), burst_used=0)
    known = {"hourly_limit": limits.hourly_limit or None, "burst_limit": limits.burst_limit or None}
    columns: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
    rows.update(
        seen_at=now, **columns, **_told_of_hour(limits, claimed_at, now), **_told_of_burst(limits, claimed_at, now)
    )


def note_refusal(account: Account, retry_after: float | None) -> None:
    """R-5: Docusign refused for too many calls; nobody asks before the time, and not everybody at once after it."""
    seconds = (retry_after or BURST.total_seconds()) * (1 + random.uniform(0, LIMIT_JITTER))  # noqa: S311 - only spreads load
    until = timezone.now() + max(timedelta(seconds=seconds), SHORTEST_BLOCK)
    ApiBudget.objects.get_or_create(account=account)
    shorter = Q(blocked_until=None) | Q(blocked_until__lt=until)
    ApiBudget.objects.filter(shorter, account=account).update(blocked_until=until)


def hour_over(now: datetime) -> Q:
    """The rows whose hour has ended, by Docusign's reset where it named one, else by the clock."""
    return (
        Q(hour_began_at=None)
        | Q(hourly_reset_at__lte=now - RESET_SLACK)
        | Q(hourly_reset_at=None, hour_began_at__lte=now - HOUR)
        | Q(hour_began_at__gt=now + CLOCK_SKEW)
    )


def _burst_over(now: datetime) -> Q:
    return Q(burst_began_at=None) | Q(burst_began_at__lte=now - BURST) | Q(burst_began_at__gt=now + CLOCK_SKEW)


def _may_call(lane: Lane, now: datetime) -> Q:
    limit = Coalesce(F("hourly_limit"), Value(HOURLY_CALLS))
    burst_limit = Coalesce(F("burst_limit"), Value(documented_burst()))
    hour_left = LessThan((F("hour_used") + F("hour_others")) * 100, limit * HOUR_SHARES[lane])
    burst_left = LessThan(F("burst_used") * 100, burst_limit * BURST_SHARES[lane])
    not_blocked = Q(blocked_until=None) | Q(blocked_until__lte=now)
    return not_blocked & (hour_over(now) | Q(hour_left)) & (_burst_over(now) | Q(burst_left))


def _claimed(now: datetime) -> dict[str, Any]:
    """The columns after one more call."""
    over, burst_is_over = hour_over(now), _burst_over(now)
    return {
        **{name: _chosen(name, over, value, F(name)) for name, value in _new_hour(now).items()},
        "hour_used": _chosen("hour_used", over, Value(1), F("hour_used") + 1),
        "burst_began_at": _chosen("burst_began_at", burst_is_over, Value(burst_start(now)), F("burst_began_at")),
        "burst_used": _chosen("burst_used", burst_is_over, Value(1), F("burst_used") + 1),
        **breaker.watched(now),
    }


def _chosen(column: str, condition: Q, then: Any, otherwise: Any) -> Case:
    kind = DateTimeField() if column.endswith("_at") else IntegerField()
    return Case(When(condition, then=then), default=otherwise, output_field=kind)


def _new_hour(now: datetime) -> dict[str, Any]:
    """The columns of an hour that begins now: where Docusign's reset was inside this clock hour, it began there."""
    start = hour_start(now)
    began = Case(
        When(hourly_reset_at__gt=start, hourly_reset_at__lte=now, then=F("hourly_reset_at")),
        default=Value(start),
        output_field=DateTimeField(),
    )
    nothing = Value(None, output_field=DateTimeField())
    return {
        "hour_began_at": began,
        "hour_others": Value(0),
        "hourly_remaining": Value(None, output_field=IntegerField()),
        "hourly_reset_at": nothing,
    }


def _told_of_hour(limits: LimitState, claimed_at: datetime, now: datetime) -> dict[str, Any]:
    """Others' calls are what Docusign counts beyond ours; they only grow within an hour, whatever order answers come in."""
    told: dict[str, Any] = {}
    if limits.hourly_remaining is not None:
        limit = Value(limits.hourly_limit) if limits.hourly_limit else Coalesce(F("hourly_limit"), Value(HOURLY_CALLS))
        others = limit - Value(limits.hourly_remaining) - F("hour_used")
        told["hour_others"] = Greatest(F("hour_others"), others, output_field=IntegerField())
        told["hourly_remaining"] = Value(limits.hourly_remaining)
    if limits.hourly_reset_at is not None:
        told["hourly_reset_at"] = Value(limits.hourly_reset_at)
    past = hour_over(now) | Q(hour_began_at__gt=claimed_at)
    return {name: _chosen(name, past, F(name), value) for name, value in told.items()}


def _told_of_burst(limits: LimitState, claimed_at: datetime, now: datetime) -> dict[str, Any]:
    if limits.burst_remaining is None:
        return {}
    known = Value(limits.burst_limit) if limits.burst_limit else Coalesce(F("burst_limit"), Value(documented_burst()))
    past = _burst_over(now) | Q(burst_began_at__gt=claimed_at)
    used = Greatest(F("burst_used"), known - Value(limits.burst_remaining), output_field=IntegerField())
    return {"burst_used": _chosen("burst_used", past, F("burst_used"), used)}
