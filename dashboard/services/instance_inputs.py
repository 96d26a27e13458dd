"""The inputs of an instance as Docusign holds them, system values apart. Its one rule: for the detail page only (V-4)."""

import json
from dataclasses import dataclass
from typing import Any

from dashboard.models import Contract, Instance

SYSTEM_NAMES = frozenset({"startDate", "dacId", "id", "participantIdMap"})
LONGEST = 20_000


@dataclass(frozen=True, slots=True)
class InputRow:
    """Name, type as the workflow asks for it now, and the value as text."""

    name: str
    type: str
    value: str
    is_structure: bool


def inputs_of(instance: Instance, contract: Contract | None) -> tuple[list[InputRow], list[InputRow]]:
    """The inputs that people give, and those that Docusign sets."""
    known = {spec["name"]: spec for spec in contract.fields} if contract else {}
    given: list[InputRow] = []
    system: list[InputRow] = []
    for name, value in instance.trigger_inputs.items():
        spec = known.get(name, {})
        is_system = spec.get("is_system", name in SYSTEM_NAMES)
        row = InputRow(name, spec.get("data_type") or _type_of(value), *_text(value))
        (system if is_system else given).append(row)
    return given, system


def _text(value: Any) -> tuple[str, bool]:
    is_structure = isinstance(value, dict | list)
    text = (
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2 if is_structure else None)
    )
    return (f"{text[:LONGEST]}…" if len(text) > LONGEST else text), is_structure


def _type_of(value: Any) -> str:
    """What the value itself shows, when no contract names the type."""
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "number", float: "number", dict: "object", list: "list", type(None): "null"}
    return names[type(value)]
