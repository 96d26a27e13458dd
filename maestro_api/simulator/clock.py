"""The simulator's own time. Rule: nothing else in the simulator reads the machine's clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import lru_cache

_EPOCH_DAY = date(1970, 1, 1).toordinal()


class Clock:
    """Real time plus an offset that tests move; `freeze` stops it so that only `advance` moves it."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._frozen: float | None = None

    def now(self) -> float:
        base = time.time() if self._frozen is None else self._frozen
        return base + self._offset

    def real(self) -> float:
        """The machine's time, for what the caller stamped with its own clock."""
        return time.time()

    def advance(self, seconds: float) -> float:
        self._offset += seconds
        return self.now()

    @contextmanager
    def held_at(self, moment: float | None) -> Iterator[None]:
        """For as long as something is made as of another moment than now."""
        self._frozen = moment
        yield
        self._frozen = None

    def freeze(self) -> None:
        if self._frozen is None:
            self._frozen = time.time()


@lru_cache(maxsize=4096)
def _day(number: int) -> str:
    return date.fromordinal(_EPOCH_DAY + number).isoformat()


def iso(moment: float) -> str:
    """Milliseconds and a numeric offset, as the workflow and instance members carry.

    Written out by hand because a long list holds hundreds of thousands of them, and `isoformat` takes thrice the time.
    """
    day, rest = divmod(int(moment * 1000), 86_400_000)
    seconds, millis = divmod(rest, 1000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{_day(day)}T{hour:02d}:{minute:02d}:{second:02d}.{millis:03d}+00:00"


def iso_ticks(moment: float) -> str:
    """Seven fractional digits and a Z, as the response timestamps carry."""
    whole = datetime.fromtimestamp(moment, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{whole.microsecond:06d}1Z"
