"""Presets: whose they are, what of them still fits, and that their values stay sealed."""

import logging
from typing import Any

import pytest

from dashboard import crypto
from dashboard.models import Account, AuditEntry, Contract, Membership, Preset, Workflow
from dashboard.services import presets
from dashboard.services.errors import Refused
from dashboard.services.presets import Wish
from tests.factories import ContractFactory, WorkflowFactory, lists

CANARY = "canary.person@example.com"


def spec(name: str, kind: str = "string", *, has_default: bool = False) -> dict[str, Any]:
    return {
        "name": name, "kind": kind, "data_type": kind, "default": None, "has_default": has_default, "is_system": False
    }  # fmt: skip


@pytest.fixture
def workflow(account: Account, operator: Membership, admin: Membership) -> Workflow:
    made = WorkflowFactory(account=account)
    lists(operator, made)
    lists(admin, made)
    return made


@pytest.fixture
def contract(workflow: Workflow) -> Contract:
    return ContractFactory(workflow=workflow, fields=[spec("A"), spec("B", has_default=True), spec("N", "number")])


def saved(owner: Membership, contract: Contract, **wish: Any) -> Preset:
    wish = {"name": "EU", "values": {"A": CANARY, "N": 7}, **wish}
    return presets.save_preset(contract.workflow, contract, Wish(**wish), membership=owner)


def deeds() -> list[str]:
    return list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))


def test_values_come_back_as_they_were(operator: Membership, contract: Contract) -> None:
    values = {"A": "ä \u2028 <b>", "N": 10**30}
    preset = saved(operator, contract, values=values)
    assert presets.values_of(Preset.objects.get(pk=preset.pk)) == values


def test_values_are_sealed_and_open_only_in_their_own_row(operator: Membership, contract: Contract) -> None:
    """V-4: a copied ciphertext opens nowhere else."""
    first, second = saved(operator, contract), saved(operator, contract, name="US")
    assert CANARY not in first.sealed_values
    second.sealed_values = first.sealed_values
    with pytest.raises(Refused, match="do not open"):
        presets.values_of(second)
    with pytest.raises(crypto.SealBroken):
        crypto.unseal(first.sealed_values, "preset", str(second.pk), "values")


def test_values_reach_neither_the_audit_nor_the_log(
    operator: Membership, contract: Contract, caplog: pytest.LogCaptureFixture
) -> None:
    """V-4: what is written down of a shared preset is its name and how much it locks."""
    with caplog.at_level(logging.DEBUG):
        preset = saved(operator, contract, is_shared=True, locked=["A"])
        presets.change_preset(preset, name="EU 2", is_shared=True, locked=[], membership=operator)
        for _ in range(2):  # two tabs: it is deleted, and written down, once
            presets.delete_preset(preset, membership=operator)
    assert deeds() == ["preset.shared", "preset.changed", "preset.deleted"]
    assert "canary" not in caplog.text + "".join(str(entry.__dict__) for entry in AuditEntry.objects.all())


def test_a_preset_of_ones_own_is_nobody_elses_business(
    operator: Membership, admin: Membership, contract: Contract
) -> None:
    saved(operator, contract)
    assert list(presets.presets_of(admin, contract.workflow)) == []
    assert deeds() == []


def test_a_shared_preset_is_seen_by_who_sees_the_workflow(
    operator: Membership, admin: Membership, viewer: Membership, outsider: Membership, contract: Contract
) -> None:
    """V-1: the workflow decides; an account in common is not enough."""
    preset = saved(operator, contract, is_shared=True)
    assert list(presets.presets_of(admin)) == [preset]
    assert list(presets.presets_of(viewer)) == []
    assert list(presets.presets_of(outsider)) == []


def test_only_the_owner_or_an_admin_of_a_shared_one_changes_it(
    operator: Membership, admin: Membership, contract: Contract
) -> None:
    shared = saved(operator, contract, is_shared=True)
    assert presets.change_obstacle(shared, admin) == ""
    theirs = saved(admin, contract, is_shared=True)
    with pytest.raises(Refused, match="belongs to"):
        presets.delete_preset(theirs, membership=operator)
    assert Preset.objects.count() == 2


def test_the_same_name_is_replaced_only_when_asked(operator: Membership, contract: Contract) -> None:
    first = saved(operator, contract)
    with pytest.raises(Refused) as refused:
        saved(operator, contract, values={"A": "new"})
    assert refused.value.field == "name"
    again = saved(operator, contract, values={"A": "new"}, is_replacing=True)
    assert again.pk == first.pk
    assert presets.values_of(Preset.objects.get()) == {"A": "new"}


def test_two_presets_cannot_get_one_name(operator: Membership, contract: Contract) -> None:
    saved(operator, contract)
    other = saved(operator, contract, name="US")
    with pytest.raises(Refused, match="Write another"):
        presets.change_preset(other, name="EU", is_shared=False, locked=[], membership=operator)


def test_what_has_no_value_and_no_default_cannot_be_locked(operator: Membership, contract: Contract) -> None:
    with pytest.raises(Refused, match="has no value"):
        saved(operator, contract, values={"A": "x"}, locked=["N"])
    assert saved(operator, contract, values={"A": "x"}, locked=["A", "B"]).locked == ["A", "B"]


def test_a_preset_for_the_present_inputs_fills_everything(operator: Membership, contract: Contract) -> None:
    filled = presets.fill(saved(operator, contract, locked=["A", "B"]), contract)
    assert (filled.values, filled.locked) == ({"A": CANARY, "N": 7}, {"A", "B"})
    assert (filled.changes, filled.left_out) == ([], [])


def test_after_a_drift_only_inputs_of_the_same_name_and_kind_are_filled(
    operator: Membership, contract: Contract
) -> None:
    preset = saved(operator, contract, values={"A": "a", "B": "b", "N": 7}, locked=["A", "N"])
    present = ContractFactory(workflow=contract.workflow, fields=[spec("B"), spec("N", "date"), spec("C")])
    filled = presets.fill(preset, present)
    assert filled.values == {"B": "b"}
    assert filled.known == {"B"}
    assert filled.locked == frozenset()
    assert filled.left_out == [
        "The value of “A” was left out: the workflow does not ask for it any more.",
        "The value of “N” was left out: it was number and is now date.",
    ]
    assert "“C” is new (string, required)." in filled.changes


def test_a_lock_on_nothing_opens_when_the_default_is_gone(operator: Membership, contract: Contract) -> None:
    preset = saved(operator, contract, values={"A": "a"}, locked=["B"])
    filled = presets.fill(preset, ContractFactory(workflow=contract.workflow, fields=[spec("A"), spec("B")]))
    assert filled.locked == frozenset()
    assert filled.left_out == ["“B” has no default any more, so it is open."]


def test_a_preset_of_an_unknown_version_fills_nothing(operator: Membership, contract: Contract) -> None:
    """Without its version nobody can say that a name still means the same."""
    preset = saved(operator, contract)
    Preset.objects.update(contract_digest="f" * 64)
    preset.refresh_from_db()
    assert presets.fill(preset, contract).values == {}


def test_a_person_keeps_a_bounded_number_of_presets(
    operator: Membership, contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presets, "MOST_PRESETS", 1)
    saved(operator, contract)
    with pytest.raises(Refused, match="Delete one first"):
        saved(operator, contract, name="US")
