"""The browsers in which a person is signed in. Its one rule: nobody sees or ends another person's session here."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import browser_sessions
from dashboard.views.questions import only_a_deed
from dashboard.wording import plural


@require_http_methods(["GET", "HEAD"])
@requires("session.view")
def index(request: PersonRequest) -> HttpResponse:
    listed = browser_sessions.sessions_of(request.user, this=_key(request))
    context = {
        "sessions": listed,
        "others": sum(not each.is_this for each in listed),
        "idle": browser_sessions.idle_time(),
        "whole": browser_sessions.whole_time(),
        "most": browser_sessions.MOST_SESSIONS,
    }
    return htmx.render(request, "sessions/index.html", "sessions/_sessions.html", context)


@require_POST
@requires("session.end")
def end(request: PersonRequest, mark: str) -> HttpResponse:
    only_a_deed(request)
    if not browser_sessions.end_one(request.user, mark=mark, this=_key(request)):
        raise Http404
    messages.success(request, "That browser is signed out.")
    return htmx.done(request, reverse("sessions"), "sessionsChanged")


@require_POST
@requires("session.end")
def end_others(request: PersonRequest) -> HttpResponse:
    only_a_deed(request)
    number = browser_sessions.end_others(request.user, this=_key(request))
    messages.success(request, f"{plural(number, 'other browser')} signed out.")
    return htmx.done(request, reverse("sessions"), "sessionsChanged")


def _key(request: PersonRequest) -> str:
    return request.session.session_key or ""
