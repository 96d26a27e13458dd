"""Calls an account may make: by clock hour and by 30 seconds. Rule: counted over all its callers; a refusal is not counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from .clock import Clock
from .messages import SimResponse, json_response
from .people import MAIN_ACCOUNT_ID

HOUR, BURST = 3600, 30
ALIASES = {
    "hourly_limit": "hourly", "burst_limit": "burst", "spent": "spent_hourly", "spent_by_others": "spent_hourly",
    "spent_by_other_apps": "spent_hourly",
}  # fmt: skip


@dataclass(slots=True)
class LimitSettings:
    """Docusign's figures for the demo environment.

    `reset_form` says how X-RateLimit-Reset is written: epoch or seconds. `retry_after` is True for the rest of the window, or
    a number of seconds.
    """

    hourly: int = 3000
    burst: int = 200
    status: int = 429
    headers: bool = True
    retry_after: bool | int = False
    reset_form: str = "epoch"
    enabled: bool = True


@dataclass(slots=True)
class _Window:
    start: float = -1
    calls: int = 0


class Limits:
    """Two fixed windows an account."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.settings = LimitSettings()
        self._windows: dict[tuple[str, int], _Window] = {}

    def _window(self, account_id: str, length: int) -> _Window:
        window = self._windows.setdefault((account_id, length), _Window())
        start = self.clock.now() // length * length
        if window.start != start:
            window.start, window.calls = start, 0
        return window

    def spend(self, account_id: str, hourly: int = 0, burst: int = 0) -> None:
        """Calls made by others."""
        self._window(account_id, HOUR).calls += hourly
        self._window(account_id, BURST).calls += burst

    def check(self, account_id: str) -> SimResponse | None:
        """Count a call, or give the refusal."""
        if not self.settings.enabled:
            return None
        for name, length, allowed in (("HOURLY", HOUR, self.settings.hourly), ("BURST", BURST, self.settings.burst)):
            window = self._window(account_id, length)
            if window.calls >= allowed:
                period = "hourly API invocations" if length == HOUR else "API invocations in 30 seconds"
                limit = f"The {'hourly' if length == HOUR else 'burst'} limit is {allowed}."
                text = f"The maximum number of {period} has been exceeded. {limit}"
                body = {"errorCode": f"{name}_APIINVOCATION_LIMIT_EXCEEDED", "message": text}
                response = json_response(self.settings.status, body)
                if self.settings.retry_after:
                    rest = int(window.start + length - self.clock.now()) + 1
                    given = self.settings.retry_after
                    response.headers["Retry-After"] = str(rest if given is True else given)
                return response
        self._window(account_id, HOUR).calls += 1
        self._window(account_id, BURST).calls += 1
        return None

    def add_headers(self, account_id: str, response: SimResponse) -> None:
        if not (self.settings.headers and self.settings.enabled):
            return
        hour, burst = self._window(account_id, HOUR), self._window(account_id, BURST)
        reset = hour.start + HOUR
        if self.settings.reset_form == "seconds":
            reset -= self.clock.now()
        response.headers |= {
            "X-RateLimit-Limit": str(self.settings.hourly),
            "X-RateLimit-Remaining": str(max(0, self.settings.hourly - hour.calls)),
            "X-RateLimit-Reset": str(int(reset)),
            "X-BurstLimit-Limit": str(self.settings.burst),
            "X-BurstLimit-Remaining": str(max(0, self.settings.burst - burst.calls)),
        }

    def configure(self, members: dict[str, Any]) -> None:
        """Change settings; `spent_by_others` adds calls to the hour, `spent_burst` to the 30 seconds."""
        rest = {ALIASES.get(name, name): value for name, value in members.items()}
        account_id = str(rest.pop("account_id", MAIN_ACCOUNT_ID))
        hourly, burst = int(rest.pop("spent_hourly", 0)), int(rest.pop("spent_burst", 0))
        if unknown := rest.keys() - asdict(self.settings).keys():
            raise ValueError(f"Unknown settings: {', '.join(sorted(unknown))}.")
        self.settings = msgspec.convert(asdict(self.settings) | rest, LimitSettings)
        self.spend(account_id, hourly, burst)

    def describe(self) -> dict[str, Any]:
        used = {
            f"{account_id}:{'hourly' if length == HOUR else 'burst'}": self._window(account_id, length).calls
            for account_id, length in list(self._windows)
        }
        return asdict(self.settings) | {"used": used}
