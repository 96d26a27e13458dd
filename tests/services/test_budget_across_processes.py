"""R-1 with real processes, a real SQLite file, and a Docusign on a real port that counts for itself."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from maestro_api.simulator import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, MAIN_ACCOUNT_ID, SimulatorServer

ROOT = Path(__file__).resolve().parents[2]
LANES = ("batch", "batch", "background", "background")
BURST_LIMIT = 50


class Caller:
    """A process that is told what to do through its standard input."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.services.budget_worker"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, **order: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        heard: dict[str, Any] = json.loads(self.process.stdout.readline())
        return heard

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def callers(simulator_server: SimulatorServer, tmp_path: Path) -> Iterator[list[Caller]]:
    environment = dict(os.environ) | {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'budget.sqlite3'}",
        "DOCUSIGN_ENVIRONMENT": "simulator",
        "DOCUSIGN_SIMULATOR_URL": simulator_server.url,
        "DOCUSIGN_CLIENT_ID": DEMO_CLIENT_ID,
        "DOCUSIGN_CLIENT_SECRET": DEMO_CLIENT_SECRET,
        "LOG_LEVEL": "ERROR",
    }
    started = [Caller(environment) for _ in LANES]
    yield started
    for caller in started:
        caller.end()


def wait_for_a_new_window() -> None:
    """The first seconds of Docusign's thirty."""
    time.sleep(30 - time.time() % 30 + 0.2)


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_four_processes_never_pass_four_fifths_of_a_burst_nor_draw_a_refusal(
    simulator_server: SimulatorServer, callers: list[Caller]
) -> None:
    """R-1: batches and looking by itself in four processes, over two windows: Docusign's own counter and no 429 tell."""
    simulator = simulator_server.sim
    simulator.set_limits(burst=BURST_LIMIT)
    callers[0].tell(**simulator.token("Ada Admin") | {"account_id": MAIN_ACCOUNT_ID})
    assert callers[0].hear() == {}
    wait_for_a_new_window()
    began = time.time()
    for caller, lane in zip(callers, LANES, strict=True):
        caller.tell(lane=lane, until=began + 40)
    highest = 0
    while time.time() < began + 40:
        used = simulator.limits.describe()["used"].get(f"{MAIN_ACCOUNT_ID}:burst", 0)
        highest = max(highest, used)
        time.sleep(0.05)
    counts = [caller.hear() for caller in callers]
    statuses = [entry["status"] for entry in simulator.ledger() if "/v1/" in entry["path"]]
    assert set(statuses) == {200}
    assert sum(count["failed"] for count in counts) == 0
    assert sum(count["sent"] for count in counts) == len(statuses)
    assert 0.5 * BURST_LIMIT < highest <= 0.8 * BURST_LIMIT
    assert len(statuses) > BURST_LIMIT
    assert all(count["held"] for count in counts)
