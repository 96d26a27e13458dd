"""Bulk runs under real workers that are killed, stopped, continued and asked to end."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import wait_until
from tests.services.bulk_console import TRIGGER, BulkConsole
from tests.services.file_console import until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]
ROWS = 60
POST = {"method": "POST", "path": TRIGGER}
# Fifteen in a hundred calls: answers lost after the deed, refusals of a server that is overloaded, connections that break. The
# overload meets three rows once each: by chance it could meet one row three times, and that one would be left to a person.
FAULTS = [
    {"match": POST | {"probability": 0.05}, "do": {"reset": "after"}},
    {"match": POST | {"probability": 0.05}, "do": {"status": 429, "headers": {"Retry-After": "1"}}},
    {"match": POST | {"times": 3}, "do": {"status": 503}},
]


@pytest.fixture
def console(tmp_path: Path) -> Iterator[BulkConsole]:
    made = BulkConsole(tmp_path, rate=20, latency_ms=20)
    yield made
    made.close()


def test_with_faults_and_kills_every_row_exists_exactly_once(console: BulkConsole) -> None:
    """U-1, U-2, U-9: sixty rows, fifteen percent faults, five kills in the middle; sixty instances, none twice."""
    console.start_run(ROWS)
    console.server.sim.set_faults(FAULTS)
    for least in (8, 18, 28, 38, 48):
        worker = console.start_worker()
        until(lambda least=least: console.confirmed() >= least, seconds=90)
        console.kill(worker)
        console.age()
    console.start_worker()
    console.finish(seconds=180, is_hurried=True)
    assert console.made() == (ROWS, 0)
    assert console.states() == {"confirmed": ROWS}


def is_locked(console: BulkConsole) -> bool:
    """Whether somebody holds the one lock that a SQLite file has for writers, for longer than a write takes."""
    for url in (console.environment["DATABASE_URL"], console.environment["QUEUE_URL"]):
        if url.startswith("sqlite:///"):
            file = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0.5, isolation_level=None)
            try:
                file.execute("BEGIN IMMEDIATE")
                file.execute("ROLLBACK")
            except sqlite3.OperationalError:
                return True
            finally:
                file.close()
    return False


def stop_between_writes(console: BulkConsole, process: int) -> None:
    """SIGSTOP while the call is under way. Its other threads write, too: stopped in a write it would keep everybody from writing."""
    for _ in range(50):
        os.kill(process, signal.SIGSTOP)
        if not is_locked(console):
            return
        os.kill(process, signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError("it was in a write each time")


def test_a_worker_that_was_stopped_and_continues_sends_nothing_twice(console: BulkConsole) -> None:
    """U-9: SIGSTOP, another takes over after the lease, SIGCONT; the older one's writes are refused."""
    console.start_run(ROWS)
    for _ in range(2):
        console.start_worker()
    until(lambda: console.confirmed() >= 15, seconds=90)
    console.server.sim.set_faults([{"match": POST, "do": {"latency_ms": 3000}}])
    number = len(console.posts()) + 1
    until(lambda: len(console.posts()) > number, seconds=60)
    holder = int(wait_until("somebody carries the run out", console.holder, every=0.02))  # nobody between two slices
    stop_between_writes(console, holder)
    console.server.sim.set_faults([])
    console.age(unknown_too=False)
    until(lambda: console.holder() not in ("", str(holder)), seconds=60)
    until(lambda: console.confirmed() >= 35, seconds=90)
    os.kill(holder, signal.SIGCONT)
    console.finish(seconds=180, is_hurried=True)
    assert console.made() == (ROWS, 0)
    assert console.states() == {"confirmed": ROWS}


def test_a_worker_that_is_asked_to_end_leaves_nothing_under_way(console: BulkConsole) -> None:
    """U-10: SIGTERM in the middle; the call in flight is finished, the next worker goes on at once."""
    console.start_run(ROWS)
    worker = console.start_worker()
    until(lambda: console.confirmed() >= 10, seconds=90)
    assert console.end(worker) == 0
    assert "sent" not in console.states()
    assert console.holder() == ""
    console.start_worker()
    console.finish(seconds=180)
    assert console.made() == (ROWS, 0)
