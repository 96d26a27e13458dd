"""Copies of a SQLite database for backup and restore.

The one rule: a plain copy lies only beside the database, in a folder that nobody else may enter, and only while it is used.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.db import DEFAULT_DB_ALIAS, connection, connections

from dashboard.services.archives import BackupFailed
from dashboard.services.other_database import working_on

PREFIX = ".console-copy-"
ABANDONED_SECONDS = 24 * 3600
READ_BYTES = 1 << 20
HEADER = b"SQLite format 3\0"
IN_USE = "The database is in use. Stop the console and the worker first."


class SqlitePlace:
    """A file beside the database, filled and checked before it takes the database's name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("wb")

    def take(self, data: bytes) -> None:
        """More of the database's bytes."""
        self._file.write(data)

    @contextmanager
    def open(self) -> Iterator[None]:
        """All bytes have come: work on it. Raises BackupFailed where SQLite finds it broken."""
        self._file.close()
        with working_on(str(self.path)):
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA integrity_check(1)")
                if (found := cursor.fetchone()[0]) != "ok":
                    raise BackupFailed(f"The database in the backup is broken: {found}")
            yield

    def put_in_place(self, at: datetime) -> str:
        """Give it the database's name; the one that was there keeps another. The name of that one, or nothing."""
        usual = _usual_path()
        _settle(self.path)
        kept = usual.with_name(f"{usual.name}.replaced-{at:%Y%m%dT%H%M%SZ}")
        had_one = usual.exists()
        if had_one:
            refuse_in_use()
            usual.rename(kept)
        # Of a database that SQLite cannot read any more they hold what was committed last; to the new one they must not be applied.
        for suffix in ("-wal", "-shm"):
            if (beside := usual.with_name(usual.name + suffix)).exists():
                beside.rename(kept.with_name(kept.name + suffix))
        self.path.rename(usual)
        _sync(usual.parent)
        return str(kept) if had_one else ""


def _usual_path() -> Path:
    return Path(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"])


def is_there() -> bool:
    """Whether there is a database to replace."""
    path = _usual_path()
    return path.exists() and path.stat().st_size > 0


def refuse_in_use() -> None:
    """Raise BackupFailed where another process has the database open, even if it only waits."""
    connections[DEFAULT_DB_ALIAS].close()
    if not is_there() or not _is_database(_usual_path()):
        return
    database = None
    try:
        database = sqlite3.connect(_usual_path(), timeout=1, isolation_level=None)
        # Leaving WAL needs the file for itself: a connection that does nothing is in the way too.
        mode = database.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise BackupFailed(IN_USE) from error
        said = f"The database cannot be looked at: {error}. Move it away, with its -wal and -shm, and restore again."
        raise BackupFailed(said) from error
    except sqlite3.DatabaseError:
        return  # no database any more, which is why somebody restores
    finally:
        if database is not None:
            database.close()
    if mode != "delete":
        raise BackupFailed(IN_USE)


def _is_database(path: Path) -> bool:
    """Looked at without SQLite, which throws the last commits beside it away where it finds no database."""
    try:
        with path.open("rb") as file:
            return file.read(len(HEADER)) == HEADER
    except OSError:
        return True  # SQLite says what is wrong


@contextmanager
def snapshot() -> Iterator[Iterator[bytes]]:
    """The bytes of the database as of one moment, which reads meanwhile go to; nobody waits for it."""
    with _folder() as folder:
        path = folder / "copy.sqlite3"
        _copy(path)
        with working_on(str(path)):
            yield _bytes_of(path)


def _copy(path: Path) -> None:
    target = sqlite3.connect(path)
    try:
        target.execute("PRAGMA synchronous=OFF")
        target.execute("PRAGMA journal_mode=OFF")
        connection.ensure_connection()
        # In one step: between two steps any writer would make it begin anew. Under WAL writers and readers go on.
        connection.connection.backup(target, pages=-1)
    finally:
        target.close()


def _bytes_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as source:
        while data := source.read(READ_BYTES):
            yield data


@contextmanager
def beside() -> Iterator[SqlitePlace]:
    """A place beside the database for one that shall replace it; gone afterwards unless it was put in place."""
    with _folder() as folder:
        yield SqlitePlace(folder / "restored.sqlite3")


@contextmanager
def _folder() -> Iterator[Path]:
    parent = _usual_path().absolute().parent
    for left in parent.glob(f"{PREFIX}*"):
        if time.time() - left.stat().st_mtime > ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settle(path: Path) -> None:
    """All of it in the one file, and on the disk."""
    database = sqlite3.connect(path, isolation_level=None)
    try:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        database.execute("PRAGMA journal_mode=DELETE")
    finally:
        database.close()
    _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
