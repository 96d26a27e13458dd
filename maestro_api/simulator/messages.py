"""What goes in and out of the simulator, free of sockets. Rule: a response also says how it should break on the wire."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlencode

import msgspec

GZIP_FROM_BYTES = 1024


@dataclass(slots=True)
class SimRequest:
    """One request. `path` may be a path with a query or a whole URL; header names are found whatever their case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = "127.0.0.1"
    route: str = ""
    query: str = ""
    _lower: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        target = self.path.partition("#")[0]
        if not target.startswith("/"):
            target = "/" + target.partition("://")[2].partition("/")[2]
        path, _, self.query = target.partition("?")
        self.method = self.method.upper()
        self.route = unquote(path)
        self._lower = {name.lower(): str(value) for name, value in self.headers.items()}
        if isinstance(self.body, str):
            self.body = self.body.encode()

    def header(self, name: str) -> str:
        return self._lower.get(name.lower(), "")

    def params(self) -> dict[str, list[str]]:
        return parse_qs(self.query, keep_blank_values=True)

    def param(self, name: str) -> str | None:
        values = self.params().get(name)
        return values[0] if values else None

    def without(self, name: str) -> Self:
        """The same request without one member of its query."""
        rest = {key: values for key, values in self.params().items() if key != name}
        return replace(self, path=f"{self.path.partition('?')[0]}?{urlencode(rest, doseq=True)}")

    def form(self) -> dict[str, str]:
        return {
            name: values[0]
            for name, values in parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True).items()
        }

    def json(self) -> Any:
        """The parsed body, or None when it is empty; raises ValueError when it is not JSON."""
        if not self.body.strip():
            return None
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise ValueError("The body is not JSON.") from error

    def bearer(self) -> str:
        kind, _, value = self.header("authorization").partition(" ")
        return value.strip() if kind.lower() == "bearer" else ""


@dataclass(slots=True)
class SimResponse:
    """One answer. `reset`, `drip`, `latency_ms` and `no_length` are for whoever puts it on a wire."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    reset: str | None = None
    latency_ms: float = 0
    drip: tuple[int, float, bool] | None = None
    no_length: bool = False
    fault: str | None = None
    defer: Callable[[], bytes] | None = None

    def settle(self) -> None:
        """Build a body that was put off until the lock is free."""
        if self.defer is not None:
            self.body, self.defer = self.defer(), None


def json_response(status: int, payload: Any, content_type: str = "application/json") -> SimResponse:
    return SimResponse(status, {"Content-Type": content_type}, msgspec.json.encode(payload))


def text_response(status: int, text: str, content_type: str = "text/plain; charset=utf-8") -> SimResponse:
    return SimResponse(status, {"Content-Type": content_type}, text.encode())


def compress(request: SimRequest, response: SimResponse) -> None:
    """Gzip a large answer for a caller that asked for it."""
    if len(response.body) < GZIP_FROM_BYTES or "Content-Encoding" in response.headers:
        return
    if "gzip" in request.header("accept-encoding").lower():
        response.body = gzip.compress(response.body, compresslevel=1, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Vary"] = "Accept-Encoding"
