"""When a call may be sent again, and how long to wait.

The one rule: only reading is repeated, at most three times, with full jitter, and never more than a tenth of what the
process sends.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from maestro_api.errors import (
    ConnectFailed,
    ConnectionLost,
    MaestroError,
    RateLimited,
    RequestTimedOut,
    ServerError,
    TLSFailed,
)

_SHARE: Final = 0.1
_BURST: Final = 10.0


class RetryBudget:
    """A process-wide allowance: each first attempt earns a tenth of a retry, at most ten are saved up."""

    def __init__(self, share: float = _SHARE, burst: float = _BURST) -> None:
        self._lock = threading.Lock()
        self._share = share
        self._burst = burst
        self._saved = burst

    def earn(self) -> None:
        with self._lock:
            self._saved = min(self._saved + self._share, self._burst)

    def spend(self) -> bool:
        with self._lock:
            if self._saved < 1:
                return False
            self._saved -= 1
            return True

    def reset(self) -> None:
        with self._lock:
            self._saved = self._burst


PROCESS_BUDGET: Final = RetryBudget()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts in all (1 = never repeat), first and longest backoff in seconds. `sleep` and `budget` can be replaced.

    `waits_for_limits` is False for a caller that has a `gate`: a refusal for too many calls then concerns everybody who
    shares the quota, so it is told at once instead of being waited for here.
    """

    attempts: int = 3
    first_wait: float = 1.0
    longest_wait: float = 30.0
    waits_for_limits: bool = True
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    budget: RetryBudget = field(default=PROCESS_BUDGET, repr=False)

    def wait_before_next(self, error: MaestroError, attempt: int, *, reading: bool) -> float | None:
        """Seconds to wait after the failed `attempt` (1 is the first), or None when it must not be repeated.

        A write is repeated only when surely nothing was sent. A stated Retry-After is waited for in full.
        """
        if attempt >= self._allowed(error, reading=reading):
            return None
        if error.retry_after is not None and isinstance(error, (RateLimited, ServerError)):
            return error.retry_after
        ceiling = min(self.longest_wait, self.first_wait * 2.0 ** (attempt - 1))
        return random.uniform(0.0, ceiling)  # noqa: S311 - spreading load needs no secrecy

    def _allowed(self, error: MaestroError, *, reading: bool) -> int:
        if isinstance(error, TLSFailed):
            return 1
        if isinstance(error, ConnectFailed):
            return self.attempts
        if not reading:
            return 1
        if isinstance(error, RateLimited) and not self.waits_for_limits:
            return 1
        if isinstance(error, (RequestTimedOut, ConnectionLost, RateLimited)):
            return self.attempts
        if isinstance(error, ServerError):
            if error.status == 500:
                return min(self.attempts, 2)
            return self.attempts if error.status in (502, 503, 504) else 1
        return 1


NO_RETRY: Final = RetryPolicy(attempts=1)
