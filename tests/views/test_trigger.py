"""The trigger page: from the generated form to the instance, and every way that can go wrong."""

import json
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from dashboard.forms.trigger import asked
from dashboard.models import Contract, Membership, Operation, Workflow
from maestro_api.simulator import Simulator
from tests.factories import WorkflowFactory, lists

GUESSES: dict[str, Any] = {"string": "Lindqvist Print AB", "number": "7", "boolean": "true", "date": "2026-12-01"}
SENT = {"method": "POST", "path": "/actions/trigger"}


@pytest.fixture
def address(workflow: Workflow, contract: Contract) -> str:
    return reverse("workflow-trigger", args=[workflow.pk])


@pytest.fixture
def typed(contract: Contract) -> dict[str, str]:
    """A form filled in so that the simulator accepts it."""
    data = {"key": uuid.uuid4().hex, "contract": contract.digest, "instance_name": "NDA Lindqvist"}
    for place, spec in enumerate(asked(contract.fields)):
        data[f"name-{place}"] = json.dumps(spec["name"])
        data[f"input-{place}"] = GUESSES.get(spec["kind"], "x") if spec["kind"] != "object" else '{"a": 1}'
    return data


def writes(simulator: Simulator) -> list[dict[str, Any]]:
    return [entry for entry in simulator.ledger() if entry["method"] == "POST" and "/actions/" in entry["path"]]


def key_in(answer: HttpResponse) -> str:
    found = re.search(r'name="key" value="([0-9a-f]{32})"', answer.content.decode())
    assert found is not None
    return found[1]


def test_the_form_asks_for_every_input_but_the_systems_own(
    browser_of_ada: Client, address: str, contract: Contract
) -> None:
    answer = browser_of_ada.get(address)
    assert answer.status_code == 200
    assert "trigger/index.html" in [template.name for template in answer.templates]
    labels = [field.label for field, _ in answer.context["form"].asked_fields()]
    assert labels == [spec["name"] for spec in contract.fields if not spec["is_system"]]


def test_opening_the_form_asks_docusign_nothing(browser_of_ada: Client, address: str, simulator: Simulator) -> None:
    browser_of_ada.get(address)
    assert simulator.ledger() == []


def test_a_good_form_starts_one_instance_and_leads_to_it(
    browser_of_ada: Client, address: str, typed: dict[str, str], simulator: Simulator
) -> None:
    answer = browser_of_ada.post(address, typed)
    operation = Operation.objects.get()
    assert operation.state == "confirmed"
    assert answer.headers["Location"] == reverse("instance", args=[operation.instance_id])
    assert len(simulator.ledger()) == 2


def test_a_second_submit_of_the_same_form_gives_the_first_result(
    browser_of_ada: Client, address: str, typed: dict[str, str], simulator: Simulator
) -> None:
    """U-7: Back and resend starts nothing new."""
    first = browser_of_ada.post(address, typed)
    second = browser_of_ada.post(address, typed)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(writes(simulator)) == 1


def test_a_wrong_value_comes_back_with_everything_typed(
    browser_of_ada: Client, address: str, typed: dict[str, str], simulator: Simulator
) -> None:
    answer = browser_of_ada.post(address, {**typed, "instance_name": "", "input-0": "kept <b>"})
    body = answer.content.decode()
    assert answer.status_code == 422
    assert "Nothing was sent to Docusign." in body
    assert 'role="alert"' in body
    assert "kept &lt;b&gt;" in body
    assert '<a href="#instance_name">' in body
    assert simulator.ledger() == []


def test_a_changed_contract_brings_the_form_back_with_the_changes_and_a_new_key(
    browser_of_ada: Client,
    address: str,
    typed: dict[str, str],
    workflow: Workflow,
    contract: Contract,
    simulator: Simulator,
) -> None:
    schema = [{"field_name": "Cost centre", "field_data_type": "String"}]
    for spec in contract.fields:
        schema.append({"field_name": spec["name"], "field_data_type": spec["data_type"]})
    simulator.set_workflow(str(workflow.pk), trigger_input_schema=schema)
    answer = browser_of_ada.post(address, {**typed, "input-0": "kept value"})
    body = answer.content.decode()
    assert answer.status_code == 422
    assert "“Cost centre” is new" in body
    assert "kept value" in body
    assert key_in(answer) != typed["key"]
    assert writes(simulator) == []
    assert next(field.field.is_new for field, _ in answer.context["form"].asked_fields()) is True


def test_a_refusal_of_docusign_stands_on_the_form_with_a_new_key(
    browser_of_ada: Client, address: str, typed: dict[str, str], contract: Contract, simulator: Simulator
) -> None:
    name = asked(contract.fields)[0]["name"]
    problem = {"title": "Bad Request", "status": 400, "detail": "no", "type": "about:blank"}
    problem["errors"] = [{"code": "x", "message": "must be a company", "target": f"trigger_inputs.{name}"}]
    simulator.set_faults([{"match": SENT, "do": {"status": 400, "body": problem}}])
    answer = browser_of_ada.post(address, typed)
    body = answer.content.decode()
    assert answer.status_code == 422
    assert "Docusign: must be a company" in body
    assert "nothing was started" in body
    assert key_in(answer) != typed["key"]
    assert answer.context["form"].errors["input-0"] == ["Docusign: must be a company"]


def test_a_lost_answer_leads_to_the_page_that_says_so(
    browser_of_ada: Client, address: str, typed: dict[str, str], simulator: Simulator
) -> None:
    """U-2, U-11: unknown is a state of its own, not a failure and not a success."""
    simulator.set_faults([{"match": SENT, "do": {"reset": "after"}}])
    answer = browser_of_ada.post(address, typed, follow=True)
    operation = Operation.objects.get()
    assert operation.state == "unknown"
    assert answer.redirect_chain[-1][0] == reverse("operation", args=[operation.pk])
    assert "We do not know whether it started." in answer.content.decode()


def test_while_docusign_is_down_the_form_stays_with_what_was_typed(
    browser_of_ada: Client, address: str, typed: dict[str, str], simulator: Simulator
) -> None:
    simulator.set_faults([{"match": {"path": "trigger-requirements"}, "do": {"status": 503}}])
    answer = browser_of_ada.post(address, {**typed, "input-0": "kept value"})
    assert answer.status_code == 502
    assert "kept value" in answer.content.decode()
    assert "Nothing was sent" in answer.content.decode()
    assert not Operation.objects.exists()


def test_the_preview_answers_with_the_fragment_and_sends_nothing(
    ada: Membership, signed_in: Callable[..., Client], address: str, typed: dict[str, str], simulator: Simulator
) -> None:
    answer = signed_in(ada, htmx=True).post(f"{address}preview/", {**typed, "input-0": "Brightwater"})
    assert answer.status_code == 200
    assert "Brightwater" in answer.content.decode()
    assert "<form" not in answer.content.decode()
    assert simulator.ledger() == []


def test_the_preview_without_script_is_the_page_with_what_was_typed(
    browser_of_ada: Client, address: str, typed: dict[str, str], simulator: Simulator
) -> None:
    answer = browser_of_ada.post(f"{address}preview/", {**typed, "input-0": "Brightwater"})
    assert f'action="{address}"' in answer.content.decode()
    assert answer.content.decode().count("Brightwater") == 2
    assert simulator.ledger() == []


def test_switching_to_raw_json_keeps_what_was_typed(
    browser_of_ada: Client, address: str, typed: dict[str, str]
) -> None:
    answer = browser_of_ada.post(f"{address}?as=json", {**typed, "input-0": "Brightwater", "show": "json"})
    assert answer.status_code == 200
    assert answer.context["is_raw"]
    assert "Brightwater" in answer.context["form"]["inputs_json"].value()


def test_switching_back_to_the_fields_keeps_what_was_typed(
    browser_of_ada: Client, address: str, typed: dict[str, str], contract: Contract
) -> None:
    name = asked(contract.fields)[0]["name"]
    data = {name: typed[name] for name in ("key", "contract", "instance_name")}
    data |= {"inputs_json": json.dumps({name: "Brightwater"}), "show": "form"}
    answer = browser_of_ada.post(address, data)
    assert not answer.context["is_raw"]
    assert answer.context["form"]["input-0"].value() == "Brightwater"


def test_raw_json_starts_an_instance_too(
    browser_of_ada: Client, address: str, typed: dict[str, str], contract: Contract, simulator: Simulator
) -> None:
    inputs = {
        spec["name"]: {"string": "x", "number": 7, "boolean": True, "date": "2026-12-01"}.get(spec["kind"], "x")
        for spec in asked(contract.fields)
    }
    data = {name: typed[name] for name in ("key", "contract", "instance_name")}
    answer = browser_of_ada.post(f"{address}?as=json", {**data, "inputs_json": json.dumps(inputs)})
    assert answer.status_code == 302, answer.context["form"].errors
    assert writes(simulator)[0]["body"]["trigger_inputs"] == inputs


def test_a_workflow_whose_inputs_nobody_read_shows_that_they_are_on_their_way(
    browser_of_ada: Client, workflow: Workflow, simulator: Simulator
) -> None:
    answer = browser_of_ada.get(reverse("workflow-trigger", args=[workflow.pk]))
    assert "The inputs are being read" in answer.content.decode()
    assert simulator.ledger() == []


def test_the_inputs_can_be_read_at_once(browser_of_ada: Client, workflow: Workflow, simulator: Simulator) -> None:
    answer = browser_of_ada.post(reverse("workflow-trigger-refresh", args=[workflow.pk]))
    assert answer.headers["Location"] == reverse("workflow-trigger", args=[workflow.pk])
    assert Contract.objects.filter(workflow=workflow).count() == 1
    assert len(simulator.ledger()) == 1


def test_what_was_typed_survives_the_end_of_the_session(
    browser_of_ada: Client, ada: Membership, address: str, typed: dict[str, str], signed_in: Callable[..., Client]
) -> None:
    """S-6: signed out in mid-form, signed in again, the values are back."""
    token = browser_of_ada.get(address).context["draft_owner"]
    gone = Client()
    assert gone.post(address, {**typed, "input-0": "Brightwater", "draft_owner": token}).status_code == 302
    gone.force_login(ada.user, backend="dashboard.authentication.DocusignBackend")
    answer = gone.get(address)
    assert answer.context["form"]["input-0"].value() == "Brightwater"
    assert not Operation.objects.exists()


def test_a_paused_workflow_says_why_it_cannot_be_triggered(
    browser_of_ada: Client, address: str, workflow: Workflow
) -> None:
    Workflow.objects.filter(pk=workflow.pk).update(status="paused", raw_status="paused")
    assert "It is paused, so it takes no new instances." in browser_of_ada.get(address).content.decode()


def test_a_workflow_of_others_does_not_exist(operator: Membership, signed_in: Callable[..., Client]) -> None:
    """S-11: a foreign id is a 404 on every method."""
    foreign = WorkflowFactory()
    address = reverse("workflow-trigger", args=[foreign.pk])
    client = signed_in(operator)
    assert client.get(address).status_code == 404
    assert client.post(address, {}).status_code == 404
    assert client.post(f"{address}preview/", {}).status_code == 404
    assert client.post(f"{address}refresh/", {}).status_code == 404


def test_viewers_may_not_trigger(viewer: Membership, signed_in: Callable[..., Client], account: Any) -> None:
    workflow = WorkflowFactory(account=account)
    lists(viewer, workflow)
    answer = signed_in(viewer).post(reverse("workflow-trigger", args=[workflow.pk]), {})
    assert answer.status_code == 403
    assert not Operation.objects.exists()


def test_odd_names_of_inputs_stay_text(
    browser_of_ada: Client, workflow: Workflow, contract: Contract, address: str
) -> None:
    """S-3, S-4: an input's name cannot become markup, and unseen characters are shown."""
    fields = [
        {
            "name": '"><img src=x onerror=a> hx-get="/"\u202e',
            "data_type": "<i>",
            "kind": "unknown",
            "default": "</pre>",
            "has_default": True,
            "is_system": False,
        }
    ]
    Contract.objects.filter(pk=contract.pk).update(fields=fields)
    body = browser_of_ada.get(address).content.decode()
    assert "<img" not in body
    assert "<i>" not in body
    assert "U+202E" in body
