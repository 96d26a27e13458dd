"""Which inputs are not kept: of instances that ended long enough ago, and of those where a person asked for it (V-4).

The one rule: every writer of the mirror asks here before it stores, so what was erased does not come back with the next look.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from dashboard.models import (
    FREEZING,
    BatchItem,
    BatchState,
    Instance,
    InstanceKey,
    ItemState,
    Workflow,
)

SHORTEST = timedelta(days=1)


def kept_days(own: int | None) -> int:
    """How many days inputs are kept after the end, by a workflow's own number or the console's usual one."""
    return own if own is not None else int(settings.INPUT_RETENTION_DAYS)


def withhold(rows: Iterable[Instance]) -> None:
    """Take the inputs out of rows that are about to be written, where they are not kept."""
    now = timezone.now()
    ended = [row for row in rows if row.inputs_erased_at or (row.is_terminal and row.sort_at < now - SHORTEST)]
    fresh = {row.workflow_id for row in ended if not row.inputs_erased_at}
    days = dict(Workflow.objects.filter(pk__in=fresh).values_list("pk", "inputs_kept_days")) if fresh else {}
    for row in ended:
        if not row.inputs_erased_at and row.sort_at >= now - timedelta(days=kept_days(days.get(row.workflow_id))):
            continue
        row.trigger_inputs = {}
        row.inputs_erased_at = row.inputs_erased_at or now


def erase(instance_ids: Collection[UUID], at: datetime) -> int:
    """Erase the stored inputs of these instances for good, with what was kept to find them by. Within a transaction."""
    InstanceKey.objects.filter(instance_id__in=instance_ids).delete()
    return Instance.objects.filter(pk__in=instance_ids).update(trigger_inputs={}, inputs_erased_at=at)


def finished_rows(before: datetime | None = None) -> QuerySet[BatchItem]:
    """Rows of runs that are over, since before a moment, of which none can still be sent: no person is asked what became of it or
    whether it may be sent again."""
    now = timezone.now()
    rows = BatchItem.objects.filter(batch__state=BatchState.DONE).exclude(state=ItemState.NEEDS_PERSON)
    rows = rows.exclude(batch__approval__state__in=FREEZING, batch__approval__expires_at__gt=now)
    return rows.filter(batch__ended_at__lt=before).exclude(settled_at__gte=before) if before else rows
