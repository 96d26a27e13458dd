"""Copies of a PostgreSQL database for backup and restore, by PostgreSQL's own programs.

The one rule: nothing plain touches the disk of this machine; a restored database is built beside and takes the name at the end.
"""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)
from django.db.backends.postgresql.client import DatabaseClient

from dashboard.services.archives import BackupFailed
from dashboard.services.other_database import working_on

MAINTENANCE = "postgres"
MAY_NOT = "42501"  # PostgreSQL's number for a missing right
LONGEST_NAME = 63
READ_BYTES = 1 << 18
REST = 3.0  # times as long as a piece took: where the cores are few they belong to people's pages meanwhile
PATIENCE_SECONDS = 2  # a session that was closed just now, such as our own, is listed for a moment
FOLDERS = Path("/usr/lib/postgresql")
IN_USE = "The database is in use. Stop the console and the worker first."


class PostgresPlace:
    """A database beside the usual one, filled by `pg_restore` and checked before it takes the usual one's name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `give_up`
        self._process = _start(
            *("pg_restore", self._said),
            *("--exit-on-error", "--no-owner", "--no-privileges", "--no-comments", "--dbname", name),
            stdin=subprocess.PIPE,
        )

    def take(self, data: bytes) -> None:
        """More of the archive's bytes."""
        assert self._process.stdin is not None  # noqa: S101  # it was started with a pipe
        try:
            self._process.stdin.write(data)
        except BrokenPipeError as error:
            self._end()
            raise BackupFailed("pg_restore ended before all had come.") from error

    @contextmanager
    def open(self) -> Iterator[None]:
        """All bytes have come: work on it. Raises BackupFailed where pg_restore did not take them."""
        self._end()
        with working_on(self.name):
            with connection.cursor() as cursor:
                cursor.execute("ANALYZE")
            yield

    def _end(self) -> None:
        self._process.communicate()
        _check("pg_restore", self._process, self._said)

    def give_up(self) -> None:
        """End a pg_restore that nobody feeds any more."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()
        self._said.close()

    def put_in_place(self, at: datetime) -> str:
        """Give it the usual name; the one that was there keeps another. The name of that one, or nothing."""
        usual = _usual_name()
        kept = f"{usual[:40]}_replaced_{at:%Y%m%dT%H%M%SZ}"[:LONGEST_NAME]
        had_one = is_there()
        refuse_in_use()
        try:
            # Both or neither: whatever comes between, there is always a database of the usual name.
            with working_on(MAINTENANCE), transaction.atomic(), connection.cursor() as cursor:
                if had_one:
                    cursor.execute(f"ALTER DATABASE {_quoted(usual)} RENAME TO {_quoted(kept)}")
                cursor.execute(f"ALTER DATABASE {_quoted(self.name)} RENAME TO {_quoted(usual)}")
        except OperationalError as error:  # somebody came in meanwhile, such as a monitor
            raise BackupFailed(IN_USE) from error
        except DatabaseError as error:
            raise BackupFailed(f"The database cannot be given its name: {error}") from error
        return kept if had_one else ""


def _usual_name() -> str:
    return str(connections[DEFAULT_DB_ALIAS].settings_dict["NAME"])


def is_there() -> bool:
    """Whether there is a database to replace."""
    return bool(_asked("SELECT 1 FROM pg_database WHERE datname = %s", [_usual_name()]))


def refuse_in_use() -> None:
    """Raise BackupFailed where any other session is in the database."""
    connections[DEFAULT_DB_ALIAS].close()
    until = time.monotonic() + PATIENCE_SECONDS
    # Without a user are PostgreSQL's own processes, which make room by themselves.
    while _asked("SELECT 1 FROM pg_stat_activity WHERE datname = %s AND usesysid IS NOT NULL LIMIT 1", [_usual_name()]):
        if time.monotonic() > until:
            raise BackupFailed(IN_USE)
        time.sleep(0.1)


def _asked(sql: str, parameters: list[Any]) -> tuple[Any, ...] | None:
    with working_on(MAINTENANCE), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


@contextmanager
def snapshot() -> Iterator[Iterator[bytes]]:
    """The database as an archive of `pg_dump`, as of one moment, which reads meanwhile see too; nobody waits for it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        cursor.execute("SELECT pg_export_snapshot()")
        yield _dump(cursor.fetchone()[0])


def _dump(exported: str) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as said:
        process = _start(
            *("pg_dump", said),
            *("--format=custom", "--compress=1", "--no-owner", "--no-privileges", f"--snapshot={exported}"),
            *("--exclude-table=huey_*", "--dbname", _usual_name()),  # a queue in the same database is not part of it
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None  # noqa: S101  # it was started with a pipe
        try:
            began = time.monotonic()
            while data := process.stdout.read(READ_BYTES):
                yield data
                time.sleep(min(REST * (time.monotonic() - began), 1.0))
                began = time.monotonic()
        finally:
            process.stdout.close()
            process.wait()
        _check("pg_dump", process, said)


@contextmanager
def beside() -> Iterator[PostgresPlace]:
    """A new database for one that shall replace the usual; dropped afterwards unless it was put in place."""
    name = f"{_usual_name()[:40]}_restored_{secrets.token_hex(4)}"
    locale = _asked("SELECT datcollate, datctype FROM pg_database WHERE datname = %s", [_usual_name()])
    collate, kind = locale or ("C.UTF-8", "C.UTF-8")
    try:
        with working_on(MAINTENANCE), connection.cursor() as cursor:
            cursor.execute(
                f"CREATE DATABASE {_quoted(name)} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE %s LC_CTYPE %s",
                [collate, kind],
            )
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", "") == MAY_NOT:
            raise BackupFailed("The console's role may not create a database beside; give it CREATEDB.") from error
        raise
    place = PostgresPlace(name)
    try:
        yield place
    finally:
        place.give_up()
        with working_on(MAINTENANCE), connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")


def _quoted(name: str) -> str:
    return str(connections[DEFAULT_DB_ALIAS].ops.quote_name(name))


def _start(program: str, said: IO[bytes], *arguments: str, **pipes: Any) -> subprocess.Popen[bytes]:
    """The program of PostgreSQL, as the console's own role; a password goes by the environment, which others cannot read."""
    settings = connections[DEFAULT_DB_ALIAS].settings_dict | {"NAME": ""}
    words, secret = DatabaseClient.settings_to_cmd_args_env(settings, list(arguments))
    # The last word is the database of psql itself; ours is named by an option.
    command = [_program(program), "--no-password", *words[1:-1]]
    return subprocess.Popen(command, env=dict(os.environ) | (secret or {}), stderr=said, **pipes)  # noqa: S603  # no shell


def _check(program: str, process: subprocess.Popen[bytes], said: IO[bytes]) -> None:
    if process.returncode:
        said.seek(0)
        lines = said.read(2000).decode(errors="replace").strip().splitlines()
        raise BackupFailed(f"{program} failed: {lines[0] if lines else 'it gave no reason'}")


def _program(name: str) -> str:
    """The newest that is installed: it must not be older than the server."""
    numbered = [each for each in FOLDERS.glob(f"*/bin/{name}") if each.parts[-3].isdigit()]
    newest = max(numbered, key=lambda each: int(each.parts[-3]), default=None)
    found = str(newest) if newest else shutil.which(name)
    if not found:
        raise BackupFailed(f"{name} is not installed (on Debian: apt-get install postgresql-client).")
    return found
