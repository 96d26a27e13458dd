"""Presets: named sets of inputs of a workflow, with locked and open fields, for oneself or the team.

The one rule: values are sealed and leave this module only for a person who may use the preset; they never reach a log or the audit (V-4).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet

from dashboard import crypto
from dashboard.models import Contract, Membership, Preset, Role, Workflow
from dashboard.services import audit, contracts
from dashboard.services.errors import Refused
from dashboard.services.visibility import visible_workflows
from dashboard.wording import visible

MOST_PRESETS = 50  # of one person for one workflow
WITHOUT = "The value of “{}” was left out: {}."


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person wants a preset to be; values by input name, as they would be sent."""

    name: str
    values: dict[str, Any]
    locked: Sequence[str] = ()
    is_shared: bool = False
    is_replacing: bool = False


@dataclass(frozen=True, slots=True)
class Filled:
    """A preset fitted to the present contract: what it still fills and locks, and what changed since it was made.

    A name of `known` without a value was left empty; inputs that came later are not among them.
    """

    preset: Preset
    values: dict[str, Any]
    known: frozenset[str]
    locked: frozenset[str]
    changes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def presets_of(membership: Membership, workflow: Workflow | None = None) -> QuerySet[Preset]:
    """The person's own presets and the shared ones, of workflows that Docusign lists to this person."""
    rows = Preset.objects.filter(workflow__in=visible_workflows(membership)).select_related("owner", "workflow")
    rows = rows.filter(Q(owner_id=membership.user_id) | Q(is_shared=True))
    return (rows.filter(workflow=workflow) if workflow else rows).order_by("name", "pk")


def preset_place(preset: Preset) -> tuple[str, ...]:
    """Where the sealed values of a preset belong."""
    return ("preset", str(preset.pk), "values")


def values_of(preset: Preset) -> dict[str, Any]:
    """What the preset fills in."""
    try:
        values: dict[str, Any] = json.loads(crypto.unseal(preset.sealed_values, *preset_place(preset)))
    except crypto.SealBroken as broken:
        raise Refused("The values of this preset do not open with the keys of this console. Make it anew.") from broken
    return values


def made_for(preset: Preset) -> Contract | None:
    """The version of the contract that the preset was made for."""
    return Contract.objects.filter(workflow_id=preset.workflow_id, digest=preset.contract_digest).first()


def fill(preset: Preset, contract: Contract) -> Filled:
    """Fit a preset to what the workflow asks for now: only inputs that still exist with the same kind are filled."""
    values, old = values_of(preset), made_for(preset)
    kinds = {spec["name"]: spec["kind"] for spec in old.fields} if old else {}
    present = {spec["name"]: spec for spec in contract.fields if not spec["is_system"]}
    kept, left_out = {}, []
    for name, value in values.items():
        if why := _misfit(name, kinds, present):
            left_out.append(WITHOUT.format(visible(name), why))
        else:
            kept[name] = value
    known = frozenset(name for name in present if kinds.get(name) == present[name]["kind"])
    locked = set()
    for name in known.intersection(preset.locked):
        if name in kept or present[name]["has_default"]:
            locked.add(name)
        else:
            left_out.append(f"“{visible(name)}” has no default any more, so it is open.")
    changes = (
        [change.sentence for change in contracts.diff(old, contract)] if old and is_drifted(preset, contract) else []
    )
    return Filled(preset, kept, known, frozenset(locked), changes, left_out)


def is_drifted(preset: Preset, contract: Contract | None) -> bool:
    """Whether the workflow asks for other inputs than when the preset was made."""
    return contract is not None and preset.contract_digest != contract.digest


def _misfit(name: str, kinds: dict[str, str], present: dict[str, Any]) -> str:
    if name not in present:
        return "the workflow does not ask for it any more"
    if name not in kinds:
        return "it is not known for which version of the inputs it was made"
    if kinds[name] != present[name]["kind"]:
        return f"it was {kinds[name]} and is now {present[name]['kind']}"
    return ""


def save_preset(workflow: Workflow, contract: Contract, wish: Wish, *, membership: Membership) -> Preset:
    """Keep values under a name; a preset of the same name is only replaced where the person said so."""
    mine = Preset.objects.filter(workflow=workflow, owner_id=membership.user_id)
    locked = _lockable(wish.locked, wish.values, contract)
    try:
        with transaction.atomic():
            preset = mine.filter(name=wish.name).first()
            if preset and not wish.is_replacing:
                raise Refused("You have a preset with this name. Write another, or choose to replace it.", field="name")
            if preset is None and mine.count() >= MOST_PRESETS:
                raise Refused(f"You have {MOST_PRESETS} presets of this workflow. Delete one first.")
            was_shared = bool(preset and preset.is_shared)
            preset = preset or Preset(workflow=workflow, owner=membership.user, name=wish.name)
            preset.is_shared, preset.locked, preset.contract_digest = wish.is_shared, locked, contract.digest
            preset.save()  # the seal is bound to the key of the row, which a new one has only now
            preset.sealed_values = crypto.seal(json.dumps(wish.values), *preset_place(preset))
            preset.save(update_fields=["sealed_values"])
            _record_change(preset, membership, was_shared=was_shared)
    except IntegrityError as error:
        raise Refused("You have a preset with this name. Write another.", field="name") from error
    return preset


def change_preset(preset: Preset, *, name: str, is_shared: bool, locked: Sequence[str], membership: Membership) -> None:
    """Another name, other people, other locks; the values stay."""
    refuse_strangers(preset, membership)
    was_shared = preset.is_shared
    preset.name, preset.is_shared = name, is_shared
    preset.locked = _lockable(locked, values_of(preset), made_for(preset))
    try:
        with transaction.atomic():
            preset.save(update_fields=["name", "is_shared", "locked", "changed_at"])
            _record_change(preset, membership, was_shared=was_shared)
    except IntegrityError as error:
        raise Refused("There is a preset of the same person with this name. Write another.", field="name") from error


def delete_preset(preset: Preset, *, membership: Membership) -> None:
    """For everybody who used it; written down when it was shared."""
    refuse_strangers(preset, membership)
    with transaction.atomic():
        if Preset.objects.filter(pk=preset.pk).delete()[0] and preset.is_shared:
            _record("preset.deleted", preset, membership)


def lockable_names(values: dict[str, Any], contract: Contract | None) -> list[str]:
    """What can be locked: an input with a value, or one that may be left out."""
    specs = [spec for spec in contract.fields if not spec["is_system"]] if contract else []
    names = [spec["name"] for spec in specs if spec["name"] in values or spec["has_default"]]
    return list(dict.fromkeys(names))


def _lockable(wanted: Sequence[str], values: dict[str, Any], contract: Contract | None) -> list[str]:
    allowed = lockable_names(values, contract)
    for name in wanted:
        if name not in allowed:
            raise Refused(f"“{visible(name)[:60]}” has no value, so it cannot be locked.", field="locked")
    return [name for name in allowed if name in wanted]


def change_obstacle(preset: Preset, membership: Membership) -> str:
    """Why this person may not change or delete it; empty when they may."""
    if preset.owner_id == membership.user_id or (preset.is_shared and membership.role == Role.ADMIN):
        return ""
    return f"This preset belongs to {preset.owner}. {preset.owner} or an admin can change it."


def refuse_strangers(preset: Preset, membership: Membership) -> None:
    """Raise where this person may not change it."""
    if obstacle := change_obstacle(preset, membership):
        raise Refused(obstacle)


def _record_change(preset: Preset, membership: Membership, *, was_shared: bool) -> None:
    """Presets that only their owner sees are nobody else's business; shared ones are written down."""
    if preset.is_shared and not was_shared:
        _record("preset.shared", preset, membership)
    elif was_shared:
        _record("preset.changed" if preset.is_shared else "preset.unshared", preset, membership)


def _record(action: str, preset: Preset, membership: Membership) -> None:
    detail = {"preset": preset.pk, "name": preset.name, "owner": preset.owner.sub, "locked": len(preset.locked)}
    workflow = preset.workflow
    audit.record(action, actor=membership.user, account=workflow.account, subject=workflow, detail=detail)
