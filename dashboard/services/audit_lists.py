"""The audit as pages show it. Its one rule: it lists entries, never changes them, and only those that the person may see (V-3)."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import reduce
from operator import or_
from uuid import UUID

from django.db import connection
from django.db.models import Max, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, Replace
from django.db.models.lookups import Exact, In
from django.utils import timezone

from dashboard.models import AuditEntry, InstanceDenial, Membership
from dashboard.services.conditions import Loose
from dashboard.services.lists import Page, page_of
from dashboard.services.visibility import sees_all, visible_audit

FACETS = 200
ABOUT = ("object_id", "workflow_id", "operation_id")  # an entry is about each of these; each has an index
# Goes from one value to the next in the index over a column, so it costs as much as there are values, however many entries have each.
VALUES = """
WITH RECURSIVE found(value) AS (
  SELECT min({column}) FROM dashboard_auditentry WHERE account_id = %s AND {column} > ''
  UNION ALL
  SELECT (SELECT min({column}) FROM dashboard_auditentry WHERE account_id = %s AND {column} > found.value)
  FROM found WHERE value IS NOT NULL
)
SELECT value{more} FROM found WHERE value IS NOT NULL LIMIT %s
"""
NEWEST_NAME = """, (SELECT actor_name FROM dashboard_auditentry WHERE account_id = %s AND actor_id = value ORDER BY seq DESC LIMIT 1)
"""


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


@dataclass(frozen=True, slots=True)
class Choices:
    """What appears in the entries that a person may see: who acted, as (id, newest name), and what they did."""

    people: list[tuple[str, str]]
    deeds: list[str]


def find_entries(membership: Membership, search: AuditSearch) -> Page[AuditEntry]:
    """One page of entries, newest first."""
    rows, seen = visible_audit(membership)
    exact = {"actor_id": search.who, "action": search.deed, "result": search.result}
    if search.about:  # no index but that over what it is about: SQLite without statistics would take any
        wanted = [Q(Exact(Loose(name), value)) for name, value in exact.items() if value]
        parts = [rows.filter(Q(**{column: search.about}), reduce(or_, seen), *wanted) for column in ABOUT]
    else:
        rows = rows.filter(**{name: value for name, value in exact.items() if value})
        parts = [rows.filter(each) for each in seen]
    if search.q:
        parts = [part.filter(_mentions(search.q, membership)) for part in parts]
    parts = [_between(part, search.since, search.until) for part in parts]
    return page_of(parts, "seq", size=search.size, after=search.after, before=search.before)


def hidden_among(membership: Membership, entries: Collection[AuditEntry]) -> set[int]:
    """Those of these visible entries whose instance Docusign refused to this person, and whose name is not the person's own."""
    about = {row.seq: row.object_id for row in entries if row.object_type == "instance"}
    refused = InstanceDenial.objects.filter(
        user_id=membership.user_id, instance__in=[UUID(pk) for pk in about.values()]
    )
    denied = {str(pk) for pk in refused.values_list("instance_id", flat=True)} if about else set()
    return {row.seq for row in entries if about.get(row.seq) in denied and row.actor_sub != membership.user.sub}


def choices_of(membership: Membership) -> Choices:
    """People by name and deeds by code, of the entries that this person may see."""
    rows, seen = visible_audit(membership)
    is_all = sees_all(membership)
    people, deeds = _of_account(str(membership.account_id)) if is_all else _among([rows.filter(each) for each in seen])
    return Choices(sorted(people.items(), key=lambda pair: pair[1].casefold()), sorted(deeds)[:FACETS])


def _of_account(account: str) -> tuple[dict[str, str], Iterable[str]]:
    """Newest names by id, and deeds, of all entries: from two indexes, however many entries there are."""
    with connection.cursor() as cursor:
        cursor.execute(VALUES.format(column="actor_id", more=NEWEST_NAME), [account, account, account, FACETS])
        people = dict(cursor.fetchall())
        cursor.execute(VALUES.format(column="action", more=""), [account, account, FACETS])
        return people, [deed for (deed,) in cursor.fetchall()]


def _among(parts: list[QuerySet[AuditEntry]]) -> tuple[dict[str, str], Iterable[str]]:
    """The same of some entries, which are read once."""
    newest: dict[str, int] = {}
    deeds: set[str] = set()
    for part in parts:
        said = part.order_by().annotate(who=Loose("actor_id"), what=Loose("action")).values_list("who", "what")
        for actor, deed, seq in said.annotate(newest=Max("seq")):
            deeds.add(deed)
            newest[actor] = max(seq, newest.get(actor, 0))
    seqs = [newest[actor] for actor in sorted(newest) if actor][:FACETS]
    return dict(AuditEntry.objects.filter(seq__in=seqs).values_list("actor_id", "actor_name")), deeds


def _between(rows: QuerySet[AuditEntry], since: date | None, until: date | None) -> QuerySet[AuditEntry]:
    """Days are days of the person's own time zone."""
    if since:
        rows = rows.filter(at__gte=_midnight(since))
    if until:
        rows = rows.filter(at__lt=_midnight(until + timedelta(days=1)))
    return rows


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=timezone.get_current_timezone())


def _mentions(text: str, membership: Membership) -> Q:
    """Entries that hold the text; a name that the person may not read cannot be searched either."""
    named = Q(object_name__icontains=text)
    denials = InstanceDenial.objects.filter(user_id=membership.user_id)
    if denials.exists():
        hidden = Q(object_type="instance") & Q(In(_plain("object_id"), denials.values_list(_plain("instance_id"))))
        named &= Q(actor_sub=membership.user.sub) | ~hidden
    found = named | Q(reason__icontains=text) | Q(actor_name__icontains=text)
    return found | Q(seq=int(text)) if text.isdecimal() and len(text) < 18 else found


def _plain(column: str) -> Replace:
    """An id as text without hyphens: the audit writes them, SQLite keeps ids without."""
    return Replace(Cast(column, TextField()), Value("-"), Value(""), output_field=TextField())
