"""Bad days of a whole installation: power cut, disk full, database restarted, clock jump, a wrong key. Nothing is sent twice or lost."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from tests.engines import own_store, server_of
from tests.postgres import Cluster, programs
from tests.services.bulk_console import BulkConsole
from tests.services.file_console import FileConsole, until
from tests.services.served_console import ServedConsole
from tests.services.test_killed import RESCUE, SEND, console, kill_when, made_at_docusign, stored_states

__all__ = ["console"]  # the fixture with one trigger at a time
pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
ROWS = 16
OTHER_KEY = "b3RoZXItdG9rZW4ta2V5LW9mLTMyLWJ5dGVzLi4uLi4="
IN_AN_HOUR = RESCUE.replace("now = timezone.now()", "now = timezone.now() + timedelta(hours=1)")
AN_HOUR_AGO = RESCUE.replace("now = timezone.now()", "now = timezone.now() - timedelta(hours=1)")


def page(session: requests.Session, url: str) -> int:
    return session.get(f"{url}/instances/", timeout=30, allow_redirects=False).status_code


def verified(console: FileConsole) -> str:
    return console.run('call_command("verify_audit")')


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedConsole]:
    made = ServedConsole(tmp_path)
    yield made
    made.close()


def test_after_a_power_cut_everything_goes_on_by_itself(served: ServedConsole) -> None:
    """D-2, U-1: SIGKILL of all processes in mid-write, then start: the file is whole, the chain holds, each row was made once."""
    session = served.sign_in()
    served.start_run(ROWS)
    for _ in range(2):
        served.start_worker()
    until(lambda: served.confirmed() >= 4, seconds=90)
    served.cut_the_power()
    if served.is_on_sqlite:
        assert served.rows("PRAGMA integrity_check") == [("ok",)]
    served.age()
    url = served.serve()
    assert page(session, url) == 200
    served.start_worker()
    served.finish(seconds=120, is_hurried=True)
    assert served.made() == (ROWS, 0)
    assert served.states() == {"confirmed": ROWS}
    assert "The audit chain holds" in verified(served)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which only root may make."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid() != 0
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("needs a file system of its own, which only root may make")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def sends_nothing(console: BulkConsole) -> bool:
    """For as long as four rows take."""
    sent = len(console.posts())
    time.sleep(2)
    return len(console.posts()) == sent


def test_on_a_full_disk_nothing_is_sent_and_pages_are_read_and_with_room_it_goes_on(small_disk: Path) -> None:
    """A-2, D-3: what cannot be written down first is not sent."""
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        pytest.skip("fills the disk of a file; a server has a disk of its own")
    console = ServedConsole(small_disk)
    console.logs = small_disk.parent  # what a worker says goes to the system's journal, not to its own disk
    try:
        session = console.sign_in()
        assert page(session, console.url) == 200
        rows = 60
        console.start_run(rows)
        console.environment["BATCH_RATE_PER_SECOND"] = "2"  # so that the disk is full before the run is over
        worker = console.start_worker()
        until(lambda: console.confirmed() >= 3, seconds=90)
        filler = (small_disk / "filler").open("wb")
        with suppress(OSError):
            while True:
                filler.write(b"x" * 4096)
                filler.flush()
        with pytest.raises(sqlite3.OperationalError, match="full"):
            console.change("CREATE TABLE filler AS SELECT randomblob(4000000) AS x")
        until(lambda: sends_nothing(console), seconds=20)  # but what was written down just before
        assert len(console.posts()) <= rows - console.states().get("waiting", 0) < rows
        assert (console.status("/livez"), page(session, console.url)) == (200, 200)
        with suppress(OSError):
            filler.close()
        (small_disk / "filler").unlink()
        if worker.poll() is not None:
            console.start_worker()
        console.finish(seconds=120, is_hurried=True)
        assert console.made() == (rows, 0)
        assert console.rows("PRAGMA integrity_check") == [("ok",)]
        assert "The audit chain holds" in verified(console)
    finally:
        console.close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    folder = programs()
    if folder is None:
        with server_of("postgres"):  # skips, or fails in CI, with the reason
            return
    with Cluster(folder) as made:
        yield made


def test_a_database_that_is_restarted_ends_no_run_and_no_session(cluster: Cluster, tmp_path: Path) -> None:
    """D-4: every connection dies in the middle of a run; web processes and workers go on with new ones."""
    console = ServedConsole(tmp_path, database_url=own_store(cluster.url, tmp_path))
    try:
        session = console.sign_in()
        console.start_run(ROWS)
        for _ in range(2):
            console.start_worker()
        until(lambda: console.confirmed() >= 4, seconds=90)
        cluster.restart()
        assert page(session, console.url) in (200, 503)
        until(lambda: page(session, console.url) == 200, seconds=60)
        assert [worker.poll() for worker in console.workers] == [None, None]
        console.age()
        console.finish(seconds=120, is_hurried=True)
        assert console.made() == (ROWS, 0)
        assert console.states() == {"confirmed": ROWS}
        console.seconds_until("/readyz", 200, most=60)
        assert "The audit chain holds" in verified(console)
    finally:
        console.close()


def test_a_clock_that_jumps_forward_sends_nothing_twice(console: FileConsole) -> None:
    """U-9: by its clock the lease of a living sender is over; the row is looked for, found, and the late answer changes nothing."""
    console.simulator.sim.set_faults([{"match": {"path": "/actions/trigger"}, "do": {"latency_ms": 6000}}])
    sender = console.start(SEND)
    until(lambda: made_at_docusign(console) == 1 and stored_states(console) == ["sent"])
    console.run(IN_AN_HOUR)
    assert console.operation()["state"] == "confirmed"
    sender.communicate(timeout=30)
    assert console.operation()["state"] == "confirmed"
    assert (made_at_docusign(console), len(console.posts())) == (1, 1)


def test_a_clock_that_jumps_back_waits_and_sends_nothing_early(console: FileConsole) -> None:
    """U-9: what a dead sender left stays as it is until the clock has caught up, and is then found."""
    console.simulator.sim.set_faults([{"match": {"path": "/actions/trigger"}, "do": {"latency_ms": 8000}}])
    kill_when(console, lambda: made_at_docusign(console) == 1)
    console.simulator.sim.set_faults([])
    console.run(AN_HOUR_AGO)
    assert (stored_states(console), len(console.posts())) == (["sent"], 1)
    console.run(RESCUE)
    assert console.operation()["state"] == "confirmed"
    assert (made_at_docusign(console), len(console.posts())) == (1, 1)


def test_a_worker_with_a_wrong_key_sends_nothing_and_the_right_one_goes_on(tmp_path: Path) -> None:
    """O-10, O-11: no secret opens, so no row goes; nothing is thrown away for it, and nobody has to sign in again."""
    console = BulkConsole(tmp_path, rate=20)
    try:
        console.start_run(ROWS)
        right = console.environment["TOKEN_KEYS"]
        console.environment["TOKEN_KEYS"] = OTHER_KEY
        worker = console.start_worker()
        time.sleep(6)
        assert worker.poll() is None
        assert console.posts() == []
        assert console.made() == (0, 0)
        console.end(worker)
        console.environment["TOKEN_KEYS"] = right
        assert console.states() == {"waiting": ROWS}
        console.start_worker()
        console.finish(seconds=120, is_hurried=True)
        assert console.made() == (ROWS, 0)
    finally:
        console.close()
