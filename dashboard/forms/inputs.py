"""One form field per input that a workflow asks for.

The one rule: what is typed reaches Docusign as the type that the contract names, unchanged, or it is refused with a sentence
that says what to write.
"""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from dashboard.models import InputRule
from dashboard.services import input_rules
from dashboard.services.input_values import (
    LEFT_OUT,
    LIST_HINT,
    NUMBER,
    OBJECT_HINT,
    BadValue,
    Spec,
    is_date,
    moment_of,
    quoted,
    value_of,
)
from dashboard.services.json_values import NotExact, as_json, read_json
from dashboard.wording import visible

LONG = 80
YES_NO = (("true", "Yes"), ("false", "No"))


class Input(forms.Field):
    """What all inputs share: text, and the base of the others. `kind` is the grey word after the label."""

    word: ClassVar[str] = "text"
    hint: ClassVar[str] = ""
    is_new = False
    is_locked = False

    def __init__(self, spec: Spec, *, shown: str | None = None, rule: InputRule | None = None) -> None:
        self.spec, self.rule = spec, rule
        self.is_optional = bool(spec["has_default"])
        self.may_be_left_out = self.is_optional and not (rule and rule.is_required)
        self.has_choices = input_rules.has_choices(rule, spec)
        self.kind = self.word
        self.spelling = spec["name"] if rule and rule.label else ""  # stays in sight beside our own label
        self.default_text = initial = self.as_text(spec["default"]) if self.is_optional else ""
        super().__init__(
            required=False,
            label=rule.label if rule and rule.label else spec["name"],
            initial=initial,
            help_text=" ".join(filter(None, [*input_rules.hints(rule, spec), self.explain(initial)])),
            widget=(self.choice_widget if self.has_choices else self.make_widget)(initial if shown is None else shown),
        )

    def choice_widget(self, shown: str) -> forms.Widget:
        """The choices of the rule; a value that is none of them stays in sight until it is changed."""
        default = self.as_default() if self.is_optional else ""
        empty = f"Leave out (default: {visible(default)[:60] or 'empty'})" if self.may_be_left_out else "Choose one"
        allowed = list(self.rule.choices) if self.rule else []
        choices = [("", empty), *((text, visible(text)) for text in allowed)]
        if shown and shown not in allowed:
            is_one = any(input_rules.is_choice(self.spec["kind"], text, shown) for text in allowed)
            choices.append((shown, visible(shown) if is_one else f"{quoted(shown)}, not one of the choices"))
        return forms.Select(choices=choices)

    def lock(self, value: Any, by: str) -> None:
        """Show the value of a preset, and let nobody send another one."""
        self.is_locked, self.locked_value, self.locked_by = True, value, by
        self.initial = shown = "" if value is LEFT_OUT else self.as_text(value)
        is_long = len(shown) > LONG or "\n" in shown
        self.widget = forms.Textarea(attrs={"rows": 4}) if is_long else forms.TextInput()
        self.widget.attrs["readonly"] = True
        kept = "left out" if value is LEFT_OUT else "set"
        self.help_text = " ".join(
            filter(None, [f"Locked: {kept} by the preset {quoted(by)}.", *input_rules.hints(self.rule, self.spec)])
        )

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.is_locked else super().bound_data(data, initial)

    def make_widget(self, shown: str) -> forms.Widget:
        # A one-line field would drop line breaks of a value, so such a value gets a field of many lines.
        if len(shown) > LONG or "\n" in shown:
            return forms.Textarea(attrs={"rows": 4})
        return forms.TextInput(attrs={"autocomplete": "off"})

    def explain(self, initial: str) -> str:
        """The hint: what to write, and what happens without it."""
        return " ".join(filter(None, ["" if self.has_choices else self.hint, self.leaving_out(initial)]))

    def leaving_out(self, initial: str) -> str:
        if not self.may_be_left_out or self.has_choices:
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
        text = "" if value is None else str(value)
        if self.is_locked:
            return self.keep_to_rule(self.keep_locked(text, is_sent=value is not None))
        try:
            return self.keep_to_rule(value_of(self.spec, text))
        except BadValue as error:
            raise ValidationError(error.message, code="missing" if error.is_missing else None) from error

    def keep_locked(self, text: str, *, is_sent: bool) -> Any:
        """The preset's own value, whatever was posted; something else than it is refused."""
        if is_sent and text.replace("\r\n", "\n") != str(self.initial).replace("\r\n", "\n"):
            raise ValidationError(
                f"The preset {quoted(self.locked_by)} locks this. Leave it as it is, or choose no preset.",
                code="locked",
            )
        return self.locked_value

    def keep_to_rule(self, value: Any) -> Any:
        """The same value, once nothing is wrong with it by the team's own rule."""
        is_given = value is not LEFT_OUT
        if said := input_rules.problems(self.rule, self.spec, value if is_given else None):
            raise ValidationError([ValidationError(text, code=None if is_given else "missing") for text in said])
        return value

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

    def accept(self, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("write a number without quotes")
        return value


class YesNoInput(Input):
    word = "yes or no"

    def make_widget(self, shown: str) -> forms.Widget:
        choices = [*YES_NO]
        if self.may_be_left_out:
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

    def lock(self, value: Any, by: str) -> None:
        super().lock(value, by)
        if self.initial:  # the one that it is locked to, in words
            self.widget = forms.Select(choices=[each for each in YES_NO if each[0] == self.initial])

    def accept(self, value: Any) -> Any:
        if not isinstance(value, bool):
            raise ValidationError("write true or false without quotes")
        return value


class DateInput(Input):
    word = "date"

    def make_widget(self, shown: str) -> forms.Widget:
        return forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")

    def as_text(self, value: Any) -> str:
        return value if isinstance(value, str) and is_date(value) else ""

    def accept(self, value: Any) -> Any:
        if not isinstance(value, str) or not is_date(value):
            raise ValidationError('write a date in quotes, like "2026-06-01"')
        return value


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
        moment = moment_of(value)
        if moment is None:
            return ""
        local = moment if timezone.is_naive(moment) else timezone.localtime(moment)
        return local.replace(tzinfo=None).isoformat(timespec="seconds")

    def accept(self, value: Any) -> Any:
        moment = moment_of(value)
        if moment is None or timezone.is_naive(moment):
            raise ValidationError('write a date with time and offset in quotes, like "2026-06-01T09:30:00+02:00"')
        return value


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

    def accept(self, value: Any) -> Any:
        if not isinstance(value, self.opens):
            raise ValidationError("write an object" if self.opens is dict else "write a list")
        return value


class ObjectInput(JsonInput):
    word = "object"
    hint = OBJECT_HINT


class ListInput(JsonInput):
    word = "list"
    hint = LIST_HINT
    opens = list


class UnknownInput(Input):
    """A type that this console does not know: text, with a note."""

    def __init__(self, spec: Spec, *, shown: str | None = None, rule: InputRule | None = None) -> None:
        super().__init__(spec, shown=shown, rule=rule)
        self.kind = quoted(spec["data_type"]) if spec["data_type"] else "no type given"

    def explain(self, initial: str) -> str:
        if self.has_choices:
            return ""
        named = f"calls this type {quoted(self.spec['data_type'])}" if self.spec["data_type"] else "names no type"
        note = f"Docusign {named} and does not list its choices. Type the value exactly as the workflow expects it."
        return " ".join(filter(None, [note, self.leaving_out(initial)]))

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


def input_for(spec: Spec, *, shown: str | None = None, rule: InputRule | None = None) -> Input:
    """The form field for one input of a contract, narrowed by the team's own rule for it."""
    return KINDS.get(spec["kind"], UnknownInput)(spec, shown=shown, rule=rule)
