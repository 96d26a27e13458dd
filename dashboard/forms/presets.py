"""Forms of presets, and how a preset is shown in the trigger form.

The one rule: a value that the form cannot show exactly is left out and said so, never changed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django import forms

from dashboard.forms.inputs import input_for
from dashboard.forms.strict import StrictForm
from dashboard.services.input_values import LEFT_OUT, BadValue, Spec, asked, quoted, value_of
from dashboard.services.json_values import as_json
from dashboard.services.presets import Filled
from dashboard.wording import visible

PREFIX = "preset"


def lock_ticks(names: Iterable[str]) -> list[str]:
    """Names as the ticks of a form send them: as JSON, which no browser changes on the way."""
    return [json.dumps(name) for name in names]


def typed_of(filled: Filled, fields: Sequence[Spec]) -> tuple[dict[str, str | None], list[str]]:
    """What the fields start with, by name, and sentences about values that only raw JSON can show."""
    typed: dict[str, str | None] = {}
    left_out = []
    for spec in asked(fields):
        name, field = spec["name"], input_for(spec)
        if name not in filled.values:
            typed[name] = None if name in filled.known else field.default_text
        elif name in filled.locked or _is_shown(spec, filled.values[name]):
            typed[name] = field.as_text(filled.values[name])
        else:
            typed[name] = None
            left_out.append(f"The value of {quoted(name)} cannot be shown in a field. Raw JSON fills it in.")
    return typed, left_out


def members_of(filled: Filled, fields: Sequence[Spec]) -> dict[str, Any]:
    """What raw JSON starts with: the values of the preset, and defaults of inputs that came later."""
    found = {}
    for spec in asked(fields):
        name = spec["name"]
        if name in filled.values:
            found[name] = filled.values[name]
        elif name not in filled.known and spec["has_default"]:
            found[name] = spec["default"]
    return found


def _is_shown(spec: Spec, value: Any) -> bool:
    text = input_for(spec).as_text(value)
    if text == "":
        return bool(value == "")
    if spec["kind"] != "unknown":
        return True
    try:
        back = value_of(spec, text)
    except BadValue:
        return False
    return back is not LEFT_OUT and as_json(back) == as_json(value)


class PresetForm(StrictForm):
    """The name of a preset, who may use it, and which inputs it locks."""

    name = forms.CharField(
        label="Name",
        max_length=80,
        help_text="For example “NDA for suppliers in the EU”.",
        error_messages={
            "required": "Write a name for the preset.",
            "max_length": "Write a name of at most 80 characters.",
        },
    )
    is_shared = forms.BooleanField(
        label="Share it with everybody who sees this workflow",
        required=False,
        help_text="Whoever may trigger the workflow can use it, and sees its values then. Without this only you see it.",
    )
    locked = forms.MultipleChoiceField(
        label="Locked inputs",
        required=False,
        help_text="The form shows them and does not let them change. Everything else stays open.",
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, values: Mapping[str, Any], lockable: Sequence[str], **kwargs: Any) -> None:
        """`lockable` are the names that may be locked, `values` what the preset fills in."""
        kwargs.setdefault("auto_id", "preset-%s")
        super().__init__(*args, **kwargs)
        choices = [(json.dumps(name), f"{visible(name)}: {_told(values, name)}") for name in lockable]
        self.fields["locked"].choices = choices  # type: ignore[attr-defined]  # fields are typed as Field; this one is a choice
        if not choices:
            del self.fields["locked"]

    def locked_names(self) -> list[str]:
        """The names that were ticked."""
        return [json.loads(text) for text in self.cleaned_data.get("locked", [])]


class SavePresetForm(PresetForm):
    """Keep what the trigger form shows."""

    is_replacing = forms.BooleanField(label="Replace my preset with this name, if there is one", required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, prefix=PREFIX, **kwargs)
        self.order_fields(["name", "is_shared", "is_replacing", "locked"])


def _told(values: Mapping[str, Any], name: str) -> str:
    if name not in values:
        return "left out"
    value = values[name]
    return quoted(value if isinstance(value, str) else as_json(value))
