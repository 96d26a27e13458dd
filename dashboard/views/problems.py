"""Problem pages that Django asks for. Its one rule: they say what happened and what to do, never how it is built inside."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import Resolver404

from dashboard import htmx
from dashboard.models import Membership, Rights
from dashboard.services import due
from dashboard.services.sign_in_gate import keep_draft
from dashboard.services.visibility import is_connected, view_of


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid token: most often one that was open over a sign-out, so what was typed in it is kept (S-6)."""
    person = request.user if request.user.is_authenticated else None
    is_kept = keep_draft(request.session, request.path, request.POST, only_for=person)
    if is_kept and htmx.wants_fragment(request):
        messages.warning(request, "This form was open too long. What you typed is still there; send it once more.")
        return htmx.go(request, request.path)
    return render(request, "problems/csrf.html", {"back": request.path if is_kept else ""}, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Nothing there, or nothing yet: to who just came in by a link, Docusign has not said a word about anything (V-2)."""
    mine: Membership | None = getattr(request, "membership", None)
    context: dict[str, object] = {}
    if mine and mine.rights == Rights.UNPROVEN and is_connected(mine) and not isinstance(exception, Resolver404):
        due.look(mine)  # not every page asks for it, and without it the first look would never come
        again = request.get_full_path() if request.method == "GET" else ""
        context = {"not_yet": view_of(mine).sentence, "again": again, "trouble": due.trouble_of(mine)}
    return render(request, "problems/404.html", context, status=404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    # The host itself may be what is wrong, so nothing is asked of the request.
    context = {"request_id": getattr(request, "request_id", "")}
    return HttpResponse(render_to_string("problems/400.html", context), status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "problems/403.html", status=403)
