"""From what a person wrote to what is sent: the value rules of the trigger form and of the cells of a file.

The one rule: what is written reaches Docusign as the type that the contract names, unchanged, or it is refused with a sentence
that says what to write.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django.utils import timezone

from dashboard.services.json_values import NotExact, as_json, exact_number, read_json
from dashboard.wording import visible

Spec = Mapping[str, Any]  # one input of a contract
MAX_INPUT_BYTES = 64 * 1024
MAX_NAME = 200
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
GROUPED = re.compile(r"[0-9]{1,3}([.,' ])[0-9]{3}(\1[0-9]{3})*")
NO_DEFAULT = "The workflow has no default for this, so write a value."
OBJECT_HINT = 'Written as JSON, such as {"city": "Hamburg"}.'
LIST_HINT = 'Written as JSON, such as ["EU", "UK"].'
CLOCK_CHANGE = (
    "The clocks change at this time, so it is missing or comes twice. Add an offset in the raw JSON, such as +02:00"
)


class BadValue(ValueError):
    """It cannot be sent as it is written. The message is a sentence for the person; `is_missing` when nothing is written."""

    def __init__(self, message: str, *, is_missing: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.is_missing = is_missing


class LeftOut:
    """Stands for an input that is not sent, so that Docusign may use its default."""

    def __bool__(self) -> bool:
        return False


LEFT_OUT = LeftOut()


def asked(fields: Sequence[Spec]) -> list[Spec]:
    """The inputs that a person is asked for: no system inputs, each name once."""
    found: dict[str, Spec] = {}
    for spec in fields:
        if not spec["is_system"]:
            found.setdefault(spec["name"], spec)
    return list(found.values())


def quoted(text: str) -> str:
    """What was typed, short enough for a sentence, with unseen characters shown (S-4)."""
    shown = visible(text)
    return f"“{shown[:60]}…”" if len(shown) > 60 else f"“{shown}”"


def value_of(spec: Spec, text: str) -> Any:
    """What is sent for an input where a person wrote this; LEFT_OUT where nothing is sent. Raises BadValue."""
    text = text.replace("\r\n", "\n")
    if "\0" in text:
        raise BadValue("It holds the character U+0000, which cannot be sent. Remove it.")
    if text.strip():
        return READERS.get(spec["kind"], _unknown)(text, spec)
    if spec["has_default"]:
        return LEFT_OUT
    is_choice = spec["kind"] == "boolean"
    message = "Choose yes or no; the workflow has no default for this." if is_choice else NO_DEFAULT
    raise BadValue(message, is_missing=True)


def _text(text: str, spec: Spec) -> str:
    return text


def _number(text: str, spec: Spec) -> int | float:
    text = text.strip()
    if not NUMBER.fullmatch(text):
        raise BadValue(f"{quoted(text)} is not a number. {instead_of(text)}")
    try:
        return exact_number(text)
    except NotExact as error:
        raise BadValue(str(error)) from error


def instead_of(text: str) -> str:
    """What to write instead of something that is nearly a number."""
    digits = re.sub(r"[^0-9.,' -]", "", text).strip(" .,'")
    bare = digits.lstrip("-")
    sign = "-" if digits.startswith("-") else ""
    if GROUPED.fullmatch(bare):
        return f"Write {sign}{re.sub('[^0-9]', '', bare)}"
    candidate = sign + bare.replace(" ", "").replace("'", "").replace(",", ".")
    return f"Write {candidate}" if NUMBER.fullmatch(candidate) else "Write digits, such as 12500"


def _yes_or_no(text: str, spec: Spec) -> bool:
    word = text.strip().lower()  # spreadsheets write TRUE, people write Yes
    if word not in {"true", "false", "yes", "no"}:
        raise BadValue("Choose yes or no.")
    return word in {"true", "yes"}


def is_date(text: str) -> bool:
    try:
        return len(text) == 10 and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _date(text: str, spec: Spec) -> str:
    if not is_date(text.strip()):
        raise BadValue(f"{quoted(text)} is not a date. Write it like 2026-06-01")
    return text.strip()


def moment_of(value: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) and len(value) > 10 else None
    except ValueError:
        return None


def _moment(text: str, spec: Spec) -> str:
    moment = moment_of(text.strip())
    if moment is None:
        raise BadValue(f"{quoted(text)} is not a date with a time. Write it like 2026-06-01T09:30:00")
    return _with_offset(moment).isoformat()


def _with_offset(moment: datetime) -> datetime:
    if timezone.is_aware(moment):
        return moment
    zone = timezone.get_current_timezone()
    first, second = moment.replace(tzinfo=zone, fold=0), moment.replace(tzinfo=zone, fold=1)
    if first.utcoffset() != second.utcoffset():
        raise BadValue(CLOCK_CHANGE)
    return first


def _json(text: str, opens: type, noun: str, hint: str) -> Any:
    try:
        value = read_json(text)
    except NotExact as error:
        raise BadValue(f"{error} {hint}") from error
    if not isinstance(value, opens):
        raise BadValue(f"This is JSON, but not {noun}. {hint}")
    return value


def _object(text: str, spec: Spec) -> Any:
    return _json(text, dict, "an object", OBJECT_HINT)


def _list(text: str, spec: Spec) -> Any:
    return _json(text, list, "a list", LIST_HINT)


def _unknown(text: str, spec: Spec) -> Any:
    # A default that is no text stays what it is for as long as nobody changes it.
    default = spec["default"]
    shown = default if isinstance(default, str) else "" if default is None else as_json(default)
    return default if spec["has_default"] and text == shown else text


READERS: dict[str, Callable[[str, Spec], Any]] = {
    "string": _text,
    "number": _number,
    "boolean": _yes_or_no,
    "date": _date,
    "datetime": _moment,
    "object": _object,
    "array": _list,
}
