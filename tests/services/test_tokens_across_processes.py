"""O-8 with real processes, a real SQLite file and a real server that rotates refresh tokens and punishes reuse."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maestro_api.simulator import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, SimulatorServer

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 8
ROUNDS = 50


class Worker:
    """A process that is told what to do through its standard input."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.services.token_worker"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def workers(simulator_server: SimulatorServer, tmp_path: Path) -> Iterator[list[Worker]]:
    environment = dict(os.environ) | {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'tokens.sqlite3'}",
        "DOCUSIGN_ENVIRONMENT": "simulator",
        "DOCUSIGN_SIMULATOR_URL": simulator_server.url,
        "DOCUSIGN_CLIENT_ID": DEMO_CLIENT_ID,
        "DOCUSIGN_CLIENT_SECRET": DEMO_CLIENT_SECRET,
        "LOG_LEVEL": "ERROR",
    }
    started = [Worker(environment) for _ in range(PROCESSES)]
    yield started
    for worker in started:
        worker.end()


def refreshes(server: SimulatorServer) -> int:
    return sum(entry["path"] == "/oauth/token" for entry in server.sim.ledger())


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_eight_processes_with_one_expired_token_refresh_it_once(
    simulator_server: SimulatorServer, workers: list[Worker]
) -> None:
    """O-8: exactly one refresh per token version across processes, fifty times, and the grant stays good."""
    first = workers[0]
    first.tell("prepare " + json.dumps(simulator_server.sim.token("Ada Admin")))
    assert first.hear() == "ok"
    seen: set[str] = set()
    for done in range(ROUNDS):
        first.tell("expire")
        assert first.hear() == "ok"
        for worker in workers:
            worker.tell("token")
        answers = {worker.hear() for worker in workers}
        assert len(answers) == 1, answers
        assert not answers & seen
        seen |= answers
        assert refreshes(simulator_server) == done + 1
