"""Bulk runs under real workers that are killed, stopped, continued and asked to end."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.bulk_console import TRIGGER, BulkConsole
from tests.services.file_console import until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]
ROWS = 60
POST = {"method": "POST", "path": TRIGGER}
# Fifteen in a hundred calls: answers lost after the deed, refusals of a server that is overloaded, connections that break.
FAULTS = [
    {"match": POST | {"probability": 0.05}, "do": {"reset": "after"}},
    {"match": POST | {"probability": 0.05}, "do": {"status": 429, "headers": {"Retry-After": "1"}}},
    {"match": POST | {"probability": 0.05}, "do": {"status": 503}},
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


def test_a_worker_that_was_stopped_and_continues_sends_nothing_twice(console: BulkConsole) -> None:
    """U-9: SIGSTOP, another takes over after the lease, SIGCONT; the older one's writes are refused."""
    console.start_run(ROWS)
    for _ in range(2):
        console.start_worker()
    until(lambda: console.confirmed() >= 15, seconds=90)
    # Stopped within a call and not within a write, which would keep the database locked for everybody.
    console.server.sim.set_faults([{"match": POST, "do": {"latency_ms": 600}}])
    number = len(console.posts()) + 1
    until(lambda: len(console.posts()) > number, seconds=60)
    holder = int(console.holder())
    os.kill(holder, signal.SIGSTOP)
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
    began = time.monotonic()
    assert console.end(worker) == 0
    assert time.monotonic() - began < 10
    assert "sent" not in console.states()
    assert console.holder() == ""
    console.start_worker()
    console.finish(seconds=180)
    assert console.made() == (ROWS, 0)
