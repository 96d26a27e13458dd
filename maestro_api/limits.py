"""Rate-limit headers and limit errors, parsed.

The one rule: a header that makes no sense is treated as absent; a waiting time is always between 1 s and 1 hour, except
that a stated Retry-After is reported in full.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Literal

Window = Literal["hourly", "burst"]

LONGEST_WAIT: Final = 3600.0
SHORTEST_WAIT: Final = 1.0
BURST_WAIT: Final = 30.0
_EPOCH_FLOOR: Final = 1_000_000_000  # smaller numbers cannot be a moment of our time, so they are seconds to wait
_EPOCH_CEILING: Final = 100_000_000_000  # larger numbers are milliseconds or nonsense
_LARGEST_COUNT: Final = 10_000_000
_LONGEST_RETRY_AFTER: Final = 31 * 86_400.0
_LIMIT_CODES: Final = ("APIINVOCATION_LIMIT_EXCEEDED", "POLLING_LIMIT_EXCEEDED")


@dataclass(frozen=True, slots=True)
class LimitState:
    """What the last answer said about the account's quota. Everything is None where nothing usable was sent."""

    hourly_limit: int | None = None
    hourly_remaining: int | None = None
    hourly_reset_at: datetime | None = None
    burst_limit: int | None = None
    burst_remaining: int | None = None

    @property
    def is_known(self) -> bool:
        return self != NO_LIMITS


NO_LIMITS: Final = LimitState()


def read_limits(headers: Mapping[str, str], now: datetime | None = None) -> LimitState:
    """Read X-RateLimit-* and X-BurstLimit-* (developers.docusign.com/platform/resource-limits)."""
    limit, remaining, reset, burst, burst_left = (
        headers.get("X-RateLimit-Limit"),
        headers.get("X-RateLimit-Remaining"),
        headers.get("X-RateLimit-Reset"),
        headers.get("X-BurstLimit-Limit"),
        headers.get("X-BurstLimit-Remaining"),
    )
    if limit is remaining is reset is burst is burst_left is None:
        return NO_LIMITS
    return LimitState(
        hourly_limit=_count(limit),
        hourly_remaining=_count(remaining),
        hourly_reset_at=reset_at(reset, now),
        burst_limit=_count(burst),
        burst_remaining=_count(burst_left),
    )


def reset_at(text: str | None, now: datetime | None = None) -> datetime | None:
    """The moment a window resets: from an epoch, a number of seconds, or an HTTP date; clamped to 1..3600 s from now.

    The platform page calls the header a timestamp, the blog a remaining time, so both are read.
    """
    now = datetime.now(UTC) if now is None else now
    seconds = _seconds_until(text, now)
    if seconds is None:
        return None
    return now + timedelta(seconds=min(max(seconds, SHORTEST_WAIT), LONGEST_WAIT))


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait as stated by `retry-after-ms` or `Retry-After` (seconds or HTTP date); None when not stated."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None and 0 <= milliseconds / 1000 <= _LONGEST_RETRY_AFTER:
        return milliseconds / 1000
    text = headers.get("Retry-After")
    seconds = _number(text)
    if seconds is None and text is not None:
        date = _http_date(text)
        if date is not None:
            seconds = max((date - (datetime.now(UTC) if now is None else now)).total_seconds(), 0.0)
    if seconds is None or not 0 <= seconds <= _LONGEST_RETRY_AFTER:
        return None
    return seconds


def limit_window(code: str | None) -> Window | None:
    """Which window a limit error code speaks of; None for a code that is no limit."""
    if not is_limit_code(code) or code is None:
        return None
    return "hourly" if code.upper().startswith("HOURLY") else "burst"


def is_limit_code(code: str | None) -> bool:
    """Whether an error code is a refusal for too many calls (sent with 400 in the past, with 429 now)."""
    return code is not None and code.upper().endswith(_LIMIT_CODES)


def wait_for(headers: Mapping[str, str], window: Window | None, now: datetime | None = None) -> float:
    """Seconds until a refused call may be tried: Retry-After, else the reset, else the next full hour or 30 s."""
    now = datetime.now(UTC) if now is None else now
    stated = retry_after(headers, now)
    if stated is not None:
        return max(stated, SHORTEST_WAIT)
    reset = reset_at(headers.get("X-RateLimit-Reset"), now)
    if window != "burst" and reset is not None:
        return (reset - now).total_seconds()
    if window == "hourly":
        return max(LONGEST_WAIT - (now.timestamp() % LONGEST_WAIT), SHORTEST_WAIT)
    return BURST_WAIT


def _seconds_until(text: str | None, now: datetime) -> float | None:
    number = _number(text)
    if number is None:
        date = None if text is None else _http_date(text)
        return None if date is None else (date - now).total_seconds()
    if number < 0 or number >= _EPOCH_CEILING:
        return None
    return number - now.timestamp() if number >= _EPOCH_FLOOR else number


def _number(text: str | None) -> float | None:
    if text is None or len(text) > 32 or not text.isascii() or "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _count(text: str | None) -> int | None:
    value = _number(text)
    return int(value) if value is not None and 0 <= value <= _LARGEST_COUNT else None


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date.replace(tzinfo=UTC) if date.tzinfo is None else date
