"""One thing sent to Docusign, and settling it by hand. Its one rule: an open outcome is never shown as done."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from dashboard import htmx, permissions, stamps
from dashboard.forms.confirm import SettleForm
from dashboard.models import Operation, OperationKind, OperationState
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import due, operations
from dashboard.services.visibility import names_of, visible_instances, visible_operations
from dashboard.views.frames import frame
from dashboard.views.questions import Question, answer

FOUND = {
    OperationKind.TRIGGER: ("I checked: it started", "I checked: it did not start"),
    OperationKind.CANCEL: ("I checked: it is canceled", "I checked: it is not canceled"),
    OperationKind.PAUSE: ("I checked: it is paused", "I checked: it is not paused"),
    OperationKind.RESUME: ("I checked: it is active", "I checked: it is not active"),
}
SETTLED_BY_HAND = (OperationState.UNKNOWN, OperationState.NEEDS_PERSON)


@requires("operation.view")
@require_safe
def detail(request: PersonRequest, operation_id: str) -> HttpResponse:
    """What was sent, and what is known of its outcome."""
    due.look(request.membership)
    if same := stamps.unchanged(request):
        return same
    rows = visible_operations(request.membership).select_related("workflow", "instance", "actor")
    operation = get_object_or_404(rows, pk=operation_id)
    shown = visible_instances(request.membership).filter(operations=operation).first()
    context = {
        **frame(request),
        "operation": operation,
        "instance": shown,
        "shown_name": names_of([operation], request.membership)[operation.pk],
        "can_settle": operation.state in SETTLED_BY_HAND,
        "no_settle": permissions.reason(request.membership, "operation.settle"),
        "question": OPEN_QUESTIONS[OperationKind(operation.kind)],
    }
    return htmx.render(request, "operations/detail.html", "operations/_operation.html", context)


OPEN_QUESTIONS = {
    OperationKind.TRIGGER: "We do not know whether it started.",
    OperationKind.CANCEL: "We do not know whether it was canceled.",
    OperationKind.PAUSE: "We do not know whether it was paused.",
    OperationKind.RESUME: "We do not know whether it was resumed.",
}


@requires("operation.settle")
@require_http_methods(["GET", "HEAD", "POST"])
def settle(request: PersonRequest, operation_id: str) -> HttpResponse:
    """A person looked at Docusign and says what is there."""
    rows = visible_operations(request.membership).select_related("workflow", "actor")
    operation = get_object_or_404(rows, pk=operation_id)
    name = names_of([operation], request.membership)[operation.pk] or str(operation.workflow)
    yes, no = FOUND[OperationKind(operation.kind)]
    form = SettleForm(request.POST if request.method == "POST" else None, yes=yes, no=no)

    def act(cleaned: dict[str, Any]) -> Operation:
        return operations.settle_by_hand(
            operation,
            actor=request.user,
            launched=cleaned["happened"] == "yes",
            note=cleaned["note"],
            key=cleaned["key"],
        )

    return answer(request, _settle_question(operation, name), form, act)


def _settle_question(operation: Operation, name: str) -> Question:
    page = reverse("operation", args=[operation.pk])
    return Question(
        page="operations/settle.html",
        title="Settle this outcome by hand?",
        verb="Settle outcome",
        keep_label="Keep checking",
        keep_url=page,
        done_url=page,
        events=("operationChanged", "instanceChanged"),
        tone="primary",
        is_report=True,
        names=[{"name": name, "note": operation.get_kind_display()}],
        effects=[
            {"icon": "search", "text": "This console stops checking at Docusign for this one."},
            {"icon": "info", "text": "Nothing is sent to Docusign."},
            {"icon": "audit", "text": "What you found and how you know it is kept in the audit under your name."},
        ],
    )
