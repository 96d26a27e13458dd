"""Counts what a request does before it is done (S-16). Its one rule: reading and stopping are free; changing, exporting and
searching are not.

A page that asks by itself whether something moved only reads, and is never counted.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from dashboard.facts import current_facts
from dashboard.middleware import answer_to
from dashboard.services import limits, sign_in
from dashboard.services.errors import TooMany
from dashboard.services.limits import Kind

READING = frozenset({"GET", "HEAD", "OPTIONS"})
# By the name of the address, where it is not just "whatever is posted is a write".
KINDS = {
    "signin-start": Kind.SIGN_IN,
    "oauth-callback": Kind.CALLBACK,
    "instance-export": Kind.EXPORT,
    "batch-results": Kind.EXPORT,
    "instance-workflows": Kind.SEARCH,
    "instance-people": Kind.SEARCH,
    "instance-find": Kind.SEARCH,
    # Asked at each pause while somebody types, and nothing is kept of it.
    "workflow-trigger-preview": Kind.SEARCH,
}
# Lists that search inside names when they are asked for some.
SEARCHED = frozenset({"instances", "workflow", "workflows", "batches", "audit"})
SEARCH_WORDS = ("name", "key", "q")
DOORS = frozenset({Kind.SIGN_IN, Kind.CALLBACK})
# What stops, takes back or shuts out is never refused, and least of all to somebody who did too much just now.
BRAKES = frozenset(
    {
        *("operation-undo", "batch-undo", "batch-pause", "batch-stop"),
        *("workflow-pause", "workflow-stop", "workflow-stop-step", "workflow-stop-list"),
        *("signout", "session-end", "sessions-end-others", "team-switch-off", "connection-disconnect"),
    }
)


class LimitMiddleware:
    """Refuses with 429 and Retry-After what somebody does too often."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., HttpResponse], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        kind = kind_of(request)
        if kind is None:
            return None
        is_known = request.user.is_authenticated
        if kind == Kind.CALLBACK and sign_in.attempts_of(request.session, is_signed_in=is_known) is None:
            return None  # any page can send a browser here, and must not use up what those behind its address may do
        address = current_facts().ip
        try:
            if kind in DOORS:
                limits.refuse_if_locked(address)
                limits.claim(kind, person="", address=address)
            else:
                person = str(request.user.pk) if is_known else ""
                limits.claim(kind, person=person, address=address)
        except TooMany as refusal:
            return answer_to(request, refusal)
        return None


def kind_of(request: HttpRequest) -> Kind | None:
    """What a request counts as; None when it only reads."""
    name = request.resolver_match.url_name if request.resolver_match else ""
    if kind := KINDS.get(name or ""):
        # What the address does not take at all is refused by its view.
        return None if kind == Kind.SIGN_IN and request.method in READING else kind
    if request.method not in READING:
        return None if name in BRAKES else Kind.WRITE
    is_search = name in SEARCHED and any(request.GET.get(word) for word in SEARCH_WORDS)
    return Kind.SEARCH if is_search else None
