"""A record of every request that came in. Rule: no token, code or secret is kept, only its fingerprint."""

from __future__ import annotations

from collections import deque
from typing import Any

from .messages import SimRequest
from .tokens import fingerprint

KEPT = 100_000
SECRET_FIELDS = frozenset(
    {
        "code",
        "code_verifier",
        "refresh_token",
        "client_secret",
        "assertion",
        "token",
        "access_token",
        "state",
        "mtid",
        "mtsec",
    }
)


class Ledger:
    """Entries with rising numbers, oldest first."""

    def __init__(self) -> None:
        self._entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._seq = 0

    def open(self, request: SimRequest, at: str) -> dict[str, Any]:
        """The entry of a request that has just come; its status is filled in when it is known."""
        self._seq += 1
        entry: dict[str, Any] = {
            "seq": self._seq,
            "at": at,
            "method": request.method,
            "path": request.route,
            "query": {name: [_safe(name, value) for value in values] for name, values in request.params().items()},
            "status": None,
            "token": fingerprint(request.bearer()),
            "body": _body(request),
            "fault": None,
        }
        self._entries.append(entry)
        return entry

    def since(self, seq: int = 0) -> list[dict[str, Any]]:
        return [dict(entry) for entry in self._entries if entry["seq"] > seq]

    def clear(self) -> None:
        self._entries.clear()


def _safe(name: str, value: str) -> str | None:
    return fingerprint(value) if name in SECRET_FIELDS else value


def _body(request: SimRequest) -> Any:
    if request.method in ("GET", "HEAD") or not request.body:
        return None
    if "form-urlencoded" in request.header("content-type"):
        return {name: _safe(name, value) for name, value in request.form().items()}
    try:
        return request.json()
    except ValueError:
        return request.body[:2000].decode("utf-8", "replace")
