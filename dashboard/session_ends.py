"""Ends sessions in which nobody clicked for too long, or that have lasted long enough (S-8).

The one rule: it stands before anything asks who the person is, so an ended session shows nothing once more.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from django.contrib.auth import SESSION_KEY, get_user
from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from dashboard.models import User
from dashboard.services import browser_sessions

ENDS_AT, CLICKED_AT = "ends_at", "clicked_at"


class SessionEndMiddleware:
    """Ends a session whose time is over; a click moves the idle time on."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.COOKIES and SESSION_KEY in request.session:
            _keep(request)
        return self.get_response(request)


def set_times(session: SessionBase, ends_at: datetime) -> None:
    """Write into a session when it ends, and that somebody clicked just now."""
    now = timezone.now()
    session[ENDS_AT], session[CLICKED_AT] = ends_at.timestamp(), now.timestamp()
    session.set_expiry(browser_sessions.expiry(ends_at, now))


def is_click(request: HttpRequest) -> bool:
    """Whether a person did this: an open page that asks whether something moved is no person."""
    asks_by_itself = "X-Poll" in request.headers or "stamp" in request.GET
    return not (asks_by_itself and request.method == "GET" and "HX-Request" in request.headers)


def _keep(request: HttpRequest) -> None:
    session, now = request.session, timezone.now()
    if ENDS_AT not in session:  # it began before this rule was there
        _adopt(request)
        return
    ends_at = datetime.fromtimestamp(session[ENDS_AT], UTC)
    clicked_at = datetime.fromtimestamp(session[CLICKED_AT], UTC)
    if now >= ends_at or now - clicked_at >= browser_sessions.idle_time():
        browser_sessions.forget(session.session_key)
        session.flush()
    elif is_click(request) and now - clicked_at >= browser_sessions.NOTE_EVERY:
        set_times(session, ends_at)
        browser_sessions.note_click(session.session_key or "")


def _adopt(request: HttpRequest) -> None:
    """Let it count like any other from now on: listed, one of ten, and ended with them."""
    user = get_user(request)  # which ends what is void already
    if isinstance(user, User):
        key, agent = request.session.session_key or "", request.headers.get("User-Agent", "")
        set_times(request.session, browser_sessions.begin(user, key, instead_of=None, agent=agent))
