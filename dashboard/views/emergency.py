"""The emergency stop of a workflow. Its one rule: looking changes nothing; each step is a button, and only its own person goes on."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx, stamps
from dashboard.forms.emergency import PickForm, StepForm, StopForm
from dashboard.models import Batch, BatchItem, BatchState, ItemState, Look, Workflow
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import batch_progress, batches, emergency, second_person
from dashboard.services.batch_lists import masked
from dashboard.services.errors import Refused
from dashboard.services.lists import page_of
from dashboard.services.visibility import visible_batches, visible_workflows
from dashboard.views.frames import frame, pager

ROWS = 100
PAUSES = {
    "paused": Look("Paused", "good", "done"),
    "waiting": Look("Waiting for Docusign", "running", "progress"),
    "person": Look("Needs a person", "warning", "attention", loud=True),
    "refused": Look("Refused", "danger", "failed", loud=True),
    "none": Look("Not paused", "warning", "attention", loud=True),
}


@requires("workflow.stop")
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: PersonRequest, workflow_id: UUID) -> HttpResponse:
    """The question, or how far the stop is."""
    if request.method != "POST" and (same := stamps.unchanged(request)):
        return same
    workflow = _workflow(request, workflow_id)
    batch = emergency.open_stop(workflow)
    if request.method == "POST" and batch is None:
        return _begin(request, workflow)
    if batch is None:
        return _ask(request, workflow, StopForm(workflow=workflow))
    return redirect("workflow-stop", workflow.pk) if request.method == "POST" else _progress(request, workflow, batch)


def _begin(request: PersonRequest, workflow: Workflow) -> HttpResponse:
    form = StopForm(request.POST, workflow=workflow)
    if not form.is_valid():
        return _ask(request, workflow, form, status=422)
    try:
        emergency.begin(
            workflow, membership=request.membership, reason=form.cleaned_data["reason"], key=form.cleaned_data["key"]
        )
    except Refused as refusal:
        if emergency.open_stop(workflow) is None:
            form.add_error(refusal.field if refusal.field in form.fields else None, refusal.message)
            return _ask(request, workflow, form, status=422)
        messages.error(request, refusal.message)
    return redirect("workflow-stop", workflow.pk)


def _ask(request: PersonRequest, workflow: Workflow, form: StopForm, *, status: int = 200) -> HttpResponse:
    last = emergency.last_stop(workflow)
    context = {
        **_shared(request, workflow),
        "form": form,
        "last": last if last and visible_batches(request.membership).filter(pk=last.pk).exists() else None,
        "takes_new": emergency.takes_new(workflow),
    }
    return htmx.render(request, "emergency/begin.html", "emergency/_begin.html", context, status=status)


def _progress(request: PersonRequest, workflow: Workflow, batch: Batch) -> HttpResponse:
    standing = emergency.standing_of(batch)
    is_mine = batch.actor_id == request.user.pk
    may_see = is_mine or visible_batches(request.membership).filter(pk=batch.pk).exists()
    is_going = may_see and batch.state != BatchState.PLANNED
    context = {
        **_shared(request, workflow),
        "standing": standing,
        "progress": batch_progress.progress_of(batch, batches.counts(batch)) if is_going else None,
        "batch": batch,
        "pause": PAUSES[standing.pause],
        "is_mine": is_mine,
        "may_see": may_see,
        "policy": second_person.needed_for(batch) if standing.is_frozen and batch.state == BatchState.PLANNED else None,
    }
    return htmx.render(request, "emergency/stop.html", "emergency/_stop.html", context)


@requires("workflow.stop")
@require_POST
def step(request: PersonRequest, workflow_id: UUID) -> HttpResponse:
    """Pause again, look again, take all or none."""
    workflow = _workflow(request, workflow_id)
    batch = get_object_or_404(
        visible_batches(request.membership), pk=getattr(emergency.open_stop(workflow), "pk", None)
    )
    form = StepForm(request.POST)
    if not form.is_valid():
        raise Refused("Choose one of the buttons. Nothing was changed.")
    do, mine = form.cleaned_data["do"], request.membership
    if do == "go_on":
        emergency.go_on(batch, membership=mine)
    elif do == "look_again":
        emergency.look_again(batch, membership=mine)
    else:
        emergency.choose_all(batch, membership=mine, is_taken=do == "take_all")
    return htmx.done(request, reverse("workflow-stop", args=[workflow.pk]), "stopChanged")


@requires("workflow.stop")
@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: PersonRequest, workflow_id: UUID) -> HttpResponse:
    """The frozen list with ticks, a page at a time."""
    workflow = _workflow(request, workflow_id)
    found = visible_batches(request.membership).filter(frozen_at__isnull=False, state=BatchState.PLANNED)
    batch = get_object_or_404(found, pk=getattr(emergency.open_stop(workflow), "pk", None))
    if request.method == "POST":
        return _picked(request, workflow, batch)
    rows = BatchItem.objects.filter(batch=batch, state__in=(ItemState.WAITING, ItemState.LEFT_OUT))
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    page = page_of(
        rows.select_related("instance"), "position", size=ROWS, after=after, before=before, is_descending=False
    )
    context: dict[str, Any] = {
        **_shared(request, workflow), "batch": batch, "items": masked(page.rows, request.membership),
        "standing": emergency.standing_of(batch), "is_mine": batch.actor_id == request.user.pk, **pager(request, page, 0),
    }  # fmt: skip
    return htmx.render(request, "emergency/choose.html", "emergency/_choose.html", context)


def _picked(request: PersonRequest, workflow: Workflow, batch: Batch) -> HttpResponse:
    form = PickForm(request.POST, most=batch.total)
    if not form.is_valid():
        raise Refused("Tick rows of the list. Nothing was changed.")
    number = emergency.choose(batch, membership=request.membership, **form.cleaned_data)
    messages.success(request, f"Kept: {number:,} would be canceled.")
    back = request.GET.urlencode()
    here = reverse("workflow-stop-list", args=[workflow.pk])
    return redirect(f"{here}?{back}" if back else here)


def _shared(request: PersonRequest, workflow: Workflow) -> dict[str, Any]:
    return {**frame(request), "workflow": workflow}


def _workflow(request: PersonRequest, workflow_id: UUID) -> Workflow:
    return get_object_or_404(visible_workflows(request.membership).select_related("account"), pk=workflow_id)
