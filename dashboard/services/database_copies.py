"""What a backup needs of a database, whichever it is: `sqlite_copies` and `postgres_copies` have the same shape.

The one rule: who makes or restores a backup knows only this shape, and `backups` alone chooses between the two.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol


class Place(Protocol):
    """A database beside the usual one, filled from a backup and checked before it may take the usual one's name."""

    def take(self, data: bytes, /) -> None:
        """More of the backup's bytes."""

    def open(self) -> AbstractContextManager[None]:
        """All bytes have come: work on it. Raises BackupFailed where they are no whole database."""

    def put_in_place(self, at: datetime, /) -> str:
        """Give it the usual name; the one that was there keeps another. The name of that one, or nothing."""


class Copies(Protocol):
    """Copies of one kind of database."""

    def snapshot(self) -> AbstractContextManager[Iterator[bytes]]:
        """The bytes of the database as of one moment, which reads meanwhile see too."""

    def beside(self) -> AbstractContextManager[Place]:
        """A place beside the database; gone afterwards unless it was put in place."""

    def is_there(self) -> bool:
        """Whether there is a database to replace."""

    def refuse_in_use(self) -> None:
        """Raise BackupFailed where anybody else has the database open."""
