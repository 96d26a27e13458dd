"""The trigger form as this person gets it: fresh, from a preset, from a draft, or as posted.

Its one rule: what was typed goes by the name of its input, and what a preset locks comes from the preset, never from the POST.
"""

from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.datastructures import MultiValueDict

from dashboard.forms.confirm import new_key
from dashboard.forms.presets import PREFIX, members_of, typed_of
from dashboard.forms.trigger import RawTriggerForm, TriggerBase, TriggerForm, typed_values
from dashboard.models import Contract, InputRule, Preset, Workflow
from dashboard.person import PersonRequest
from dashboard.services import input_rules, presets
from dashboard.services.errors import Refused
from dashboard.services.input_values import MAX_NAME, asked
from dashboard.services.json_values import as_json
from dashboard.services.presets import Filled
from dashboard.services.sign_in_gate import take_draft
from dashboard.wording import day_text

LONGEST_ID = 18


@dataclass(frozen=True, slots=True)
class Ground:
    """What every form of a workflow stands on: its contract, the team's rules, and the preset that was chosen."""

    workflow: Workflow
    contract: Contract
    rules: dict[str, InputRule] = field(default_factory=dict)
    filled: Filled | None = None

    @property
    def basis(self) -> dict[str, Any]:
        return {"rules": self.rules, "filled": self.filled}

    @property
    def preset_id(self) -> str:
        return str(self.filled.preset.pk) if self.filled else ""


def ground_of(request: PersonRequest, workflow: Workflow, contract: Contract, preset: Preset | None) -> Ground:
    """Read the rules, and fit the preset to the contract."""
    filled = None
    if preset is not None:
        try:
            filled = presets.fill(preset, contract)
        except Refused as refusal:
            messages.warning(request, refusal.message)
    return Ground(workflow, contract, input_rules.rules_of(workflow), filled)


def chosen_preset(request: PersonRequest, workflow: Workflow) -> Preset | None:
    """The preset that the address names; somebody else's own answers like none at all."""
    text = request.GET.get("preset", "")
    if not text:
        return None
    return get_object_or_404(presets.presets_of(request.membership, workflow), pk=_id_of(text))


def posted_preset(request: PersonRequest, workflow: Workflow, text: str) -> Preset | None:
    """The preset that a form names; None when it is gone, which the form then says."""
    return presets.presets_of(request.membership, workflow).filter(pk=_id_of(text)).first() if text else None


def _id_of(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_ID else 0


def fresh_form(request: PersonRequest, workflow: Workflow, contract: Contract) -> TriggerBase:
    """A form with its suggestions, or with what this person had typed before the session ended (S-6)."""
    draft = take_draft(request.session, request.user, request.path)
    if draft is not None:
        messages.info(request, "What you had typed before you signed in again is back. It was not sent.")
        preset = posted_preset(request, workflow, draft.get("preset") or "")
        return _drafted_form(ground_of(request, workflow, contract, preset), draft)
    ground = ground_of(request, workflow, contract, chosen_preset(request, workflow))
    return _suggested_form(ground, is_raw=request.GET.get("as") == "json")


def _suggested_form(ground: Ground, *, is_raw: bool) -> TriggerBase:
    now, specs = timezone.localtime(), ground.contract.fields
    name = f"{ground.workflow.name[: MAX_NAME - 40]} – {day_text(now.date(), now.date())} {now.year}, {now:%H:%M}"
    initial = {"key": new_key(), "contract": ground.contract.digest, "instance_name": name, "preset": ground.preset_id}
    if is_raw:
        defaults = {spec["name"]: spec["default"] for spec in asked(specs) if spec["has_default"]}
        members = members_of(ground.filled, specs) if ground.filled else defaults
        return RawTriggerForm(specs, initial={**initial, "inputs_json": as_json(members, indent=2)}, **ground.basis)
    if ground.filled is None:
        return TriggerForm(specs, initial=initial, **ground.basis)
    typed, left_out = typed_of(ground.filled, specs)
    ground.filled.left_out.extend(left_out)
    return TriggerForm(specs, typed=typed, initial=initial, **ground.basis)


def _drafted_form(ground: Ground, draft: MultiValueDict[str, str]) -> TriggerBase:
    initial: dict[str, Any] = {name: draft.get(name, "") for name in ("key", "contract", "instance_name")}
    initial["preset"] = ground.preset_id
    if "inputs_json" in draft:
        initial["inputs_json"] = draft["inputs_json"]
        return RawTriggerForm(ground.contract.fields, initial=initial, **ground.basis)
    return TriggerForm(ground.contract.fields, typed=typed_values(draft), initial=initial, **ground.basis)


def posted_form(request: PersonRequest, workflow: Workflow, contract: Contract) -> TriggerBase:
    """What was sent, on the ground of the present contract."""
    data = request.POST.copy()
    for name in [name for name in data if name == "show" or name.startswith(f"{PREFIX}-")]:
        del data[name]
    ground = ground_of(request, workflow, contract, posted_preset(request, workflow, data.get("preset", "")))
    if "inputs_json" in data:
        return RawTriggerForm(contract.fields, data=data, **ground.basis)
    known = typed_values(request.POST)
    new_names = frozenset(spec["name"] for spec in asked(contract.fields) if spec["name"] not in known)
    return TriggerForm(contract.fields, data=data, new_names=new_names, **ground.basis)


def twin_form(form: TriggerBase, request: PersonRequest, typed: dict[str, str | None] | None = None) -> TriggerBase:
    """The same in the other way of entering: raw JSON from fields, or fields with what raw JSON said."""
    initial = {name: request.POST.get(name, "") for name in ("key", "contract", "instance_name")}
    initial["preset"] = form.preset_id()
    basis: dict[str, Any] = {"rules": form.rules, "filled": form.filled}
    if typed is None:
        initial["inputs_json"] = as_json(form.inputs(), indent=2)
        return RawTriggerForm(form.specs, initial=initial, **basis)
    return TriggerForm(form.specs, typed=typed, initial=initial, **basis)
