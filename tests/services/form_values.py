"""What a person would fill into a form. Its one rule: the simulator accepts the values."""

import itertools
from typing import Any

from dashboard.models import Contract

_keys = (f"key-{number}" for number in itertools.count(1))
GUESSES: dict[str, Any] = {"string": "Lindqvist Print AB", "number": 7, "boolean": True, "date": "2026-12-01"}


def new_key() -> str:
    return next(_keys)


def inputs_for(contract: Contract) -> dict[str, Any]:
    """Values that the simulator accepts for a contract."""
    asked = [field for field in contract.fields if not field["is_system"]]
    return {
        field["name"]: field["default"] if field["has_default"] else GUESSES.get(field["kind"], "x") for field in asked
    }
