"""A bulk run of a restored database: its rows may have been sent after the backup was made.

The one rule (U-12): what the restored database calls waiting is unknown, and is looked for at Docusign before it is sent, by the
markers of all of its attempts (`batch_markers.py`).
"""

from django.utils import timezone

from dashboard.models import Batch, BatchItem, ItemState, OperationKind
from dashboard.services import audit
from dashboard.services.batch_items import SEALED, intent_of
from dashboard.services.edges import insert_unknown
from dashboard.services.instances import lock_mirror

CHUNK = 500
IN_DOUBT = (
    "The database was restored, so this row may have been sent before; this console looks for it at Docusign first."
)


def doubt_waiting(batch: Batch) -> int:
    """Make every waiting trigger unknown; how many. A cancel is read before it is sent anyway. Inside the caller's transaction."""
    if batch.kind != OperationKind.TRIGGER:
        return 0
    lock_mirror(batch.account_id)
    rows = BatchItem.objects.filter(batch=batch, state=ItemState.WAITING, operation=None).select_related("workflow")
    number = 0
    while items := list(rows.order_by("position")[:CHUNK]):
        number += _doubt(batch, items)
    audit.record(
        "batch.doubted",
        actor=batch.actor,
        account=batch.account,
        subject=batch,
        reason=IN_DOUBT,
        detail={"count": number},
    )
    return number


def _doubt(batch: Batch, items: list[BatchItem]) -> int:
    pairs = [(item, operation) for item in items if (operation := intent_of(batch, item)) is not None]
    insert_unknown(pairs, IN_DOUBT)
    opened = {item.pk for item, _ in pairs}
    sealed = BatchItem.objects.filter(pk__in=[item.pk for item in items if item.pk not in opened])
    sealed.update(state=ItemState.NOT_SENT, message=SEALED, settled_at=timezone.now())
    return len(pairs)
