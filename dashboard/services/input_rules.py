"""What the team asks of each input beyond the API: label, help, choices, bounds, pattern, and whether it must be given.

The one rule: a rule can only narrow what Docusign takes. What is sent is the value as typed, never one that a rule changed.
"""

import json
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from dashboard.models import InputRule, Workflow
from dashboard.services.input_values import Spec, quoted
from dashboard.services.wildcards import matches
from dashboard.wording import visible

TEXTS = ("string", "unknown")  # kinds whose length and pattern are looked at
DATES = ("date", "datetime")
WITH_CHOICES = ("string", "unknown", "number", "date")
WITH_BOUNDS = ("string", "unknown", "number", "date", "datetime")
CHOICES_NAMED = 8


def rules_of(workflow: Workflow) -> dict[str, InputRule]:
    """The rules of a workflow by the name of their input, also of inputs that it asks for no longer."""
    return {rule.input_name: rule for rule in InputRule.objects.filter(workflow=workflow).order_by("input_name")}


def problems(rule: InputRule | None, field: Spec, value: Any) -> list[str]:
    """What is wrong with a value as it would be sent, and what to write instead; None stands for no value.

    `field` is the input as the contract has it (name, kind, …). The type of the value is taken for right.
    """
    if rule is None:
        return []
    if value is None:
        return ["This must not be left out here. Write a value."] if rule.is_required else []
    kind = str(field["kind"])
    found = [_of_choices(rule, kind, value), *_of_bounds(rule, kind, value), _of_pattern(rule, kind, value)]
    return [sentence for sentence in found if sentence]


def hints(rule: InputRule | None, field: Spec) -> list[str]:
    """What the rule asks for, before anything is typed."""
    if rule is None:
        return []
    kind = str(field["kind"])
    found = [rule.help.strip()]
    if kind in WITH_BOUNDS:
        found.append(_bounds_hint(rule, kind))
    if kind in TEXTS and rule.pattern:
        found.append(f"Like {visible(rule.pattern)}, where * is any text and ? one character.")
    if rule.is_required and field["has_default"]:
        found.append("It must not be left out here.")
    return [text for text in found if text]


def has_choices(rule: InputRule | None, field: Spec) -> bool:
    """Whether the value is picked from a list."""
    return rule is not None and bool(rule.choices) and field["kind"] in WITH_CHOICES


def text_of(value: Any) -> str:
    """The value as a choice or a pattern sees it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def number_of(value: Any) -> Decimal | None:
    """The exact number of a value or of a bound's text."""
    try:
        number = Decimal(value if isinstance(value, int | str) else repr(value))
    except (InvalidOperation, ValueError):
        return None
    return number if number.is_finite() else None


def day_of(text: Any) -> date | None:
    """The date of a date, or of a moment in its own offset."""
    try:
        return date.fromisoformat(str(text)[:10])
    except ValueError:
        return None


def measure(kind: str, value: Any) -> Decimal | date | None:
    """What a bound of this kind is compared with: the number, the day, or the length of the text."""
    if kind == "number":
        return number_of(value)
    return day_of(value) if kind in DATES else Decimal(len(text_of(value)))


def bound_of(kind: str, text: str) -> Decimal | date | None:
    """A bound as it was written, in the same measure; None where there is none."""
    if not text:
        return None
    return day_of(text) if kind in DATES else number_of(text)


def is_choice(kind: str, choice: str, value: Any) -> bool:
    """Whether the value is this choice; numbers by their value, everything else letter by letter."""
    if kind == "number":
        number = number_of(value)
        return number is not None and number == number_of(choice)
    return choice == text_of(value)


def _of_choices(rule: InputRule, kind: str, value: Any) -> str:
    if not rule.choices or kind not in WITH_CHOICES or any(is_choice(kind, text, value) for text in rule.choices):
        return ""
    named = ", ".join(quoted(text) for text in rule.choices[:CHOICES_NAMED])
    rest = len(rule.choices) - CHOICES_NAMED
    more = f" or one of {rest} more" if rest > 0 else ""
    return f"{quoted(text_of(value))} is not one of the choices. Choose from {named}{more}."


def _of_bounds(rule: InputRule, kind: str, value: Any) -> list[str]:
    if kind not in WITH_BOUNDS or not (rule.minimum or rule.maximum):
        return []
    size, least, most = measure(kind, value), bound_of(kind, rule.minimum), bound_of(kind, rule.maximum)
    if size is None:
        return []
    found = []
    if isinstance(size, date):
        if isinstance(least, date) and size < least:
            found.append(f"{quoted(text_of(value))} is too early. Write {least.isoformat()} or later.")
        if isinstance(most, date) and size > most:
            found.append(f"{quoted(text_of(value))} is too late. Write {most.isoformat()} or earlier.")
        return found
    if isinstance(least, Decimal) and size < least:
        found.append(_too_little(kind, value, size, rule.minimum))
    if isinstance(most, Decimal) and size > most:
        found.append(_too_much(kind, value, size, rule.maximum))
    return found


def _too_little(kind: str, value: Any, size: Decimal, bound: str) -> str:
    if kind == "number":
        return f"{quoted(text_of(value))} is too small. Write {bound} or more."
    return f"This text has {_characters(str(size))}. Write at least {bound}."


def _too_much(kind: str, value: Any, size: Decimal, bound: str) -> str:
    if kind == "number":
        return f"{quoted(text_of(value))} is too large. Write {bound} or less."
    return f"This text has {_characters(str(size))}. Write at most {bound}."


def _characters(number: str) -> str:
    return f"{number} character" if number == "1" else f"{number} characters"


def _of_pattern(rule: InputRule, kind: str, value: Any) -> str:
    if not rule.pattern or kind not in TEXTS or matches(rule.pattern, text_of(value)):
        return ""
    like = visible(rule.pattern)
    return f"{quoted(text_of(value))} does not fit. Write it like {like}, where * is any text and ? one character."


def _bounds_hint(rule: InputRule, kind: str) -> str:
    least, most = rule.minimum, rule.maximum
    if not (least or most):
        return ""
    if kind in TEXTS:
        if least and most:
            return f"{least} to {_characters(most)}."
        return f"At least {_characters(least)}." if least else f"At most {_characters(most)}."
    if least and most:
        return f"From {least} to {most}."
    later, earlier = ("or later", "or earlier") if kind in DATES else ("or more", "or less")
    return f"{least} {later}." if least else f"{most} {earlier}."
