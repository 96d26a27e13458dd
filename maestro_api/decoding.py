"""Bytes to resources, tolerantly: a list is split into rows first, and each row is judged by itself.

The one rule: a bad row or member costs only itself and is reported as an oddity; only an answer without the thing
asked for is refused.
"""

from __future__ import annotations

import re
from typing import Any, Final, TypeVar

import msgspec

from maestro_api.resources import Instance, Response, Workflow
from maestro_api.rows import InstanceRow, WorkflowMetadata, WorkflowRow, normal_id, plain_id, utc
from maestro_api.statuses import workflow_status

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)

UUID_PATTERN: Final = re.compile(r"[{]?([0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})[}]?")
_UNKEEPABLE: Final = re.compile(
    rb"\\\\|\\u0000|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)
_NUL: Final = b"\\u0000"
_ONE_ESCAPE_LENGTH: Final = 6  # half a pair, or a NUL; whole pairs are longer, an escaped backslash shorter
_ODDITIES_KEPT: Final = 50
_BOM: Final = b"\xef\xbb\xbf"

Members = dict[str, msgspec.Raw]


_members_decoder: Final = msgspec.json.Decoder(Members)
_rows_decoder: Final = msgspec.json.Decoder(list[msgspec.Raw])
_instance_decoder: Final = msgspec.json.Decoder(InstanceRow)


class Unfit(ValueError):
    """The body is JSON of the wrong shape, or no JSON at all."""


def members_of(body: bytes) -> Members:
    """The top-level members of a JSON object, each still undecoded. Raises Unfit."""
    if body.startswith(_BOM):
        body = body[len(_BOM) :]
    body = without_nul(body)
    try:
        return _members_decoder.decode(body)
    except msgspec.ValidationError:
        raise Unfit("the answer is not a JSON object") from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        repaired = _without_unkeepable(body)
    if repaired is None:
        raise Unfit("the answer is not complete, valid JSON")
    try:
        return _members_decoder.decode(repaired)
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Unfit("the answer is not complete, valid JSON") from None


def rows_of(members: Members, name: str) -> list[msgspec.Raw]:
    """The rows of the list in member `name`, each still undecoded. Raises Unfit when there is no such list."""
    raw = members.get(name)
    if raw is None:
        raise Unfit(f"the answer has no list '{name}'")
    try:
        return _rows_decoder.decode(raw)
    except (ValueError, RecursionError):
        raise Unfit(f"'{name}' is not a list") from None


def value_of(members: Members, name: str, type_: type[T]) -> T | None:
    """One member if it has the wanted type, else None."""
    raw = members.get(name)
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=type_)
    except (ValueError, RecursionError):
        return None


def decode_raw(raw: msgspec.Raw) -> Any:
    """Any JSON value. Raises ValueError or RecursionError for text that is not valid inside."""
    return msgspec.json.decode(raw)


def instances_of(rows: list[msgspec.Raw]) -> tuple[tuple[Instance, ...], tuple[str, ...]]:
    """Every readable row, and sentences about the rest."""
    items: list[Instance] = []
    oddities: list[str] = []
    decode = _instance_decoder.decode
    for number, raw in enumerate(rows, start=1):
        try:
            row = decode(raw)
            odd: tuple[str, ...] = ()
        except (ValueError, RecursionError):
            loose, odd = _loosely(raw, InstanceRow, f"Row {number}")
            if loose is None:
                oddities.extend(odd)
                continue
            row = loose
            oddities.extend(odd)
        instance_id = row.id or row.instance_id
        if instance_id:
            items.append(Instance(plain_id(instance_id), row, raw, odd))
        else:
            oddities.append(f"Row {number} was skipped: it has no id.")
    return tuple(items), _capped(oddities)


def instance_of(body: bytes, response: Response) -> Instance:
    """The bare instance of operation getWorkflowInstance. Raises Unfit without an id."""
    members_of(body)
    raw = msgspec.Raw(_repaired(body))
    row, odd = _loosely(raw, InstanceRow, "The instance")
    instance_id = None if row is None else normal_id(row.id or row.instance_id)
    if row is None or instance_id is None:
        raise Unfit("the answer has no instance id")
    return Instance(instance_id, row, raw, odd, response)


def workflows_of(rows: list[msgspec.Raw]) -> tuple[tuple[Workflow, ...], tuple[str, ...]]:
    """Every readable row, and sentences about the rest."""
    items: list[Workflow] = []
    oddities: list[str] = []
    for number, raw in enumerate(rows, start=1):
        row, odd = _loosely(raw, WorkflowRow, f"Row {number}")
        oddities.extend(odd)
        if row is None:
            continue
        workflow_id = normal_id(row.id)
        if workflow_id is None:
            oddities.append(f"Row {number} was skipped: it has no id.")
            continue
        about, odd = author_of(row.metadata, f"Row {number}")
        oddities.extend(odd)
        items.append(
            Workflow(
                id=workflow_id,
                name=row.name or "",
                account_id=normal_id(row.account_id),
                status=workflow_status(row.status),
                raw_status=row.status or "",
                created_at=utc(about.created_at),
                created_by=normal_id(about.created_by),
                modified_at=utc(about.modified_at),
                modified_by=normal_id(about.modified_by),
                source=raw,
            )
        )
    return tuple(items), _capped(oddities)


def author_of(raw: msgspec.Raw | None, label: str) -> tuple[WorkflowMetadata, tuple[str, ...]]:
    """The `metadata` object; an empty one when it is missing, null or no object."""
    if raw is None or not raw or bytes(raw) == b"null":
        return WorkflowMetadata(), ()
    row, odd = _loosely(raw, WorkflowMetadata, f"{label}, metadata")
    return row or WorkflowMetadata(), odd


def _loosely(raw: msgspec.Raw, type_: type[R], label: str) -> tuple[R | None, tuple[str, ...]]:
    """Decode strictly; failing that member by member, dropping and reporting what does not fit."""
    try:
        return msgspec.json.decode(raw, type=type_), ()
    except (ValueError, RecursionError):
        pass
    try:
        members = _members_decoder.decode(bytes(raw).decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None, (f"{label} was skipped: it is not a readable object.",)
    kept: dict[str, Any] = {}
    odd: list[str] = []
    for member in msgspec.structs.fields(type_):
        value = members.get(member.encode_name)
        if value is None:
            continue
        if member.type is msgspec.Raw:
            kept[member.name] = value
            continue
        try:
            kept[member.name] = msgspec.convert(msgspec.json.decode(value), member.type, strict=False)
        except (ValueError, RecursionError):
            if bytes(value) != b'""':
                odd.append(f"{label}: {member.encode_name} is not what was expected, and was left out.")
    return type_(**kept), tuple(odd)


def _capped(oddities: list[str]) -> tuple[str, ...]:
    if len(oddities) <= _ODDITIES_KEPT:
        return tuple(oddities)
    return (*oddities[:_ODDITIES_KEPT], f"{len(oddities) - _ODDITIES_KEPT} more oddities of this kind.")


def _repaired(body: bytes) -> bytes:
    """The body that `members_of` was able to read."""
    if body.startswith(_BOM):
        body = body[len(_BOM) :]
    return _without_unkeepable(body) or body


def without_nul(body: bytes) -> bytes:
    """The same JSON without NUL characters in its texts."""
    return (_without_unkeepable(body) or body) if _NUL in body else body


def _without_unkeepable(body: bytes) -> bytes | None:
    """The same JSON with U+FFFD for what text cannot be: half a surrogate pair, which makes the whole body unreadable, and NUL,
    which no PostgreSQL column takes. None when there was nothing of the kind."""
    if b"\\u" not in body:
        return None
    repaired, _ = _UNKEEPABLE.subn(lambda match: b"\\ufffd" if len(match[0]) == _ONE_ESCAPE_LENGTH else match[0], body)
    return repaired if repaired != body else None
