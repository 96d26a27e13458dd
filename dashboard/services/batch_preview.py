"""What the question before a bulk run has to say: how many, which first, what ended since, what it costs and how long it takes.

The one rule: it counts what would really be sent now, from the frozen list and the present mirror; it changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import F
from django.utils import timezone

from dashboard.models import TERMINAL_STATES, Batch, BatchItem, ItemState, OperationKind
from dashboard.services import batches
from dashboard.services.batches import Eta
from dashboard.services.quota import Lane, quota_of

FIRST = 5


@dataclass(frozen=True, slots=True)
class Preview:
    """The figures of a planned bulk run. `left` are the calls that bulk runs may still make this hour."""

    count: int
    first: list[BatchItem]
    ended: int
    moved: int
    left_out: int
    calls: int
    left: int
    resets_at: datetime
    eta: Eta


def preview_of(batch: Batch) -> Preview:
    """The figures as they are now."""
    waiting = BatchItem.objects.filter(batch=batch, state=ItemState.WAITING)
    number = batches.counts(batch)
    ended = moved = 0
    if batch.kind == OperationKind.CANCEL:
        ended = waiting.filter(instance__status__in=TERMINAL_STATES).count()
        others = waiting.exclude(instance__status=F("status_then"))
        moved = others.exclude(instance__status__in=TERMINAL_STATES).count()
    quota = quota_of(getattr(batch.account, "budget", None), timezone.now())
    return Preview(
        count=number.get(ItemState.WAITING, 0),
        first=list(waiting.select_related("workflow", "instance").order_by("position")[:FIRST]),
        ended=ended,
        moved=moved,
        left_out=sum(number.values()) - number.get(ItemState.WAITING, 0),
        calls=batches.price(batch),
        left=quota.left_for(Lane.BATCH),
        resets_at=quota.resets_at,
        eta=batches.eta(batch),
    )
