"""This console's own database when it takes no writes: locked by somebody, or its disk full (D-3).

The one rule: "nothing was sent" is said only around what runs before the first byte leaves.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError

from dashboard.services.errors import StoreBusy

BUSY = "This console cannot write to its own database just now. Nothing was sent or changed. Try again in a moment."


@contextmanager
def before_sending() -> Iterator[None]:
    """Around everything that comes before a call which changes something at Docusign. Raises StoreBusy."""
    try:
        yield
    except OperationalError as error:
        raise StoreBusy(BUSY) from error
