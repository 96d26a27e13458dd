"""Pages and fragments. Its one rule: a page includes the same fragment file, so the two cannot differ."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.shortcuts import render as render_template
from django.utils.cache import patch_vary_headers


def wants_fragment(request: HttpRequest) -> bool:
    """Whether htmx asks for a part: not for a boosted link, and not for a page out of the history."""
    htmx = request.htmx  # type: ignore[attr-defined]  # set by django_htmx's middleware
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def render(
    request: HttpRequest, page: str, fragment: str, context: dict[str, Any] | None = None, *, status: int = 200
) -> HttpResponse:
    """Answer with the fragment alone, or with the page that includes it."""
    response = render_template(request, fragment if wants_fragment(request) else page, context or {}, status=status)
    patch_vary_headers(response, ["HX-Request"])
    return response


def events(response: HttpResponse, *names: str, **details: Any) -> HttpResponse:
    """Add client events; those already there stay."""
    present = json.loads(response.headers.get("HX-Trigger", "{}"))
    present.update({name: {} for name in names})
    present.update(details)
    response.headers["HX-Trigger"] = json.dumps(present)
    return response


def done(request: HttpRequest, to: str, *names: str) -> HttpResponse:
    """A deed is done: 204 with events for htmx, which makes regions reload themselves; a redirect otherwise."""
    if wants_fragment(request):
        return events(HttpResponse(status=204), *names)
    return redirect(to)


def go(request: HttpRequest, to: str) -> HttpResponse:
    """Leave for another page: by HX-Redirect for htmx, never by swapping a whole page into a part."""
    if request.htmx:  # type: ignore[attr-defined]  # set by django_htmx's middleware
        return HttpResponse(status=204, headers={"HX-Redirect": to})
    return redirect(to)
