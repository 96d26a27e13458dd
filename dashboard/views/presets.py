"""Presets of a workflow: their page, and the questions that keep, change and delete them.

Its one rule: values stand only where somebody decides about them, never in a list or an address (V-4).
"""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard import htmx
from dashboard.forms.presets import PREFIX, PresetForm, SavePresetForm, lock_ticks
from dashboard.forms.strict import DeedForm, StrictForm
from dashboard.forms.trigger import TriggerBase
from dashboard.models import Contract, Preset, Workflow
from dashboard.permissions import reason, requires
from dashboard.person import PersonRequest
from dashboard.services import contracts, presets
from dashboard.services.errors import Refused
from dashboard.services.visibility import visible_workflows
from dashboard.views import trigger
from dashboard.views.trigger_forms import posted_form

EVENT = "presetsChanged"
NOT_SAVED = "Nothing was sent, and no preset was saved."


@dataclass(frozen=True, slots=True)
class Line:
    """A preset as a person has it: which inputs it fills and locks, and whether the workflow asks for others now."""

    preset: Preset
    filled: list[str]
    is_drifted: bool
    obstacle: str
    problem: str = ""


@requires("preset.use")
@require_safe
def index(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Own presets and those that others share."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    contract = contracts.current_contract(workflow)
    rows = [_line_of(request, preset, contract) for preset in presets.presets_of(request.membership, workflow)]
    context = {
        "workflow": workflow,
        "rows": rows,
        "no_trigger": reason(request.membership, "workflow.trigger"),
    }
    return htmx.render(request, "presets/index.html", "presets/_presets.html", context)


def _line_of(request: PersonRequest, preset: Preset, contract: Contract | None) -> Line:
    obstacle = presets.change_obstacle(preset, request.membership)
    is_drifted = presets.is_drifted(preset, contract)
    try:
        return Line(preset, list(presets.values_of(preset)), is_drifted, obstacle)
    except Refused as refusal:
        return Line(preset, [], is_drifted, obstacle, refusal.message)


@requires("preset.save")
@require_POST
def save(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Ask for a name with what the trigger form holds, then keep that. Nothing is sent."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    contract = get_object_or_404(Contract, pk=getattr(contracts.current_contract(workflow), "pk", None))
    typed = posted_form(request, workflow, contract)
    typed.is_valid()
    is_stale = request.POST.get("contract") != contract.digest
    if typed.has_wrong_values() or is_stale or {"preset", "__all__"} & set(typed.errors):
        return trigger.show(request, workflow, contract, typed, status=422, note=NOT_SAVED)
    sent = _sent(request)
    lockable = presets.lockable_names(typed.given(), contract)
    before = {"locked": lock_ticks(typed.filled.locked if typed.filled else ())}
    form = SavePresetForm(sent or None, values=typed.given(), lockable=lockable, initial=before)
    if sent and form.is_valid():
        return _save(request, workflow, contract, typed, form)
    return _ask_to_save(request, workflow, typed, form)


def _sent(request: PersonRequest) -> QueryDict:
    """The part of the POST that is about the preset; empty while only the trigger form was sent."""
    sent = QueryDict(mutable=True)
    for name, values in request.POST.lists():
        if name.startswith(f"{PREFIX}-"):
            sent.setlist(name, values)
    return sent


def _save(
    request: PersonRequest, workflow: Workflow, contract: Contract, typed: TriggerBase, form: SavePresetForm
) -> HttpResponse:
    wish = presets.Wish(
        name=form.cleaned_data["name"],
        values=typed.given(),
        locked=form.locked_names(),
        is_shared=form.cleaned_data["is_shared"],
        is_replacing=form.cleaned_data["is_replacing"],
    )
    try:
        preset = presets.save_preset(workflow, contract, wish, membership=request.membership)
    except Refused as refusal:
        form.add_error(refusal.field, refusal.message)
        return _ask_to_save(request, workflow, typed, form)
    messages.success(request, f"Kept as the preset “{preset}”. Nothing was sent.", extra_tags=_list_url(workflow))
    return htmx.go(request, f"{reverse('workflow-trigger', args=[workflow.pk])}?preset={preset.pk}")


def _ask_to_save(request: PersonRequest, workflow: Workflow, typed: TriggerBase, form: SavePresetForm) -> HttpResponse:
    """The question, with the whole trigger form as hidden fields, so that going back loses nothing."""
    left = {"show", "csrfmiddlewaretoken"}
    carried = [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if name not in left and not name.startswith(f"{PREFIX}-")
    ]
    context = {"workflow": workflow, "form": form, "carried": carried, "count": len(typed.given())}
    return htmx.render(request, "presets/save.html", "presets/_save.html", context, status=422 if form.errors else 200)


@requires("preset.save")
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: PersonRequest, preset_id: int) -> HttpResponse:
    """Ask for another name, other people or other locks, then keep them; the values stay."""
    preset = _changeable(request, preset_id)
    values = presets.values_of(preset)
    lockable = presets.lockable_names(values, presets.made_for(preset))
    present = {"name": preset.name, "is_shared": preset.is_shared, "locked": lock_ticks(preset.locked)}
    posted = request.POST if request.method == "POST" else None
    form = PresetForm(posted, values=values, lockable=lockable, initial=present)
    if request.method == "POST" and form.is_valid():
        name, is_shared = form.cleaned_data["name"], form.cleaned_data["is_shared"]
        wish = {"name": name, "is_shared": is_shared, "locked": form.locked_names()}
        try:
            presets.change_preset(preset, **wish, membership=request.membership)
        except Refused as refusal:
            form.add_error(refusal.field, refusal.message)
        else:
            messages.success(request, f"The preset “{preset}” is changed.")
            return htmx.done(request, _list_url(preset.workflow), EVENT, "closeDialog")
    context = {"title": f"Change the preset “{present['name']}”?", "verb": "Change preset", "tone": "primary"}
    return _ask(request, preset, form, {**context, "keep_label": "Keep it as it is"})


@requires("preset.save")
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: PersonRequest, preset_id: int) -> HttpResponse:
    """Ask, then delete."""
    preset = _changeable(request, preset_id)
    form = DeedForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        presets.delete_preset(preset, membership=request.membership)
        messages.success(request, f"The preset “{preset}” is deleted.")
        return htmx.done(request, _list_url(preset.workflow), EVENT, "closeDialog")
    who = "everybody who uses it" if preset.is_shared else "you"
    effects = [
        {"icon": "cancel", "text": f"The preset and its values are gone for {who}. They cannot be brought back."},
        {"icon": "info", "text": "What was triggered with it stays as it is."},
    ]
    names = [{"name": preset.name, "note": f"of {preset.owner}, shared" if preset.is_shared else "only yours"}]
    context = {"title": "Delete this preset?", "verb": "Delete preset", "keep_label": "Keep it"}
    return _ask(request, preset, form, {**context, "effects": effects, "names": names})


def _changeable(request: PersonRequest, preset_id: int) -> Preset:
    preset = get_object_or_404(presets.presets_of(request.membership), pk=preset_id)
    presets.refuse_strangers(preset, request.membership)
    return preset


def _list_url(workflow: Workflow) -> str:
    return reverse("presets", args=[workflow.pk])


def _ask(request: PersonRequest, preset: Preset, form: StrictForm, context: dict[str, Any]) -> HttpResponse:
    asked = {**context, "form": form, "action_url": request.path, "error_title": "Nothing was changed"}
    asked["keep_url"] = _list_url(preset.workflow)
    status = 422 if form.errors else 200
    return htmx.render(request, "presets/question.html", "components/_dialog.html", asked, status=status)
