"""Contracts: every version kept, differences in plain words, no address stored."""

import json
from typing import Any

import pytest

from dashboard.models import Contract, Membership, Workflow
from dashboard.services import contracts
from dashboard.services.errors import DocusignUnavailable, ReconnectNeeded, Refused
from maestro_api.simulator import Simulator
from tests.factories import ContractFactory

READ = {"path": "trigger-requirements"}


def asked(name: str, **members: Any) -> dict[str, Any]:
    return {
        "name": name,
        "data_type": "String",
        "kind": "string",
        "default": None,
        "has_default": False,
        "is_system": False,
    } | members


def sentences(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> list[str]:
    changes = contracts.diff(ContractFactory.build(fields=old), ContractFactory.build(fields=new))
    return [change.sentence for change in changes]


def test_a_version_is_stored_once_and_seen_again(ada: Membership, workflow: Workflow) -> None:
    first = contracts.read_contract(workflow, membership=ada)
    again = contracts.read_contract(workflow, membership=ada)
    assert (first.pk, first.first_seen_at) == (again.pk, again.first_seen_at)
    assert again.last_seen_at > first.last_seen_at
    assert contracts.current_contract(workflow) == again


def test_another_version_is_kept_beside_the_first(ada: Membership, workflow: Workflow, simulator: Simulator) -> None:
    contracts.read_contract(workflow, membership=ada)
    simulator.set_workflow(str(workflow.pk), trigger_input_schema=[{"field_name": "Only", "field_data_type": "Number"}])
    present = contracts.read_contract(workflow, membership=ada)
    (newest, changes), (_, none) = contracts.history(workflow)
    assert newest == present == contracts.current_contract(workflow)
    assert "“Only” is new (number, required)." in [change.sentence for change in changes]
    assert none == []


def test_the_stated_address_is_noted_and_never_stored(
    ada: Membership, workflow: Workflow, simulator: Simulator
) -> None:
    """E-1: compared only; its secret is nowhere in our tables."""
    url = "https://evil.example/start?mtid=11&mtsec=very-secret"
    body = {
        "trigger_event_type": "HTTP",
        "trigger_http_config": {"method": "GET", "url": url},
        "trigger_input_schema": [],
    }
    simulator.set_faults([{"match": READ, "do": {"body": body}}])
    contract = contracts.read_contract(workflow, membership=ada)
    assert any("evil.example" in note for note in contract.notes)
    assert any("GET" in note for note in contract.notes)
    assert "mtsec" not in json.dumps(list(Contract.objects.values()), default=str)


def test_what_changed_is_said_in_sentences() -> None:
    assert sentences([asked("A")], [asked("B", has_default=True, default=1)]) == [
        "“A” is no longer asked for.",
        "“B” is new (string, with a default).",
    ]
    assert sentences([asked("A")], [asked("A", data_type="Number")]) == ["“A” was String and is now Number."]
    assert sentences([asked("A", has_default=True, default="x")], [asked("A")]) == [
        "“A” has no default any more, so it is required."
    ]
    assert sentences([asked("A")], [asked("A", has_default=True, default="x")]) == ['“A” now has the default "x".']
    assert sentences([asked("A", has_default=True, default=1)], [asked("A", has_default=True, default=2)]) == [
        "The default of “A” was 1 and is now 2."
    ]
    assert sentences([asked("A"), asked("B")], [asked("B"), asked("A")]) == [
        "The inputs are asked for in another order."
    ]
    assert sentences([asked("A")], [asked("A")]) == []


@pytest.mark.parametrize(
    ("do", "kind"),
    [
        ({"status": 403}, Refused),
        ({"status": 404}, Refused),
        ({"status": 503}, DocusignUnavailable),
        ({"body": "{"}, DocusignUnavailable),
        ({"status": 401, "body": "Unauthorized"}, ReconnectNeeded),
    ],
    ids=str,
)
def test_a_contract_that_cannot_be_read_is_explained(
    do: dict[str, Any], kind: type[Exception], ada: Membership, workflow: Workflow, simulator: Simulator
) -> None:
    simulator.set_faults([{"match": READ, "do": do}])
    with pytest.raises(kind):
        contracts.read_contract(workflow, membership=ada)
    assert not Contract.objects.exists()
