"""Bad days on demand. Rule: the first rule that matches decides; rules that only slow or age answers add to it."""

from __future__ import annotations

import gzip
import random
import re
import zlib
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from .messages import SimRequest, SimResponse

MODIFIERS = frozenset({"latency_ms", "list_lag_seconds", "repeat_ctoken", "headers"})
EFFECTS = MODIFIERS | {
    "status", "body", "drip", "reset", "truncate_gzip", "gzip_bomb", "redirect_to", "content_type", "commit",
}  # fmt: skip
RESETS = ("before", "after", "mid_body")
BOMB_MEGABYTES = 300
_MEGABYTE = 1 << 20


class _Do(msgspec.Struct):
    """The types of the members of `do`; what they mean stands in docs/simulator.md."""

    status: Annotated[int, msgspec.Meta(ge=100, le=599)] = 200
    headers: dict[str, str | int | float] = {}
    body: Any = None
    content_type: str = ""
    latency_ms: float = 0
    drip: bool | int | float | dict[str, float | bool] = False
    reset: str = ""
    truncate_gzip: bool = False
    gzip_bomb: bool | Annotated[int, msgspec.Meta(ge=1, le=2000)] = False
    redirect_to: str = ""
    list_lag_seconds: float = 0
    repeat_ctoken: bool | str = False
    commit: bool = False


@dataclass(slots=True)
class Rule:
    """One fault. `left` counts down; None means always."""

    method: str | None
    path: re.Pattern[str] | None
    left: int | None
    probability: float
    do: dict[str, Any]
    hits: int = 0

    @property
    def name(self) -> str:
        return ",".join(
            f"{key}:{value}" if key in ("status", "reset") else key for key, value in sorted(self.do.items())
        )


@dataclass(slots=True)
class Effect:
    """What the matching rules ask for together."""

    do: dict[str, Any] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)


class Faults:
    """The rules in force."""

    def __init__(self, seed: int) -> None:
        self.rules: list[Rule] = []
        self._chance = random.Random(seed)
        self._bombs: dict[int, bytes] = {}

    def replace(self, rules: list[dict[str, Any]]) -> None:
        """Put these rules in place of all others; raises ValueError on one that says nothing sensible."""
        self.rules = [_rule(rule) for rule in rules]

    def effect(self, request: SimRequest) -> Effect:
        effect = Effect()
        decided = False
        for rule in self.rules:
            modifier = rule.do.keys() <= MODIFIERS
            if (decided and not modifier) or not self._matches(rule, request):
                continue
            if rule.left is not None:
                rule.left -= 1
            rule.hits += 1
            effect.do = rule.do | effect.do
            effect.names.append(rule.name)
            decided = decided or not modifier
        return effect

    def _matches(self, rule: Rule, request: SimRequest) -> bool:
        if rule.left is not None and rule.left <= 0:
            return False
        if rule.method and rule.method != request.method:
            return False
        if rule.path and not rule.path.search(request.route):
            return False
        return rule.probability >= 1 or self._chance.random() < rule.probability

    def replacement(self, do: dict[str, Any]) -> SimResponse | None:
        """The answer a fault gives in place of the real one, without a body where none was given."""
        if "gzip_bomb" in do:
            size = do["gzip_bomb"] if isinstance(do["gzip_bomb"], int) and do["gzip_bomb"] > 1 else BOMB_MEGABYTES
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
            return SimResponse(int(do.get("status", 200)), headers, self._bomb(size))
        if "redirect_to" in do:
            return SimResponse(int(do.get("status", 307)), {"Location": str(do["redirect_to"])})
        if "status" in do or "body" in do:
            body = do.get("body", "")
            raw = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
            kind = "text/html; charset=utf-8" if raw[:1] == b"<" else "application/json"
            return SimResponse(int(do.get("status", 200)), {"Content-Type": kind} if raw else {}, raw)
        return None

    def bend(self, response: SimResponse, do: dict[str, Any]) -> None:
        """Apply what changes an answer instead of replacing it."""
        if "content_type" in do:
            response.headers["Content-Type"] = str(do["content_type"])
        response.headers |= {str(name): str(value) for name, value in do.get("headers", {}).items()}
        if do.get("truncate_gzip"):
            whole = response.body if "Content-Encoding" in response.headers else gzip.compress(response.body, mtime=0)
            response.headers["Content-Encoding"] = "gzip"
            response.body = whole[: max(len(whole) * 2 // 3, 12)]
            response.no_length = True
        if do.get("repeat_ctoken") and b'"total_set_size"' in response.body:
            page = msgspec.json.decode(response.body)
            page["ctoken"] = do["repeat_ctoken"] if isinstance(do["repeat_ctoken"], str) else "the-same-again"
            response.body = msgspec.json.encode(page)
        if do.get("drip"):
            response.drip = _drip(do["drip"])
        response.latency_ms += float(do.get("latency_ms", 0))

    def _bomb(self, megabytes: int) -> bytes:
        if megabytes not in self._bombs:
            packer = zlib.compressobj(9, zlib.DEFLATED, 31)
            parts = [packer.compress(b'{"data":[],"filler":"')]
            block = b"0" * _MEGABYTE
            parts += [packer.compress(block) for _ in range(megabytes)]
            parts += [packer.compress(b'"}'), packer.flush()]
            self._bombs[megabytes] = b"".join(parts)
        return self._bombs[megabytes]

    def describe(self) -> list[dict[str, Any]]:
        return [
            {
                "match": {
                    "method": rule.method,
                    "path": rule.path.pattern if rule.path else None,
                    "times": rule.left,
                    "probability": rule.probability,
                },
                "do": rule.do,
                "hits": rule.hits,
            }
            for rule in self.rules
        ]


def _rule(raw: dict[str, Any]) -> Rule:
    match, do = (raw.get("match") or {}, raw.get("do")) if isinstance(raw, dict) else (None, None)
    if not isinstance(match, dict) or not isinstance(do, dict) or not do:
        raise ValueError('A fault is {"match": {...}, "do": {...}}.')
    unknown = (do.keys() - EFFECTS) | (match.keys() - {"method", "path", "times", "probability"})
    if unknown:
        raise ValueError(f"Unknown members: {', '.join(sorted(unknown))}.")
    if "reset" in do and do["reset"] not in RESETS:
        raise ValueError(f"reset must be one of {', '.join(RESETS)}.")
    msgspec.convert(do, _Do)
    try:
        path = re.compile(match["path"]) if match.get("path") else None
    except re.error as error:
        raise ValueError(f"path: {error}.") from error
    method = str(match["method"]).upper() if match.get("method") else None
    times = match.get("times")
    probability = match.get("probability")
    return Rule(
        method, path, None if times is None else int(times), 1.0 if probability is None else float(probability), do
    )


def _drip(value: Any) -> tuple[int, float, bool]:
    """(bytes, seconds between them, headers too): True, a pause in milliseconds, or an object naming each."""
    if isinstance(value, dict):
        return int(value.get("bytes", 1)), float(value.get("interval_ms", 500)) / 1000, bool(value.get("headers"))
    if isinstance(value, bool):
        return 1, 0.5, False
    return 1, float(value) / 1000, False
