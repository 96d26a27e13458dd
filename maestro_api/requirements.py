"""The trigger requirements of a workflow, read tolerantly.

The one rule: an input that cannot be understood is still listed or reported, since a field nobody asks for makes the
trigger fail.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from maestro_api.decoding import Members, Unfit, author_of, decode_raw, members_of, rows_of, value_of
from maestro_api.resources import InputField, Kind, Response, TriggerRequirements
from maestro_api.rows import normal_id, utc

SYSTEM_INPUTS: Final = frozenset({"startDate", "dacId", "id", "participantIdMap"})
"""Inputs that Docusign fills in by itself. Names are case-sensitive, so a field "ID" is somebody's own."""

_KINDS: Final[dict[str, Kind]] = {
    "string": "string",
    "text": "string",
    "number": "number",
    "integer": "number",
    "decimal": "number",
    "boolean": "boolean",
    "bool": "boolean",
    "date": "date",
    "datetime": "datetime",
    "date-time": "datetime",
    "object": "object",
    "array": "array",
}
_NEEDED: Final = ("trigger_id", "trigger_http_config", "trigger_input_schema")


def requirements_of(body: bytes, response: Response) -> TriggerRequirements:
    """Read an answer of GetWorkflowTriggerRequirements. Raises Unfit when it is none."""
    members = members_of(body)
    if not any(name in members for name in _NEEDED):
        raise Unfit("the answer has no trigger requirements")
    about, odd = author_of(members.get("metadata"), "Trigger requirements")
    oddities = list(odd)
    event_type = value_of(members, "trigger_event_type", str)
    if event_type is not None and event_type.upper() != "HTTP":
        oddities.append(f"The workflow is started by {event_type[:64]}, not by HTTP.")
    config = value_of(members, "trigger_http_config", dict[str, Any]) or {}
    method, url = config.get("method"), config.get("url")
    return TriggerRequirements(
        trigger_id=normal_id(value_of(members, "trigger_id", str)),
        event_type=event_type,
        method=method if isinstance(method, str) and method else None,
        url=url if isinstance(url, str) and url else None,
        fields=_fields(members, oddities),
        oddities=tuple(oddities),
        created_at=utc(about.created_at),
        created_by=normal_id(about.created_by),
        modified_at=utc(about.modified_at),
        modified_by=normal_id(about.modified_by),
        response=response,
        source=msgspec.Raw(body),
    )


def _fields(members: Members, oddities: list[str]) -> tuple[InputField, ...]:
    if _is_null(members):
        return ()
    found: dict[str, InputField] = {}
    for number, raw in enumerate(rows_of(members, "trigger_input_schema"), start=1):
        read = _field(raw, f"Input {number}", oddities)
        if read is None:
            continue
        if read.name in found:
            oddities.append(f"The input “{read.name[:100]}” came twice; the second was left out.")
            continue
        found[read.name] = read
    return tuple(found.values())


def _is_null(members: Members) -> bool:
    raw = members.get("trigger_input_schema")
    return raw is None or bytes(raw) == b"null"


def _field(raw: msgspec.Raw, label: str, oddities: list[str]) -> InputField | None:
    try:
        row = decode_raw(raw)
    except (ValueError, RecursionError):
        row = None
    name = row.get("field_name") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(name, str) or not name:
        oddities.append(f"{label} was left out: it has no name. The workflow may refuse to start without it.")
        return None
    data_type = row.get("field_data_type")
    text = data_type if isinstance(data_type, str) else ""
    kind = _KINDS.get(text.strip().casefold(), "unknown")
    if kind == "unknown":
        oddities.append(f"The input “{name[:100]}” has a type that is not known, and is asked for as text.")
    default = row.get("default_value")
    return InputField(
        name=name,
        data_type=text,
        kind=kind,
        default=default,
        has_default=default is not None and default != "",
        is_system=name in SYSTEM_INPUTS,
    )
