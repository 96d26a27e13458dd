"""The first page: what needs a person, counts, days, what changed. Its one rule: it reads the mirror and asks Docusign nothing."""

from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from dashboard import htmx, permissions, stamps
from dashboard.forms.overview import SeenForm
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import due, meter, news, overview
from dashboard.services.errors import Refused
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
        "meter": meter.meter_of(request.membership),
        "no_trigger": permissions.reason(request.membership, "workflow.trigger"),
    }
    return htmx.render(request, "overview/index.html", "overview/_overview.html", context)


@requires("overview.view")
@require_POST
def mark_seen(request: PersonRequest) -> HttpResponse:
    """Take note of everything up to the time at which the page was made."""
    form = SeenForm(request.POST)
    if not form.is_valid():
        raise Refused("The page did not say up to when you have seen the changes. Load it again.")
    news.mark_seen(request.membership, until=form.cleaned_data["until"])
    return htmx.done(request, reverse("overview"), "changesSeen")
