"""What a rule of the team and a lock of a preset do to the field of an input."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from dashboard.forms.inputs import LEFT_OUT, Input, input_for
from dashboard.models import InputRule
from tests.forms.test_inputs import spec


def ruled(kind: str = "string", *, default: Any = None, has_default: bool = False, **rule: Any) -> Input:
    return input_for(spec(kind, default, has_default=has_default), rule=InputRule(**rule))


def locked(kind: str, value: Any) -> Input:
    field = input_for(spec(kind, "d", has_default=True))
    field.lock(value, "EU")
    return field


def test_a_label_of_ours_stands_beside_docusigns_spelling() -> None:
    field = ruled(label="Company", help="As in the register.", maximum="40")
    assert (field.label, field.spelling) == ("Company", "Value")
    assert field.help_text == "As in the register. At most 40 characters."
    assert ruled(help="x").spelling == ""


@pytest.mark.parametrize(
    ("kind", "rule", "hint"),
    [
        ("string", {"minimum": "2", "maximum": "5"}, "2 to 5 characters."),
        ("string", {"pattern": "INV-*"}, "Like INV-*, where * is any text and ? one character."),
        ("number", {"minimum": "10"}, "10 or more."),
        ("date", {"minimum": "2026-01-01", "maximum": "2026-12-31"}, "From 2026-01-01 to 2026-12-31."),
        ("date", {"maximum": "2026-12-31"}, "2026-12-31 or earlier."),
    ],
)
def test_limits_are_said_before_anything_is_typed(kind: str, rule: dict[str, str], hint: str) -> None:
    assert ruled(kind, **rule).help_text.startswith(hint)


def test_choices_offer_leaving_out_only_where_that_is_allowed() -> None:
    def first(**details: Any) -> str:
        return str(ruled(choices=["A"], **details).widget.choices[0][1])

    assert first() == "Choose one"
    assert first(default="A", has_default=True) == "Leave out (default: A)"
    assert first(default="A", has_default=True, is_required=True) == "Choose one"


def test_a_number_that_is_a_choice_in_another_spelling_is_not_called_foreign() -> None:
    choices = input_for(spec("number"), shown="12.0", rule=InputRule(choices=["12"])).widget.choices
    assert choices[-1] == ("12.0", "12.0")


def test_a_required_input_cannot_be_left_out_though_it_has_a_default() -> None:
    field = ruled("boolean", default=True, has_default=True, is_required=True)
    assert [label for _, label in field.widget.choices] == ["Yes", "No"]
    with pytest.raises(ValidationError) as refused:
        field.clean("")
    assert refused.value.error_list[0].code == "missing"


@pytest.mark.parametrize(
    ("kind", "value"), [("number", 7), ("boolean", False), ("object", {"a": 1}), ("string", "a\nb")]
)
def test_a_locked_value_is_the_presets_own_whatever_its_type(kind: str, value: Any) -> None:
    field = locked(kind, value)
    assert field.clean(None) == value
    assert field.clean(str(field.initial).replace("\n", "\r\n")) == value
    with pytest.raises(ValidationError, match="locks this"):
        field.clean("other")


@pytest.mark.parametrize(("value", "said"), [(True, "Yes"), (False, "No"), ("true", "Yes")])
def test_a_locked_yes_or_no_is_shown_in_words_and_without_the_other(value: object, said: str) -> None:
    assert [label for _, label in locked("boolean", value).widget.choices] == [said]


def test_a_lock_can_leave_out() -> None:
    field = locked("string", LEFT_OUT)
    assert field.clean("") is LEFT_OUT
    with pytest.raises(ValidationError, match="locks this"):
        field.clean("x")


def test_a_locked_moment_is_sent_as_kept_in_every_time_zone() -> None:
    kept = "2026-06-01T10:00:00+02:00"
    with timezone.override("Asia/Tokyo"):
        field = locked("datetime", kept)
        assert field.initial == "2026-06-01T17:00:00"
        assert field.clean(field.initial) == kept


def test_a_lock_does_not_stand_above_a_rule() -> None:
    field = input_for(spec("number"), rule=InputRule(maximum="5"))
    field.lock(7, "EU")
    with pytest.raises(ValidationError, match="too large"):
        field.clean("7")
