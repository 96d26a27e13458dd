"""How many instances a person may see, by state and by day, from counts that are kept and never from counting them all.

The one rule: what is counted is exactly what the person may see (V-3): the whole account, or their own and the workflows that
are open to them, and never what Docusign denied them.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from uuid import UUID

from django.db.models import QuerySet, Sum, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from dashboard.models import Bucket, HourCount, Instance, InstanceCount, InstanceState, Membership, Workflow
from dashboard.services.tallies import STARTED, Standing, standing_of
from dashboard.services.visibility import Reach, reach_of, visible_instances

DAYS = 30
SHOWN = (STARTED, InstanceState.COMPLETED, InstanceState.FAILED, InstanceState.CANCELED)
COUNTED = (
    "id", "account_id", "workflow_id", "started_by", "status", "started_at", "ended_at", "canceled_at", "last_modified_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Day:
    """What happened on one day of the person's zone."""

    day: date
    started: int = 0
    completed: int = 0
    failed: int = 0
    canceled: int = 0


def in_bucket(membership: Membership, bucket: Bucket) -> QuerySet[Instance]:
    """Visible instances of a tab, by the index that finds few rows: of the tab, or of the person who sees only some."""
    rows = visible_instances(membership)
    if reach_of(membership).is_all:
        return rows.filter(bucket=bucket)
    # As an expression the column serves no index, so the planner takes the starter's instead of everybody's tab.
    return rows.alias(tab=Coalesce("bucket", Value(""))).filter(tab=bucket)


def state_counts(membership: Membership) -> Counter[str]:
    """Visible instances by state."""
    reach = reach_of(membership)
    if not reach.is_any:
        return Counter()
    rows = InstanceCount.objects.filter(account_id=membership.account_id).order_by()
    anybody = rows.filter(started_by=InstanceCount.ANYBODY)
    parts = [anybody]
    if not reach.is_all:
        mine = rows.filter(started_by=reach.own_id)
        parts = [mine.exclude(workflow_id__in=reach.open_ids) if reach.open_ids else mine]
        parts += [anybody.filter(workflow_id__in=reach.open_ids)] if reach.open_ids else []
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(dict(part.values_list("status").annotate(Sum("rows"))))
    counts.subtract(standing.status for standing in _denied(membership) if _is_within(reach, standing))
    return +counts


def days_of(membership: Membership, workflow: Workflow | None = None, *, now: datetime | None = None) -> list[Day]:
    """What happened to visible instances, or to those of one workflow, on each of the last 30 days of the person's zone."""
    zone = timezone.get_current_timezone()
    today = (now or timezone.now()).astimezone(zone).date()
    days = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    counts: Counter[tuple[str, date]] = Counter()
    dates: dict[datetime, date] = {}
    for what, moment, number in _moments(membership, workflow, since=begin_of(days[0], zone)):
        if moment not in dates:
            dates[moment] = moment.astimezone(zone).date()
        counts[what, dates[moment]] += number
    return [Day(day, *(max(0, counts[what, day]) for what in SHOWN)) for day in days]


def begin_of(day: date, zone: tzinfo) -> datetime:
    """The first moment of a day in a zone; where midnight is skipped, the moment after the gap."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def _moments(
    membership: Membership, workflow: Workflow | None, *, since: datetime
) -> Iterator[tuple[str, datetime, int]]:
    """(what, when, how many): hours of a whole scope, and single moments of own rows."""
    reach = reach_of(membership)
    if not reach.is_any:
        return
    scopes = _scopes(membership, reach, workflow)
    yield from HourCount.objects.filter(scope__in=scopes, what__in=SHOWN, hour__gte=since).values_list(
        "what", "hour", "rows"
    )
    for standing in _denied(membership, workflow):
        if reach.is_all or standing.workflow_id in reach.open_ids:
            yield from ((what, _hour(at), -1) for what, at in _happened(standing, since))
    if not reach.is_all and (workflow is None or workflow.pk not in reach.open_ids):
        for standing in _own(membership, reach, workflow, since):
            yield from ((what, at, 1) for what, at in _happened(standing, since))


def _scopes(membership: Membership, reach: Reach, workflow: Workflow | None) -> list[UUID]:
    """Of what this person sees everything."""
    if workflow is not None:
        return [workflow.pk] if reach.is_all or workflow.pk in reach.open_ids else []
    return [membership.account_id] if reach.is_all else reach.open_ids


def _own(membership: Membership, reach: Reach, workflow: Workflow | None, since: datetime) -> Iterator[Standing]:
    """This person's own instances that moved since, apart from those in workflows that are counted whole."""
    rows = Instance.objects.filter(account_id=membership.account_id, started_by=reach.own_id, sort_at__gte=since)
    rows = rows.filter(workflow=workflow) if workflow is not None else rows.exclude(workflow_id__in=reach.open_ids)
    rows = rows.exclude(denials__user_id=membership.user_id).only(*COUNTED)
    return (standing_of(row) for row in rows.iterator(2000))


def _happened(standing: Standing, since: datetime) -> Iterable[tuple[str, datetime]]:
    events = ((STARTED, standing.started_at), (standing.status, standing.ended_at))
    return [(what, at) for what, at in events if at is not None and at >= since]


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _is_within(reach: Reach, standing: Standing) -> bool:
    """Whether the counts hold this instance for this person at all."""
    return reach.is_all or standing.started_by == reach.own_id or standing.workflow_id in reach.open_ids


def _denied(membership: Membership, workflow: Workflow | None = None) -> list[Standing]:
    """What the counts hold and this person must not see; denials are rare."""
    rows = Instance.objects.filter(denials__user_id=membership.user_id, account_id=membership.account_id)
    if workflow is not None:
        rows = rows.filter(workflow=workflow)
    return [standing_of(row) for row in rows.only(*COUNTED)]
