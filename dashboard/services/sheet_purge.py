"""Forgetting the rows of files. Its one rule: inputs stay no longer than somebody may still want to send them (V-4)."""

from datetime import timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dashboard.models import FREEZING, Batch, BatchItem, BatchState, OperationKind, Sheet
from dashboard.services.input_erasure import finished_rows

DROPPED_AFTER = timedelta(days=7)  # what was prepared and never confirmed
RETRY_KEPT = timedelta(days=7)  # the inputs of rows that were refused or not sent
LOOKED_BACK = timedelta(days=60)
AT_ONCE = 100


def forget(batch: Batch) -> bool:
    """The file of a run that is done, and what its errors quoted from it; names, outcomes and what can be retried stay."""
    with transaction.atomic():
        is_done = Batch.objects.filter(pk=batch.pk, state=BatchState.DONE).exists()
        if is_done:
            Sheet.objects.filter(batch_id=batch.pk).delete()
            BatchItem.objects.filter(batch_id=batch.pk).exclude(problems=[]).update(problems=[])
    return is_done


def purge() -> int:
    """Forget the files and inputs of runs that are over, drop what nobody confirmed for a week; how many runs that were."""
    return _forget_done() + _forget_inputs() + _drop_stale()


def _forget_done() -> int:
    recent = timezone.now() - LOOKED_BACK
    over = Batch.objects.filter(state=BatchState.DONE, source=Batch.Source.SHEET)
    quoting = BatchItem.objects.filter(batch__in=over.filter(ended_at__gte=recent)).exclude(problems=[])
    found = over.filter(Q(sheet__isnull=False) | Q(pk__in=quoting.values("batch_id")))[:AT_ONCE]
    return sum(forget(batch) for batch in list(found))


def _forget_inputs() -> int:
    now = timezone.now()
    over = finished_rows(now - RETRY_KEPT).filter(batch__kind=OperationKind.TRIGGER)
    sealed = over.filter(batch__ended_at__gte=now - LOOKED_BACK).exclude(sealed_inputs="")
    ids = list(sealed.order_by().values_list("batch_id", flat=True).distinct()[:AT_ONCE])
    for pk in ids:
        sealed.filter(batch_id=pk).update(sealed_inputs="")
    return len(ids)


def _drop_stale() -> int:
    stale = Batch.objects.filter(
        source__in=(Batch.Source.SHEET, Batch.Source.SINGLE),  # a single deed also keeps inputs after its request ended
        state=BatchState.PLANNED,
        confirmed_at=None,
        created_at__lt=timezone.now() - DROPPED_AFTER,
    ).exclude(approval__state__in=FREEZING)
    dropped = 0
    for pk in list(stale.values_list("pk", flat=True)[:AT_ONCE]):
        with transaction.atomic():
            # Taken first, so that a confirm at the same moment finds nothing to start.
            if stale.filter(pk=pk).update(state=BatchState.DONE, ended_at=timezone.now()):
                Batch.objects.filter(pk=pk).delete()
                dropped += 1
    return dropped
