"""The time before a single cancel is sent: undo it, or send it now. Its one rule: only a POST does either, and it says what came of it."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from dashboard import htmx
from dashboard.models import Operation, OperationKind, OperationState
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import undo as windows
from dashboard.services import undo_windows
from dashboard.services.visibility import visible_operations

EVENTS = ("instanceChanged", "operationChanged")


@requires("instance.cancel")
@require_POST
def undo(request: PersonRequest, operation_id: str) -> HttpResponse:
    """Take a cancel back that was not sent yet."""
    operation = _found(request, operation_id)
    windows.undo_cancel(operation, membership=request.membership)
    messages.success(request, "Undone. Nothing was sent to Docusign.")
    return htmx.done(request, _page(operation), *EVENTS)


@requires("instance.cancel")
@require_POST
def now(request: PersonRequest, operation_id: str) -> HttpResponse:
    """Send a cancel without waiting for the end of its window."""
    operation = windows.send_now(_found(request, operation_id), membership=request.membership)
    said = operation.message or "The cancel was sent. What came of it is shown here as soon as it is known."
    if operation.state == OperationState.CONFIRMED:
        messages.success(request, said)
    elif operation.state == OperationState.REJECTED:
        messages.error(request, said)
    else:
        messages.warning(request, said, extra_tags=reverse("operation", args=[operation.pk]))
    return htmx.done(request, _page(operation), *EVENTS)


def announced(request: PersonRequest, operation: Operation, to: str, *events: str) -> HttpResponse:
    """The answer to a click that began a window: the page shows it, and a toast offers the way back."""
    response = htmx.done(request, to, *events)
    window = undo_windows.window_of(operation, request.membership)
    if window is None or not htmx.wants_fragment(request):
        return response
    ways = {
        "undo": reverse("operation-undo", args=[operation.pk]),
        "now": reverse("operation-now", args=[operation.pk]),
    }
    return htmx.events(response, undoable={"text": str(operation.instance), "seconds": window.seconds, **ways})


def _found(request: PersonRequest, operation_id: str) -> Operation:
    rows = visible_operations(request.membership).filter(kind=OperationKind.CANCEL, item=None)
    return get_object_or_404(rows.select_related("workflow", "instance", "actor", "account"), pk=operation_id)


def _page(operation: Operation) -> str:
    return reverse("instance", args=[operation.instance_id])
