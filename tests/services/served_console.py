"""The whole console on files or servers: gunicorn with two processes, workers and a simulator, which the test stops as it likes.

The one rule: people reach it through its real pages, and probes through its real addresses.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import requests

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.processes import collect_static, free_port, sign_in, wait_until
from tests.services.bulk_console import BulkConsole
from tests.services.file_console import ROOT


class ServedConsole(BulkConsole):
    """A bulk console with web processes in front."""

    def __init__(self, folder: Path, *, queue_url: str = "", database_url: str = "", **variables: str) -> None:
        super().__init__(folder, rate=20, latency_ms=20, queue_url=queue_url, database_url=database_url)
        self.webs: list[subprocess.Popen[bytes]] = []
        self.environment |= {
            "CONSOLE_ACCOUNTS": MAIN_ACCOUNT_ID,
            "RATE_LIMITS": "off",
            "TRUSTED_PROXIES": "",
        } | variables
        collect_static()
        self.url = self.serve()

    def serve(self, *, workers: int = 2, **variables: str) -> str:
        """Start web processes; their address, once they answer."""
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        variables = self.environment | {"DOCUSIGN_REDIRECT_URI": f"{url}/oauth/callback/"} | variables
        words = [
            "--bind",
            f"127.0.0.1:{port}",
            "--worker-class",
            "gthread",
            "--workers",
            str(workers),
            "--threads",
            "4",
            "--keep-alive",
            "65",  # longer than a test leaves a session alone, so that no connection is closed under a request
        ]
        with (self.logs / f"web-{port}.log").open("wb") as log:
            web = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "dashboard.wsgi", *words, "--log-level", "error"],
                cwd=ROOT,
                env=variables,
                stdout=log,
                stderr=log,
            )
        self.webs.append(web)
        wait_until("the console answers", lambda: self._answers(url), seconds=60)
        return url

    def web_log(self) -> str:
        """What the web processes wrote."""
        return "".join(path.read_text() for path in sorted(self.logs.glob("web-*.log")))

    def cut_the_power(self) -> None:
        """SIGKILL for everything that is ours."""
        for web in self.webs:
            children = Path(f"/proc/{web.pid}/task/{web.pid}/children").read_text().split()
            for number in (web.pid, *map(int, children)):
                os.kill(number, signal.SIGKILL)
            web.wait()
        for worker in self.workers:
            if worker.poll() is None:
                self.kill(worker)

    def close(self) -> None:
        for web in self.webs:
            web.terminate()
        for web in self.webs:
            web.wait(20)
        super().close()

    def sign_in(self, person: str = "Ada Admin", *, url: str = "") -> requests.Session:
        """A signed-in session."""
        return sign_in(url or self.url, person)

    def status(self, path: str, *, url: str = "") -> int:
        """What a probe gets."""
        return requests.get(f"{url or self.url}{path}", timeout=30, allow_redirects=False).status_code

    def seconds_until(self, path: str, status: int, *, most: float) -> float:
        """How long it took until a probe got this status."""
        began = time.monotonic()
        wait_until(f"{path} answers {status}", lambda: self.status(path) == status, seconds=most)
        return time.monotonic() - began

    def _answers(self, url: str) -> bool:
        try:
            return self.status("/livez", url=url) == 200
        except requests.RequestException:  # not yet
            return False
