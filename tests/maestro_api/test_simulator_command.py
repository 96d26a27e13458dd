"""The command that runs the simulator."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    options = ["--port", "0", "--workflows", "2", "--instances", "7", "--profile", "wb100", "--no-account-list"]
    options += ["--people", "Ada Admin", "Olu Operator,Nia New:prepare"]
    running = subprocess.Popen(
        [sys.executable, "manage.py", "simulator", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield running
    if running.poll() is None:
        running.kill()
    running.communicate(timeout=10)


def test_the_command_says_when_it_is_ready_obeys_its_options_and_ends_on_sigterm(
    process: subprocess.Popen[str],
) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("Simulator ready: http://127.0.0.1:")
    url = line.split()[-1]
    with urllib.request.urlopen(f"{url}/_control/profile", timeout=10) as answer:
        settings = json.load(answer)
    assert (settings["profile"], settings["account_list"]) == ("wb100", False)
    with urllib.request.urlopen(f"{url}/_control/state?counts", timeout=10) as answer:
        assert 7 in json.load(answer)["counts"]["by_account"].values()
    with urllib.request.urlopen(f"{url}/_control/people", timeout=10) as answer:
        assert [person["name"] for person in json.load(answer)] == ["Ada Admin", "Olu Operator", "Nia New"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
