"""The simulator behind `responses`, without a socket. Rule: what breaks on a wire is raised as requests would raise it.

A latency is not waited for: one that is longer than the caller's read timeout raises ReadTimeout, a shorter one is ignored.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import requests

from .core import Simulator
from .messages import SimRequest


class Mock(Protocol):
    """The part of `responses.RequestsMock` that is used."""

    def add_callback(self, method: str, url: Any, callback: Any, content_type: str | None = None) -> None: ...


def install(responses_mock: Mock, sim: Simulator) -> None:
    """Answer every request to the simulator's base URL in process."""

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else bytes(body)
        response = sim.handle(SimRequest(request.method, request.url, dict(request.headers), raw))
        if response.reset is not None:
            raise requests.ConnectionError(f"The simulator reset the connection ({response.reset}).", request=request)
        seconds = _read_timeout(request)
        if seconds is not None and response.latency_ms / 1000 >= seconds:
            raise requests.ReadTimeout("The simulator did not answer in time.", request=request)
        return response.status, response.headers, response.body

    url = re.compile(rf"^{re.escape(sim.base_url)}(/|$)")
    for method in ("GET", "POST", "PUT", "DELETE"):
        responses_mock.add_callback(method, url, callback=answer, content_type=None)


def _read_timeout(request: Any) -> float | None:
    timeout = getattr(request, "req_kwargs", {}).get("timeout")
    seconds = timeout[1] if isinstance(timeout, tuple) else timeout
    return seconds if isinstance(seconds, int | float) else None
