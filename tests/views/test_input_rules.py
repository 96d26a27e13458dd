"""The pages of input rules, and what a rule does to the trigger form and its raw JSON."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.models import AuditEntry, Contract, InputRule, Membership, Role, Workflow
from maestro_api.simulator import Simulator
from tests.factories import ContractFactory, WorkflowFactory, lists
from tests.views.test_hostile_names import CORPUS, shape_of

SCHEMA = [
    {"field_name": "Supplier", "field_data_type": "String"},
    {"field_name": "Region", "field_data_type": "String", "default_value": "EU"},
    {"field_name": "Amount", "field_data_type": "Number"},
]


@pytest.fixture
def contract(ada: Membership, workflow: Workflow, simulator: Simulator, browser_of_ada: Client) -> Contract:
    simulator.set_workflow(str(workflow.pk), trigger_input_schema=SCHEMA)
    browser_of_ada.post(reverse("workflow-trigger-refresh", args=[workflow.pk]))
    simulator.clear_ledger()
    Membership.objects.filter(pk=ada.pk).update(role=Role.ADMIN)
    return workflow.contracts.get()


@pytest.fixture
def address(workflow: Workflow, contract: Contract) -> str:
    return reverse("input-rule", args=[workflow.pk])


def ruled(workflow: Workflow, name: str, **rule: Any) -> InputRule:
    return InputRule.objects.create(workflow=workflow, input_name=name, **rule)


def posted(contract: Contract, **values: str | None) -> dict[str, str]:
    data = {"key": uuid.uuid4().hex, "contract": contract.digest, "instance_name": "NDA"}
    for place, (name, value) in enumerate({"Supplier": "A", "Region": "", "Amount": "5", **values}.items()):
        data[f"name-{place}"] = json.dumps(name)
        if value is not None:
            data[f"input-{place}"] = value
    return data


def sent(simulator: Simulator) -> list[dict[str, Any]]:
    return [entry["body"]["trigger_inputs"] for entry in simulator.ledger() if entry["path"].endswith("/trigger")]


def test_an_admin_makes_a_rule_and_the_list_shows_it(browser_of_ada: Client, address: str, workflow: Workflow) -> None:
    answer = browser_of_ada.post(
        f"{address}?input=Supplier", {"label": "Company", "choices": "Acme\r\n\r\n Brightwater ", "maximum": "40"}
    )
    assert answer.headers["Location"] == reverse("input-rules", args=[workflow.pk])
    rule = InputRule.objects.get()
    assert (rule.input_name, rule.label, rule.choices, rule.maximum) == (
        "Supplier", "Company", ["Acme", "Brightwater"], "40",
    )  # fmt: skip
    body = browser_of_ada.get(answer.headers["Location"]).content.decode()
    assert "One of 2 choices." in body
    assert AuditEntry.objects.filter(action="input_rule.changed").count() == 1


def test_a_refused_rule_comes_back_as_typed(browser_of_ada: Client, address: str) -> None:
    answer = browser_of_ada.post(f"{address}?input=Amount", {"minimum": "10", "maximum": "5"})
    assert answer.status_code == 422
    assert answer.context["form"].errors == {
        "maximum": ["The maximum is below the minimum, so no value would be right."]
    }
    assert 'value="10"' in answer.content.decode()
    assert not InputRule.objects.exists()


@pytest.mark.parametrize("extra", [{"changed_by": "1"}, {"input_name": "Region"}, {"pattern": "1*"}])
def test_fields_that_the_form_does_not_have_are_refused(
    browser_of_ada: Client, address: str, extra: dict[str, str]
) -> None:
    """S-12: nothing can be slipped in, nor a limit that this kind of input does not have."""
    answer = browser_of_ada.post(f"{address}?input=Amount", {"minimum": "1", **extra})
    assert answer.status_code == 422
    assert not InputRule.objects.exists()


@pytest.mark.parametrize("query", ["", "?input=", "?input=Nothing", "?input=%00", "?input=" + "x" * 3000])
def test_an_input_that_is_not_there_is_a_404(browser_of_ada: Client, address: str, query: str) -> None:
    assert browser_of_ada.get(address + query).status_code == 404


def test_a_workflow_that_is_not_listed_to_the_person_is_a_404(browser_of_ada: Client, ada: Membership) -> None:
    """V-1: the pages of a foreign workflow are not there."""
    foreign = WorkflowFactory(account=ada.account)
    ContractFactory(workflow=foreign)
    assert browser_of_ada.get(reverse("input-rules", args=[foreign.pk])).status_code == 404
    assert browser_of_ada.get(reverse("presets", args=[foreign.pk])).status_code == 404


def test_an_operator_sees_the_rules_and_why_they_cannot_be_changed(
    workflow: Workflow, contract: Contract, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    lists(operator, workflow)
    body = signed_in(operator).get(reverse("input-rules", args=[workflow.pk])).content.decode()
    assert "you need the role admin" in body
    assert "Change…" in body
    assert "inputs/rule/" not in body


def test_the_form_shows_label_help_and_choices_beside_docusigns_spelling(
    browser_of_ada: Client, workflow: Workflow, contract: Contract
) -> None:
    ruled(workflow, "Supplier", label="Company", help="As in the register.", choices=["Acme", "Brightwater"])
    answer = browser_of_ada.get(reverse("workflow-trigger", args=[workflow.pk]))
    body = answer.content.decode()
    assert '<code class="kind"><bdi>Supplier</bdi></code>' in body
    assert "As in the register." in body
    field = next(field for field, _ in answer.context["form"].asked_fields())
    assert field.label == "Company"
    assert [value for value, _ in field.field.widget.choices] == ["", "Acme", "Brightwater"]


def test_a_value_against_a_rule_is_refused_and_nothing_is_sent(
    browser_of_ada: Client, workflow: Workflow, contract: Contract, simulator: Simulator
) -> None:
    ruled(workflow, "Supplier", choices=["Acme"])
    ruled(workflow, "Region", is_required=True)
    ruled(workflow, "Amount", minimum="10")
    answer = browser_of_ada.post(reverse("workflow-trigger", args=[workflow.pk]), posted(contract))
    assert answer.status_code == 422
    assert answer.context["form"].errors == {
        "input-0": ["“A” is not one of the choices. Choose from “Acme”."],
        "input-1": ["This must not be left out here. Write a value."],
        "input-2": ["“5” is too small. Write 10 or more."],
    }
    assert simulator.ledger() == []


def test_a_value_that_fits_is_sent_unchanged(
    browser_of_ada: Client, workflow: Workflow, contract: Contract, simulator: Simulator
) -> None:
    ruled(workflow, "Supplier", label="Company", choices=["Acme"])
    ruled(workflow, "Amount", choices=["5", "6"], minimum="1")
    browser_of_ada.post(reverse("workflow-trigger", args=[workflow.pk]), posted(contract, Supplier="Acme"))
    assert sent(simulator) == [{"Supplier": "Acme", "Amount": 5}]


def test_raw_json_is_held_to_the_same_rules(
    browser_of_ada: Client, workflow: Workflow, contract: Contract, simulator: Simulator
) -> None:
    ruled(workflow, "Supplier", pattern="INV-*")
    ruled(workflow, "Region", is_required=True)
    own = {name: value for name, value in posted(contract).items() if not name.startswith(("name-", "input-"))}
    data = {**own, "inputs_json": '{"Supplier": "A", "Amount": 5}'}
    answer = browser_of_ada.post(reverse("workflow-trigger", args=[workflow.pk]), data)
    assert answer.context["form"].errors["inputs_json"] == [
        "“Supplier”: “A” does not fit. Write it like INV-*, where * is any text and ? one character.",
        "“Region”: This must not be left out here. Write a value.",
    ]
    assert sent(simulator) == []


def test_a_typed_value_that_is_no_choice_stays_in_sight(
    browser_of_ada: Client, workflow: Workflow, contract: Contract
) -> None:
    ruled(workflow, "Supplier", choices=["Acme"])
    answer = browser_of_ada.post(reverse("workflow-trigger", args=[workflow.pk]), posted(contract, Supplier="Old Ltd"))
    assert '<option value="Old Ltd" selected>“Old Ltd”, not one of the choices</option>' in answer.content.decode()


def test_a_rule_of_an_input_that_is_gone_is_shown_as_such_and_can_be_taken_away(
    browser_of_ada: Client, address: str, workflow: Workflow
) -> None:
    ruled(workflow, "Former", label="Was here")
    assert "Not asked for any more" in browser_of_ada.get(reverse("input-rules", args=[workflow.pk])).content.decode()
    page = browser_of_ada.get(f"{address}?input=Former").content.decode()
    assert "Take the rule away" in page
    browser_of_ada.post(f"{address}?input=Former")
    assert not InputRule.objects.exists()


def test_hostile_rules_are_text_everywhere(browser_of_ada: Client, address: str, workflow: Workflow) -> None:
    """S-3: label, help and choices of a rule change no tag and no attribute."""
    pages = [reverse("input-rules", args=[workflow.pk]), f"{address}?input=Supplier"]
    pages.append(reverse("workflow-trigger", args=[workflow.pk]))

    def shapes(text: str) -> list[object]:
        InputRule.objects.all().delete()
        ruled(workflow, "Supplier", label=text[:120], help=text[:300], choices=[text])
        return [shape_of(browser_of_ada.get(page).content.decode()) for page in pages]

    shapes("plain")  # takes the messages of the setup away
    plain = shapes("plain")
    assert [text for text in CORPUS if shapes(text) != plain] == []
