"""Presets from the trigger form to the trigger: saving, choosing, locks that hold, drift that is said."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.models import AuditEntry, Contract, Membership, Preset, Workflow
from dashboard.services import presets
from dashboard.services.presets import Wish
from maestro_api.simulator import Simulator
from tests.factories import lists
from tests.views.test_hostile_names import CORPUS, shape_of

CANARY = "canary.person@example.com"
SCHEMA = [
    {"field_name": "Supplier", "field_data_type": "String"},
    {"field_name": "Region", "field_data_type": "String", "default_value": "EU"},
    {"field_name": "Amount", "field_data_type": "Number"},
]


@pytest.fixture
def contract(workflow: Workflow, simulator: Simulator, browser_of_ada: Client) -> Contract:
    return asks(workflow, simulator, browser_of_ada, SCHEMA)


def asks(workflow: Workflow, simulator: Simulator, browser: Client, schema: list[dict[str, str]]) -> Contract:
    """What the workflow asks for from now on, as the console has read it."""
    simulator.set_workflow(str(workflow.pk), trigger_input_schema=schema)
    browser.post(reverse("workflow-trigger-refresh", args=[workflow.pk]))
    simulator.clear_ledger()
    return workflow.contracts.latest("last_seen_at")


@pytest.fixture
def address(workflow: Workflow, contract: Contract) -> str:
    return reverse("workflow-trigger", args=[workflow.pk])


@pytest.fixture
def save_url(workflow: Workflow, contract: Contract) -> str:
    return reverse("preset-save", args=[workflow.pk])


@pytest.fixture
def preset(ada: Membership, contract: Contract) -> Preset:
    """Locks the supplier; the region is left out, and the amount is open."""
    return kept(ada, contract)


def kept(owner: Membership, contract: Contract, **wish: Any) -> Preset:
    wish = {"name": "EU", "values": {"Supplier": CANARY, "Amount": 7}, "locked": ["Supplier"], **wish}
    return presets.save_preset(contract.workflow, contract, Wish(**wish), membership=owner)


def typed(contract: Contract, *, preset: Preset | None = None, **values: str | None) -> dict[str, str]:
    data = {"key": uuid.uuid4().hex, "contract": contract.digest, "instance_name": "NDA"}
    data |= {"preset": str(preset.pk)} if preset else {}
    for place, (name, value) in enumerate({"Supplier": "A", "Region": "", "Amount": "5", **values}.items()):
        data[f"name-{place}"] = json.dumps(name)
        if value is not None:
            data[f"input-{place}"] = value
    return data


def raw(contract: Contract, inputs: dict[str, Any], preset: Preset | None = None) -> dict[str, str]:
    own = {
        name: text for name, text in typed(contract, preset=preset).items() if not name.startswith(("name-", "input-"))
    }
    return {**own, "inputs_json": json.dumps(inputs)}


def sent(simulator: Simulator) -> list[dict[str, Any]]:
    return [entry["body"]["trigger_inputs"] for entry in simulator.ledger() if entry["path"].endswith("/trigger")]


# --- saving


def test_saving_asks_first_and_carries_what_was_typed(
    browser_of_ada: Client, save_url: str, contract: Contract, simulator: Simulator
) -> None:
    answer = browser_of_ada.post(save_url, typed(contract, Supplier="Acme <b>"))
    body = answer.content.decode()
    assert answer.status_code == 200
    assert '<input type="hidden" name="input-0" value="Acme &lt;b&gt;">' in body
    assert [label for _, label in answer.context["form"].fields["locked"].choices] == [
        "Supplier: “Acme <b>”", "Region: left out", "Amount: “5”",
    ]  # fmt: skip
    assert not Preset.objects.exists()
    assert simulator.ledger() == []


def test_a_preset_keeps_what_was_typed_and_the_form_opens_with_it(
    browser_of_ada: Client, ada: Membership, save_url: str, address: str, contract: Contract
) -> None:
    data: dict[str, Any] = typed(contract, Supplier="Acme", Region="UK")
    answer = browser_of_ada.post(save_url, {**data, "preset-name": "UK", "preset-locked": [json.dumps("Region")]})
    preset = Preset.objects.get()
    assert presets.values_of(preset) == {"Supplier": "Acme", "Region": "UK", "Amount": 5}
    assert (preset.owner, preset.locked, preset.is_shared) == (ada.user, ["Region"], False)
    assert answer.headers["Location"] == f"{address}?preset={preset.pk}"


def test_an_unfinished_form_can_be_kept_but_not_a_wrong_value(
    browser_of_ada: Client, save_url: str, contract: Contract
) -> None:
    named = {"preset-name": "Half"}
    answer = browser_of_ada.post(save_url, {**typed(contract, Supplier="", Amount="much"), **named})
    assert answer.status_code == 422
    assert "no preset was saved" in answer.content.decode()
    browser_of_ada.post(save_url, {**typed(contract, Supplier="", Amount="9"), **named})
    assert presets.values_of(Preset.objects.get()) == {"Amount": 9}


def test_raw_json_can_be_kept_too(browser_of_ada: Client, save_url: str, contract: Contract) -> None:
    browser_of_ada.post(save_url, {**raw(contract, {"Amount": 9}), "preset-name": "Raw"})
    assert presets.values_of(Preset.objects.get()) == {"Amount": 9}
    assert browser_of_ada.post(save_url, {**raw(contract, {"Foreign": 9}), "preset-name": "X"}).status_code == 422


@pytest.mark.parametrize(
    "extra",
    [{"preset-owner": "1"}, {"preset-locked": '"Foreign"'}, {"owner": "1"}, {"preset-locked": "[["}, {"preset-name": "\0"}],
)  # fmt: skip
def test_what_the_question_does_not_ask_for_is_refused(
    browser_of_ada: Client, save_url: str, contract: Contract, extra: dict[str, str]
) -> None:
    """S-12: nothing can be slipped in."""
    answer = browser_of_ada.post(save_url, {**typed(contract), "preset-name": "EU", **extra})
    assert answer.status_code == 422
    assert not Preset.objects.exists()


def test_going_back_from_the_question_loses_nothing(browser_of_ada: Client, address: str, contract: Contract) -> None:
    answer = browser_of_ada.post(address, {**typed(contract, Supplier="Acme"), "preset-name": "EU", "show": "same"})
    assert answer.status_code == 200
    assert 'value="Acme"' in answer.content.decode()


# --- choosing


def test_a_chosen_preset_fills_the_form_and_shows_its_locks(
    browser_of_ada: Client, address: str, preset: Preset
) -> None:
    answer = browser_of_ada.get(address, {"preset": preset.pk})
    supplier, region, amount = [field for field, _ in answer.context["form"].asked_fields()]
    assert (supplier.value(), region.value(), amount.value()) == (CANARY, "", "7")
    assert supplier.field.widget.attrs["readonly"] is True
    assert "readonly" not in amount.field.widget.attrs
    assert f'<input type="hidden" name="preset" value="{preset.pk}"' in answer.content.decode()


def test_without_a_choice_the_form_shows_no_value_of_any_preset(
    browser_of_ada: Client, address: str, workflow: Workflow, preset: Preset
) -> None:
    """V-4: values stand where a person chose them, not in lists."""
    assert CANARY not in browser_of_ada.get(address).content.decode()
    assert CANARY not in browser_of_ada.get(reverse("presets", args=[workflow.pk])).content.decode()
    assert CANARY in browser_of_ada.get(address, {"preset": preset.pk}).content.decode()


@pytest.mark.parametrize("chosen", ["0", "99999999", "x", "9" * 40, "-1", "²"])
def test_a_preset_that_is_not_there_is_a_404(browser_of_ada: Client, address: str, chosen: str) -> None:
    assert browser_of_ada.get(address, {"preset": chosen}).status_code == 404


def test_somebody_elses_own_preset_is_a_404_and_a_shared_one_is_not(
    browser_of_ada: Client, operator: Membership, address: str, contract: Contract
) -> None:
    """V-1: a private preset does not exist for others, not even for an admin."""
    theirs = kept(operator, contract)
    assert browser_of_ada.get(address, {"preset": theirs.pk}).status_code == 404
    for name in ("preset-change", "preset-delete"):
        assert browser_of_ada.get(reverse(name, args=[theirs.pk])).status_code == 404
    Preset.objects.update(is_shared=True)
    assert browser_of_ada.get(address, {"preset": theirs.pk}).status_code == 200


def test_a_preset_of_another_workflow_is_a_404(
    browser_of_ada: Client, ada: Membership, address: str, preset: Preset
) -> None:
    other = Workflow.objects.exclude(pk=preset.workflow_id).filter(access__user=ada.user).first()
    Preset.objects.update(workflow=other)
    assert browser_of_ada.get(address, {"preset": preset.pk}).status_code == 404


# --- locks


def test_the_values_of_locked_inputs_come_from_the_preset(
    browser_of_ada: Client, address: str, contract: Contract, preset: Preset, simulator: Simulator
) -> None:
    browser_of_ada.post(address, typed(contract, preset=preset, Supplier=None, Amount="8"))
    assert sent(simulator) == [{"Supplier": CANARY, "Amount": 8}]


def test_a_tampered_locked_field_is_refused_and_nothing_is_sent(
    browser_of_ada: Client, address: str, contract: Contract, preset: Preset, simulator: Simulator
) -> None:
    answer = browser_of_ada.post(address, typed(contract, preset=preset, Supplier="other@example.com"))
    assert answer.status_code == 422
    assert answer.context["form"].errors["input-0"] == [
        "The preset “EU” locks this. Leave it as it is, or choose no preset."
    ]
    supplier = next(field for field, _ in answer.context["form"].asked_fields())
    assert supplier.value() == CANARY
    assert simulator.ledger() == []


@pytest.mark.parametrize("inputs", [{"Supplier": "x", "Amount": 7}, {"Amount": 7}, {"Supplier": [CANARY], "Amount": 7}])
def test_raw_json_cannot_change_a_locked_value_either(
    browser_of_ada: Client,
    address: str,
    contract: Contract,
    preset: Preset,
    simulator: Simulator,
    inputs: dict[str, Any],
) -> None:
    answer = browser_of_ada.post(address, raw(contract, inputs, preset))
    assert answer.status_code == 422
    assert f"the preset “EU” locks this. Write &quot;{CANARY}&quot;" in answer.content.decode()
    assert simulator.ledger() == []


def test_a_lock_on_leaving_out_holds(
    browser_of_ada: Client, ada: Membership, address: str, contract: Contract, simulator: Simulator
) -> None:
    preset = kept(ada, contract, locked=["Region"])
    assert browser_of_ada.post(address, typed(contract, preset=preset, Region="UK")).status_code == 422
    assert simulator.ledger() == []
    browser_of_ada.post(address, typed(contract, preset=preset, Supplier="A", Region=""))
    assert sent(simulator) == [{"Supplier": "A", "Amount": 5}]


def test_the_form_and_raw_json_keep_the_preset_when_they_are_switched(
    browser_of_ada: Client, address: str, contract: Contract, preset: Preset
) -> None:
    data = typed(contract, preset=preset, Supplier=CANARY, Amount="8")
    answer = browser_of_ada.post(address, {**data, "show": "json"})
    body = answer.content.decode()
    assert f'name="preset" value="{preset.pk}"' in body
    assert json.loads(answer.context["form"].initial["inputs_json"]) == {"Supplier": CANARY, "Amount": 8}
    back = browser_of_ada.post(address, {**raw(contract, {"Supplier": CANARY, "Amount": 8}, preset), "show": "form"})
    assert next(field for field, _ in back.context["form"].asked_fields()).field.is_locked is True


def test_a_preset_that_went_away_meanwhile_leaves_the_values_open(
    browser_of_ada: Client, address: str, contract: Contract, preset: Preset, simulator: Simulator
) -> None:
    data = typed(contract, preset=preset, Supplier=CANARY)
    preset.delete()
    answer = browser_of_ada.post(address, data)
    assert answer.status_code == 422
    assert "The preset was deleted" in answer.content.decode()
    assert simulator.ledger() == []
    form = answer.context["form"]
    again = {**data, "preset": form["preset"].value(), "key": form["key"].value()}
    browser_of_ada.post(address, again)
    assert sent(simulator) == [{"Supplier": CANARY, "Amount": 5}]


# --- drift


def test_after_a_drift_the_form_says_what_the_preset_left_out(
    browser_of_ada: Client, address: str, workflow: Workflow, preset: Preset, simulator: Simulator
) -> None:
    schema = [
        {"field_name": "Supplier", "field_data_type": "Number"}, {"field_name": "Amount", "field_data_type": "Number"},
        {"field_name": "Country", "field_data_type": "String", "default_value": "SE"},
    ]  # fmt: skip
    asks(workflow, simulator, browser_of_ada, schema)
    answer = browser_of_ada.get(address, {"preset": preset.pk})
    body = answer.content.decode()
    assert "The value of “Supplier” was left out: it was string and is now number." in body
    assert "“Country” is new" in body
    values = {field.label: field.value() for field, _ in answer.context["form"].asked_fields()}
    assert values == {"Supplier": "", "Amount": "7", "Country": "SE"}
    assert "The inputs changed since" in browser_of_ada.get(reverse("presets", args=[workflow.pk])).content.decode()


# --- the list


def test_a_shared_preset_can_be_used_by_others_but_not_changed(
    ada: Membership, operator: Membership, signed_in: Callable[..., Client], contract: Contract
) -> None:
    shared = kept(ada, contract, is_shared=True)
    lists(operator, contract.workflow)
    client = signed_in(operator)
    assert "belongs to Ada Admin" in client.get(reverse("presets", args=[contract.workflow_id])).content.decode()
    answer = client.post(reverse("preset-delete", args=[shared.pk]))
    assert answer.status_code in {403, 409, 422}
    assert Preset.objects.filter(pk=shared.pk).exists()


def test_a_preset_is_renamed_shared_and_unlocked_with_its_values_kept(browser_of_ada: Client, preset: Preset) -> None:
    browser_of_ada.post(reverse("preset-change", args=[preset.pk]), {"name": "Europe", "is_shared": "on"})
    preset.refresh_from_db()
    assert (preset.name, preset.is_shared, preset.locked) == ("Europe", True, [])
    assert presets.values_of(preset) == {"Supplier": CANARY, "Amount": 7}
    assert AuditEntry.objects.filter(action="preset.shared").count() == 1


def test_a_preset_is_deleted_after_a_question(browser_of_ada: Client, preset: Preset) -> None:
    address = reverse("preset-delete", args=[preset.pk])
    assert "Delete this preset?" in browser_of_ada.get(address).content.decode()
    assert browser_of_ada.post(address, {"state": "x"}).status_code == 422
    assert Preset.objects.exists()
    browser_of_ada.post(address)
    assert not Preset.objects.exists()


def test_a_preset_that_does_not_open_is_told_and_can_be_deleted(
    browser_of_ada: Client, address: str, preset: Preset, workflow: Workflow
) -> None:
    Preset.objects.update(sealed_values="v1.00000000.AAAA")
    assert "do not open" in browser_of_ada.get(reverse("presets", args=[workflow.pk])).content.decode()
    assert browser_of_ada.get(address, {"preset": preset.pk}).status_code == 200
    browser_of_ada.post(reverse("preset-delete", args=[preset.pk]))
    assert not Preset.objects.exists()


def test_hostile_presets_are_text_everywhere(
    browser_of_ada: Client, ada: Membership, address: str, contract: Contract
) -> None:
    """S-3: the name and the values of a preset change no tag and no attribute."""
    preset = kept(ada, contract, locked=[])

    def shapes(text: str) -> list[object]:
        single = " ".join(text.split())[:60]  # one line, so that both make the same kind of field
        wish = Wish(name="EU", values={"Supplier": single, "Amount": 7}, is_replacing=True)
        presets.save_preset(contract.workflow, contract, wish, membership=ada)
        Preset.objects.update(name=text[:80])
        pages = [reverse("presets", args=[contract.workflow_id]), reverse("preset-change", args=[preset.pk])]
        bodies = [browser_of_ada.get(page).content for page in [*pages, f"{address}?preset={preset.pk}"]]
        Preset.objects.update(name="EU")
        return [shape_of(body.decode()) for body in bodies]

    shapes("plain")  # takes the messages of the setup away
    plain = shapes("plain")
    assert [text for text in CORPUS if shapes(text) != plain] == []
