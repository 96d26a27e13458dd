"""The real thing for browser tests and benchmarks: simulator, worker and console as processes.

The one rule: it is started by the product's own `demo` command, so what is tested is what people start.
"""

import fcntl
import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin

import requests

from dashboard.services.demo import tied

ROOT = Path(__file__).resolve().parent.parent
_count = itertools.count(os.getpid())  # so that test runs beside one another rarely meet
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


def product_environment() -> dict[str, str]:
    """This process's variables without the one that only Playwright's event loop needs."""
    return {name: value for name, value in os.environ.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"}


@cache
def collect_static() -> None:
    """The static files that a served console needs, by one process at a time, since all serve from the same folder."""
    variables = product_environment() | {"DJANGO_SETTINGS_MODULE": "dashboard.settings"}
    code = "import django; django.setup(); from dashboard import static_files; static_files.collect()"
    with (Path(tempfile.gettempdir()) / f"maestro-static-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=variables, check=True)


def free_port() -> int:
    """A port that nobody listens on just now, from 20,000 to 31,999: the system gives out higher ones by itself, also in the seconds
    until whoever asked listens. Each process of a test run counts through a thousand of its own, so none is given out twice.
    """
    block = int(os.environ.get("PYTEST_XDIST_WORKER", "gw11").removeprefix("gw")) % 12
    for _ in range(1000):
        port = 20_000 + 1000 * block + next(_count) % 1000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("somebody listens on each of a thousand ports")


def wait_until(what: str, test: Callable[[], Any], *, seconds: float = 60.0, every: float = 0.1) -> Any:
    """The first true answer of `test`; fails with `what` when there is none in time, nor at a last look after it."""
    until = time.monotonic() + seconds
    while True:
        is_last = time.monotonic() >= until
        if answer := test():
            return answer
        if is_last:
            raise AssertionError(f"not within {seconds:.0f} seconds: {what}")
        time.sleep(every)


class RunningConsole:
    """`manage.py demo` on ports of its own, with its output kept for the case that it fails."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.port, self.simulator_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.simulator_url = f"http://127.0.0.1:{self.simulator_port}"
        self._folder = tempfile.TemporaryDirectory(prefix="maestro-console-")
        self.home = Path(self._folder.name) / "demo"
        self.output = Path(self._folder.name) / "output.txt"
        self._command = [
            *(sys.executable, str(ROOT / "manage.py"), "demo", "--home", str(self.home)),
            *("--port", str(self.port), "--simulator-port", str(self.simulator_port), *arguments),
        ]
        self._environment = product_environment() | (env or {})
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self.output.open("wb") as sink:
            self.process = subprocess.Popen(
                tied(self._command),
                cwd=ROOT,
                env=self._environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until("Console ready", self._is_ready, seconds=90)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        self._folder.cleanup()

    def _is_ready(self) -> bool:
        text = self.output.read_text(errors="replace")
        if self.process is None or self.process.poll() is not None:
            raise AssertionError(f"the demo ended while starting:\n{text}")
        return "Console ready:" in text

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the simulator's control API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.simulator_url}/_control{path}",
            data=data,
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def ledger(self, method: str | None = None, path: str = "") -> list[dict[str, Any]]:
        """What the simulator received, of one method and with a piece of a path."""
        entries = self.control("GET", "/ledger")

        return [entry for entry in entries if (method in (None, entry["method"])) and path in entry["path"]]

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the demo's database from outside."""
        with sqlite3.connect(f"file:{self.home / 'db.sqlite3'}?mode=ro", uri=True, timeout=20) as database:
            return database.execute(sql, values).fetchall()

    def pids(self) -> dict[str, list[int]]:
        """The processes of the console by part: `simulator`, `worker`, `console`."""
        found: dict[str, list[int]] = {"simulator": [], "worker": [], "console": []}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
                variables = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if str(self.home) not in variables:
                continue
            part = next((name for name, word in PART_WORDS.items() if word in words), None)
            if part:
                found[part].append(int(entry.name))
        return found

    def sign_in(self, person: str = "Ada Admin") -> requests.Session:
        """A signed-in session, through the real pages, without a browser."""
        return sign_in(self.url, person)


PART_WORDS = {"simulator": "simulator", "worker": "work", "console": "dashboard.wsgi"}


def sign_in(url: str, person: str = "Ada Admin") -> requests.Session:
    """A signed-in session of a console, through the real pages, without a browser."""
    session = requests.Session()
    session.trust_env = False
    page = session.get(f"{url}/signin/", timeout=30)
    page.raise_for_status()
    answer = session.post(
        f"{url}/signin/start/",
        data={"csrfmiddlewaretoken": csrf_token(page.text)},
        headers={"Referer": f"{url}/signin/"},
        timeout=30,
    )
    answer = submit_person(session, answer, person)
    assert answer.url.startswith(url), answer.url
    return session


def csrf_token(page: str) -> str:
    """The token of the first form of a page."""
    match = TOKEN.search(page)
    assert match, "the page holds no form with a token"
    return match.group(1)


def submit_person(session: requests.Session, page: requests.Response, person: str) -> requests.Response:
    """Press a person's button on the simulator's sign-in page."""
    form = re.search(r"<form[^>]*>(?:(?!</form>).)*?" + re.escape(person) + r"\s*</button>.*?</form>", page.text, re.S)
    assert form, f"{page.url} ({page.status_code}) has no button {person}"
    action = re.search(r'<form[^>]*action="([^"]*)"', form.group(0))
    button = re.search(r"<button([^>]*)>\s*" + re.escape(person) + r"\s*</button>", form.group(0))
    assert button
    data = dict(re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form.group(0)))
    attributes = dict(re.findall(r'(\w+)="([^"]*)"', button.group(1)))
    if "name" in attributes:
        data[attributes["name"]] = attributes.get("value", "")
    target = urljoin(page.url, action.group(1).replace("&amp;", "&")) if action and action.group(1) else page.url
    return session.post(target, data=data, timeout=30)
