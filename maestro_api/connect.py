"""Docusign Connect messages: is it really from Docusign, and what does it speak of.

The one rule: the signature is checked over the raw bytes before anything is parsed, and an event is only a hint; its
exact shape for workflow events is not published (assumption: ids stand somewhere within four levels of `data`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import msgspec

from maestro_api.decoding import UUID_PATTERN, without_nul
from maestro_api.rows import utc

SIGNATURE_PREFIX: Final = "x-docusign-signature-"
HEADERS_CHECKED: Final = 10
DEEPEST_JSON: Final = 50
LARGEST_BODY: Final = 25 * 1024 * 1024
_DEEPEST_SEARCH: Final = 4
_SEARCH_LIMIT: Final = 2000
_LONGEST_TEXT: Final = 200
_INSTANCE_NAMES: Final = ("instanceid", "workflowinstanceid", "dacid")
_WORKFLOW_NAMES: Final = ("workflowid", "workflowdefinitionid", "templateid")


class UnreadableEvent(ValueError):
    """The message cannot be understood; keep it aside and look at it by hand."""


@dataclass(frozen=True, slots=True)
class ConnectEvent:
    """What a message says. Ids are lower-case UUIDs or None; `dedupe_key` is the same for each redelivery."""

    event: str
    account_id: str | None
    instance_id: str | None
    workflow_id: str | None
    status: str | None
    generated_at: datetime | None
    dedupe_key: str
    raw: dict[str, Any] = field(repr=False)


def verify_signature(body: bytes, headers: Mapping[str, str], keys: Sequence[str]) -> int | None:
    """The index of the key that signed these very bytes, or None: also when there is no key or no signature.

    Every key is compared with every X-DocuSign-Signature-N header (ten at most), as bytes, in constant time and
    without an early exit. Source: developers.docusign.com/platform/webhooks/connect/validate.
    """
    signatures = [
        value.encode("utf-8", "replace") for name, value in headers.items() if name.lower().startswith(SIGNATURE_PREFIX)
    ][:HEADERS_CHECKED]
    matched: int | None = None
    for index, key in enumerate(keys):
        if not key:
            continue
        expected = base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest())
        for signature in signatures:
            if hmac.compare_digest(expected, signature) and matched is None:
                matched = index
    return matched


def parse_event(body: bytes) -> ConnectEvent:
    """Read a message whose signature was found good. Raises UnreadableEvent."""
    if len(body) > LARGEST_BODY:
        raise UnreadableEvent("the message is too large")
    try:
        raw = msgspec.json.decode(without_nul(body))
    except (ValueError, RecursionError):
        raise UnreadableEvent("the message is not valid JSON") from None
    if not isinstance(raw, dict):
        raise UnreadableEvent("the message is not a JSON object")
    if _deeper_than(raw, DEEPEST_JSON):
        raise UnreadableEvent("the message is nested too deeply")
    event = raw.get("event")
    if not isinstance(event, str) or not 0 < len(event) <= _LONGEST_TEXT:
        raise UnreadableEvent("the message names no event")
    data = raw.get("data")
    members = list(_members(data)) if isinstance(data, dict) else []
    instance_id = _first_id(members, _INSTANCE_NAMES)
    generated = raw.get("generatedDateTime")
    status = next((value for name, value in members if name == "status" and isinstance(value, str)), None)
    return ConnectEvent(
        event=event,
        account_id=_first_id(members, ("accountid",)),
        instance_id=instance_id,
        workflow_id=_first_id(members, _WORKFLOW_NAMES),
        status=status[:_LONGEST_TEXT] if status else None,
        generated_at=_moment(generated),
        dedupe_key=_dedupe_key(raw, event, instance_id, generated),
        raw=raw,
    )


def _dedupe_key(raw: dict[str, Any], event: str, instance_id: str | None, generated: object) -> str:
    """Configuration, event, instance and time of making; without those, all of the message but its retry count."""
    if instance_id is not None and isinstance(generated, str) and generated:
        parts: object = [str(raw.get("configurationId", "")), event, instance_id, generated]
    else:
        parts = {name: value for name, value in raw.items() if name.lower() != "retrycount"}
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _members(value: object, depth: int = 1) -> Iterator[tuple[str, Any]]:
    """(name in lower case without _, value) of nested members, nearest first, to the depth and number allowed."""
    level: list[object] = [value]
    seen = 0
    while level and depth <= _DEEPEST_SEARCH:
        below: list[object] = []
        for each in level:
            pairs = each.items() if isinstance(each, dict) else ()
            for name, inner in pairs:
                seen += 1
                if seen > _SEARCH_LIMIT:
                    return
                yield str(name).lower().replace("_", ""), inner
                below.extend(inner if isinstance(inner, list) else [inner])
        level = below
        depth += 1


def _first_id(members: Sequence[tuple[str, Any]], names: Sequence[str]) -> str | None:
    for wanted in names:
        for name, value in members:
            found = UUID_PATTERN.fullmatch(value) if name == wanted and isinstance(value, str) else None
            if found is not None:
                return found[1].lower()
    return None


def _deeper_than(value: object, limit: int) -> bool:
    level: list[object] = [value]
    for _ in range(limit):
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, (dict, list)) for each in level)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        return utc(msgspec.convert(value, datetime))
    except ValueError:
        return None
