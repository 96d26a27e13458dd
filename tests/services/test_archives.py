"""The file of a backup: named only when whole, trusted only when all of it has proven true."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboard.services import archives
from dashboard.services.archives import BackupFailed

KEY = "bmV2ZXItYW55d2hlcmUtYnV0LWluLXRoZXNlLXRlc3Q="
AT = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _keys(settings: Any) -> None:
    settings.BACKUP_KEYS = [KEY]


def written(folder: Path, *, at: datetime = AT) -> Path:
    data = [b"one " * 1000, b"two " * 400_000, b"three"]
    return archives.write_archive(folder, at, data, lambda: {"form": 1})


def read(path: Path) -> tuple[bytes, dict[str, Any]]:
    found = bytearray()
    manifest = archives.read_archive(path, found.extend)
    return bytes(found), manifest


def test_bytes_and_manifest_come_back(tmp_path: Path) -> None:
    data, manifest = read(written(tmp_path))
    assert data == b"one " * 1000 + b"two " * 400_000 + b"three"
    assert (manifest["form"], manifest["size"]) == (1, len(data))


def test_a_backup_is_for_its_owner_only_and_holds_nothing_readable(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert path.name == "console-20261120T100000Z.backup"
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"three" not in path.read_bytes()


def test_what_breaks_off_leaves_no_backup(tmp_path: Path) -> None:
    def failing() -> Iterator[bytes]:
        yield b"some"
        raise BackupFailed("The source went away.")

    with pytest.raises(BackupFailed, match="went away"):
        archives.write_archive(tmp_path, AT, failing(), lambda: {})
    assert list(tmp_path.iterdir()) == []


def test_two_at_the_same_moment_do_not_mix(tmp_path: Path) -> None:
    (tmp_path / ".console-20261120T100000Z.backup.part").touch()
    with pytest.raises(BackupFailed, match="Another backup"):
        written(tmp_path)


@pytest.mark.parametrize("number", [1, 3, 9])
def test_the_newest_are_kept_and_nothing_else_is_touched(tmp_path: Path, number: int) -> None:
    made = [written(tmp_path, at=AT + timedelta(hours=hour)) for hour in range(4)]
    other = tmp_path / "notes.txt"
    other.touch()
    gone = archives.prune(made[-1], number)
    assert gone == made[:-number]
    assert sorted(tmp_path.iterdir()) == sorted([*made[-number:], other])


def test_a_backup_is_never_deleted_for_those_with_a_later_name(tmp_path: Path) -> None:
    """D-5: made while the clock was ahead, they would cost every backup from then on."""
    ahead = [written(tmp_path, at=AT.replace(year=2036) + timedelta(hours=hour)) for hour in range(3)]
    made = [written(tmp_path, at=AT + timedelta(hours=hour)) for hour in range(3)]
    assert archives.prune(made[-1], 2) == made[:1]
    assert sorted(tmp_path.iterdir()) == [*made[1:], *ahead]
    assert archives.later_than(made[-1]) == ahead


def test_what_was_broken_off_long_ago_is_swept(tmp_path: Path) -> None:
    old, fresh = (tmp_path / f".console-2026112{day}T100000Z.backup.part" for day in (0, 1))
    for part in (old, fresh):
        part.touch()
    yesterday = time.time() - archives.ABANDONED_SECONDS - 60
    os.utime(old, (yesterday, yesterday))
    archives.prune(tmp_path / "console-20261122T100000Z.backup", 0)
    assert list(tmp_path.iterdir()) == [fresh]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="cannot be read"):
        read(tmp_path / "console-20261120T100000Z.backup")
