"""Checks trigger inputs against the schema of a workflow. Rule: a field without a default must come, with the right type."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

SYSTEM_FIELDS = frozenset({"startDate", "dacId", "id", "participantIdMap"})
_DATE = re.compile(r"^\d{4}-\d{2}-\d{2}([T ].*)?$")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


CHECKS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "date": lambda value: isinstance(value, str) and bool(_DATE.match(value)),
    "datetime": lambda value: isinstance(value, str) and bool(_DATE.match(value)),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
}


def problems(schema: list[dict[str, Any]], inputs: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(target, code, message) of each missing or mistyped input; members that the schema does not name are let through."""
    found: list[tuple[str, str, str]] = []
    for item in schema:
        name, kind = str(item.get("field_name", "")), str(item.get("field_data_type", ""))
        if name in SYSTEM_FIELDS:
            continue
        if name not in inputs:
            if "default_value" not in item:
                found.append((name, "FIELD_REQUIRED", f'The field "{name}" is required.'))
            continue
        check = CHECKS.get(kind.casefold())
        if check is not None and not check(inputs[name]):
            found.append((name, "FIELD_INVALID", f'The field "{name}" must be of type {kind}.'))
    return found


def filled(schema: list[dict[str, Any]], inputs: dict[str, Any]) -> dict[str, Any]:
    """The inputs with the defaults of those left out."""
    defaults = {
        str(item["field_name"]): item["default_value"]
        for item in schema
        if "default_value" in item and item.get("field_name") not in SYSTEM_FIELDS
    }
    return defaults | inputs
