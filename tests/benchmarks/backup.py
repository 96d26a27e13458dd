"""A backup of a million instances while people look at lists, and the way from its file to a console that is ready.

The one rule: both are the product's own commands, timed from their start; the load is people who click twice a second each, neither
idle nor more than they could. BACKUP_ROWS and BACKUP_SECONDS make it small for a trial, and BACKUP_ENGINES names one engine only.
"""

import base64
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tests.benchmarks.figures import Figure
from tests.benchmarks.one_machine import OneMachine
from tests.benchmarks.scale import cluster
from tests.benchmarks.visitors import visited, visiting
from tests.installation import MANAGE, PYTHON
from tests.processes import ROOT, collect_static, wait_until

ROWS = int(os.environ.get("BACKUP_ROWS", "1000000"))
SECONDS = float(os.environ.get("BACKUP_SECONDS", "60"))
ENGINES = os.environ.get("BACKUP_ENGINES", "sqlite,postgres").split(",")
PEOPLE = 10
CLICK_SECONDS = 0.5
LISTS = ("", "state=running", "state=failed", "sort=name", "sort=-started", "name=lindqvist", "expires=7", "steps=5")
FILL = """
from tests.benchmarks import scale_rows
scale_rows.fill(int(sys.argv[1]))
"""
# Rights that were proven just now, and one session for each pair of eyes, as the sign-in leaves them.
SIGN_IN = """
import json
from django.test import Client
from dashboard.models import Membership
from tests.benchmarks import scale_rows
scale_rows.refresh_proofs()
user, cookies = Membership.objects.get(user__name="Ada Admin").user, []
for _ in range(int(sys.argv[1])):
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(user, backend="dashboard.authentication.DocusignBackend")
    assert client.get("/instances/").status_code == 200
    cookies.append("; ".join(f"{each.key}={each.value}" for each in client.cookies.values()))
print(json.dumps(cookies))
"""


class FilledMachine(OneMachine):
    """A machine whose database is filled before anybody comes."""

    def _prepare(self) -> None:
        self.run(FILL, str(ROWS))
        collect_static()


def figures() -> Iterator[Figure]:
    if "sqlite" in ENGINES:
        yield from on("sqlite", "")
    if "postgres" in ENGINES:
        with cluster() as url:
            yield from on("postgres", url)


def on(engine: str, url: str) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="maestro-backup-") as folder:
        variables = {"BACKUP_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(), "CONSOLE_ACCOUNTS": ""}
        variables |= {"SYNC_INTERVAL_SECONDS": "86400"} | ({"DATABASE_URL": url} if url else {})
        with FilledMachine(**variables) as machine:
            cookies = json.loads(machine.run(SIGN_IN, str(PEOPLE)))
            pages_during(machine, cookies, ["sleep", str(min(10.0, SECONDS))])  # each process compiles its pages once
            before, _ = pages_during(machine, cookies, ["sleep", str(SECONDS)])
            machine.run(SIGN_IN, "0")
            meanwhile, took = pages_during(machine, cookies, [PYTHON, MANAGE, "backup", folder])
            yield Figure(f"backup_{engine}_{ROWS}", took, "s", "<= 60")
            yield Figure(f"backup_{engine}_pages_p95_before", before["p95"], "ms")
            yield Figure(f"backup_{engine}_pages_p95_meanwhile", meanwhile["p95"], "ms")
            yield Figure(f"backup_{engine}_pages_p95_to_before", meanwhile["p95"] / before["p95"], "ratio", "<= 2")
            wrong = sum(
                number for each in (before, meanwhile) for name, number in each["statuses"].items() if name != "200"
            )
            yield Figure(f"backup_{engine}_pages_wrong", wrong, "answers", "== 0")
            (made,) = Path(folder).iterdir()
            yield Figure(f"backup_{engine}_size", made.stat().st_size / 1e6, "MB")
            yield from restored(machine, engine, made)


def pages_during(machine: OneMachine, cookies: list[str], command: Sequence[str]) -> tuple[dict[str, Any], float]:
    """List pages as long as a command runs: what was counted of them, and the seconds that the command took."""
    asks = [("list", f"/instances/?{query}") for query in LISTS]
    people = [{"cookie": cookie, "asks": asks, "every": CLICK_SECONDS} for cookie in cookies]
    with visiting({"port": machine.port, "seconds": 3_600, "people": people}) as load:
        time.sleep(1)  # until everybody has begun
        began = time.monotonic()
        subprocess.run(command, cwd=ROOT, env=machine.variables, check=True, stdout=sys.stderr)
        took = time.monotonic() - began
        load.terminate()
        return visited(load)["list"], took


def restored(machine: OneMachine, engine: str, made: Path) -> Iterator[Figure]:
    """From the command to a green readiness, in a fresh place: an empty folder, or a server without such a database."""
    machine.stop("worker", "web")
    fresh = cluster() if engine == "postgres" else nullcontext("")
    with fresh as url, tempfile.TemporaryDirectory(prefix="maestro-restored-") as folder:
        machine.variables |= {
            "DATABASE_URL": f"{url.rpartition('/')[0]}/restored" if url else f"sqlite:///{folder}/db.sqlite3",
            "QUEUE_URL": f"sqlite:///{folder}/queue.sqlite3",
        }
        began = time.monotonic()
        print(machine.manage("restore", str(made)), file=sys.stderr)
        read = time.monotonic() - began
        machine.start("worker")
        machine.start("web")
        wait_until("the restored console is ready", machine.is_ready, seconds=300)
        yield Figure(f"restore_{engine}_command", read, "s")
        yield Figure(f"restore_{engine}_to_ready", time.monotonic() - began, "s", "<= 300")
        rows = machine.query("SELECT COUNT(*) FROM dashboard_instance")[0][0]
        yield Figure(f"restore_{engine}_rows", rows, "rows", f"== {ROWS}")
        machine.stop("worker", "web")
