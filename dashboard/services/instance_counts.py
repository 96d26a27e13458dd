"""How many instances a person sees in each state, from the counts that are kept while rows are written.

The one rule: a figure counts exactly the rows that the person may see under the filters, or is unknown; it never counts others (V-3).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, Sum
from django.utils import timezone

from dashboard.models import EXPIRES_SOON, RUNNING_STATES, Bucket, Instance, Membership, bucket_of
from dashboard.services.conditions import Condition, Loose, Test
from dashboard.services.instance_queries import Rows, Way, kept_counts, shortest_way
from dashboard.services.lists import COUNT_CAP
from dashboard.services.visibility import Reach, reach_of

Key = tuple[UUID | None, str]


@dataclass(frozen=True)
class Census:
    """Visible rows by workflow (None where that was not asked) and state; and how many of them expire soon, where that was read."""

    rows: Counter[Key]
    soon: Counter[Key] | None = None

    def total(self, tab: str) -> int:
        if tab == "expiring":
            return sum(self.by(1, tab).values())
        return self._buckets.total() if tab == "all" else self._buckets[tab]

    @cached_property
    def _buckets(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for (_, state), number in self.rows.items():
            found[bucket_of(state)] += number
        return found

    def by(self, part: int, tab: str) -> Counter[str]:
        """Rows of a tab by workflow (part 0) or state (part 1)."""
        found: Counter[str] = Counter()
        for key, number in self._of(tab).items():
            if is_in(key[1], tab):
                found[str(key[part])] += number
        return found

    def _of(self, tab: str) -> Counter[Key]:
        return self.soon if tab == "expiring" and self.soon is not None else self.rows


def is_in(state: str, tab: str) -> bool:
    """Whether rows of a state may stand in a tab."""
    return tab == "all" or bucket_of(state) == (Bucket.RUNNING if tab == "expiring" else tab)


def kept_for(membership: Membership, workflows: Sequence[UUID]) -> Census:
    """Rows of these workflows that a person sees, by workflow and state."""
    account_id, user_id = membership.account_id, membership.user_id
    return kept(account_id, user_id, reach_of(membership), workflows, "", by_workflow=True)


def kept(
    account_id: UUID, user_id: Any, reach: Reach, workflows: Sequence[UUID], started_by: str, *, by_workflow: bool
) -> Census:
    """Visible rows without reading them, apart from the few that were denied to this person."""
    found: Counter[Key] = Counter()
    columns = ["workflow_id", "status"] if by_workflow else ["status"]
    for conditions in _parts(account_id, reach, workflows, started_by):
        rows = kept_counts(conditions)
        if rows is not None:
            for *pk, status, number in rows.values_list(*columns).annotate(Sum("rows")):
                found[pk[0] if pk else None, status] += number
    if +found and reach.has_denials:
        denied = _denied(account_id, user_id, reach, workflows, started_by)
        found.subtract(Counter((pk if by_workflow else None, status) for pk, status in denied))
    return Census(+found)


def _parts(
    account_id: UUID, reach: Reach, workflows: Sequence[UUID], started_by: str
) -> Iterable[tuple[Condition, ...]]:
    """What a person sees as parts that do not overlap, each of which the kept counts know."""
    account = Condition("account_id", Test.IS, account_id)
    starter = [Condition("started_by", Test.IS, started_by)] if started_by else []
    named = [Condition("workflow_id", Test.IN, tuple(workflows))] if workflows else []
    if reach.is_all:
        yield (account, *named, *starter)
    elif reach.is_any:
        opened = tuple(pk for pk in reach.open_ids if not workflows or pk in workflows)
        if opened:
            yield (account, Condition("workflow_id", Test.IN, opened), *starter)
        if started_by in ("", reach.own_id):
            yield (account, *named, Condition("started_by", Test.IS, reach.own_id), *_not_in(opened))


def _not_in(workflows: Sequence[UUID]) -> list[Condition]:
    return [Condition("workflow_id", Test.NOT_IN, tuple(workflows))] if workflows else []


def _denied(
    account_id: UUID, user_id: Any, reach: Reach, workflows: Sequence[UUID], started_by: str
) -> Iterable[tuple[UUID, str]]:
    """Workflow and state of the rows within this person's reach that Docusign refused to them; they are few."""
    rows = Instance.objects.filter(denials__user_id=user_id, account_id=account_id)
    if not reach.is_all:
        rows = rows.filter(Q(started_by=reach.own_id) | Q(workflow_id__in=reach.open_ids))
    if workflows:
        rows = rows.filter(workflow_id__in=workflows)
    if started_by:
        rows = rows.filter(started_by=started_by)
    return rows.order_by().values_list("workflow_id", "status")


def expires_by() -> datetime:
    """What expires by then is expiring."""
    return timezone.now() + EXPIRES_SOON


def expiring_conditions() -> tuple[Condition, Condition]:
    return Condition("bucket", Test.IS, Bucket.RUNNING), Condition("expires_at", Test.BY, expires_by())


def read_census(rows: Rows, way: Way, *, by_workflow: bool) -> Census:
    """Counted by reading the rows, of which `way` leaves few."""
    is_soon = Q(status__in=RUNNING_STATES, expires_at__lte=expires_by())
    parts = {"state": Loose("status"), **({"flow": Loose("workflow_id")} if by_workflow else {})}
    counted = rows.through(way.conditions, way.by).annotate(**parts).values(*parts)
    census = Census(Counter(), Counter())
    for row in counted.annotate(number=Count("pk"), running_out=Count("pk", filter=is_soon)):
        key = (UUID(str(row["flow"])) if by_workflow else None, row["state"])
        census.rows[key], census.soon[key] = row["number"], row["running_out"]  # type: ignore[index]  # given above
    return census


def capped(rows: Rows) -> int:
    """How many rows, counted no further than one beyond the cap."""
    way = shortest_way(rows)
    if way is not None and way.is_short and way.is_all_of(rows):
        return way.size
    taken = rows.through(way.conditions, way.by) if way else rows.through(rows.conditions)
    return taken[: COUNT_CAP + 1].count()
