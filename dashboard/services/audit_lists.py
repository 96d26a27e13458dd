"""The audit as pages show it. Its one rule: it lists entries, never changes them, and only those that the person may see (V-3)."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.models import AuditEntry, Membership
from dashboard.services.lists import Page, page_of
from dashboard.services.visibility import visible_audit

FACETS = 200


@dataclass(frozen=True, slots=True)
class AuditSearch:
    """What a person asked for."""

    q: str = ""
    who: str = ""
    deed: str = ""
    result: str = ""
    since: date | None = None
    until: date | None = None
    about: str = ""
    size: int = 25
    after: str = ""
    before: str = ""


def find_entries(membership: Membership, search: AuditSearch) -> Page[AuditEntry]:
    """One page of entries, newest first."""
    rows = visible_audit(membership)
    exact = {"actor_id": search.who, "action": search.deed, "result": search.result}
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    if search.about:
        rows = rows.filter(Q(object_id=search.about) | Q(workflow_id=search.about) | Q(operation_id=search.about))
    rows = _between(rows, search.since, search.until)
    if search.q:
        rows = rows.filter(_mentions(search.q))
    return page_of(rows, "seq", size=search.size, after=search.after, before=search.before)


def people_of(membership: Membership) -> list[tuple[str, str]]:
    """Everybody who appears in the entries that this person may see."""
    rows = visible_audit(membership).exclude(actor_id="").order_by()
    named = dict(rows.values_list("actor_id", "actor_name").distinct()[:FACETS])
    return sorted(named.items(), key=lambda pair: pair[1].casefold())


def deeds_of(membership: Membership) -> list[str]:
    """Every action that appears in the entries that this person may see."""
    return sorted(visible_audit(membership).order_by().values_list("action", flat=True).distinct()[:FACETS])


def _between(rows: QuerySet[AuditEntry], since: date | None, until: date | None) -> QuerySet[AuditEntry]:
    """Days are days of the person's own time zone."""
    if since:
        rows = rows.filter(at__gte=_midnight(since))
    if until:
        rows = rows.filter(at__lt=_midnight(until + timedelta(days=1)))
    return rows


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())


def _mentions(text: str) -> Q:
    found = Q(object_name__icontains=text) | Q(reason__icontains=text) | Q(actor_name__icontains=text)
    return found | Q(seq=int(text)) if text.isdecimal() and len(text) < 18 else found
