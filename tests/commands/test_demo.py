"""The demo as people start it: whatever ends it ends every child, and a part that dies ends the rest."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from dashboard.services.demo import tied
from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.processes import ROOT, RunningConsole, wait_until

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture
def demo() -> Iterator[RunningConsole]:
    with RunningConsole("--instances=5", "--workflows=3") as running:
        yield running


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if is_alive(pid)]


def test_signals_in_quick_succession_end_every_part_of_the_demo(demo: RunningConsole) -> None:
    parts = demo.pids()
    assert all(parts.values()), parts
    children = [pid for pids in parts.values() for pid in pids]
    assert demo.process is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        demo.process.send_signal(number)
        time.sleep(0.02)
    assert demo.process.wait(30) == 0
    assert "Demo ended." in demo.output.read_text()
    wait_until("every child ended", lambda: not living(children), seconds=30)


def test_the_demo_ends_and_says_why_when_a_part_ends_by_itself(demo: RunningConsole) -> None:
    parts = demo.pids()
    children = [pid for pids in parts.values() for pid in pids]
    os.kill(min(parts["worker"]), signal.SIGKILL)
    assert demo.process is not None
    assert demo.process.wait(30) != 0
    assert "The worker ended by itself." in demo.output.read_text()
    wait_until("every child ended", lambda: not living(children), seconds=30)


def test_the_demo_says_when_a_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        demo = RunningConsole("--instances=5", "--workflows=3")
        demo._command[demo._command.index("--simulator-port") + 1] = str(taken.getsockname()[1])
        with pytest.raises(AssertionError, match="ended while starting"):
            demo.__enter__()


DEMO = """
from dashboard.services.demo import Demo
demo = Demo(base=folder, home=folder, port=0, simulator_port=0)
demo._start("part", ["sleep", "60"], os.environ)
print(demo.children["part"].pid, flush=True)
"""
CONSOLE = """
from tests.processes import RunningConsole
console = RunningConsole()
console._command = ["sh", "-c", "echo Console ready:; exec sleep 60"]
console.__enter__()
print(console.process.pid, flush=True)
"""
INSTALLATION = """
from tests.installation import Installation
installation = Installation()
installation.folder, installation.variables = folder, dict(os.environ)
installation._commands["part"] = ["sleep", "60"]
installation.start("part")
print(installation.parts["part"].pid, flush=True)
"""


@pytest.mark.parametrize("code", [DEMO, CONSOLE, INSTALLATION], ids=["demo", "console", "installation"])
def test_what_was_started_ends_when_its_starter_is_killed(code: str, tmp_path: Path) -> None:
    """Nothing can be done any more by a process that got SIGKILL, such as a run of the tests."""
    begin = "import os, sys, time\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n"
    command = [sys.executable, "-c", f"{begin}{code}\ntime.sleep(60)", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        try:
            assert is_alive(pid)
            starter.kill()
            wait_until("the part ended", lambda: not is_alive(pid), seconds=30)
        finally:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_what_comes_up_after_its_starter_was_gone_does_not_begin() -> None:
    """A kill in the moment between the start of a part and its tie to the starter."""
    elsewhere = ["sh", "-c", '"$@"; echo "over"', "sh", *tied(["echo", "begun"])]
    assert subprocess.run(elsewhere, capture_output=True, text=True, timeout=30).stdout == "over\n"
    assert subprocess.run(tied(["echo", "begun"]), capture_output=True, text=True, timeout=30).stdout == "begun\n"


def test_what_a_thread_starts_outlives_the_thread() -> None:
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: started.append(subprocess.Popen(tied(["sleep", "60"]))))
    thread.start()
    thread.join()
    with started[0] as process:
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1)
        finally:
            process.kill()


def test_nothing_but_a_demo_is_prepared_as_one(settings: Any) -> None:
    settings.DOCUSIGN_ENVIRONMENT = "demo"
    with pytest.raises(CommandError, match="Only a demo is prepared this way"):
        call_command("prepare_demo", "a1000000-5eed-4a01-8c01-0a1b2c3d4e01", MAIN_ACCOUNT_ID)
