"""Memory of the web process and the worker after an hour of demo traffic.

An hour of a person's clicks (one page every five seconds, while the worker syncs) is played twelve times as fast, so that the run
takes five minutes; `BENCH_MEMORY_SPEED=1` plays it in real time.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.processes import RunningConsole

PAGES = ("/", "/workflows/", "/instances/", "/instances/?state=failed", "/audit/", "/connections/")
EVERY_SECONDS = 5.0
HOUR = 3600.0


def figures() -> Iterator[Figure]:
    speed = float(os.environ.get("BENCH_MEMORY_SPEED", "12"))
    with RunningConsole() as console:
        session = console.sign_in()
        end = time.monotonic() + HOUR / speed
        visits = 0
        while time.monotonic() < end:
            started = time.monotonic()
            answer = session.get(console.url + PAGES[visits % len(PAGES)], timeout=30)
            assert answer.status_code == 200, answer.status_code
            visits += 1
            time.sleep(max(0.0, EVERY_SECONDS / speed - (time.monotonic() - started)))
        for part in ("console", "worker"):
            largest = max(resident(pid) for pid in console.pids()[part])
            yield Figure(f"memory_{part}", largest, "MB", "<= 150")
        yield Figure("memory_after_visits", visits, "visits")


def resident(pid: int) -> float:
    """Resident set of a process in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) / 1000
