"""Problem pages that Django asks for. Its one rule: they say what happened and what to do, never how it is built inside."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form without a valid token: most often a page that was left open over a sign-out."""
    return render(request, "problems/csrf.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "problems/404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    # Without the request, so that no context processor asks the database that may be what failed.
    context = {"request_id": getattr(request, "request_id", "")}
    return HttpResponse(render_to_string("problems/500.html", context), status=500)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    # The host itself may be what is wrong, so nothing is asked of the request.
    context = {"request_id": getattr(request, "request_id", "")}
    return HttpResponse(render_to_string("problems/400.html", context), status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "problems/403.html", status=403)
