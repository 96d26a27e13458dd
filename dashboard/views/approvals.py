"""Requests for a second person: the lists, one of them, and its questions. Its one rule: who may not see the list finds nothing here."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard import htmx, permissions, stamps
from dashboard.forms.approvals import ApproveForm, DeclineForm, RowForm
from dashboard.forms.confirm import ConfirmForm
from dashboard.models import (
    Approval,
    ApprovalState,
    Batch,
    BatchItem,
    BatchState,
    Look,
    Policy,
    unknown_look,
)
from dashboard.models.instance import INSTANCE_LOOKS
from dashboard.models.workflow import WORKFLOW_LOOKS
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import approvals, batch_preview, second_person
from dashboard.services.batch_lists import masked
from dashboard.services.lists import page_of
from dashboard.views.batch_confirm import HAPPENS
from dashboard.views.frames import frame, pager
from dashboard.views.questions import Question, answer

ROWS = 50
EVENTS = ("approvalChanged", "closeDialog")


@requires("batch.view")
@require_safe
def index(request: PersonRequest) -> HttpResponse:
    """What waits for this person, what they asked for, and what was decided."""
    if same := stamps.unchanged(request):
        return same
    mine = request.membership
    others = approvals.visible_approvals(mine).exclude(state=ApprovalState.WAITING)
    page = page_of(others, "pk", size=25, after=request.GET.get("after", ""), before=request.GET.get("before", ""))
    asked = approvals.visible_approvals(mine).filter(batch__actor=request.user, state=ApprovalState.WAITING)
    context = {
        **frame(request),
        "waiting": list(approvals.waiting_for(mine).order_by("expires_at")[:ROWS]),
        "asked": list(asked.order_by("expires_at")[:ROWS]),
        "decided": page.rows,
        "has_policies": Policy.objects.filter(account=request.account).exists(),
        "may_change": permissions.can(mine, "policy.change"),
        **pager(request, page, 0),
    }
    return htmx.render(request, "approvals/index.html", "approvals/_approvals.html", context)


@requires("batch.view")
@require_safe
def detail(request: PersonRequest, approval_id: int) -> HttpResponse:
    """The frozen list, who asked for it and why."""
    if same := stamps.unchanged(request):
        return same
    approval = _found(request, approval_id)
    return htmx.render(request, "approvals/detail.html", "approvals/_approval.html", about(request, approval))


def about(request: PersonRequest, approval: Approval) -> dict[str, Any]:
    """Everything that the page of a request says."""
    mine, batch = request.membership, approval.batch
    rows = second_person.listed(batch).select_related("instance", "workflow")
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    page = page_of(rows, "position", size=ROWS, after=after, before=before, is_descending=False)
    obstacle = permissions.reason(mine, "batch.approve") or approvals.decision_obstacle(approval, mine)
    return {
        **frame(request),
        "approval": approval,
        "batch": batch,
        "items": [(item, _then(item)) for item in masked(page.rows, mine)],
        "count": rows.count(),
        "policy": second_person.policy_of(batch),
        "obstacle": obstacle,
        "is_mine": batch.actor_id == mine.user_id,
        "is_waiting": approvals.is_waiting(approval),
        "waits_for": approvals.waits_for(approval),
        "may_break": permissions.can(mine, "batch.break_glass"),
        "may_read": not obstacle or batch.actor_id == mine.user_id,
        **pager(request, page, 0),
    }


@requires("batch.approve")
@require_http_methods(["GET", "HEAD", "POST"])
def approve(request: PersonRequest, approval_id: int) -> HttpResponse:
    """Ask, then let it start as its requester."""
    approval = _found(request, approval_id)
    form = ApproveForm(
        request.POST if request.method == "POST" else None, initial={"seen": request.GET.get("seen", "")}
    )
    effects = [{"icon": "person", "text": _starts(approval.batch)}, *HAPPENS[approval.batch.kind]]
    verb = "Approve and start" if approval.batch.state == BatchState.PLANNED else "Approve"
    question = _question(approval, f"Approve: {approval.batch.name}?", verb, effects, tone="primary")

    def act(cleaned: dict[str, str]) -> Approval:
        return approvals.approve(
            approval, membership=request.membership, seen=cleaned["seen"], note=cleaned.get("note", "")
        )

    return answer(request, question, form, act, _told)


@requires("batch.approve")
@require_http_methods(["GET", "HEAD", "POST"])
def decline(request: PersonRequest, approval_id: int) -> HttpResponse:
    """Ask why not, then say so."""
    approval = _found(request, approval_id)
    effects = [
        {"icon": "cancel", "text": "Nothing of the list is sent."},
        {"icon": "undo", "text": f"{approval.batch.actor} may change the list or the reason, and ask again."},
    ]
    question = _question(approval, f"Decline: {approval.batch.name}?", "Decline", effects)
    form = DeclineForm(request.POST if request.method == "POST" else None)

    def act(cleaned: dict[str, str]) -> Approval:
        return approvals.decline(approval, membership=request.membership, note=cleaned["note"])

    return answer(request, question, form, act, _told)


@requires("batch.run")
@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: PersonRequest, approval_id: int) -> HttpResponse:
    """Take the own request back."""
    approval = _found(request, approval_id)
    effects = [{"icon": "info", "text": "The list stays as it is. You can ask for it again."}]
    question = _question(approval, "Withdraw the request?", "Withdraw the request", effects, tone="primary")
    form = ConfirmForm(request.POST if request.method == "POST" else None)

    def act(_cleaned: dict[str, str]) -> Approval:
        return approvals.withdraw(approval, membership=request.membership)

    return answer(request, question, form, act, _told)


@requires("batch.approve")
@require_POST
def inputs(request: PersonRequest, approval_id: int) -> HttpResponse:
    """What one row would send; that somebody looked is in the audit (V-4)."""
    approval = _found(request, approval_id)
    form = RowForm(request.POST)
    position = form.cleaned_data["position"] if form.is_valid() else 0
    row = approvals.reveal_inputs(approval, position=position, membership=request.membership)
    context = {"approval": approval, "batch": approval.batch, "row": row}
    return htmx.render(request, "approvals/inputs.html", "approvals/_inputs.html", context)


def _starts(batch: Batch) -> str:
    if batch.state == BatchState.PLANNED:
        return f"It starts at once, with the connection to Docusign of {batch.actor}."
    return f"{batch.actor} can then send again what did not run, with their own connection to Docusign."


def _then(item: BatchItem) -> Look | None:
    """The state in which it was frozen; None for what does not exist yet."""
    if not item.status_then:
        return None
    looks: Mapping[Any, Look] = INSTANCE_LOOKS if item.instance_id else WORKFLOW_LOOKS
    return looks.get(item.status_then) or unknown_look(item.status_then)


def _found(request: PersonRequest, approval_id: int) -> Approval:
    return get_object_or_404(approvals.visible_approvals(request.membership), pk=approval_id)


def _question(
    approval: Approval, title: str, verb: str, effects: list[dict[str, str]], *, tone: str = "danger"
) -> Question:
    page = reverse("approval", args=[approval.pk])
    preview = batch_preview.preview_of(approval.batch)
    return Question(
        page="approvals/question.html",
        title=title,
        verb=verb,
        keep_label="Decide later" if verb != "Withdraw the request" else "Keep waiting",
        keep_url=page,
        done_url=page,
        events=EVENTS,
        tone=tone,
        effects=effects,
        names=[{"name": str(item), "note": name_of_place(item)} for item in preview.first],
        more=preview.count - len(preview.first),
    )


def name_of_place(item: BatchItem) -> str:
    """Where in the list it stands."""
    return f"row {item.row_number}" if item.row_number else str(item.workflow)


def _told(request: PersonRequest, question: Question, _form: ConfirmForm, approval: Approval) -> HttpResponse:
    """What became of it, on its own page."""
    actor = approval.batch.actor
    approval.batch.refresh_from_db(fields=["state", "confirmed_at"])
    approved = {
        "": "The bulk run has started." if approvals.is_started(approval) else "Its time is over.",
        "start": f"{actor} can start it now.",
        "retry": f"{actor} can now send again what did not run.",
        "nothing": "Nothing is left to send.",
    }
    said = {
        ApprovalState.APPROVED: f"Approved. {approved[approvals.waits_for(approval)]}",
        ApprovalState.DECLINED: "Declined. Nothing was sent.",
        ApprovalState.WITHDRAWN: "Withdrawn. Nothing was sent.",
    }
    messages.success(request, said.get(ApprovalState(approval.state), "Done."))
    return htmx.done(request, question.done_url, *question.events)
