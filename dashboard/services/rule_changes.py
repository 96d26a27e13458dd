"""Changing the team's rules for inputs. Its one rule: a rule that no value could satisfy, or that Docusign would contradict, is refused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from dashboard.models import InputRule, Membership, Workflow
from dashboard.services import audit, contracts
from dashboard.services.errors import Refused
from dashboard.services.input_rules import DATES, TEXTS, WITH_BOUNDS, WITH_CHOICES, bound_of, problems, rules_of
from dashboard.services.input_values import LEFT_OUT, BadValue, Spec, asked, value_of

LONGEST_NAME = 255
MOST_CHOICES = 100
LONGEST_CHOICE = 200


@dataclass(frozen=True, slots=True)
class RuleWish:
    """What an admin wants to ask of an input. `is_required` None leaves it to the contract."""

    label: str = ""
    help: str = ""
    choices: Sequence[str] = ()
    is_required: bool | None = None
    minimum: str = ""
    maximum: str = ""
    pattern: str = ""

    @property
    def is_empty(self) -> bool:
        asked_for = (self.label, self.help, self.choices, self.is_required, self.minimum, self.maximum, self.pattern)
        return not any(asked_for)


@dataclass(frozen=True, slots=True)
class RuleLine:
    """An input with its rule; `spec` is None where the workflow asks for it no longer."""

    name: str
    spec: Spec | None
    rule: InputRule | None


def lines_of(workflow: Workflow) -> list[RuleLine]:
    """Every input that a person is asked for, then the rules whose inputs are gone."""
    contract, rules = contracts.current_contract(workflow), rules_of(workflow)
    specs = asked(contract.fields) if contract else []
    present = [RuleLine(spec["name"], spec, rules.pop(spec["name"], None)) for spec in specs]
    return present + [RuleLine(name, None, rule) for name, rule in rules.items()]


def line_of(workflow: Workflow, name: str) -> RuleLine | None:
    """One of them by its input's name."""
    return next((line for line in lines_of(workflow) if line.name == name), None)


def save_rule(workflow: Workflow, name: str, wish: RuleWish, *, membership: Membership) -> InputRule | None:
    """Keep what is asked of an input; an empty wish takes the rule away. Raises Refused."""
    line = line_of(workflow, name)
    if line is None:
        raise Refused(f"The workflow asks for no input “{name[:80]}” that a person gives. Nothing was changed.")
    wish = RuleWish(
        wish.label.strip(), wish.help.strip(), list(wish.choices), wish.is_required or None,
        wish.minimum.strip(), wish.maximum.strip(), wish.pattern,
    )  # fmt: skip
    if wish.is_empty:
        _remove(workflow, name, membership)
        return None
    if line.spec is None:
        raise Refused("The workflow does not ask for this input any more. Its rule can only be taken away.")
    if len(name) > LONGEST_NAME:
        raise Refused(f"The name of this input has more than {LONGEST_NAME} characters, too long for a rule.")
    _check(wish, line.spec, workflow, name)
    return _keep(workflow, name, wish, membership)


def _keep(workflow: Workflow, name: str, wish: RuleWish, membership: Membership) -> InputRule:
    values = {field: getattr(wish, field) for field in RuleWish.__dataclass_fields__}
    with transaction.atomic():
        before = InputRule.objects.filter(workflow=workflow, input_name=name).first()
        changed = [field for field, value in values.items() if getattr(before or InputRule(), field) != value]
        if before is not None and not changed:
            return before
        rule, _ = InputRule.objects.update_or_create(
            workflow=workflow, input_name=name, defaults={**values, "changed_by": membership.user}
        )
        _record("input_rule.changed", workflow, membership, {"input": name, "changed": changed})
    return rule


def _remove(workflow: Workflow, name: str, membership: Membership) -> None:
    with transaction.atomic():
        if InputRule.objects.filter(workflow=workflow, input_name=name).delete()[0]:
            _record("input_rule.removed", workflow, membership, {"input": name})


def _record(action: str, workflow: Workflow, membership: Membership, detail: dict[str, Any]) -> None:
    audit.record(action, actor=membership.user, account=workflow.account, subject=workflow, detail=detail)


def _check(wish: RuleWish, spec: Spec, workflow: Workflow, name: str) -> None:
    """Raise Refused for a rule that contradicts the contract, itself, or every value."""
    kind = spec["kind"]
    if wish.choices and kind not in WITH_CHOICES:
        raise Refused("This kind of input takes no choices.", field="choices")
    if (wish.minimum or wish.maximum) and kind not in WITH_BOUNDS:
        raise Refused("This kind of input takes no minimum and no maximum.", field="minimum")
    if wish.pattern and kind not in TEXTS:
        raise Refused("Only text takes a pattern.", field="pattern")
    _check_bounds(wish, kind)
    _check_choices(wish, spec, workflow, name)


def _check_bounds(wish: RuleWish, kind: str) -> None:
    for place, text in (("minimum", wish.minimum), ("maximum", wish.maximum)):
        if text and (instead := _bound_problem(kind, text)):
            raise Refused(f"“{text}” cannot be compared with. {instead}", field=place)
    least, most = bound_of(kind, wish.minimum), bound_of(kind, wish.maximum)
    if least is not None and most is not None and least > most:  # type: ignore[operator]  # both are of the kind's own measure
        raise Refused("The maximum is below the minimum, so no value would be right.", field="maximum")


def _bound_problem(kind: str, text: str) -> str:
    if kind in TEXTS:
        is_length = text.isascii() and text.isdigit() and len(text) <= 6
        return "" if is_length else "Write a number of characters, such as 200."
    try:
        value_of({"kind": "date" if kind in DATES else "number", "has_default": False, "default": None}, text)
    except BadValue as error:
        return error.message
    return ""


def _check_choices(wish: RuleWish, spec: Spec, workflow: Workflow, name: str) -> None:
    if len(wish.choices) > MOST_CHOICES:
        raise Refused(f"An input has at most {MOST_CHOICES} choices; these are {len(wish.choices)}.", field="choices")
    if len(set(wish.choices)) < len(wish.choices):
        raise Refused("A choice stands twice. Write each once.", field="choices")
    others = InputRule(
        workflow=workflow, input_name=name, minimum=wish.minimum, maximum=wish.maximum, pattern=wish.pattern
    )
    for text in wish.choices:
        for problem in _choice_problems(text, others, spec):
            raise Refused(f"The choice “{text[:60]}” could never be sent. {problem}", field="choices")


def _choice_problems(text: str, others: InputRule, spec: Spec) -> Iterator[str]:
    if len(text) > LONGEST_CHOICE:
        yield f"A choice has at most {LONGEST_CHOICE} characters."
        return
    try:
        value = value_of({**spec, "has_default": False, "default": None}, text)
    except BadValue as error:
        yield error.message
        return
    if value is not LEFT_OUT:
        yield from problems(others, spec, value)
