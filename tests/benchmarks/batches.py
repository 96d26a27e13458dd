"""Bulk runs under fire: rows sent twice or lost, the pace against what is allowed, and how soon a stop and a person are heard.

The one rule: what happened is judged by the simulator's ledger and rows, never by what the console says of itself. BENCH_BATCH_ROWS
makes all of them small, for a trial.
"""

import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.services.bulk_console import TRIGGER, BulkConsole
from tests.services.file_console import until

ROWS = int(os.environ.get("BENCH_BATCH_ROWS", "0"))
KILLS = 25
RATE = 5.0
POST = {"method": "POST", "path": TRIGGER}
LISTS = {"method": "GET", "path": "instances$"}
FAULTS = [
    {"match": POST | {"probability": 0.05}, "do": {"reset": "after"}},
    {"match": POST | {"probability": 0.05}, "do": {"status": 429, "headers": {"Retry-After": "1"}}},
    {"match": POST | {"probability": 0.05}, "do": {"status": 503}},
]
LAG = {"match": LISTS, "do": {"list_lag_seconds": 10}}
# A person's own trigger, as the form makes it: contract and trigger.
TRIGGER_AS_A_PERSON = """
import time
from tests.services.conftest import inputs_for
membership, contract = PEOPLE.get(), Batch.objects.get().contract
took = []
for number in range(10):
    began = time.monotonic()
    operation = operations.trigger_workflow(contract.workflow, actor=membership.user, membership=membership,
        name="By hand", inputs=inputs_for(contract), key=f"hand-{number}", contract_hash=contract.digest)
    assert operation.state == "confirmed", operation.message
    took.append(time.monotonic() - began)
print(max(took))
"""
STOP = """
from django.utils import timezone
from dashboard.services import batches
batches.stop(Batch.objects.get(), membership=PEOPLE.get())
print(timezone.now().isoformat())
"""
FREEZE = """
import time, uuid
from django.utils import timezone
from dashboard.models import Instance, InstanceState
from dashboard.services import batches, second_person, selections
from dashboard.services.instance_search import Search
membership, workflow, now = PEOPLE.get(), Contract.objects.get().workflow, timezone.now()
Membership.objects.update(rights="manage", rights_proven_at=now)
membership = PEOPLE.get()
rows = (Instance(pk=uuid.uuid4(), account=membership.account, workflow=workflow, name=f"Supplier {n}", full_name=f"Supplier {n}",
    status="in_progress", bucket="running", raw_status="In Progress", sort_at=now, started_by=membership.user.sub)
    for n in range(int(sys.argv[1]) - Instance.objects.filter(workflow=workflow).count()))
Instance.objects.bulk_create(rows, batch_size=500)
began = time.monotonic()
batch = selections.freeze(membership, search=Search(workflows=(workflow.pk,)), key="freeze", reason="Recalled")
seen = second_person.digest_of(batch)  # of the question, and once more of its answer
batches.confirm(batch, membership=membership, key="confirm", seen=seen)
took = time.monotonic() - began
ended = Instance.objects.filter(workflow=workflow).exclude(status="in_progress").count()
assert batch.total >= int(sys.argv[1]) - ended, (batch.total, ended)
print(took)
"""


def figures() -> Iterator[Figure]:
    yield from faults_and_kills(ROWS or 500)
    yield from two_workers(ROWS or 2_000)
    yield from pace(ROWS or 250)
    yield from hour(ROWS or 250)
    yield from person_while_running(ROWS or 200)
    yield from freeze(ROWS * 10 or 50_000)
    yield from stop(ROWS or 500)


@contextmanager
def console_with(rows: int, *, rate: float = 50, latency_ms: int = 50) -> Iterator[BulkConsole]:
    """A console with a confirmed run of so many rows, and no worker yet."""
    with tempfile.TemporaryDirectory(prefix="bulk-run-") as folder:
        console = BulkConsole(Path(folder), rate=rate, latency_ms=latency_ms)
        try:
            if rows:
                console.start_run(rows)
            yield console
        finally:
            console.close()


def faults_and_kills(rows: int) -> Iterator[Figure]:
    """Fifteen percent faults, lists that lag, and a worker that is killed again and again; nothing of it is hurried."""
    kills = min(KILLS, max(rows // 20, 1))
    with console_with(rows, rate=10) as console:
        console.server.sim.set_faults([*FAULTS, LAG])
        began = time.monotonic()
        for number in range(1, kills + 1):
            worker = console.start_worker()
            least = rows * number // (kills + 2)
            until(lambda least=least: settled(console) >= least, seconds=300)
            console.kill(worker)
        console.start_worker()
        console.finish(seconds=1_200)
        made, twice = console.made()
        yield Figure(f"batch_{rows}_faults_twice", twice, "rows", "== 0")
        yield Figure(f"batch_{rows}_faults_missing", rows - made, "rows", "== 0")
        yield Figure(f"batch_{rows}_faults_shown_as_done", console.confirmed(), "rows", f"== {rows}")
        yield Figure(f"batch_{rows}_faults_took", time.monotonic() - began, "s")


def settled(console: BulkConsole) -> int:
    states = console.states()
    return sum(states.get(name, 0) for name in ("confirmed", "unknown", "planned"))


def two_workers(rows: int) -> Iterator[Figure]:
    """Two workers, one of them stopped in the middle of a call and continued after the other one took over."""
    with console_with(rows) as console:
        for _ in range(2):
            console.start_worker()
        until(lambda: console.confirmed() >= rows // 3, seconds=300)
        slow = [{"match": POST, "do": {"latency_ms": 600}}]
        console.server.sim.set_faults(slow)
        posts = len(console.posts()) + 1
        until(lambda: len(console.posts()) > posts)
        holder = int(console.holder())
        os.kill(holder, signal.SIGSTOP)
        console.server.sim.set_faults([])
        until(lambda: console.holder() not in ("", str(holder)), seconds=60)
        until(lambda: console.confirmed() >= rows * 2 // 3, seconds=300)
        os.kill(holder, signal.SIGCONT)
        console.finish(seconds=600)
        made, twice = console.made()
        yield Figure(f"two_workers_{rows}_twice", twice, "rows", "== 0")
        yield Figure(f"two_workers_{rows}_missing", rows - made, "rows", "== 0")


def pace(rows: int) -> Iterator[Figure]:
    """The rate that is set against the rate that is reached, from the first row to the last."""
    with console_with(rows, rate=RATE) as console:
        console.start_worker()
        console.finish(seconds=300)
        moments = [moment_of(entry) for entry in console.posts()]
        took = moments[-1] - moments[0]
        # From the first slot on, and not from the arrival of its call, which the worker's first connection keeps waiting.
        [[first]] = console.rows("SELECT MIN(sent_at) FROM dashboard_operation")
        began = datetime.fromisoformat(str(first)).replace(tzinfo=UTC).timestamp()
        ahead = max(place - (moment - began) * RATE for place, moment in enumerate(moments))
        yield Figure("pace_to_allowance", (len(moments) - 1) / RATE / took, "ratio", ">= 0.9")
        # Two sent shortly after one another, where the first was late, are still within what the time allowed.
        yield Figure("pace_ahead_of_allowance", ahead, "calls", "<= 1.05")


def hour(rows: int) -> Iterator[Figure]:
    """An hour that allows fewer calls than the run has rows: the lane uses its share and not one call more."""
    with console_with(rows) as console:
        limit = rows
        console.server.sim.set_limits(hourly=limit, burst=1_000_000)
        console.start_worker()
        until(lambda: "kept for people" in message_of(console), seconds=120)
        time.sleep(3)
        used = int(console.rows("SELECT hour_used + hour_others FROM dashboard_apibudget")[0][0])
        share = limit * 80 // 100
        yield Figure("hour_used_of_batch_lane", used / share, "ratio", ">= 0.9")
        yield Figure("hour_calls_over_batch_lane", max(used - share, 0), "calls", "== 0")


def message_of(console: BulkConsole) -> str:
    return str(console.rows("SELECT message FROM dashboard_batch")[0][0])


def person_while_running(rows: int) -> Iterator[Figure]:
    """The slowest of ten triggers of a person, while a run goes on at full pace."""
    with console_with(rows, rate=RATE, latency_ms=250) as console:
        console.start_worker()
        until(lambda: console.confirmed() >= 5, seconds=60)
        slowest = float(console.run(TRIGGER_AS_A_PERSON))
        assert console.run_state() == "running" or ROWS, "the run was over too soon to tell"
        yield Figure("person_trigger_while_batch", slowest, "s", "<= 3")


def freeze(rows: int) -> Iterator[Figure]:
    """All matching rows frozen and confirmed, from the click to the answer."""
    with console_with(0) as console:
        yield Figure(f"freeze_{rows}", float(console.run(FREEZE, str(rows))), "s", "<= 2")


def stop(rows: int) -> Iterator[Figure]:
    """How many calls still went out after the stop was stored."""
    with console_with(rows, rate=20, latency_ms=200) as console:
        console.start_worker()
        until(lambda: console.confirmed() >= rows // 5, seconds=120)
        stopped_at = datetime.fromisoformat(console.run(STOP)).timestamp()
        console.finish(seconds=60)
        after = sum(moment_of(entry) > stopped_at for entry in console.posts())
        yield Figure("stop_calls_after", after, "calls", "<= 1")
        states = console.states()
        assert states.get("confirmed", 0) + states.get("not_sent", 0) == rows, json.dumps(states)


def moment_of(entry: dict[str, object]) -> float:
    return datetime.fromisoformat(str(entry["at"]).replace("Z", "+00:00")).timestamp()
