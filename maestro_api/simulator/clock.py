"""The simulator's own time. Rule: nothing else in the simulator reads the machine's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime


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

    def freeze(self) -> None:
        if self._frozen is None:
            self._frozen = time.time()

    def thaw(self) -> None:
        if self._frozen is not None:
            self._offset += self._frozen - time.time()
            self._frozen = None


def iso(moment: float) -> str:
    """Milliseconds and a numeric offset, as the workflow and instance members carry."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")


def iso_ticks(moment: float) -> str:
    """Seven fractional digits and a Z, as the response timestamps carry."""
    whole = datetime.fromtimestamp(moment, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{whole.microsecond:06d}1Z"
