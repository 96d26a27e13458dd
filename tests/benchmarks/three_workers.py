"""Three Celery workers on PostgreSQL and Redis with one bulk run and the reading of the mirror, while Docusign's limits are on.

The one rule: the calls are counted by the simulator's own windows, the rows by what it holds. THREE_WORKERS_ROWS makes it small.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.benchmarks.figures import Figure
from tests.benchmarks.scale import cluster
from tests.redis_server import RedisServer
from tests.services.bulk_console import BulkConsole

ROWS = int(os.environ.get("THREE_WORKERS_ROWS", "500"))
WORKERS = 3
RATE = 5.0  # more than the limit of 30 seconds allows, with what each row costs beside its trigger
HOURLY, BURST = 3_000, 200
SHARE = 0.8  # nobody clicks here, and what works by itself leaves the rest to people
WORKFLOWS, INSTANCES = 40, 4_000
SECONDS = 1_500.0


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="three-workers-") as folder, cluster() as database, RedisServer() as redis:
        queue = f"celery+redis://{redis.place}/0"
        console = BulkConsole(Path(folder), rate=RATE, latency_ms=20, queue_url=queue, database_url=database)
        try:
            yield from measured(console)
        finally:
            console.close()


def measured(console: BulkConsole) -> Iterator[Figure]:
    simulator = console.server.sim
    # Since the mirror was read: what only another reading can find, and each workflow has to be asked by itself.
    simulator.add_data(workflows=WORKFLOWS, instances=INSTANCES)
    simulator.set_profile(account_list=False)
    simulator.set_limits(hourly=HOURLY, burst=BURST)
    simulator.clear_ledger()
    console.environment |= {"SYNC_INTERVAL_SECONDS": "30", "FULL_SYNC_INTERVAL_SECONDS": "60"}
    console.start_run(ROWS)
    began = time.monotonic()
    for _ in range(WORKERS):
        console.start_worker()
    highest = {"burst": 0, "hourly": 0}
    until = began + SECONDS
    run_took = 0.0
    while time.monotonic() < until and not (run_took and not missing(console)):
        for _ in range(50):
            used = simulator.limits.describe()["used"]
            for name in highest:
                highest[name] = max(highest[name], used.get(f"{MAIN_ACCOUNT_ID}:{name}", 0))
            time.sleep(0.02)
        if not run_took and console.run_state() == "done":
            run_took = time.monotonic() - began
    statuses = [entry["status"] for entry in simulator.ledger() if "/v1/" in entry["path"]]
    made, twice = console.made()
    yield Figure("three_workers_calls", len(statuses), "calls")
    yield Figure("three_workers_calls_refused", sum(status in (400, 429) for status in statuses), "calls", "== 0")
    yield Figure("three_workers_burst_used", highest["burst"] / BURST, "ratio", f"<= {SHARE}")
    yield Figure("three_workers_hour_used", highest["hourly"] / HOURLY, "ratio", f"<= {SHARE}")
    yield Figure(f"three_workers_{ROWS}_twice", twice, "rows", "== 0")
    yield Figure(f"three_workers_{ROWS}_missing", ROWS - made, "rows", "== 0")
    yield Figure(f"three_workers_{ROWS}_shown_as_done", console.confirmed(), "rows", f"== {ROWS}")
    yield Figure("three_workers_mirror_missing", len(missing(console)), "rows", "== 0")
    yield Figure("three_workers_took", run_took, "s")


def missing(console: BulkConsole) -> set[UUID]:
    """What Docusign holds and the mirror does not."""
    state = console.server.sim.state()
    here = (workflow for workflow in state["workflows"] if workflow["account_id"] == MAIN_ACCOUNT_ID)
    held = {UUID(instance["id"]) for workflow in here for instance in workflow["instances"]}
    return held - {row[0] for row in console.rows("SELECT id FROM dashboard_instance")}
