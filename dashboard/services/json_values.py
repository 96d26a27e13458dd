"""JSON exactly as written: what would be changed on the way is refused.

The one rule: every number that passes is sent with the value that was typed, never a rounded one.
"""

import json
import math
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from dashboard.wording import visible

DEEPEST = 20
LONGEST_NUMBER = 400


class NotExact(ValueError):
    """The text is not JSON, or not JSON that can be sent as it stands. The message is fit for people."""


def read_json(text: str) -> Any:
    """Parse strictly: no NaN, no name twice, no number that would be rounded, not deeper than `DEEPEST`."""
    try:
        value = json.loads(
            text,
            parse_float=exact_number,
            parse_int=exact_number,
            parse_constant=_no_constant,
            object_pairs_hook=_no_name_twice,
        )
    except json.JSONDecodeError as error:
        raise NotExact(f"This is not JSON: line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise NotExact(f"This is nested deeper than {DEEPEST} levels.") from error
    _check_parts(value)
    return value


def exact_number(text: str) -> int | float:
    """The number with the very value of the text; a text without point or exponent is an int of any size."""
    if len(text) > LONGEST_NUMBER:
        raise NotExact(f"A number may have at most {LONGEST_NUMBER} characters.")
    if not any(sign in text for sign in ".eE"):
        return int(text)
    number = float(text)
    try:
        is_same = math.isfinite(number) and Decimal(repr(number)) == Decimal(text)
    except InvalidOperation:
        is_same = False
    if not is_same:
        raise NotExact(f"“{text}” cannot be sent exactly. Write fewer digits.")
    return number


def as_json(value: Any, *, indent: int | None = None) -> str:
    """The text that is sent: characters as they are, no NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def _no_constant(name: str) -> NoReturn:
    raise NotExact(f"{name} is not a number that JSON knows.")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NotExact(f"The name “{visible(name[:60])}” stands twice in one object.")
        found[name] = value
    return found


def _check_parts(value: Any) -> None:
    """Depth and characters of every part, looked at without recursion."""
    rest = [(value, 1)]
    while rest:
        item, level = rest.pop()
        if level > DEEPEST:
            raise NotExact(f"This is nested deeper than {DEEPEST} levels.")
        if isinstance(item, str):
            _check_text(item)
        children = [*item, *item.values()] if isinstance(item, dict) else item if isinstance(item, list) else ()
        rest.extend((child, level + 1) for child in children)


def _check_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotExact("A text holds half a character (a lone surrogate), which cannot be sent.") from error
    if "\0" in text:
        raise NotExact("A text holds the character U+0000, which cannot be sent.")
