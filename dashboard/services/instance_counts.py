"""How many instances a person sees in each state, from the counts that are kept while rows are written.

The one rule: a figure counts exactly the rows that the person may see under the filters, or is unknown; it never counts others (V-3).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Count, Q, Sum
from django.utils import timezone

from dashboard.models import EXPIRES_SOON, RUNNING_STATES, Bucket, Instance, Membership, bucket_of
from dashboard.services.conditions import Condition, Test
from dashboard.services.instance_queries import Rows, Way, kept_counts, shortest_way
from dashboard.services.lists import COUNT_CAP
from dashboard.services.visibility import Reach, reach_of

ByWorkflow = Counter[tuple[UUID, str]]


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by state, and how many of the running ones expire soon; None where there are too many to count."""

    by_state: Counter[str] | None
    expiring: int | None

    def in_tab(self, key: str) -> int | None:
        if key == "expiring":
            return self.expiring
        if self.by_state is None:
            return None
        return sum(number for state, number in self.by_state.items() if key in ("all", bucket_of(state)))


def kept(membership: Membership, workflows: Sequence[UUID] = (), started_by: str = "") -> ByWorkflow:
    """Visible rows by workflow and state, without reading rows, apart from the few that were denied to this person."""
    reach = reach_of(membership)
    found: ByWorkflow = Counter()
    for conditions in _parts(membership.account_id, reach, workflows, started_by):
        rows = kept_counts(conditions)
        if rows is not None:
            for workflow_id, status, number in rows.values_list("workflow_id", "status").annotate(Sum("rows")):
                found[workflow_id, status] += number
    if found and reach.is_any:
        found.subtract(_denied(membership, reach, workflows, started_by))
    return +found


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


def _denied(membership: Membership, reach: Reach, workflows: Sequence[UUID], started_by: str) -> ByWorkflow:
    """Rows within this person's reach that Docusign refused to them; they are few."""
    rows = Instance.objects.filter(denials__user_id=membership.user_id, account_id=membership.account_id)
    if not reach.is_all:
        rows = rows.filter(Q(started_by=reach.own_id) | Q(workflow_id__in=reach.open_ids))
    if workflows:
        rows = rows.filter(workflow_id__in=workflows)
    if started_by:
        rows = rows.filter(started_by=started_by)
    counted = rows.order_by().values_list("workflow_id", "status").annotate(Count("pk"))
    return Counter({(workflow_id, status): number for workflow_id, status, number in counted})


def by_state(found: ByWorkflow) -> Counter[str]:
    """The same rows by state alone."""
    counts: Counter[str] = Counter()
    for (_, status), number in found.items():
        counts[status] += number
    return counts


def expires_by() -> datetime:
    """What expires by then is expiring."""
    return timezone.now() + EXPIRES_SOON


def expiring_conditions() -> tuple[Condition, Condition]:
    return Condition("bucket", Test.IS, Bucket.RUNNING), Condition("expires_at", Test.BY, expires_by())


def read_counts(rows: Rows, way: Way) -> Counts:
    """Counted by reading the rows, of which `way` leaves few."""
    soon = Q(status__in=RUNNING_STATES, expires_at__lte=expires_by())
    counted = rows.through(way.conditions, way.by).values_list("status")
    found = list(counted.annotate(number=Count("pk"), soon=Count("pk", filter=soon)))
    return Counts(Counter({status: number for status, number, _ in found}), sum(number for *_, number in found))


def capped(rows: Rows) -> int:
    """How many rows, counted no further than one beyond the cap."""
    way = shortest_way(rows)
    if way is None:
        return rows.through(rows.conditions)[: COUNT_CAP + 1].count()
    return rows.through(way.conditions, way.by)[: COUNT_CAP + 1].count()


def nothing() -> Counter[str]:
    """No rows at all."""
    return Counter()
