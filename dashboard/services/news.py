"""What changed since a person last took note, and the mark up to which they did.

The one rule: the mark moves only when the person says so, only forward, and only as far as what they were shown.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.models import InstanceChange, Membership
from dashboard.services.visibility import reach_of, visible_instances

FIRST_LOOK = timedelta(hours=24)
SHOWN = 10
COUNTED = 1000
OWN_LOOKED_AT = 500  # of the instances of a person who sees only some: those that changed last


@dataclass(frozen=True, slots=True)
class Cursor:
    """Since when changes count as new; `is_first` when this person never took note of any."""

    since: datetime
    is_first: bool


@dataclass(frozen=True, slots=True)
class News:
    """The newest changes, and how many more there are; `is_least` when counting stopped early."""

    cursor: Cursor
    until: datetime
    changes: list[InstanceChange]
    more: int
    is_least: bool


def cursor_of(membership: Membership) -> Cursor:
    """This person's mark, or the last 24 hours."""
    if membership.seen_at is None:
        return Cursor(timezone.now() - FIRST_LOOK, is_first=True)
    return Cursor(membership.seen_at, is_first=False)


def news_of(membership: Membership) -> News:
    """Changes of visible instances that this console observed since the mark, newest first."""
    until, cursor = timezone.now(), cursor_of(membership)
    rows = _visible_changes(membership).filter(observed_at__gt=cursor.since, observed_at__lte=until)
    count = rows.order_by()[: COUNTED + 1].count()
    newest = rows.order_by("-observed_at", "-pk")[:SHOWN]
    changes = list(newest.select_related("instance", "instance__workflow").defer(*_LARGE))
    return News(cursor, until, changes, max(0, min(count, COUNTED) - len(changes)), is_least=count > COUNTED)


def mark_seen(membership: Membership, *, until: datetime) -> bool:
    """Take note of everything up to a time that this person was shown; False when that was done already."""
    until = min(until, timezone.now())
    behind = Membership.objects.filter(Q(seen_at=None) | Q(seen_at__lt=until), pk=membership.pk)
    return bool(behind.update(seen_at=until))


_LARGE = tuple(
    f"instance__{name}" for name in ("trigger_inputs", "tags", "metadata", "extra", "sealed_url", "full_name")
)


def _visible_changes(membership: Membership) -> QuerySet[InstanceChange]:
    """Changes of what the person may see; nobody's list of visible ids is longer than a bound."""
    reach = reach_of(membership)
    if reach.is_all:
        rows = InstanceChange.objects.filter(account_id=membership.account_id)
        return rows.exclude(instance__denials__user_id=membership.user_id)
    latest = visible_instances(membership).order_by("-sort_at", "-pk").values_list("pk", flat=True)[:OWN_LOOKED_AT]
    # By instance alone: with the account beside it, SQLite walks all changes of everybody by time.
    return InstanceChange.objects.filter(instance_id__in=list(latest))
