"""The stamp by which a polling page learns whether anything moved. Its one rule: it never leaves the addresses of the page itself."""

from django.http import HttpResponse

from dashboard import htmx
from dashboard.person import PersonRequest
from dashboard.services import page_stamps


def unchanged(request: PersonRequest) -> HttpResponse | None:
    """204 for a poll that would get the same again. Takes the stamp out of the query, so that links do not carry it on.

    Most polls are answered by `PollMiddleware` already; here come those that have something to note.
    """
    query = request.GET.copy()
    seen = query.pop("stamp", [""])[-1]
    request.GET = query  # type: ignore[assignment]  # a query may be changed before anybody reads it
    # Read before the rows: what changes in between makes the next poll different.
    request.stamp = page_stamps.stamp_of(request.membership)
    return HttpResponse(status=204) if seen == request.stamp and htmx.wants_fragment(request) else None


def poll_url(request: PersonRequest) -> str:
    """The address of this very page with the stamp that it was made under."""
    query = request.GET.copy()
    query["stamp"] = getattr(request, "stamp", "")
    return f"{request.path}?{query.urlencode()}"
