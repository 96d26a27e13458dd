"""Lists that were frozen for a question which nobody answered: picked rows, and single deeds that need a second person.

The one rule: they go an hour after they were made, with the inputs that they hold (V-4); the page that made them makes them anew.
The rows of a file are work of another size and stay longer (`sheet_purge.py`); an emergency stop waits for its person.
"""

from datetime import timedelta

from django.utils import timezone

from dashboard.models import Batch, BatchState
from dashboard.services import batch_states

KEPT = timedelta(hours=1)
SOURCES = (Batch.Source.SELECTION, Batch.Source.SINGLE)


def forget() -> int:
    """Delete those for which nobody was ever asked; how many."""
    rows = Batch.objects.filter(source__in=SOURCES, state=BatchState.PLANNED, confirmed_at=None, approval=None)
    return batch_states.drop_unconfirmed(rows.filter(created_at__lt=timezone.now() - KEPT))
