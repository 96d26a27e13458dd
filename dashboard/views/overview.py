"""The first page: what needs a person, counts, what changed. Its one rule: it reads the mirror and asks Docusign nothing."""

from django.http import HttpResponse
from django.views.decorators.http import require_safe

from dashboard import htmx, permissions, stamps
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import due, overview
from dashboard.views.frames import frame


@requires("overview.view")
@require_safe
def index(request: PersonRequest) -> HttpResponse:
    """What this person has to know first."""
    due.look(request.membership)
    if same := stamps.unchanged(request):
        return same
    context = {
        **frame(request),
        "overview": overview.overview_of(request.membership),
        "no_trigger": permissions.reason(request.membership, "workflow.trigger"),
    }
    return htmx.render(request, "overview/index.html", "overview/_overview.html", context)
