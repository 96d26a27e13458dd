"""A simulator in a process of its own, so that it does not share the interpreter with what is measured."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.processes import ROOT, free_port


@contextmanager
def served_by_process(*arguments: str) -> Iterator[tuple[str, str]]:
    """The simulator's address and a token of a manager."""
    port = free_port()
    command = [sys.executable, str(ROOT / "manage.py"), "simulator", "--port", str(port), *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        assert process.stdout is not None
        assert b"Simulator ready" in process.stdout.readline()
        lifted = {"hourly": 10**9, "burst": 10**9}
        _post(url, "/limits", lifted)
        yield url, _post(url, "/token", {"person": "Ada Admin"})["access_token"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        if process.stdout:
            process.stdout.close()


def _post(url: str, path: str, body: dict[str, object]) -> dict[str, str]:
    request = urllib.request.Request(
        f"{url}/_control{path}", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(json.loads(answer.read() or b"{}"))
