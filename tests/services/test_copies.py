"""Putting a restored database in the place of the one that was there: always one of the usual name, and nothing of the old is lost."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection

from dashboard.services import postgres_copies, sqlite_copies
from dashboard.services.archives import BackupFailed
from dashboard.services.other_database import working_on

AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.fixture
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the database belongs."""
    path = tmp_path / "console.sqlite3"
    monkeypatch.setattr(sqlite_copies, "_usual_path", lambda: path)
    return path


def restored(folder: Path) -> sqlite_copies.SqlitePlace:
    database = sqlite3.connect(folder / "backup.sqlite3")
    database.execute("CREATE TABLE restored (x)")
    database.commit()
    database.close()
    place = sqlite_copies.SqlitePlace(folder / "restored.sqlite3")
    place.take((folder / "backup.sqlite3").read_bytes())
    with place.open():
        return place


def tables(path: Path) -> list[tuple[str]]:
    database = sqlite3.connect(path)
    try:
        return database.execute("SELECT name FROM sqlite_master").fetchall()
    finally:
        database.close()


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
@pytest.mark.django_db
def test_what_sqlite_wrote_beside_a_damaged_database_is_kept_with_it(usual: Path, tmp_path: Path) -> None:
    """D-5: its last commits may stand there alone."""
    usual.write_bytes(b"no database any more" * 100)
    usual.with_name("console.sqlite3-wal").write_bytes(b"committed")
    kept = Path(restored(tmp_path).put_in_place(AT))
    assert kept.read_bytes().startswith(b"no database any more")
    assert kept.with_name(f"{kept.name}-wal").read_bytes() == b"committed"
    assert not usual.with_name("console.sqlite3-wal").exists()
    assert tables(usual) == [("restored",)]


@pytest.mark.skipif(connection.vendor != "sqlite", reason="about SQLite")
@pytest.mark.django_db
def test_a_database_that_cannot_be_opened_is_not_called_in_use(usual: Path) -> None:
    usual.mkdir()
    with pytest.raises(BackupFailed, match="cannot be looked at: unable to open"):
        sqlite_copies.refuse_in_use()


@pytest.fixture
def another_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """One of its own in the role of the usual one."""
    name = "console_before_a_restore"
    with working_on(postgres_copies.MAINTENANCE), connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    monkeypatch.setattr(postgres_copies, "_usual_name", lambda: name)
    monkeypatch.setattr(postgres_copies, "refuse_in_use", lambda: None)  # which would end the test's own transaction
    yield name
    with working_on(postgres_copies.MAINTENANCE), connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name}")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="about PostgreSQL: python -m tests.postgres pytest")
@pytest.mark.django_db
def test_where_the_restored_one_cannot_take_the_name_the_old_one_keeps_it(another_database: str) -> None:
    """D-5: there is always a database of the usual name."""
    place = postgres_copies.PostgresPlace.__new__(postgres_copies.PostgresPlace)  # without a pg_restore
    place.name = "was_never_there"
    with pytest.raises(BackupFailed):
        place.put_in_place(AT)
    assert postgres_copies.is_there()
