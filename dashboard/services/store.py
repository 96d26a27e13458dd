"""This console's own database when it takes no writes: locked by somebody, or its disk full (D-3).

The one rule: "nothing was sent" is said only around what runs before the first byte leaves.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError, connection

from dashboard.services.errors import StoreBusy
from dashboard.startup import LOCK_SECONDS

BUSY = "This console cannot write to its own database just now. Nothing was sent or changed. Try again in a moment."

_one_writer = threading.Lock()


@contextmanager
def before_sending() -> Iterator[None]:
    """Around everything that comes before a call which changes something at Docusign. Raises StoreBusy."""
    try:
        yield
    except OperationalError as error:
        raise StoreBusy(BUSY) from error


@contextmanager
def waiting_at_most(milliseconds: int) -> Iterator[None]:
    """Around writes whose sender must soon know that they failed: the database waits no longer than this for a lock."""
    is_sqlite = connection.vendor == "sqlite"
    if not is_sqlite and milliseconds >= LOCK_SECONDS * 1000:  # no session there waits longer
        yield
        return
    usual = int(float(connection.settings_dict["OPTIONS"].get("timeout", 5)) * 1000)
    before = f"PRAGMA busy_timeout = {milliseconds:d}" if is_sqlite else f"SET lock_timeout = {milliseconds:d}"
    after = f"PRAGMA busy_timeout = {usual:d}" if is_sqlite else "RESET lock_timeout"
    with connection.cursor() as cursor:
        cursor.execute(before)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(after)


@contextmanager
def in_turn(milliseconds: int) -> Iterator[None]:
    """Around writes that many threads make at once. SQLite takes one writer at a time, and whoever waits for it there waits by lot,
    some for seconds; the threads of a process wait here for one another instead. Raises OperationalError after this time.
    """
    if connection.vendor != "sqlite":
        yield
        return
    if not _one_writer.acquire(timeout=milliseconds / 1000):
        raise OperationalError("other threads of this process are writing")
    try:
        yield
    finally:
        _one_writer.release()
