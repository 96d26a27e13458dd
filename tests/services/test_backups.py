"""Backup and restore with real processes: taken in the middle of work, restored, and nothing is sent twice (D-5, U-12)."""

import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.bulk_console import BulkConsole
from tests.services.file_console import MIGRATE, ROOT, FileConsole, until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
KEY = "bmV2ZXItYW55d2hlcmUtYnV0LWluLXRoZXNlLXRlc3Q="
OTHER_KEY = "YW5vdGhlci1rZXktb2YtdGhpcnR5LXR3by1ieXRlcyE="
ROWS = 30
RESUME = """
from datetime import timedelta
from django.utils import timezone
import time_machine
from dashboard.services import batch_runs, batches
from tests.services.bulk import ShiftingFlag, Worker
batch = Batch.objects.get()
assert (batch.state, batch.hold) == ("paused", "restored"), (batch.state, batch.hold)
with time_machine.travel(timezone.now() + timedelta(seconds=90), tick=False) as clock:
    batch_runs.end_with(ShiftingFlag(clock))
    batches.resume(batch, membership=PEOPLE.get())
    Worker(clock).work(batch, seconds=600)
print(batch.state)
"""
ENTRIES = """
for number in range(3):
    with transaction.atomic():
        audit.record("test.done", actor=None, account=None, reason=str(number))
"""


def manage(console: FileConsole, *words: str) -> subprocess.CompletedProcess[str]:
    gc.collect()  # connections of this process, with which the test looked, would count as use
    return subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=console.environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def refused(console: FileConsole, *words: str) -> str:
    """What a command that must fail says."""
    done = manage(console, *words)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stderr


def done(console: FileConsole, *words: str) -> str:
    """What a command that must work says."""
    finished = manage(console, *words)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def only_file(folder: Path) -> str:
    (path,) = folder.glob("console-*.backup")
    return str(path)


def empty(console: FileConsole) -> None:
    """As somebody makes a new database: there it is, and no table in it."""
    if console.is_on_sqlite:
        path = Path(console.environment["DATABASE_URL"].removeprefix("sqlite:///"))
        for each in path.parent.glob(f"{path.name}*"):
            each.unlink()
        console.change("VACUUM")
        assert path.stat().st_size > 0
    else:
        console.change("DROP SCHEMA public CASCADE")
        console.change("CREATE SCHEMA public")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "backups"
    made.mkdir()
    return made


@pytest.fixture
def console(tmp_path: Path) -> FileConsole:
    """Three audit entries and nothing else."""
    made = FileConsole(tmp_path)
    made.environment |= {"BACKUP_KEYS": KEY}
    made.run(ENTRIES)
    return made


@pytest.fixture
def running(tmp_path: Path) -> Iterator[BulkConsole]:
    made = BulkConsole(tmp_path, rate=20, latency_ms=20)
    made.environment |= {"BACKUP_KEYS": KEY}
    yield made
    made.close()


@pytest.mark.engines
def test_restored_in_the_middle_of_a_bulk_run_nothing_goes_until_a_person_resumes(
    running: BulkConsole, folder: Path
) -> None:
    """U-12, D-5: backup while a worker sends; more is sent; restore; 0 calls, then every row exactly once."""
    running.start_run(ROWS)
    running.environment["BATCH_RATE_PER_SECOND"] = "0.5"  # so that the run outlasts the backup on any machine
    worker = running.start_worker()
    until(lambda: running.confirmed() >= 3, seconds=90)
    assert "Verified" in done(running, "backup", str(folder), "--verify")
    running.end(worker)
    running.environment["BATCH_RATE_PER_SECOND"] = "20"
    worker = running.start_worker()
    until(lambda: running.confirmed() >= 26, seconds=90)
    running.end(worker)
    said = done(running, "restore", only_file(folder), "--force")
    assert "1 bulk run held" in said
    sent = len(running.posts())
    assert running.confirmed() < sent
    worker = running.start_worker()
    time.sleep(3)
    running.end(worker)
    assert len(running.posts()) == sent
    assert running.run(RESUME) == "done"
    assert running.made() == (ROWS, 0)
    assert running.states() == {"confirmed": ROWS}
    assert "holds" in done(running, "verify_audit")


def test_a_database_in_use_is_not_replaced_even_by_force(console: FileConsole, folder: Path) -> None:
    """U-12: a worker that still had the old one would go on sending from it."""
    done(console, "backup", str(folder))
    holder = console.start("AuditEntry.objects.exists()\nprint('open', flush=True)\nthreading.Event().wait(80)")
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "open\n"
        assert "in use" in refused(console, "restore", only_file(folder), "--force")
    finally:
        holder.kill()
        holder.communicate()


def test_only_by_force_is_a_database_with_something_in_it_replaced_and_it_is_kept(
    console: FileConsole, folder: Path
) -> None:
    done(console, "backup", str(folder))
    console.run(ENTRIES)
    assert "--force" in refused(console, "restore", only_file(folder))
    assert console.rows("SELECT COUNT(*) FROM dashboard_auditentry") == [(6,)]
    assert "is kept as" in done(console, "restore", only_file(folder), "--force")
    actions = console.rows("SELECT action FROM dashboard_auditentry ORDER BY seq")
    assert [action for (action,) in actions] == ["test.done"] * 3 + ["console.restored"]
    if console.is_on_sqlite:
        (kept,) = folder.parent.glob("console.sqlite3.replaced-*")
        assert {path.name for path in folder.parent.glob("*console*")} >= {kept.name, "console.sqlite3"}
        assert not list(folder.parent.glob(".console-copy-*"))


@pytest.mark.parametrize("made", ["created", "migrated"])
def test_an_empty_database_is_replaced_without_force(console: FileConsole, folder: Path, made: str) -> None:
    """D-5: a machine set up anew has no tables yet, or tables with nothing in them."""
    done(console, "backup", str(folder))
    empty(console)
    if made == "migrated":
        console.run(MIGRATE)
    assert "Restored" in done(console, "restore", only_file(folder))
    assert console.rows("SELECT COUNT(*) FROM dashboard_auditentry WHERE action = 'test.done'") == [(3,)]


def test_a_database_of_something_else_is_not_taken_for_an_empty_one(console: FileConsole, folder: Path) -> None:
    done(console, "backup", str(folder))
    empty(console)
    console.change("CREATE TABLE payroll (name text)")
    assert "--force" in refused(console, "restore", only_file(folder))
    assert console.rows("SELECT COUNT(*) FROM payroll") == [(0,)]


def test_a_wrong_key_a_changed_file_and_a_newer_version_are_refused_and_change_nothing(
    console: FileConsole, folder: Path
) -> None:
    """D-5: what cannot be proven is not restored."""
    newer = (
        "INSERT INTO django_migrations (app, name, applied) VALUES ('dashboard', '9999_newer', '2026-01-01 00:00:00')"
    )
    done(console, "backup", str(folder))
    path = Path(only_file(folder))
    console.environment["BACKUP_KEYS"] = OTHER_KEY
    assert "No key of BACKUP_KEYS" in refused(console, "restore", str(path), "--force")
    console.environment["BACKUP_KEYS"] = f"{OTHER_KEY},{KEY}"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "not whole" in refused(console, "restore", str(path), "--force")
    path.unlink()
    console.change(newer)
    done(console, "backup", str(folder))
    assert "newer version" in refused(console, "restore", only_file(folder), "--check")
    console.change("DELETE FROM django_migrations WHERE name = '9999_newer'")
    assert console.rows("SELECT COUNT(*) FROM dashboard_auditentry") == [(3,)]


def test_a_backup_whose_audit_does_not_hold_is_not_called_good(console: FileConsole, folder: Path) -> None:
    """A-3, D-5: the copy is as the database is, and the check says so; it can be restored all the same, and that is recorded."""
    console.run("from dashboard import append_only\nappend_only.remove(connection)")
    console.change("UPDATE dashboard_auditentry SET reason = 'nothing to see' WHERE seq = 2")
    assert "broken at entry 2" in refused(console, "backup", str(folder), "--verify", "--keep", "1")
    assert "--audit-broken restores it all the same" in refused(console, "restore", only_file(folder), "--force")
    assert "Restored" in done(console, "restore", only_file(folder), "--force", "--audit-broken")
    ((detail,),) = console.rows("SELECT detail FROM dashboard_auditentry WHERE action = 'console.restored'")
    assert "broken at entry 2" in str(detail)


def test_what_is_missing_is_told_before_anything_is_written(console: FileConsole, folder: Path) -> None:
    assert "is no folder" in refused(console, "backup", str(folder / "elsewhere"))
    console.environment["BACKUP_KEYS"] = ""
    assert "BACKUP_KEYS is empty" in refused(console, "backup", str(folder))
    console.environment["BACKUP_KEYS"] = console.environment.get("TOKEN_KEYS", "")
    assert "BACKUP_KEYS holds one of TOKEN_KEYS" in refused(console, "backup", str(folder))
    assert list(folder.iterdir()) == []
