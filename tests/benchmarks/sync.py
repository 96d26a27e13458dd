"""What a full sync of 200 workflows with 100,000 instances costs in calls and memory, and how fast rows are taken in."""

import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.benchmarks.figures import Figure
from tests.benchmarks.scale import cluster, run_module
from tests.processes import RunningConsole, wait_until

INSTANCES = 100_000
WORKFLOWS = 200
PAGE = 1000
HOURLY = 3000


def figures() -> Iterator[Figure]:
    yield from full_sync()
    with tempfile.TemporaryDirectory(prefix="maestro-sync-") as folder:
        yield from throughput("sqlite", f"sqlite:///{folder}/db.sqlite3")
    with cluster() as url:
        yield from throughput("postgres", url)


def full_sync() -> Iterator[Figure]:
    """The worker of a fresh console reads everything once; what it asked for stands in the simulator's ledger."""
    arguments = (f"--workflows={WORKFLOWS}", f"--instances={INSTANCES}")
    with RunningConsole(*arguments, env={"SYNC_INTERVAL_SECONDS": "86400"}) as console:
        console.control("DELETE", "/ledger")
        session = console.sign_in()
        session.get(f"{console.url}/instances/", timeout=30)
        wait_until("the first full pass has ended", lambda: has_ended(console), seconds=900, every=1)
        calls = [entry for entry in console.ledger("GET", "/v1/") if "trigger-requirements" not in entry["path"]]
        pages = [entry for entry in calls if "workflow-instances" in entry["path"]]
        moments = [datetime.fromisoformat(entry["at"]) for entry in pages]
        seconds = (max(moments) - min(moments)).total_seconds()
        yield Figure("full_sync_calls_to_pages_needed", len(calls) / (INSTANCES / PAGE), "ratio", "<= 1.2")
        yield Figure("full_sync_share_of_hourly_calls", len(calls) / HOURLY, "ratio", "<= 0.25")
        yield Figure("full_sync_rows", count(console), "rows", f">= {INSTANCES}")
        yield Figure("full_sync_worker_peak", max(peak(pid) for pid in console.pids()["worker"]), "MB", "<= 200")
        yield Figure("full_sync_rows_a_second", count(console) / seconds, "rows/s")


def has_ended(console: RunningConsole) -> bool:
    """Of the large account; the second one of the demo is read sooner."""
    ended = "SELECT 1 FROM dashboard_accountsync WHERE full_at IS NOT NULL AND account_id = ?"
    return bool(console.query(ended, MAIN_ACCOUNT_ID.replace("-", "")))


def count(console: RunningConsole) -> int:
    return int(console.query("SELECT COUNT(*) FROM dashboard_instance")[0][0])


def peak(pid: int) -> float:
    """The most that a process ever held, in MB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))) / 1000


def throughput(kind: str, url: str) -> Iterator[Figure]:
    for found in run_module("tests.benchmarks.sync_rows", url):
        if found["name"] != "rows":
            name = f"sync_{kind}_{found['name']}_to_bare_upsert"
            yield Figure(name, float(str(found["value"])), "ratio", ">= 0.5")
