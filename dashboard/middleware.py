"""What surrounds every view: facts of the request, the login gate, toasts, and domain errors turned into answers.

The one rule: a view that is not marked `public` is never reached by somebody who is not signed in.
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.cache import patch_vary_headers

from dashboard import crypto, htmx
from dashboard.facts import RequestFacts, set_facts
from dashboard.models import Membership
from dashboard.services.errors import DocusignUnavailable, NotAllowed, ReconnectNeeded, Refused, ServiceError
from dashboard.services.sign_in_gate import keep_draft, sign_in_url

Answer = Callable[[HttpRequest], HttpResponse]
STATUS_OF = {NotAllowed: 403, Refused: 422, ReconnectNeeded: 409, DocusignUnavailable: 502}


class RequestFactsMiddleware:
    """Gives each request an id, which the answer, the log lines, the audit and the calls to Docusign carry."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = uuid4().hex  # type: ignore[attr-defined]
        session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        set_facts(
            RequestFacts(
                request_id=request.request_id,  # type: ignore[attr-defined]
                ip=request.META.get("REMOTE_ADDR", ""),
                session_hash=crypto.keyed_digest("session", session, size=16) if session else "",
            )
        )
        response = self.get_response(request)
        response.headers["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response


class ToastMiddleware:
    """Hands messages to htmx answers as a client event; on redirects and whole pages they stay queued."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.htmx and "HX-Redirect" not in response.headers and not 300 <= response.status_code < 400:  # type: ignore[attr-defined]
            toasts = [
                {"text": message.message, "level": message.level_tag, "url": message.extra_tags or ""}
                for message in messages.get_messages(request)
            ]
            if toasts:
                htmx.events(response, toast={"toasts": toasts})
        return response


class DomainErrorMiddleware:
    """Turns what services raise into an answer: a problem page, or for htmx a status that swaps nothing and a toast."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, ServiceError):
            return None
        status = next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), 400)
        if htmx.wants_fragment(request):
            messages.error(request, error.message)
            return HttpResponse(status=status if status != 422 else 409)
        return render(request, "problems/refused.html", {"error": error, "status": status}, status=status)


class PersonMiddleware:
    """The login gate; sets `request.account` and `request.membership`; activates the person's time zone."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.membership = current_membership(request) if request.user.is_authenticated else None  # type: ignore[attr-defined]
        request.account = request.membership.account if request.membership else None  # type: ignore[attr-defined]
        if request.user.is_authenticated:
            timezone.activate(request.user.time_zone)
        response = self.get_response(request)
        timezone.deactivate()
        if request.user.is_authenticated:
            response.headers.setdefault("Cache-Control", "no-store")
            patch_vary_headers(response, ["HX-Request"])
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if getattr(view, "is_public", False) or request.user.is_authenticated:
            return None
        keep_draft(request.session, request.path, request.POST)
        return htmx.go(request, sign_in_url(request.get_full_path() if request.method == "GET" else request.path))


def current_membership(request: HttpRequest) -> Membership | None:
    """The membership of the account chosen in this session, else the default one."""
    own = (
        Membership.objects.select_related("account", "user", "user__connection")
        .filter(user=request.user, is_active=True, account__environment=settings.DOCUSIGN_ENVIRONMENT)
        .order_by("-is_default", "pk")
    )
    rows = list(own)
    chosen = request.session.get("account")
    return next((row for row in rows if str(row.account_id) == chosen), rows[0] if rows else None)
