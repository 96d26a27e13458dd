"""S-16 with real processes over one database: together they take what one of them would."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.file_console import ROOT, FileConsole


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_two_processes_take_thirty_writes_a_minute_together(tmp_path: Path) -> None:
    """S-16: the limit is one, however many processes serve."""
    environment = FileConsole(tmp_path).environment | {"RATE_LIMITS": ""}
    command = [sys.executable, "-m", "tests.services.limit_worker", "20"]
    workers = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    taken = [int(worker.communicate(timeout=200)[0]) for worker in workers]
    assert sum(taken) == 30
