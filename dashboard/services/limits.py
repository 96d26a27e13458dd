"""How often a person or an address may do one kind of thing (S-16), and for how long failed sign-ins close the door.

The one rule: the counts are rows that all processes share, moved by one statement; when they cannot be counted, nobody is refused.
"""

import logging
import math
import time
from contextlib import nullcontext
from dataclasses import dataclass
from enum import StrEnum

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Q

from dashboard import crypto
from dashboard.addresses import source_of
from dashboard.models import RateCount
from dashboard.services.errors import TooMany
from dashboard.services.store import waiting_at_most

log = logging.getLogger(__name__)
WINDOW_SECONDS = 60.0
LOCKOUT_SECONDS = 15 * 60.0
# A team comes from one address; what one person may do is counted by person.
PEOPLE_BEHIND_AN_ADDRESS = 10
LOCK_WAIT_MS = 500  # a page that only reads must not wait for a writer because it is counted
LOCKOUT = "lockout"
# The window begins with the first of its deeds. Whoever has reached the number waits until the window has ended. One that begins
# further ahead than a window is long was written while the clock was wrong, and counts no more.
COUNT = """
INSERT INTO dashboard_ratecount (key, count, began_at) VALUES {rows}
ON CONFLICT (key) DO UPDATE SET
  count = CASE WHEN dashboard_ratecount.began_at BETWEEN %s AND %s THEN dashboard_ratecount.count + 1 ELSE 1 END,
  began_at = CASE WHEN dashboard_ratecount.began_at BETWEEN %s AND %s THEN dashboard_ratecount.began_at ELSE excluded.began_at END
RETURNING key, count, began_at
"""


class Kind(StrEnum):
    """What is counted apart; the values are the names in RATE_LIMITS."""

    SIGN_IN = "sign-in"
    CALLBACK = "callback"
    WRITE = "write"
    EXPORT = "export"
    SEARCH = "search"


WORDS = {
    Kind.SIGN_IN: (
        "More than {limit} sign-ins were started from your address within a minute.",
        "Nobody was signed in.",
    ),
    Kind.CALLBACK: ("More than {limit} sign-ins came back to your address within a minute.", "Nobody was signed in."),
    Kind.WRITE: (
        "More than {limit} changes were sent within a minute.",
        "This one was not done, and nothing was sent.",
    ),
    Kind.EXPORT: ("More than {limit} exports were asked for within a minute.", "This one was not made."),
    Kind.SEARCH: ("More than {limit} searches were asked for within a minute.", "This one was not made."),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One row to count, and how many it may reach."""

    key: str
    limit: int


def claim(kind: Kind, *, person: str, address: str) -> None:
    """Count one deed of this person, or of this address where nobody is signed in. Raises TooMany."""
    limit = settings.RATE_LIMITS[kind]
    if not limit:
        return
    # Strangers are counted apart, or they would use up what the team behind the same address may do.
    most, who = (limit * PEOPLE_BEHIND_AN_ADDRESS, "address") if person else (limit, "stranger")
    bars = [_bar(kind, who, source_of(address), most)]
    if person:  # always in this order, so that two requests never wait for each other's row
        bars.insert(0, _bar(kind, "person", person, limit))
    wait, reached = _count(bars, WINDOW_SECONDS)
    if wait:
        log.warning("limit.reached", extra={"kind": kind.value, "limit": reached})
        told, then = WORDS[kind]
        raise TooMany(f"{told.format(limit=reached)} {then} Try again in {_time(wait)}.", retry_seconds=wait)


def refuse_if_locked(address: str) -> None:
    """Whether too many sign-ins from this address failed lately. Raises TooMany."""
    limit = settings.RATE_LIMITS[LOCKOUT]
    if not limit:
        return
    row = RateCount.objects.filter(pk=_bar(LOCKOUT, "address", source_of(address), limit).key).first()
    if row is None or row.count < limit:
        return
    left = row.began_at + LOCKOUT_SECONDS - time.time()
    if 0 < left <= 2 * LOCKOUT_SECONDS:  # what is further ahead was noted while the clock was wrong
        wait = math.ceil(left)
        raise TooMany(
            f"{limit} sign-ins from your address failed. No more are taken from there for now. Try again in {_time(wait)}.",
            retry_seconds=wait,
        )


def note_failed_sign_in(address: str) -> bool:
    """Count a sign-in that failed; True when it was the one that closed the door for this address."""
    limit = settings.RATE_LIMITS[LOCKOUT]
    if not limit:
        return False
    bar = _bar(LOCKOUT, "address", source_of(address), limit)
    _count([bar], LOCKOUT_SECONDS)
    # The whole time counts from the failure that closed it, not from the first one.
    closed = RateCount.objects.filter(pk=bar.key, count=limit).update(began_at=time.time())
    if closed:
        log.warning("sign_in.locked", extra={"source": bar.key[-12:]})  # no address: nothing about a stranger is kept
    return bool(closed)


def purge() -> int:
    """Forget windows that have ended."""
    now = time.time()
    ended = Q(began_at__lt=now - LOCKOUT_SECONDS) | Q(began_at__gt=now + LOCKOUT_SECONDS)
    return RateCount.objects.filter(ended).delete()[0]


def _bar(kind: str, of: str, who: str, limit: int) -> Bar:
    return Bar(f"{kind}:{crypto.keyed_digest('limit ' + of, who, size=40)}", limit)


def _count(bars: list[Bar], window: float) -> tuple[int, int]:
    """Count one more for each; for how many seconds whoever is over a limit has to wait, and which limit that is."""
    now = time.time()
    after = math.nextafter(now - window, now)  # a window has ended when it is as old as it may be
    values: list[str | int | float] = [value for bar in bars for value in (bar.key, 1, now)]
    rows = ", ".join(["(%s, %s, %s)"] * len(bars))
    try:
        # A savepoint only where somebody opened a transaction; otherwise the one statement is its own.
        own = transaction.atomic() if connection.in_atomic_block else nullcontext()
        with waiting_at_most(LOCK_WAIT_MS), own, connection.cursor() as cursor:
            cursor.execute(COUNT.format(rows=rows), [*values, *(after, now + window) * 2])
            found = {key: (count, began_at) for key, count, began_at in cursor.fetchall()}
    except DatabaseError:  # the deed itself will fail where the database is gone; a count is no reason to refuse
        log.warning("limit.not_counted", exc_info=True)
        return 0, 0
    waits = [
        (max(1, math.ceil(began_at + window - now)), bar.limit)
        for bar in bars
        for count, began_at in [found.get(bar.key, (0, now))]
        if count > bar.limit
    ]
    return max(waits, default=(0, 0))


def _time(seconds: int) -> str:
    if seconds > 90:
        return f"{(seconds + 59) // 60} minutes"
    return f"{seconds} seconds" if seconds != 1 else "1 second"
