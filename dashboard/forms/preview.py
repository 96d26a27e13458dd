"""The text of what a trigger will send. Its one rule: a value that cannot be sent is shown as a gap, never guessed."""

import json
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from dashboard.forms.trigger import RawTriggerForm, TriggerBase, TriggerForm
from dashboard.services.input_values import LEFT_OUT
from dashboard.services.json_values import as_json
from dashboard.wording import is_invisible

CODE_SIGN = " ·⟨code⟩"
MISSING = "⟨missing⟩"
WRONG = "⟨not valid⟩"


def preview_text(form: TriggerBase) -> str:
    """The body of the call as JSON, with ⟨gaps⟩ where a value is missing or wrong."""
    name = _clean(form, "instance_name")
    first = _seen(as_json(name + CODE_SIGN)) if isinstance(name, str) and name else MISSING
    return f'{{\n  "instance_name": {first},\n  "trigger_inputs": {_seen(_inputs(form))}\n}}'


def request_text(body: Mapping[str, Any]) -> str:
    """A body that is complete, such as that of a row of a file."""
    return _seen(as_json(body, indent=2))


def _seen(text: str) -> str:
    """Characters that draw nothing as their escapes: the same JSON, and nothing in it is hidden (S-4)."""
    return "".join(
        _escape(character) if is_invisible(character) and character != "\n" else character for character in text
    )


def _escape(character: str) -> str:
    return json.dumps(character)[1:-1]


def _inputs(form: TriggerBase) -> str:
    if isinstance(form, RawTriggerForm):
        value = _clean(form, "inputs_json")
        if not form.is_bound:
            return str(value or "{}").replace("\n", "\n  ")
        return WRONG if isinstance(value, ValidationError) else as_json(value, indent=2).replace("\n", "\n  ")
    members = ",\n".join(f"    {as_json(name)}: {text}" for name, text in _members(form))
    return f"{{\n{members}\n  }}" if members else "{}"


def _members(form: TriggerBase) -> list[tuple[str, str]]:
    found = []
    for place, spec in enumerate(form.specs):
        value = _clean(form, f"input-{place}")
        if isinstance(value, ValidationError):
            found.append((spec["name"], MISSING if value.code == "missing" else WRONG))
        elif value is not LEFT_OUT:
            found.append((spec["name"], as_json(value, indent=2).replace("\n", "\n    ")))
    return found


def _clean(form: TriggerBase, name: str) -> Any:
    """The value as it would be sent, or the error that stands against it. An unsent form shows its first values."""
    if form.is_bound and name in form.errors:
        return form.errors.as_data()[name][0]
    if form.is_bound:
        return form.cleaned_data[name]
    initial = form.get_initial_for_field(form.fields[name], name)
    if not isinstance(form, TriggerForm) or name == "instance_name":
        return initial
    try:
        return form.fields[name].clean(initial)
    except ValidationError as error:
        return error
