"""Each kind of input: what it sends, what it refuses, and in which words."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from dashboard.forms.inputs import LEFT_OUT, input_for


def spec(kind: str, default: Any = None, *, has_default: bool = False, data_type: str = "") -> dict[str, Any]:
    return {
        "name": "Value",
        "data_type": data_type or kind,
        "kind": kind,
        "default": default,
        "has_default": has_default,
        "is_system": False,
    }


def refusal(kind: str, text: str) -> str:
    with pytest.raises(ValidationError) as caught:
        input_for(spec(kind)).clean(text)
    return str(caught.value.messages[0])


@pytest.fixture
def berlin() -> Iterator[None]:
    with timezone.override("Europe/Berlin"):
        yield


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("12500", 12500),
        (" -7 ", -7),
        ("12.5", 12.5),
        ("5.0", 5.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_a_number_is_sent_with_exactly_its_value_and_type(typed: str, sent: float) -> None:
    value = input_for(spec("number")).clean(typed)
    assert value == sent
    assert type(value) is type(sent)


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("12.500 EUR", "“12.500 EUR” is not a number. Write 12500"),
        ("1,234,567", "“1,234,567” is not a number. Write 1234567"),
        ("12,5", "“12,5” is not a number. Write 12.5"),
        ("-3 %", "“-3 %” is not a number. Write -3"),
        ("about ten", "“about ten” is not a number. Write digits, such as 12500"),
        ("NaN", "“NaN” is not a number. Write digits, such as 12500"),
        ("٣", "“٣” is not a number. Write digits, such as 12500"),
        ("0.1000000000000000055", "“0.1000000000000000055” cannot be sent exactly. Write fewer digits."),
        ("1e999", "“1e999” cannot be sent exactly. Write fewer digits."),
    ],
)
def test_what_is_no_number_is_refused_with_what_to_write(typed: str, advice: str) -> None:
    assert refusal("number", typed) == advice


@pytest.mark.parametrize(("typed", "sent"), [("true", True), ("false", False)])
def test_yes_and_no_are_sent_as_booleans(typed: str, sent: bool) -> None:
    assert input_for(spec("boolean")).clean(typed) is sent


def test_a_yes_or_no_without_default_offers_no_third_answer() -> None:
    field = input_for(spec("boolean"))
    assert [label for _, label in field.widget.choices] == ["Yes", "No"]
    assert refusal("boolean", "") == "Choose yes or no; the workflow has no default for this."


def test_a_yes_or_no_with_default_can_be_left_out() -> None:
    field = input_for(spec("boolean", True, has_default=True))
    assert [label for _, label in field.widget.choices] == ["Yes", "No", "Leave out (default: yes)"]
    assert field.initial == "true"
    assert field.clean("") is LEFT_OUT


@pytest.mark.parametrize("typed", ["2026-6-1", "1 June", "2026-02-30", "2026-06-01T10:00"])
def test_what_is_no_date_is_refused(typed: str) -> None:
    assert refusal("date", typed) == f"“{typed}” is not a date. Write it like 2026-06-01"


def test_a_date_and_time_is_sent_with_the_offset_of_the_persons_zone(berlin: None) -> None:
    assert input_for(spec("datetime")).clean("2026-06-01T10:00") == "2026-06-01T10:00:00+02:00"
    assert input_for(spec("datetime")).clean("2026-12-01T10:00:30") == "2026-12-01T10:00:30+01:00"


def test_a_default_date_and_time_is_shown_in_the_persons_zone(berlin: None) -> None:
    assert input_for(spec("datetime", "2026-06-01T10:00:00Z", has_default=True)).initial == "2026-06-01T12:00:00"


@pytest.mark.parametrize("typed", ["2026-03-29T02:30", "2026-10-25T02:30"])
def test_a_time_that_the_clocks_skip_or_repeat_is_refused(typed: str, berlin: None) -> None:
    assert "missing or comes twice" in refusal("datetime", typed)


@pytest.mark.parametrize(
    ("kind", "typed", "why"),
    [
        ("object", "[1]", "This is JSON, but not an object."),
        ("array", '{"a": 1}', "This is JSON, but not a list."),
        ("object", "{'a': 1}", "This is not JSON: line 1, column 2."),
        ("object", '{"a": NaN}', "NaN is not a number that JSON knows."),
        ("object", '{"a": 1, "a": 2}', "The name “a” stands twice in one object."),
        ("object", '{"a": "\\ud800"}', "A text holds half a character"),
        ("object", '{"a": "\\u0000"}', "A text holds the character U+0000"),
        ("array", "[" * 21 + "]" * 21, "This is nested deeper than 20 levels."),
        ("array", "[" * 100_000, "This is nested deeper than 20 levels."),
    ],
)
def test_json_that_cannot_be_sent_is_refused(kind: str, typed: str, why: str) -> None:
    assert refusal(kind, typed).startswith(why)


def test_json_keeps_its_numbers() -> None:
    value = input_for(spec("object")).clean('{"n": 1.0, "big": 99999999999999999999}')
    assert (type(value["n"]), value["big"]) == (float, 99999999999999999999)


def test_a_text_is_sent_as_typed() -> None:
    assert input_for(spec("string")).clean("  two\r\nlines ") == "  two\nlines "


def test_an_empty_text_with_a_default_is_left_out() -> None:
    field = input_for(spec("string", "EU", has_default=True))
    assert field.clean("") is LEFT_OUT
    assert "Docusign may then use its default" in field.help_text


def test_a_long_or_many_lined_default_gets_a_field_of_many_lines() -> None:
    assert input_for(spec("string", "a\nb", has_default=True)).widget.__class__.__name__ == "Textarea"
    assert input_for(spec("string", "short", has_default=True)).widget.__class__.__name__ == "TextInput"


def test_a_type_that_is_not_known_is_text_with_a_note() -> None:
    field = input_for(spec("unknown", data_type="Dropdown"))
    assert field.kind == "“Dropdown”"
    assert "calls this type “Dropdown” and does not list its choices" in field.help_text
    assert field.clean("B") == "B"


def test_an_untouched_default_of_an_unknown_type_keeps_its_own_type() -> None:
    field = input_for(spec("unknown", {"a": 1}, has_default=True, data_type="File"))
    assert field.clean(field.initial) == {"a": 1}
    assert field.clean("other") == "other"


@pytest.mark.parametrize(
    ("kind", "default", "shown"),
    [
        ("string", "EU", "EU"),
        ("number", 12.5, "12.5"),
        ("number", "100", "100"),
        ("number", "much", ""),
        ("boolean", False, "false"),
        ("boolean", "maybe", ""),
        ("date", "2026-06-01", "2026-06-01"),
        ("date", "tomorrow", ""),
        ("object", {"a": 1}, '{\n  "a": 1\n}'),
        ("array", '["EU"]', '[\n  "EU"\n]'),
        ("unknown", 5, "5"),
    ],
)
def test_defaults_of_every_type_are_shown_where_the_field_can_show_them(kind: str, default: Any, shown: str) -> None:
    assert input_for(spec(kind, default, has_default=True)).initial == shown


@pytest.mark.parametrize(("kind", "advice"), [("object", "write an object"), ("array", "write a list")])
def test_raw_json_of_another_kind_is_refused_with_what_to_write(kind: str, advice: str) -> None:
    with pytest.raises(ValidationError, match=advice):
        input_for(spec(kind)).accept("Hamburg")
