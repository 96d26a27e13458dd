"""The trigger page. Its one rule: whatever goes wrong, every typed value comes back, and the page says whether anything was sent."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx, stamps
from dashboard.forms.preview import preview_text
from dashboard.forms.trigger import (
    RawTriggerForm,
    TriggerBase,
    TriggerForm,
    system_names,
    typed_from_json,
)
from dashboard.models import Contract, Operation, OperationState, Workflow
from dashboard.permissions import can, requires
from dashboard.person import PersonRequest
from dashboard.services import contracts, due, obstacles, operations, presets, single_runs
from dashboard.services.errors import (
    DocusignUnavailable,
    Drifted,
    NeedsSecondPerson,
    ReconnectNeeded,
    Refused,
    StoreBusy,
)
from dashboard.services.sign_in_gate import draft_token
from dashboard.services.visibility import visible_workflows
from dashboard.views.frames import frame
from dashboard.views.trigger_forms import fresh_form, posted_form, twin_form

NOTHING_SENT = "Nothing was sent to Docusign."
NOTHING_STARTED = "Docusign refused it; nothing was started."
UNREACHED = {DocusignUnavailable: 502, ReconnectNeeded: 409, StoreBusy: 503}


@requires("workflow.trigger")
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """The form; and what happens when it is sent."""
    due.look(request.membership)
    if same := stamps.unchanged(request):
        return same
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    contract = contracts.current_contract(workflow)
    if contract is None:
        return _wait(request, workflow)
    if request.method != "POST":
        return show(request, workflow, contract, fresh_form(request, workflow, contract))
    if "show" in request.POST:
        return _switch(request, workflow, contract)
    form = posted_form(request, workflow, contract)
    is_stale = request.POST.get("contract") != contract.digest
    if not form.is_valid() or is_stale:
        return show(request, workflow, contract, form, status=422, note=NOTHING_SENT)
    return _send(request, workflow, contract, form)


def _wait(request: PersonRequest, workflow: Workflow) -> HttpResponse:
    """Nobody has read the inputs yet: the worker is asked to, and the page fills by itself."""
    due.want_contract(workflow, request.membership)
    context = {**frame(request), "workflow": workflow, "problem": _reading_problem(request, workflow)}
    return htmx.render(request, "trigger/waiting.html", "trigger/_waiting.html", context)


def _reading_problem(request: PersonRequest, workflow: Workflow) -> str:
    mine = workflow.access.filter(user=request.user).values_list("contract_error", flat=True)
    return mine.first() or ""


@requires("workflow.trigger")
@require_POST
def preview(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """What would be sent, as typed so far. Nothing is sent."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    contract = get_object_or_404(Contract, pk=getattr(contracts.current_contract(workflow), "pk", None))
    form = posted_form(request, workflow, contract)
    form.is_valid()
    if htmx.wants_fragment(request):
        context = {"preview": preview_text(form), "workflow": workflow, "system_names": system_names(contract.fields)}
        return htmx.render(request, "trigger/_preview.html", "trigger/_preview.html", context)
    return show(request, workflow, contract, form, note=NOTHING_SENT)


@requires("workflow.trigger")
@require_POST
def refresh(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Read the contract again now: one call."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    contracts.read_contract(workflow, membership=request.membership)
    messages.success(request, "The inputs were read again.")
    return htmx.go(request, reverse("workflow-trigger", args=[workflow.pk]))


def _switch(request: PersonRequest, workflow: Workflow, contract: Contract) -> HttpResponse:
    """From the fields to raw JSON or back, with everything that was typed; a wrong value has to be corrected first."""
    form = posted_form(request, workflow, contract)
    form.is_valid()
    if request.POST["show"] == "same":
        return show(request, workflow, contract, form, note=NOTHING_SENT)
    if isinstance(form, TriggerForm):
        if form.has_wrong_values():
            return show(request, workflow, contract, form, status=422, note=NOTHING_SENT)
        return show(request, workflow, contract, twin_form(form, request))
    try:
        typed = typed_from_json(contract.fields, request.POST["inputs_json"])
    except ValidationError as error:
        if "inputs_json" not in form.errors:
            form.add_error("inputs_json", error)
        return show(request, workflow, contract, form, status=422, note=NOTHING_SENT)
    return show(request, workflow, contract, twin_form(form, request, typed))


def _send(request: PersonRequest, workflow: Workflow, contract: Contract, form: TriggerBase) -> HttpResponse:
    try:
        operation = operations.trigger_workflow(
            workflow,
            actor=request.user,
            membership=request.membership,
            name=form.cleaned_data["instance_name"],
            inputs=form.inputs(),
            key=form.cleaned_data["key"],
            contract_hash=contract.digest,
        )
    except Drifted as drift:
        renewed = posted_form(request, workflow, drift.contract)
        return show(request, workflow, drift.contract, renewed, status=422, note=NOTHING_SENT)
    except NeedsSecondPerson:
        return _hand_over(request, workflow, contract, form)
    except Refused as refusal:
        form.add_error("instance_name" if refusal.field == "name" else None, refusal.message)
        return show(request, workflow, contract, form, status=422)
    except (DocusignUnavailable, ReconnectNeeded, StoreBusy) as error:
        form.add_error(None, error.message)
        return show(request, workflow, contract, form, status=UNREACHED[type(error)], note=NOTHING_SENT)
    return _told(request, workflow, contract, form, operation)


def _hand_over(request: PersonRequest, workflow: Workflow, contract: Contract, form: TriggerBase) -> HttpResponse:
    """Nothing was sent: what was typed goes on to the question that asks for a second person."""
    batch = single_runs.plan_trigger(
        workflow,
        membership=request.membership,
        contract=contract,
        name=form.cleaned_data["instance_name"],
        inputs=form.inputs(),
        key=form.cleaned_data["key"],
    )
    return htmx.go(request, reverse("batch-confirm", args=[batch.pk]))


def _told(
    request: PersonRequest, workflow: Workflow, contract: Contract, form: TriggerBase, operation: Operation
) -> HttpResponse:
    if operation.state == OperationState.REJECTED:
        form.add_refusal(operation.message, operation.field_errors)
        return show(request, workflow, contract, form, status=422, note=NOTHING_STARTED)
    if operation.state == OperationState.CONFIRMED and operation.instance_id:
        target = reverse("instance", args=[operation.instance_id])
        messages.success(request, f"Triggered: {operation.instance}", extra_tags=target)
        return htmx.go(request, target)
    return htmx.go(request, reverse("operation", args=[operation.pk]))


def show(
    request: PersonRequest,
    workflow: Workflow,
    contract: Contract,
    form: TriggerBase,
    *,
    status: int = 200,
    note: str = "",
) -> HttpResponse:
    """The form as it is, with what is to be said about it."""
    sent_with = request.POST.get("contract", contract.digest)
    is_stale = form.is_bound and sent_with != contract.digest
    if form.is_bound and (is_stale or {"key", "preset"} & set(form.errors) or note == NOTHING_STARTED):
        form.renew(contract.digest)
    context = {
        **frame(request),
        **_form_context(request, workflow, contract, form),
        "changes": _changes(workflow, sent_with, contract) if is_stale else [],
        "note": note,
    }
    return htmx.render(request, "trigger/index.html", "trigger/_trigger.html", context, status=status)


def _form_context(request: PersonRequest, workflow: Workflow, contract: Contract, form: TriggerBase) -> dict[str, Any]:
    address = reverse("workflow-trigger", args=[workflow.pk])  # not the preview's, which shows the same page
    return {
        "address": address,
        "workflow": workflow,
        "contract": contract,
        "form": form,
        "is_raw": isinstance(form, RawTriggerForm),
        "preview": preview_text(form),
        "system_names": system_names(contract.fields),
        "obstacle": obstacles.trigger_obstacle(workflow, request.membership),
        "draft_owner": draft_token(request.user, address),
        "presets": list(presets.presets_of(request.membership, workflow)),
        "may_save_preset": can(request.membership, "preset.save"),
    }


def _changes(workflow: Workflow, digest: str, present: Contract) -> list[str]:
    before = workflow.contracts.filter(digest=digest).first()
    found = [change.sentence for change in contracts.diff(before, present)] if before else []
    return found or ["It changed since this form was opened."]
