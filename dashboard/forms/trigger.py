"""The trigger form, generated from a workflow's contract, and its raw JSON twin.

The one rule: what was typed is kept by the name of the input, never by its place, so that a changed contract loses nothing.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict

from dashboard.forms.confirm import new_key, show_instead
from dashboard.forms.inputs import Input, input_for
from dashboard.forms.strict import ALWAYS_SENT, StrictForm
from dashboard.models import InputRule
from dashboard.services.input_values import LEFT_OUT, MAX_INPUT_BYTES, MAX_NAME, Spec, asked, quoted
from dashboard.services.json_values import NotExact, as_json, read_json
from dashboard.services.presets import Filled
from dashboard.wording import visible

NUMBERED = re.compile(r"(?:input|name)-[0-9]{1,4}")
KEY = re.compile(r"[0-9a-f]{32}")
OWN = ("key", "contract", "preset", "instance_name")  # what the form sends beside the inputs
PRESET_GONE = (
    "The preset was deleted, or is not shared with you any more. "
    "What it filled in is kept and open now; look it through and trigger again."
)


def system_names(fields: Sequence[Spec]) -> list[str]:
    return [spec["name"] for spec in fields if spec["is_system"]]


class TriggerBase(StrictForm):
    """What both ways share: the one-time key, the contract it was made from, and the instance name."""

    key = forms.CharField(widget=forms.HiddenInput)
    contract = forms.CharField(widget=forms.HiddenInput, max_length=64)
    preset = forms.CharField(widget=forms.HiddenInput, required=False, max_length=20)
    instance_name = forms.CharField(
        label="Instance name",
        max_length=MAX_NAME,
        help_text="How people will find it. A short code is added at its end, so that this start can be recognised.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={
            "required": "Write a name by which people will find the instance.",
            "max_length": "Use at most %(limit_value)d characters; these are %(show_value)d.",
        },
    )

    def __init__(
        self,
        specs: Sequence[Spec],
        *args: Any,
        rules: Mapping[str, InputRule] | None = None,
        filled: Filled | None = None,
        **kwargs: Any,
    ) -> None:
        """`rules` are the team's own by input name; `filled` is the preset that was chosen, fitted to the contract."""
        self.specs = asked(specs)
        self.rules, self.filled = rules or {}, filled
        super().__init__(*args, **{"auto_id": "%s", **kwargs})

    def clean_preset(self) -> str:
        chosen: str = self.cleaned_data["preset"]
        if chosen != self.preset_id():
            raise ValidationError(PRESET_GONE)
        return chosen

    def preset_id(self) -> str:
        return str(self.filled.preset.pk) if self.filled else ""

    def locked_value(self, name: str) -> Any:
        """What the preset locks an input to; LEFT_OUT where it locks it to be left out."""
        return self.filled.values.get(name, LEFT_OUT) if self.filled else LEFT_OUT

    def is_locked(self, name: str) -> bool:
        return self.filled is not None and name in self.filled.locked

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if not KEY.fullmatch(key):
            raise ValidationError("The form lost its one-time key. Load the page again.")
        return key

    def inputs(self) -> dict[str, Any]:
        """What is sent as trigger inputs, as far as it is valid."""
        raise NotImplementedError

    def given(self) -> dict[str, Any]:
        """The inputs that are given and right, though others may be missing."""
        return self.inputs()

    def has_wrong_values(self) -> bool:
        """Whether something that was typed cannot be sent; what is merely missing does not count."""
        raise NotImplementedError

    def check_size(self) -> None:
        size = len(as_json(self.inputs()).encode())
        if size > MAX_INPUT_BYTES:
            raise ValidationError(
                f"The inputs are {size / 1024:,.0f} KB together; at most {MAX_INPUT_BYTES // 1024} KB can be sent. Shorten them."
            )

    def add_refusal(self, message: str, field_errors: Mapping[str, Any]) -> None:
        """Put Docusign's complaints beside their inputs; what belongs to no input stands above the form."""
        rest = [] if field_errors else [message]
        for name, said in field_errors.items():
            text = visible(" ".join(map(str, said)) if isinstance(said, list) else said)
            place = self.place_of(name)
            if place:
                self.add_error(place, f"Docusign: {text}")
            else:
                rest.append(f"{visible(name)}: {text}" if name else text)
        for text in filter(None, rest):
            self.add_error(None, text)

    def place_of(self, name: str) -> str | None:
        """The form field of an input, if it has one of its own."""
        raise NotImplementedError

    def renew(self, digest: str) -> None:
        """A new key for the present contract: the next submit is a new deed, with the preset only while there is one."""
        show_instead(self, key=new_key(), contract=digest, preset=self.preset_id())


class TriggerForm(TriggerBase):
    """One field for each input."""

    def __init__(
        self,
        specs: Sequence[Spec],
        *,
        data: MultiValueDict[str, str] | None = None,
        typed: Mapping[str, str | None] | None = None,
        new_names: frozenset[str] = frozenset(),
        initial: Mapping[str, Any] | None = None,
        rules: Mapping[str, InputRule] | None = None,
        filled: Filled | None = None,
    ) -> None:
        """`typed` are values by name that stand in place of the posted ones (from raw JSON)."""
        self.sent = data
        values = typed if typed is not None else typed_values(data) if data is not None else {}
        specs = asked(specs)
        made = {f"input-{place}": _made(spec, values, rules or {}) for place, spec in enumerate(specs)}
        renumbered = None if data is None else _renumbered(data, specs, values, made)
        super().__init__(specs, renumbered, initial=initial, rules=rules, filled=filled)
        for name, field in made.items():
            field.is_new = field.spec["name"] in new_names
            if typed is not None:
                field.initial = typed.get(field.spec["name"]) or ""
            if filled and self.is_locked(field.spec["name"]):
                field.lock(self.locked_value(field.spec["name"]), filled.preset.name)
            self.fields[name] = field

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if self.sent is not None:
            for name, values in self.sent.lists():
                is_known = name in self.fields or name in ALWAYS_SENT or NUMBERED.fullmatch(name)
                if not is_known or len(values) > 1:
                    raise ValidationError(
                        "The form sent something that this page does not ask for. Load the page again."
                    )
        self.check_size()
        return cleaned

    def asked_fields(self) -> Iterator[tuple[forms.BoundField, str]]:
        """The bound fields of the inputs, each with its name as JSON for the hidden twin."""
        for place, spec in enumerate(self.specs):
            yield self[f"input-{place}"], json.dumps(spec["name"])

    def inputs(self) -> dict[str, Any]:
        cleaned = getattr(self, "cleaned_data", {})
        pairs = ((spec["name"], cleaned.get(f"input-{place}", LEFT_OUT)) for place, spec in enumerate(self.specs))
        return {name: value for name, value in pairs if value is not LEFT_OUT}

    def place_of(self, name: str) -> str | None:
        return next((f"input-{place}" for place, spec in enumerate(self.specs) if spec["name"] == name), None)

    def has_wrong_values(self) -> bool:
        return any(
            error.code != "missing"
            for name, errors in self.errors.as_data().items()
            if name.startswith("input-")
            for error in errors
        )


class RawTriggerForm(TriggerBase):
    """All inputs at once, as JSON."""

    is_wrong = True  # until it was read
    given_value: Mapping[str, Any] = MappingProxyType({})
    inputs_json = forms.CharField(
        label="Inputs",
        strip=False,
        required=False,
        help_text="The whole of trigger_inputs as one JSON object. An input with a default may be left out.",
        widget=forms.Textarea(attrs={"rows": 16, "class": "mono", "spellcheck": "false"}),
    )

    def clean_inputs_json(self) -> dict[str, Any]:
        value = _read_object(self.cleaned_data["inputs_json"])
        names = {spec["name"] for spec in self.specs}
        errors = [
            ValidationError(f"{quoted(name)} is not an input of this workflow.") for name in value if name not in names
        ]
        for spec in self.specs:
            try:
                self.check_member(spec, value)
            except ValidationError as error:
                text = f"{quoted(spec['name'])}{error.messages[0]}"
                errors.append(ValidationError(f"{text.rstrip('.')}.", code=error.error_list[0].code))
        self.given_value, self.is_wrong = value, any(error.code != "missing" for error in errors)
        if errors:
            raise ValidationError(errors)
        return value

    def check_member(self, spec: Spec, value: Mapping[str, Any]) -> None:
        """Refuse one input as the field of the form would."""
        name = spec["name"]
        if self.is_locked(name) and not _is_same(value.get(name, LEFT_OUT), self.locked_value(name)):
            kept = self.locked_value(name)
            instead = "Leave it out" if kept is LEFT_OUT else f"Write {visible(as_json(kept))[:200]}"
            raise ValidationError(
                f": the preset {quoted(str(self.filled and self.filled.preset))} locks this. {instead}"
            )
        if name not in value and not spec["has_default"]:
            raise ValidationError(" is missing and has no default", code="missing")
        field = input_for(spec, rule=self.rules.get(name))
        try:
            field.keep_to_rule(field.accept(value[name]) if name in value else LEFT_OUT)
        except ValidationError as error:
            raise ValidationError(f": {error.messages[0]}", code=error.error_list[0].code) from error

    def has_wrong_values(self) -> bool:
        return self.is_wrong

    def given(self) -> dict[str, Any]:
        return dict(self.given_value)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        self.check_size()
        return cleaned

    def inputs(self) -> dict[str, Any]:
        return getattr(self, "cleaned_data", {}).get("inputs_json") or {}

    def place_of(self, name: str) -> str | None:
        return None


def _read_object(text: str) -> dict[str, Any]:
    try:
        value = read_json(text or "{}")
    except NotExact as error:
        raise ValidationError(str(error)) from error
    if not isinstance(value, dict):
        raise ValidationError('Write one JSON object, such as {"Supplier name": "Brightwater"}.')
    return value


def typed_values(data: MultiValueDict[str, str]) -> dict[str, str | None]:
    """What was typed, by the name of the input; None where a choice was left open."""
    found: dict[str, str | None] = {}
    for key in data:
        if not key.startswith("name-"):
            continue
        try:
            name = json.loads(str(data[key]))
        except ValueError:
            continue
        if isinstance(name, str):
            found.setdefault(name, data.get(f"input-{key.removeprefix('name-')}"))
    return found


def typed_from_json(fields: Sequence[Spec], text: str) -> dict[str, str | None]:
    """Values of raw JSON as the form shows them. Raises ValidationError when a value has no place in the form."""
    value = _read_object(text)
    specs = {spec["name"]: spec for spec in asked(fields)}
    homeless = [name for name in value if name not in specs]
    if homeless:
        raise ValidationError(f"The form has no place for {quoted(homeless[0])}.")
    typed: dict[str, str | None] = dict.fromkeys(specs, None)
    for name, item in value.items():
        typed[name] = input_for(specs[name]).as_text(item)
        if typed[name] == "" and item != "":
            raise ValidationError(f"The form cannot show the value of {quoted(name)}.")
    return typed


def _is_same(value: Any, other: Any) -> bool:
    """Equal in value and type, as JSON tells them apart."""
    if value is LEFT_OUT or other is LEFT_OUT:
        return value is other
    return as_json(value) == as_json(other)


def _made(spec: Spec, values: Mapping[str, str | None], rules: Mapping[str, InputRule]) -> Input:
    return input_for(spec, shown=values.get(spec["name"]), rule=rules.get(spec["name"]))


def _renumbered(
    data: MultiValueDict[str, str], specs: Sequence[Spec], values: Mapping[str, str | None], made: Mapping[str, Input]
) -> dict[str, Any]:
    """The posted data with each value at the present place of its input; an input that is new starts with its default."""
    renumbered: dict[str, Any] = {name: data.get(name) for name in OWN if name in data}
    for place, spec in enumerate(specs):
        name = f"input-{place}"
        value = values.get(spec["name"]) if spec["name"] in values else made[name].initial
        if value is not None:
            renumbered[name] = value
    return renumbered
