"""Instances: one of them, refresh, cancel, participant link. Its one rule: a row that may not be seen does not exist."""

from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard import htmx, permissions, stamps
from dashboard.forms.confirm import CancelForm, ConfirmForm
from dashboard.forms.filters import shortened
from dashboard.models import Batch, Instance, Membership, Operation
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import (
    contracts,
    due,
    instance_inputs,
    links,
    obstacles,
    people,
    refreshes,
    selections,
    timeline,
    undo,
    undo_windows,
)
from dashboard.services.errors import NeedsSecondPerson
from dashboard.services.undo_windows import Window
from dashboard.services.visibility import visible_instances
from dashboard.views.frames import SOON, frame
from dashboard.views.questions import Question, answer, told
from dashboard.views.undo import announced

BEING_CANCELED = "A cancel of it waits to be sent."


@requires("instance.view")
@require_safe
def detail(request: PersonRequest, instance_id: UUID) -> HttpResponse:
    """Everything that is known of one instance."""
    due.look(request.membership)
    if same := stamps.unchanged(request):
        return same
    mine = request.membership
    instance = get_object_or_404(visible_instances(mine, ids=[instance_id]).select_related("workflow"))
    operations = timeline.operations_on(instance)
    window = undo_windows.windows_among(operations, mine).get(instance.pk)
    inputs, system = instance_inputs.inputs_of(instance, contracts.current_contract(instance.workflow))
    context = {
        **frame(request),
        "instance": instance,
        "as_of": instance.read_at or instance.synced_at,
        "moments": timeline.timeline_of(instance, operations, mine),
        "inputs": inputs,
        "system": system,
        "canceled_by": people.names_of(mine, [instance.canceled_by]).get(instance.canceled_by.strip("{}").lower()),
        "link": links.state_of_link(instance, mine),
        "window": window,
        "no_cancel": no_cancel(instance, mine, window),
    }
    if window:
        context["poll_seconds"] = SOON
    return htmx.render(request, "instances/detail.html", "instances/_instance.html", context)


@requires("instance.view")
@require_POST
def refresh(request: PersonRequest, instance_id: UUID) -> HttpResponse:
    """Read this instance from Docusign now."""
    instance = get_object_or_404(visible_instances(request.membership, ids=[instance_id]))
    refreshes.refresh_instance(instance, request.membership)
    return htmx.done(request, reverse("instance", args=[instance.pk]), "instanceChanged")


@requires("instance.cancel")
@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: PersonRequest, instance_id: UUID) -> HttpResponse:
    """Ask, then cancel."""
    instance = get_object_or_404(visible_instances(request.membership, ids=[instance_id]).select_related("workflow"))
    form = CancelForm(request.POST if request.method == "POST" else None)

    def act(cleaned: dict[str, str]) -> Operation | Batch:
        mine = request.membership
        try:
            return undo.plan_cancel(instance, actor=request.user, membership=mine, **cleaned)
        except NeedsSecondPerson:
            reason, key = cleaned["reason"], cleaned["key"]
            return selections.freeze(mine, ids=[instance.pk], source=Batch.Source.SINGLE, reason=reason, key=key)

    return answer(request, _cancel_question(instance), form, act, _begun)


def no_cancel(instance: Instance, membership: Membership, window: Window | None) -> str:
    """Why this person cannot ask for a cancel now; empty where they can."""
    if reason := permissions.reason(membership, "instance.cancel"):
        return reason
    return BEING_CANCELED if window else obstacles.cancel_obstacle(instance, membership)


def _begun(request: PersonRequest, question: Question, form: ConfirmForm, result: Operation | Batch) -> HttpResponse:
    """A cancel that waits to be sent, one that somebody sent meanwhile, or a list that a second person has to look at."""
    if isinstance(result, Batch):
        return redirect("batch-confirm", result.pk)
    if undo_windows.is_open(result):
        return announced(request, result, question.done_url, *question.events, "closeDialog")
    return told(request, question, form, result)


CANCEL_EFFECTS = [
    {"icon": "cancel", "text": "Remaining steps stop at once. People can no longer act in it."},
    {
        "icon": "document",
        "text": "Documents already sent or signed are not voided from here. The workflow stays active.",
    },
    {
        "icon": "warning",
        "strong": "Docusign cannot undo this.",
        "text": f"You have {settings.UNDO_SECONDS} seconds before it is sent. To run it again, trigger a new instance.",
    },
    {"icon": "price", "text": "Uses 2 to 3 API calls."},
]


def _cancel_question(instance: Instance) -> Question:
    page = reverse("instance", args=[instance.pk])
    done, total = instance.last_completed_step, instance.total_steps
    step = f"step {min(done + 1, total)} of {total}" if done is not None and total else "step not given"
    return Question(
        page="instances/cancel.html",
        title="Cancel this instance?",
        verb="Cancel 1 instance",
        keep_label="Keep it running",
        keep_url=page,
        done_url=page,
        events=("instanceChanged",),
        names=[{"name": str(instance), "note": step}],
        names_note=f"Of the workflow {shortened(instance.workflow.name, 120)}",
        effects=CANCEL_EFFECTS,
    )


@requires("instance.reveal")
@require_POST
def reveal(request: PersonRequest, instance_id: str) -> HttpResponse:
    """Show the participant link to the person who triggered the instance, and to nobody else (O-16)."""
    rows = visible_instances(request.membership).filter(url_owner=request.user).exclude(sealed_url="")
    instance = get_object_or_404(rows.select_related("workflow"), pk=instance_id)
    link = links.reveal_link(instance, actor=request.user)
    return htmx.render(request, "instances/link.html", "instances/_link.html", {"instance": instance, "link": link})
