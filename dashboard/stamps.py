"""The stamp by which a polling page learns whether anything moved. Its one rule: it never leaves the addresses of the page itself."""

from django.http import HttpResponse

from dashboard import htmx
from dashboard.models import Membership
from dashboard.person import PersonRequest


def stamp_of(membership: Membership) -> str:
    """Changes with the mirror, with this person's rights, and with each look of this person's own sync."""
    moments = (membership.synced_at, membership.sync_failed_at, membership.sync_queued_at)
    seconds = "-".join(f"{moment.timestamp():.0f}" if moment else "0" for moment in moments)
    return f"{membership.account.version}-{membership.rights_version}-{seconds}"


def unchanged(request: PersonRequest) -> HttpResponse | None:
    """204 for a poll that would get the same again. Takes the stamp out of the query, so that links do not carry it on."""
    query = request.GET.copy()
    seen = query.pop("stamp", [""])[-1]
    request.GET = query  # type: ignore[assignment]  # a query may be changed before anybody reads it
    is_same = seen != "" and seen == stamp_of(request.membership)
    return HttpResponse(status=204) if is_same and htmx.wants_fragment(request) else None


def poll_url(request: PersonRequest) -> str:
    """The address of this very page with the present stamp."""
    query = request.GET.copy()
    query["stamp"] = stamp_of(request.membership)
    return f"{request.path}?{query.urlencode()}"
