"""One form field per input that a workflow asks for.

The one rule: what is typed reaches Docusign as the type that the contract names, unchanged, or it is refused with a sentence
that says what to write.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from dashboard.forms.json_values import NotExact, as_json, exact_number, read_json
from dashboard.wording import visible

Spec = Mapping[str, Any]
LONG = 80
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
GROUPED = re.compile(r"[0-9]{1,3}([.,' ])[0-9]{3}(\1[0-9]{3})*")


class LeftOut:
    """Stands for an input that is not sent, so that Docusign may use its default."""

    def __bool__(self) -> bool:
        return False


LEFT_OUT = LeftOut()


def quoted(text: str) -> str:
    """What was typed, short enough for a sentence, with unseen characters shown (S-4)."""
    shown = visible(text)
    return f"“{shown[:60]}…”" if len(shown) > 60 else f"“{shown}”"


class Input(forms.Field):
    """What all inputs share: text, and the base of the others. `kind` is the grey word after the label."""

    word: ClassVar[str] = "text"
    hint: ClassVar[str] = ""
    is_new = False

    def __init__(self, spec: Spec, *, shown: str | None = None) -> None:
        self.spec = spec
        self.is_optional = bool(spec["has_default"])
        self.kind = self.word
        self.default_text = initial = self.as_text(spec["default"]) if self.is_optional else ""
        super().__init__(
            required=False,
            label=spec["name"],
            initial=initial,
            help_text=self.explain(initial),
            widget=self.make_widget(initial if shown is None else shown),
        )

    def make_widget(self, shown: str) -> forms.Widget:
        # A one-line field would drop line breaks of a value, so such a value gets a field of many lines.
        if len(shown) > LONG or "\n" in shown:
            return forms.Textarea(attrs={"rows": 4})
        return forms.TextInput(attrs={"autocomplete": "off"})

    def explain(self, initial: str) -> str:
        """The hint: what to write, and what happens without it."""
        return " ".join(filter(None, [self.hint, self.leaving_out(initial)]))

    def leaving_out(self, initial: str) -> str:
        if not self.is_optional:
            return ""
        default = self.as_default()
        name = f" ({quoted(default)})" if default and len(default) <= 60 and default != initial else ""
        return f"Leave it empty to send nothing; Docusign may then use its default{name}."

    def as_default(self) -> str:
        default = self.spec["default"]
        return default if isinstance(default, str) else as_json(default)

    def as_text(self, value: Any) -> str:
        """A value of the contract or of raw JSON as a person would type it; empty when it cannot be shown here."""
        return value if isinstance(value, str) else "" if value is None else as_json(value)

    def clean(self, value: Any) -> Any:
        text = "" if value is None else str(value).replace("\r\n", "\n")
        if "\0" in text:
            raise ValidationError("It holds the character U+0000, which cannot be sent. Remove it.")
        if text.strip():
            return self.read(text)
        if self.is_optional:
            return LEFT_OUT
        raise ValidationError(self.missing(), code="missing")

    def missing(self) -> str:
        return "The workflow has no default for this, so write a value."

    def read(self, text: str) -> Any:
        return text

    def accept(self, value: Any) -> Any:
        """Check a value of raw JSON; returns what is sent."""
        if not isinstance(value, str):
            raise ValidationError("write a text in quotes")
        return value


class NumberInput(Input):
    word = "number"
    hint = "A number. Use a point for decimals."

    def make_widget(self, shown: str) -> forms.Widget:
        return forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "narrow"})

    def as_text(self, value: Any) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
            return value.strip()
        return as_json(value) if is_number else ""

    def read(self, text: str) -> int | float:
        text = text.strip()
        if not NUMBER.fullmatch(text):
            raise ValidationError(f"{quoted(text)} is not a number. {instead_of(text)}")
        try:
            return exact_number(text)
        except NotExact as error:
            raise ValidationError(str(error)) from error

    def accept(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("write a number without quotes")
        return value


def instead_of(text: str) -> str:
    """What to write instead of something that is nearly a number."""
    digits = re.sub(r"[^0-9.,' -]", "", text).strip(" .,'")
    bare = digits.lstrip("-")
    sign = "-" if digits.startswith("-") else ""
    if GROUPED.fullmatch(bare):
        return f"Write {sign}{re.sub('[^0-9]', '', bare)}"
    candidate = sign + bare.replace(" ", "").replace("'", "").replace(",", ".")
    return f"Write {candidate}" if NUMBER.fullmatch(candidate) else "Write digits, such as 12500"


class YesNoInput(Input):
    word = "yes or no"

    def make_widget(self, shown: str) -> forms.Widget:
        choices = [("true", "Yes"), ("false", "No")]
        if self.is_optional:
            default = {"true": "yes", "false": "no"}.get(
                self.as_text(self.spec["default"]), self.as_default() or "empty"
            )
            choices.append(("", f"Leave out (default: {default[:60]})"))
        return forms.RadioSelect(choices=choices)

    def leaving_out(self, initial: str) -> str:
        return ""

    def as_text(self, value: Any) -> str:
        text = str(value).strip().lower()
        return text if text in {"true", "false"} else ""

    def missing(self) -> str:
        return "Choose yes or no; the workflow has no default for this."

    def read(self, text: str) -> bool:
        if text not in {"true", "false"}:
            raise ValidationError("Choose yes or no.")
        return text == "true"

    def accept(self, value: Any) -> Any:
        if not isinstance(value, bool):
            raise ValidationError("write true or false without quotes")
        return value


class DateInput(Input):
    word = "date"

    def make_widget(self, shown: str) -> forms.Widget:
        return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

    def as_text(self, value: Any) -> str:
        return value if isinstance(value, str) and _is_date(value) else ""

    def read(self, text: str) -> str:
        if not _is_date(text.strip()):
            raise ValidationError(f"{quoted(text)} is not a date. Write it like 2026-06-01")
        return text.strip()

    def accept(self, value: Any) -> Any:
        if not isinstance(value, str) or not _is_date(value):
            raise ValidationError('write a date in quotes, like "2026-06-01"')
        return value


def _is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


class DateTimeInput(Input):
    word = "date and time"

    def make_widget(self, shown: str) -> forms.Widget:
        return forms.TextInput(attrs={"type": "datetime-local", "step": "1", "class": "narrow"})

    def explain(self, initial: str) -> str:
        zone = timezone.get_current_timezone_name()
        return " ".join(
            filter(None, [f"In the time zone {zone}; it is sent with its offset.", self.leaving_out(initial)])
        )

    def as_text(self, value: Any) -> str:
        moment = _moment(value)
        if moment is None:
            return ""
        local = moment if timezone.is_naive(moment) else timezone.localtime(moment)
        return local.replace(tzinfo=None).isoformat(timespec="seconds")

    def read(self, text: str) -> str:
        moment = _moment(text.strip())
        if moment is None:
            raise ValidationError(f"{quoted(text)} is not a date with a time. Write it like 2026-06-01T09:30:00")
        return self.with_offset(moment).isoformat()

    def with_offset(self, moment: datetime) -> datetime:
        if timezone.is_aware(moment):
            return moment
        zone = timezone.get_current_timezone()
        first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
        if first.utcoffset() != second.utcoffset():
            raise ValidationError(
                "The clocks change at this time, so it is missing or comes twice. Add an offset in the raw JSON, such as +02:00"
            )
        return first

    def accept(self, value: Any) -> Any:
        moment = _moment(value)
        if moment is None or timezone.is_naive(moment):
            raise ValidationError('write a date with time and offset in quotes, like "2026-06-01T09:30:00+02:00"')
        return value


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and len(value) > 10 else None
    except ValueError:
        return None


class JsonInput(Input):
    """An object or a list, written as JSON."""

    opens: ClassVar[type] = dict

    def make_widget(self, shown: str) -> forms.Widget:
        return forms.Textarea(
            attrs={"rows": min(12, max(4, shown.count("\n") + 1)), "class": "mono", "spellcheck": "false"}
        )

    def as_text(self, value: Any) -> str:
        if isinstance(value, str):
            try:
                value = read_json(value)
            except NotExact:
                return ""
        return as_json(value, indent=2) if isinstance(value, self.opens) else ""

    def read(self, text: str) -> Any:
        try:
            value = read_json(text)
        except NotExact as error:
            raise ValidationError(f"{error} {self.hint}") from error
        if not isinstance(value, self.opens):
            raise ValidationError(f"This is JSON, but not {self.noun()}. {self.hint}")
        return value

    def noun(self) -> str:
        return "an object" if self.opens is dict else "a list"

    def accept(self, value: Any) -> Any:
        if not isinstance(value, self.opens):
            raise ValidationError(f"write {self.noun()}")
        return value


class ObjectInput(JsonInput):
    word = "object"
    hint = 'Written as JSON, such as {"city": "Hamburg"}.'


class ListInput(JsonInput):
    word = "list"
    hint = 'Written as JSON, such as ["EU", "UK"].'
    opens = list


class UnknownInput(Input):
    """A type that this console does not know: text, with a note."""

    def __init__(self, spec: Spec, *, shown: str | None = None) -> None:
        super().__init__(spec, shown=shown)
        self.kind = quoted(spec["data_type"]) if spec["data_type"] else "no type given"

    def explain(self, initial: str) -> str:
        named = f"calls this type {quoted(self.spec['data_type'])}" if self.spec["data_type"] else "names no type"
        note = f"Docusign {named} and does not list its choices. Type the value exactly as the workflow expects it."
        return " ".join(filter(None, [note, self.leaving_out(initial)]))

    def read(self, text: str) -> Any:
        # A default that is no text stays what it is for as long as nobody changes it.
        return self.spec["default"] if self.is_optional and text == self.default_text else text

    def accept(self, value: Any) -> Any:
        return value


KINDS: dict[str, type[Input]] = {
    "string": Input,
    "number": NumberInput,
    "boolean": YesNoInput,
    "date": DateInput,
    "datetime": DateTimeInput,
    "object": ObjectInput,
    "array": ListInput,
}


def input_for(spec: Spec, *, shown: str | None = None) -> Input:
    """The form field for one input of a contract."""
    return KINDS.get(spec["kind"], UnknownInput)(spec, shown=shown)
