"""A whole installation on loopback, part by part: each part is the product's own command, and whoever starts it may kill one.

The one rule: whatever ends it ends every part of it. What the parts are, and where tables and queue lie, is said by those who derive
from it.
"""

import base64
import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import requests

from dashboard.services.demo import tied
from maestro_api.simulator import ADA_ADMIN, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID
from tests.processes import ROOT, collect_static, free_port, product_environment, sign_in, wait_until

ACCOUNTS = (MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID)
STOP_SECONDS = 40.0
PYTHON, MANAGE = sys.executable, str(ROOT / "manage.py")
WEB = [PYTHON, "-m", "gunicorn", "--config", str(ROOT / "deploy/gunicorn.conf.py"), "dashboard.wsgi"]


class Installation:
    """All parts; `parts` names the processes."""

    def __init__(self, *simulator_words: str, port: int = 0, **variables: str) -> None:
        self.port, self.simulator_port = port or free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.simulator_url = f"http://127.0.0.1:{self.simulator_port}"
        self.parts: dict[str, subprocess.Popen[bytes]] = {}
        self._simulator_words, self._wanted = simulator_words, variables
        self._stack = ExitStack()
        self._commands: dict[str, Sequence[str | Path]] = {}
        self._own: dict[str, dict[str, str]] = {}

    def __enter__(self) -> Self:
        try:
            self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="maestro-scale-")))
            self.variables = self._common() | self._environment() | self._wanted
            self._commands["simulator"] = [
                *(PYTHON, MANAGE, "simulator", "--port", str(self.simulator_port)),
                *self._simulator_words,
            ]
            self._commands |= self._console_parts()
            self._start_all()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop(*self.parts)
        self._stack.close()

    def _environment(self) -> dict[str, str]:
        """Where tables, queue and cache lie, and what else is not common."""
        raise NotImplementedError

    def _console_parts(self) -> dict[str, Sequence[str | Path]]:
        """The commands of all parts beside the simulator, in the order in which they start."""
        raise NotImplementedError

    def start(self, name: str) -> None:
        """Start a part, or start it again."""
        log = (self.folder / f"{name}.log").open("ab")
        self.parts[name] = subprocess.Popen(
            tied(self._commands[name]),
            cwd=ROOT,
            env=self.variables | self._own.get(name, {}),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches the parts once, through us
        )
        log.close()

    def kill(self, name: str) -> None:
        """kill -9 of a part and of whatever it has started."""
        os.killpg(self.parts[name].pid, signal.SIGKILL)
        self.parts[name].wait()

    def stop(self, *names: str) -> None:
        """SIGTERM to these parts, the last one first; SIGKILL to what does not end by it."""
        processes = [self.parts[name] for name in reversed(names)]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        for process in processes:
            try:
                process.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def is_ready(self) -> bool:
        """Whether the address leads to a console that can serve."""
        return answers(f"{self.url}/readyz")

    def logs(self) -> str:
        return "\n".join(
            f"== {each.name}\n{each.read_text(errors='replace')[-2000:]}" for each in self.folder.glob("*.log")
        )

    def manage(self, *words: str) -> str:
        """What a command of the product printed; its own complaint where it fails."""
        return self._output([PYTHON, MANAGE, *words])

    def run(self, code: str, *arguments: str) -> str:
        """What a piece of Python printed that runs inside the console."""
        return self._output([PYTHON, "-c", f"import django, sys\ndjango.setup()\n{code}", *arguments])

    def _output(self, command: Sequence[str]) -> str:
        done = subprocess.run(command, cwd=ROOT, env=self.variables, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the database from outside."""
        url = self.variables["DATABASE_URL"]
        if url.startswith("postgres"):
            with psycopg.connect(url) as connection:
                return connection.execute(sql).fetchall()  # type: ignore[call-overload]  # the tests' own words
        with sqlite3.connect(f"file:{url.removeprefix('sqlite:///')}?mode=ro", uri=True, timeout=20) as database:
            return database.execute(sql).fetchall()

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """One call of the simulator's control API."""
        data = None if body is None else json.dumps(body).encode()
        words = {"Content-Type": "application/json"}
        request = urllib.request.Request(
            f"{self.simulator_url}/_control{path}", data=data, method=method, headers=words
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def sign_in(self, person: str = "Ada Admin") -> requests.Session:
        """A signed-in session, through the real pages."""
        return sign_in(self.url, person)

    def _start_all(self) -> None:
        self.start("simulator")
        self._prepare()
        wait_until("the simulator answers", lambda: answers(f"{self.simulator_url}/_control/limits"), seconds=90)
        for name in self._commands:
            if name != "simulator":
                self.start(name)
        try:
            wait_until("the console is ready", self.is_ready, seconds=90)
        except AssertionError as error:
            raise AssertionError(self.logs()) from error

    def _prepare(self) -> None:
        """What an administrator does before the first start."""
        appointed = [word for account in ACCOUNTS for word in ("--account", account)]
        self.manage("migrate", "--verbosity", "0")
        self.manage("make_admin", ADA_ADMIN, *appointed)
        collect_static()

    def _common(self) -> dict[str, str]:
        return product_environment() | {
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "PYTHONPATH": str(ROOT),
            "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
            "TOKEN_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "DOCUSIGN_ENVIRONMENT": "simulator",
            "DOCUSIGN_SIMULATOR_URL": self.simulator_url,
            "DOCUSIGN_API_URL": "",
            "DOCUSIGN_CLIENT_ID": DEMO_CLIENT_ID,
            "DOCUSIGN_CLIENT_SECRET": DEMO_CLIENT_SECRET,
            "DOCUSIGN_REDIRECT_URI": f"{self.url}/oauth/callback/",
            "DOCUSIGN_SCOPES": "signature aow_manage",
            "CONSOLE_ACCOUNTS": ",".join(ACCOUNTS),
            "CONNECT_HMAC_KEYS": "",
            "RATE_LIMITS": os.environ.get("RATE_LIMITS", "off"),
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        }


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
