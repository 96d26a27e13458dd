"""An hour of ordinary days: five pages a second, tabs that poll, a worker that reads, one bulk run, two faults in a hundred calls.

The one rule: figures are of memory, handles, files and leases, never of time, so other work beside it does not spoil them. Sampled
every thirty seconds. SOAK_SECONDS makes it shorter for a trial; warming up is a large part of a short one, and its bars say little.
"""

import itertools
import os
import re
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import requests

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.benchmarks.figures import Figure, p95
from tests.benchmarks.memory import resident
from tests.benchmarks.one_machine import OneMachine
from tests.benchmarks.visitors import visited, visiting
from tests.processes import wait_until

SECONDS = float(os.environ.get("SOAK_SECONDS", "3600"))
SAMPLE_SECONDS = min(30.0, SECONDS / 24)
WARM_UP = 0.2  # of the whole: caches fill, threads come to life, the first pass reads everything
PEOPLE = ("Ada Admin", "Olu Operator", "Pia Preparer", "Fay Fifth:manage", "Finn Fourth:manage")
ROWS = max(20, int(SECONDS / 8))
SYNC_SECONDS = 120
FILES = "--instances=5000", "--workflows=40", "--latency-ms=50"
API = {"path": "/v1/"}
# Two in a hundred: overloaded, refused, and answers that are lost after the deed.
FAULTS = [
    {"match": API | {"probability": 0.0067}, "do": {"status": 503}},
    {"match": API | {"probability": 0.0067}, "do": {"status": 429, "headers": {"Retry-After": "2"}}},
    {"match": API | {"probability": 0.0067}, "do": {"reset": "after"}},
]
START_BATCH = """
from dashboard.models import Membership, Workflow
from dashboard.services import contracts
from tests.services.bulk import sheet_batch, started
membership = Membership.objects.select_related("user", "account").get(user__name="Ada Admin", account_id=sys.argv[2])
workflow = Workflow.objects.get(name="Supplier NDA", account=membership.account)
contract = contracts.read_contract(workflow, membership=membership)
started(sheet_batch(membership, contract, [f"Soak {n:05}" for n in range(int(sys.argv[1]))]), membership)
"""
# What is held beyond this by nobody who lives is stuck: the longest lease has ended, and who sweeps has come by.
STUCK_AFTER = timedelta(seconds=60)
LEASES = {
    "dashboard_operation": "lease_until",
    "dashboard_batch": "lease_until",
    "dashboard_connection": "lease_until",
    "dashboard_membership": "sync_lease_until",
    "dashboard_accountsync": "lease_until",
}
ACCOUNT = MAIN_ACCOUNT_ID.replace("-", "")  # as SQLite holds it
LATE_HANDLES = (
    6  # a thread that comes to life late opens its database and its queue, two files each; what leaks opens more
)
MEGABYTE = 1_000_000
POLL = re.compile(r'data-poll="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Sample:
    """One moment of one run."""

    memory: dict[str, float]
    handles: dict[str, int]
    log_size: float
    mirror_age: float


def figures() -> Iterator[Figure]:
    words = (f"--people={','.join(PEOPLE)}", *FILES)
    with OneMachine(*words, SYNC_INTERVAL_SECONDS=str(SYNC_SECONDS)) as machine:
        order = {"port": machine.port, "seconds": SECONDS, "people": visitors(machine)}
        machine.run(START_BATCH, str(ROWS), MAIN_ACCOUNT_ID)
        machine.control("POST", "/faults", FAULTS)
        samples = []
        with visiting(order) as load:
            while load.poll() is None:
                time.sleep(SAMPLE_SECONDS)
                samples.append(sample(machine))
                print(f"  {samples[-1]}", file=sys.stderr, flush=True)
            answered = visited(load)
        yield from growth(samples[int(len(samples) * WARM_UP) :])
        yield from answers(answered)
        yield from at_the_end(machine)


def visitors(machine: OneMachine) -> list[dict[str, Any]]:
    """Five people with one click a second each, and a tab of each of them that polls."""
    found, tabs = [], []
    for name in PEOPLE:
        session = machine.sign_in(name.partition(":")[0])
        cookie = "; ".join(f"{each.name}={each.value}" for each in session.cookies)
        wait_until("the mirror is full", lambda: is_full(machine), seconds=300)
        details = re.findall(r'"(/instances/[0-9a-f-]{36}/)"', page(machine, session, "/instances/"))
        lists = ("/", "/instances/", "/workflows/", "/instances/?state=failed", "/instances/?name=nda", "/batches/")
        asks = [("page", path) for path in itertools.chain(lists, details[:6])]
        found.append({"cookie": cookie, "asks": asks, "every": 1.0})
        polled = [unescape(path) for path in POLL.findall(page(machine, session, "/instances/"))]
        tabs.append({"cookie": cookie, "asks": [("poll", path) for path in polled], "every": 10.0})
    return found + tabs


def is_full(machine: OneMachine) -> bool:
    full = "SELECT 1 FROM dashboard_accountsync WHERE full_at IS NOT NULL AND account_id = ?"
    return bool(query(machine, full, ACCOUNT))


def page(machine: OneMachine, session: requests.Session, path: str) -> str:
    answer = session.get(machine.url + path, timeout=30)
    answer.raise_for_status()
    return answer.text


def query(machine: OneMachine, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{machine.database}?mode=ro", uri=True, timeout=20) as database:
        return database.execute(sql, values).fetchall()


def sample(machine: OneMachine) -> Sample:
    """What the parts hold just now."""
    memory, handles = {}, {}
    for part in ("web", "worker"):
        pids = pids_of(machine.parts[part].pid)
        memory[part] = sum(resident(pid) for pid in pids)
        handles[part] = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
    log = machine.database.with_name(machine.database.name + "-wal")
    read = query(machine, "SELECT ended_at FROM dashboard_accountsync WHERE account_id = ?", ACCOUNT)
    age = datetime.now(UTC) - datetime.fromisoformat(read[0][0]).replace(tzinfo=UTC)
    return Sample(memory, handles, log.stat().st_size / MEGABYTE, age.total_seconds())


def pids_of(group: int) -> list[int]:
    """A part and whatever it has started; a part has a process group of its own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has just ended
                continue
            if int(words[2]) == group:
                found.append(int(entry.name))
    return found


def growth(samples: list[Sample]) -> Iterator[Figure]:
    """The last fifth after warming up against the first one, medians each."""
    part_of = max(1, len(samples) // 5)
    first, last = samples[:part_of], samples[-part_of:]
    for part in ("web", "worker"):
        before, after = (statistics.median(each.memory[part] for each in some) for some in (first, last))
        yield Figure(f"soak_{part}_memory", after, "MB")
        yield Figure(f"soak_{part}_memory_growth", (after / before - 1) * 100, "%", "<= 10")
        before, after = (statistics.median(each.handles[part] for each in some) for some in (first, last))
        yield Figure(f"soak_{part}_handles", after, "handles")
        yield Figure(f"soak_{part}_handles_growth", after - before, "handles", f"<= {LATE_HANDLES}")
    yield Figure("soak_mirror_age_p95", p95(each.mirror_age for each in samples), "s", f"<= {SYNC_SECONDS + 60}")
    yield Figure("soak_log_of_writes_most", max(each.log_size for each in samples), "MB")


def answers(answered: dict[str, dict[str, Any]]) -> Iterator[Figure]:
    statuses = [(int(status), number) for kind in answered.values() for status, number in kind["statuses"].items()]
    yield Figure("soak_answers", sum(number for _, number in statuses), "answers")
    yield Figure(
        "soak_answers_wrong", sum(number for status, number in statuses if not 200 <= status < 300), "answers", "== 0"
    )
    yield Figure("soak_page_p95", answered["page"]["p95"], "ms")


def at_the_end(machine: OneMachine) -> Iterator[Figure]:
    """The run is over or waits for the hour's budget; nobody holds what nobody works on."""
    machine.control("DELETE", "/faults")
    time.sleep(min(STUCK_AFTER.total_seconds() * 2.5, SECONDS))
    states = dict(query(machine, "SELECT state, COUNT(*) FROM dashboard_batchitem GROUP BY state"))
    yield Figure("soak_batch_rows_confirmed", states.get("confirmed", 0), "rows", f"== {ROWS}")
    named = machine.control("GET", "/state")
    names = [each["name"] for workflow in named["workflows"] for each in workflow["instances"]]
    made = [name[:10] for name in names if name.startswith("Soak ")]
    yield Figure("soak_batch_rows_twice", len(made) - len(set(made)), "rows", "== 0")
    past = str((datetime.now(UTC) - STUCK_AFTER).replace(tzinfo=None))
    stuck = {
        table: query(machine, f"SELECT COUNT(*) FROM {table} WHERE {column} < ?", past)[0][0]  # noqa: S608  # our words
        for table, column in LEASES.items()
    }
    yield Figure("soak_leases_stuck", sum(stuck.values()), "leases", "== 0")
    with sqlite3.connect(machine.database, timeout=20, isolation_level=None) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    log = machine.database.with_name(machine.database.name + "-wal")
    yield Figure("soak_log_of_writes_after_checkpoint", log.stat().st_size / MEGABYTE, "MB", "<= 64")
