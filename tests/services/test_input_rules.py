"""Rules for inputs: what they refuse, in which words, and which rules are refused themselves."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.models import Account, AuditEntry, InputRule, Membership, Workflow
from dashboard.services import input_rules, rule_changes
from dashboard.services.errors import Refused
from dashboard.services.rule_changes import RuleWish
from dashboard.services.wildcards import matches
from tests.factories import ContractFactory, WorkflowFactory


def spec(name: str = "Value", kind: str = "string", *, has_default: bool = False) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "data_type": kind, "default": None, "has_default": has_default, "is_system": False
    }  # fmt: skip


def said(kind: str, value: Any, **rule: Any) -> list[str]:
    return input_rules.problems(InputRule(**rule), spec(kind=kind), value)


# --- the pattern


@cache
def fits(pattern: str, text: str) -> bool:
    """What a pattern means, written as plainly as can be."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return fits(pattern[1:], text) or (bool(text) and fits(pattern, text[1:]))
    return bool(text) and pattern[0] in {"?", text[0]} and fits(pattern[1:], text[1:])


@given(pattern=st.text("ab*?", max_size=8), text=st.text("abc", max_size=9))
def test_a_pattern_matches_exactly_what_its_meaning_says(pattern: str, text: str) -> None:
    assert matches(pattern, text) is fits(pattern, text)


def test_the_time_of_a_pattern_grows_with_the_text_alone() -> None:
    """The worst pattern for a matcher that tries again: every star could end anywhere."""
    pattern = "*a" * 59 + "*b"
    begun = time.process_time()
    assert not matches(pattern, "a" * 64 * 1024)
    assert time.process_time() - begun < 2


def test_signs_of_regular_expressions_stand_for_themselves() -> None:
    assert matches("a.c(x)[1]$*", "a.c(x)[1]$ and more")
    assert not matches("a.c", "abc")
    assert not matches("abc", "ABC")


# --- values


@pytest.mark.parametrize(
    ("kind", "value", "rule", "sentence"),
    [
        ("string", "Blue", {"choices": ["Red", "Green"]}, "“Blue” is not one of the choices. Choose from “Red”, “Green”."),
        ("number", 7, {"choices": ["5", "6"]}, "“7” is not one of the choices. Choose from “5”, “6”."),
        ("number", 9.5, {"minimum": "10"}, "“9.5” is too small. Write 10 or more."),
        ("number", 10**30, {"maximum": "100"}, f"“{10**30}” is too large. Write 100 or less."),
        ("date", "2026-05-31", {"minimum": "2026-06-01"}, "“2026-05-31” is too early. Write 2026-06-01 or later."),
        ("date", "2026-06-02", {"maximum": "2026-06-01"}, "“2026-06-02” is too late. Write 2026-06-01 or earlier."),
        ("datetime", "2026-06-02T00:00:00+02:00", {"maximum": "2026-06-01"},
         "“2026-06-02T00:00:00+02:00” is too late. Write 2026-06-01 or earlier."),
        ("string", "a", {"minimum": "2"}, "This text has 1 character. Write at least 2."),
        ("string", "abc", {"maximum": "2"}, "This text has 3 characters. Write at most 2."),
        ("string", "INV-1", {"pattern": "INV-????"},
         "“INV-1” does not fit. Write it like INV-????, where * is any text and ? one character."),
        ("unknown", {"a": 1}, {"choices": ["x"]}, "“{\"a\": 1}” is not one of the choices. Choose from “x”."),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_what_to_write(kind: str, value: Any, rule: dict[str, Any], sentence: str) -> None:
    assert said(kind, value, **rule) == [sentence]


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        ("string", "Red", {"choices": ["Red"], "minimum": "3", "maximum": "3", "pattern": "R?d"}),
        ("number", 12.0, {"choices": ["12"]}),
        ("number", 0.1, {"minimum": "0.1", "maximum": "0.1"}),
        ("date", "2026-06-01", {"minimum": "2026-06-01", "maximum": "2026-06-01"}),
        ("boolean", True, {"choices": ["x"], "minimum": "9", "pattern": "z"}),
        ("array", [1], {"choices": ["x"], "minimum": "9", "pattern": "z"}),
        ("unknown", 5, {"choices": ["5"]}),
    ],
)
def test_a_right_value_is_not_complained_about(kind: str, value: Any, rule: dict[str, Any]) -> None:
    assert said(kind, value, **rule) == []


def test_nothing_is_a_problem_only_where_the_rule_requires_a_value() -> None:
    assert said("string", None, choices=["x"], minimum="3") == []
    assert said("string", None, is_required=True) == ["This must not be left out here. Write a value."]
    assert input_rules.problems(None, spec(), None) == []


def test_unseen_characters_of_a_value_are_shown_in_the_sentence() -> None:
    """S-4: a value cannot hide behind characters that draw nothing."""
    assert said("string", "Red\u202e", choices=["Red"])[0].startswith("“Red⟨U+202E⟩” is not one of")


def test_many_choices_are_named_in_part() -> None:
    (sentence,) = said("string", "x", choices=[str(number) for number in range(20)])
    assert sentence.endswith("“7” or one of 12 more.")


# --- changing them


@pytest.fixture
def workflow(account: Account) -> Workflow:
    made = WorkflowFactory(account=account)
    inputs = [spec("Text"), spec("Count", "number"), spec("Day", "date", has_default=True), spec("Yes", "boolean")]
    ContractFactory(workflow=made, fields=[*inputs, {**spec("startDate"), "is_system": True}])
    return made


@pytest.fixture
def keep(workflow: Workflow, admin: Membership) -> Callable[..., InputRule | None]:
    def kept(name: str, **wish: Any) -> InputRule | None:
        return rule_changes.save_rule(workflow, name, RuleWish(**wish), membership=admin)

    return kept


Keep = Callable[..., InputRule | None]


def test_a_rule_is_kept_by_the_name_of_its_input_and_written_down(keep: Keep, workflow: Workflow) -> None:
    keep("Text", label="Supplier", choices=["A", "B"])
    assert {name: rule.choices for name, rule in input_rules.rules_of(workflow).items()} == {"Text": ["A", "B"]}
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.detail) == ("input_rule.changed", {"input": "Text", "changed": ["label", "choices"]})


def test_the_choices_themselves_are_not_in_the_audit(keep: Keep) -> None:
    """V-4: a choice may be somebody's name."""
    keep("Text", choices=["canary.person@example.com"], help="canary.person@example.com")
    assert "canary" not in "".join(str(entry.__dict__) for entry in AuditEntry.objects.all())


def test_saving_the_same_again_writes_nothing_down(keep: Keep) -> None:
    keep("Text", label="Supplier")
    keep("Text", label=" Supplier ")
    assert AuditEntry.objects.count() == 1


def test_an_empty_rule_is_taken_away(keep: Keep, workflow: Workflow) -> None:
    keep("Text", label="Supplier")
    assert keep("Text") is None
    assert input_rules.rules_of(workflow) == {}
    assert list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))[-1] == "input_rule.removed"


def test_an_input_with_a_default_can_be_made_required_and_never_the_other_way(keep: Keep) -> None:
    made = keep("Day", is_required=True)
    assert made is not None
    assert made.is_required is True
    assert keep("Text", is_required=False) is None


@pytest.mark.parametrize(
    ("name", "wish", "place"),
    [
        ("Yes", {"choices": ["true"]}, "choices"),
        ("Yes", {"minimum": "1"}, "minimum"),
        ("Count", {"pattern": "1*"}, "pattern"),
        ("Count", {"minimum": "ten"}, "minimum"),
        ("Count", {"minimum": "NaN"}, "minimum"),
        ("Count", {"minimum": "2", "maximum": "1"}, "maximum"),
        ("Day", {"maximum": "tomorrow"}, "maximum"),
        ("Text", {"minimum": "-1"}, "minimum"),
        ("Text", {"choices": ["A", "A"]}, "choices"),
        ("Text", {"choices": ["A", "BB"], "maximum": "1"}, "choices"),
        ("Text", {"choices": ["A"], "pattern": "B*"}, "choices"),
        ("Text", {"choices": [str(number) for number in range(101)]}, "choices"),
        ("Text", {"choices": ["x" * 201]}, "choices"),
        ("Count", {"choices": ["1", "two"]}, "choices"),
        ("startDate", {"label": "Begin"}, None),
        ("Unheard of", {"label": "x"}, None),
    ],
)
def test_a_rule_that_could_not_hold_is_refused(keep: Keep, name: str, wish: dict[str, Any], place: str | None) -> None:
    with pytest.raises(Refused) as refused:
        keep(name, **wish)
    assert refused.value.field == place
    assert not InputRule.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_rule_outlives_its_input_and_can_only_be_taken_away_then(keep: Keep, workflow: Workflow) -> None:
    keep("Text", label="Supplier")
    ContractFactory(workflow=workflow, fields=[spec("Other")])
    assert [(line.name, line.spec is None) for line in rule_changes.lines_of(workflow)] == [
        ("Other", False),
        ("Text", True),
    ]
    with pytest.raises(Refused, match="can only be taken away"):
        keep("Text", label="Client")
    assert keep("Text") is None
    assert not InputRule.objects.exists()
