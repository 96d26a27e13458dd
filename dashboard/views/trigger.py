"""The trigger page. Its one rule: whatever goes wrong, every typed value comes back, and the page says whether anything was sent."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.datastructures import MultiValueDict
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx, stamps
from dashboard.forms.confirm import new_key
from dashboard.forms.preview import preview_text
from dashboard.forms.trigger import (
    MAX_NAME,
    RawTriggerForm,
    TriggerBase,
    TriggerForm,
    asked,
    system_names,
    typed_from_json,
    typed_values,
)
from dashboard.models import Contract, Operation, OperationState, Workflow
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import contracts, due, obstacles, operations
from dashboard.services.errors import DocusignUnavailable, Drifted, ReconnectNeeded, Refused, StoreBusy
from dashboard.services.json_values import as_json
from dashboard.services.sign_in_gate import draft_token, take_draft
from dashboard.services.visibility import visible_workflows
from dashboard.views.frames import frame
from dashboard.wording import day_text

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
        return _show(request, workflow, contract, _fresh_form(request, workflow, contract))
    if "show" in request.POST:
        return _switch(request, workflow, contract)
    form = _posted_form(request, contract)
    is_stale = request.POST.get("contract") != contract.digest
    if not form.is_valid() or is_stale:
        return _show(request, workflow, contract, form, status=422, note=NOTHING_SENT)
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
    form = _posted_form(request, contract)
    form.is_valid()
    if htmx.wants_fragment(request):
        context = {"preview": preview_text(form), "workflow": workflow, "system_names": system_names(contract.fields)}
        return htmx.render(request, "trigger/_preview.html", "trigger/_preview.html", context)
    return _show(request, workflow, contract, form, note=NOTHING_SENT)


@requires("workflow.trigger")
@require_POST
def refresh(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Read the contract again now: one call."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    contracts.read_contract(workflow, membership=request.membership)
    messages.success(request, "The inputs were read again.")
    return htmx.go(request, reverse("workflow-trigger", args=[workflow.pk]))


def _fresh_form(request: PersonRequest, workflow: Workflow, contract: Contract) -> TriggerBase:
    """A form with its suggestions, or with what this person had typed before the session ended (S-6)."""
    draft = take_draft(request.session, request.user, request.path)
    if draft is not None:
        messages.info(request, "What you had typed before you signed in again is back. It was not sent.")
        return _drafted_form(contract, draft)
    now = timezone.localtime()
    suggested = f"{workflow.name[: MAX_NAME - 40]} – {day_text(now.date(), now.date())} {now.year}, {now:%H:%M}"
    initial = {"key": new_key(), "contract": contract.digest, "instance_name": suggested}
    if request.GET.get("as") != "json":
        return TriggerForm(contract.fields, initial=initial)
    defaults = {spec["name"]: spec["default"] for spec in asked(contract.fields) if spec["has_default"]}
    return RawTriggerForm(contract.fields, initial={**initial, "inputs_json": as_json(defaults, indent=2)})


def _drafted_form(contract: Contract, draft: MultiValueDict[str, str]) -> TriggerBase:
    initial = {name: draft.get(name, "") for name in ("key", "contract", "instance_name")}
    if "inputs_json" in draft:
        return RawTriggerForm(contract.fields, initial={**initial, "inputs_json": draft["inputs_json"]})
    return TriggerForm(contract.fields, typed=typed_values(draft), initial=initial)


def _posted_form(request: PersonRequest, contract: Contract) -> TriggerBase:
    data = request.POST.copy()
    data.pop("show", None)
    if "inputs_json" in data:
        return RawTriggerForm(contract.fields, data=data)
    return TriggerForm(contract.fields, data=data, new_names=_new_names(request, contract))


def _new_names(request: PersonRequest, contract: Contract) -> frozenset[str]:
    known = typed_values(request.POST)
    return frozenset(spec["name"] for spec in asked(contract.fields) if spec["name"] not in known)


def _switch(request: PersonRequest, workflow: Workflow, contract: Contract) -> HttpResponse:
    """From the fields to raw JSON or back, with everything that was typed; a wrong value has to be corrected first."""
    form = _posted_form(request, contract)
    form.is_valid()
    initial = {name: request.POST.get(name, "") for name in ("key", "contract", "instance_name")}
    if isinstance(form, TriggerForm):
        if form.has_wrong_values():
            return _show(request, workflow, contract, form, status=422, note=NOTHING_SENT)
        other = RawTriggerForm(contract.fields, initial={**initial, "inputs_json": as_json(form.inputs(), indent=2)})
        return _show(request, workflow, contract, other)
    try:
        typed = typed_from_json(contract.fields, request.POST["inputs_json"])
    except ValidationError as error:
        if "inputs_json" not in form.errors:
            form.add_error("inputs_json", error)
        return _show(request, workflow, contract, form, status=422, note=NOTHING_SENT)
    return _show(request, workflow, contract, TriggerForm(contract.fields, typed=typed, initial=initial))


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
        return _show(
            request, workflow, drift.contract, _posted_form(request, drift.contract), status=422, note=NOTHING_SENT
        )
    except Refused as refusal:
        form.add_error("instance_name" if refusal.field == "name" else None, refusal.message)
        return _show(request, workflow, contract, form, status=422)
    except (DocusignUnavailable, ReconnectNeeded, StoreBusy) as error:
        form.add_error(None, error.message)
        return _show(request, workflow, contract, form, status=UNREACHED[type(error)], note=NOTHING_SENT)
    return _told(request, workflow, contract, form, operation)


def _told(
    request: PersonRequest, workflow: Workflow, contract: Contract, form: TriggerBase, operation: Operation
) -> HttpResponse:
    if operation.state == OperationState.REJECTED:
        form.add_refusal(operation.message, operation.field_errors)
        return _show(request, workflow, contract, form, status=422, note=NOTHING_STARTED)
    if operation.state == OperationState.CONFIRMED and operation.instance_id:
        target = reverse("instance", args=[operation.instance_id])
        messages.success(request, f"Triggered: {operation.instance}", extra_tags=target)
        return htmx.go(request, target)
    return htmx.go(request, reverse("operation", args=[operation.pk]))


def _show(
    request: PersonRequest,
    workflow: Workflow,
    contract: Contract,
    form: TriggerBase,
    *,
    status: int = 200,
    note: str = "",
) -> HttpResponse:
    sent_with = request.POST.get("contract", contract.digest)
    is_stale = form.is_bound and sent_with != contract.digest
    if form.is_bound and (is_stale or "key" in form.errors or note == NOTHING_STARTED):
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
    }


def _changes(workflow: Workflow, digest: str, present: Contract) -> list[str]:
    before = workflow.contracts.filter(digest=digest).first()
    found = [change.sentence for change in contracts.diff(before, present)] if before else []
    return found or ["It changed since this form was opened."]
