"""What surrounds every view: facts of the request, the login gate, toasts, and domain errors turned into answers.

The one rule: a view that is not marked `public` is never reached by somebody who is not signed in.
"""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from csp.utils import build_policy
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django_htmx.middleware import HtmxDetails

from dashboard import crypto, htmx, request_metrics
from dashboard.addresses import client_address
from dashboard.facts import RequestFacts, set_facts
from dashboard.models import Membership
from dashboard.services import page_stamps
from dashboard.services.errors import (
    DocusignUnavailable,
    NotAllowed,
    NotStarted,
    ReconnectNeeded,
    Refused,
    ServiceError,
    StoreBusy,
    TooMany,
)
from dashboard.services.sign_in_gate import keep_draft, sign_in_url
from dashboard.uploads import MAX_BODY_BYTES, may_carry_file

log = logging.getLogger(__name__)
access_log = logging.getLogger("dashboard.access")
QUIET_ROUTES = frozenset({"livez", "readyz", "metrics"})
Answer = Callable[[HttpRequest], HttpResponse]
REFUSED_METHODS = frozenset({"TRACE", "TRACK", "CONNECT"})
STATUS_OF = {
    NotAllowed: 403,
    Refused: 422,
    NotStarted: 409,
    ReconnectNeeded: 409,
    DocusignUnavailable: 502,
    StoreBusy: 503,
    TooMany: 429,
}
RETRY_SECONDS = "5"
HOOKS = "/hooks/"
WHOLE_PAGE_HEADERS = frozenset({"HTTP_HX_BOOSTED", "HTTP_HX_HISTORY_RESTORE_REQUEST"})


class RequestFactsMiddleware:
    """Gives each request an id, which the answer, the log lines, the audit and the calls to Docusign carry."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.request_id = uuid4().hex  # type: ignore[attr-defined]  # our own member, set in this class
        # Our pages send UTF-8. Another codec named by the sender could spell characters that no database takes.
        request.encoding = "utf-8"
        if request.method in REFUSED_METHODS:
            return HttpResponse(status=405)
        session = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if not session.isprintable():  # a quoted cookie can spell NUL, which no PostgreSQL column can be compared with
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
            session = ""
        set_facts(
            RequestFacts(
                request_id=request.request_id,  # type: ignore[attr-defined]  # our own member, set in this class
                ip=client_address(request.META),
                session_hash=crypto.keyed_digest("session", session, size=16) if session else "",
            )
        )
        began = time.monotonic()
        response = self.get_response(request)
        response.headers["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]  # our own member, set in this class
        _note_answer(request, response, time.monotonic() - began)
        return response


def _note_answer(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """One line and one count an answer: by the pattern of its address, since addresses hold ids, and one a token (E-11, O-15)."""
    route = request_metrics.route_of(request)
    request_metrics.note(request.method or "", route, response.status_code, seconds)
    extra = {"method": request.method, "route": route, "status": response.status_code, "ms": round(seconds * 1000)}
    # Probes and polls would drown everything else.
    is_quiet = response.status_code == 204 or route in QUIET_ROUTES
    access_log.log(logging.DEBUG if is_quiet else logging.INFO, "request", extra=extra)


class PollMiddleware:
    """Answers a poll that would get the same page again, before anything else is loaded: 204, by one query (V-6).

    Whatever is not surely the same goes on to the page itself.
    """

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response
        # Spelled once: `CSPMiddleware` comes after this one, and takes longer over it than the query does.
        policy = build_policy()
        self.headers = {"Cache-Control": "no-store", "Vary": "HX-Request, Cookie", "Content-Security-Policy": policy}

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        is_poll = request.method == "GET" and meta.get("HTTP_HX_REQUEST") == "true" and "stamp=" in meta["QUERY_STRING"]
        if is_poll and not WHOLE_PAGE_HEADERS & meta.keys():
            session_key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
            if page_stamps.is_same(request.GET.get("stamp", ""), session_key):
                return HttpResponse(status=204, headers=self.headers)
        return self.get_response(request)


class HookMiddleware:
    """Answers Docusign's events ahead of sessions, cookies and pages: they need none of it, and must cost little (W-4, W-11)."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(HOOKS):
            return self.get_response(request)
        try:
            match = resolve(request.path_info)
        except Resolver404:
            return HttpResponseNotFound()
        request.resolver_match = match  # for the log line, which names the pattern and not the address
        answer: HttpResponse = match.func(request, *match.args, **match.kwargs)
        return answer


class SizeMiddleware:
    """Refuses a body that is larger than any form of ours: Django itself lets files of any size through to the disk."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        announced = str(request.META.get("CONTENT_LENGTH") or "0")
        size = int(announced) if announced.isdecimal() else MAX_BODY_BYTES + 1
        # Where a file is asked for, its upload handler stops reading at the limit, and the form says so.
        if size > settings.DATA_UPLOAD_MAX_MEMORY_SIZE and (size > MAX_BODY_BYTES or not may_carry_file(request)):
            raise RequestDataTooBig("The body is larger than any form of this console.")
        return self.get_response(request)


class ToastMiddleware:
    """Hands messages to htmx answers as a client event; on redirects and whole pages they stay queued."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.htmx and "HX-Redirect" not in response.headers and not 300 <= response.status_code < 400:  # type: ignore[attr-defined]  # set by django_htmx
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
        response = self.get_response(request)
        if response.status_code == 405 and not response.content:
            page = render(request, "problems/405.html", status=405)
            page.headers["Allow"] = response.headers.get("Allow", "")
            page.headers["Cache-Control"] = "no-store"
            return page
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, OperationalError):
            return _store_failed(request)
        if not isinstance(error, ServiceError):
            return None
        return answer_to(request, error)


def answer_to(request: HttpRequest, error: ServiceError) -> HttpResponse:
    """What a service refused, as a page, or for htmx as a status that swaps nothing and a toast."""
    status = next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), 400)
    if htmx.wants_fragment(request):
        messages.error(request, error.message)
        response = HttpResponse(status=status if status != 422 else 409)
    else:
        again = sign_in_url(page_of(request)) if isinstance(error, ReconnectNeeded) else ""
        context = {"error": error, "status": status, "again": again}
        response = render(request, "problems/refused.html", context, status=status)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(error.retry_seconds)
    return response


def _store_failed(request: HttpRequest) -> HttpResponse:
    """The database took no write, in a place where something may have been sent already: never "nothing happened" (D-3)."""
    log.error("store.failed", exc_info=True)
    if htmx.wants_fragment(request):
        text = "This console cannot write to its own database just now. Look before you send anything again."
        response = htmx.events(
            HttpResponse(status=503), toast={"toasts": [{"text": text, "level": "error", "url": ""}]}
        )
    else:
        # Without the request, so that no context processor asks the database that failed.
        context = {"request_id": getattr(request, "request_id", "")}
        response = HttpResponse(render_to_string("problems/500.html", context), status=503)
    response.headers["Retry-After"] = RETRY_SECONDS
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Anything that nobody foresaw; what fails between the layers here, before a view is reached, comes by this way only."""
    if isinstance(sys.exception(), (OperationalError, StoreBusy)):
        if not hasattr(request, "htmx"):  # it failed before that layer was reached
            request.htmx = HtmxDetails(request)  # type: ignore[attr-defined]  # as that layer sets it
        return _store_failed(request)
    # Without the request, so that no context processor asks the database that may be what failed.
    context = {"request_id": getattr(request, "request_id", "")}
    return HttpResponse(render_to_string("problems/500.html", context), status=500)


class PersonMiddleware:
    """The login gate; sets `request.account`, `request.membership`, `request.memberships`; activates the person's time zone."""

    def __init__(self, get_response: Answer) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        is_person = request.user.is_authenticated
        memberships = request.user.working_in if is_person else []  # type: ignore[union-attr]  # set by our backend
        request.memberships = memberships  # type: ignore[attr-defined]  # set in this class
        request.membership = chosen_membership(request, memberships)  # type: ignore[attr-defined]  # set in this class
        request.account = request.membership.account if request.membership else None  # type: ignore[attr-defined]  # set in this class
        if is_person:
            timezone.activate(request.user.time_zone)  # type: ignore[union-attr]  # set in this class
        try:
            response = self.get_response(request)
        finally:
            timezone.deactivate()
        # Nothing of this console belongs into a shared store, the sign-in page with its token neither (S-9).
        response.headers.setdefault("Cache-Control", "no-store")
        patch_vary_headers(response, ["HX-Request", "Cookie"])
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        if getattr(view, "is_public", False) or request.user.is_authenticated:
            return None
        if request.method == "POST":
            keep_draft(request.session, request.path, request.POST)
        return htmx.go(request, sign_in_url(page_of(request)))


def page_of(request: HttpRequest) -> str:
    """The page to come back to: never a fragment, and never an address that only takes a POST with its query."""
    try:
        shown = request.htmx.current_url_abs_path if request.htmx else None  # type: ignore[attr-defined]  # set by django_htmx
    except ValueError:  # the header holds no address
        shown = None
    if shown:
        return str(shown)
    return request.get_full_path() if request.method in ("GET", "HEAD") else request.path


def chosen_membership(request: HttpRequest, memberships: list[Membership]) -> Membership | None:
    """The membership of the account chosen in this session, else the default one."""
    chosen = request.session.get("account") if memberships else None
    return next((row for row in memberships if str(row.account_id) == chosen), memberships[0] if memberships else None)
