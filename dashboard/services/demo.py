"""The demo: simulator, worker and console as child processes over a database of their own.

The one rule: whatever ends the demo ends every child, and nothing of it touches a real configuration.
"""

import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 10.0
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Linux sends nothing where the starter was gone before it was told to: then the command is not even begun.
BESIDE_ITS_STARTER = '[ "$PPID" = "$0" ] && exec "$@"'


class DemoFailed(Exception):
    """A part of the demo did not start, or ended by itself; the message says which."""


def ignore_signals() -> None:
    """From here on the demo is ending: a second signal must not break off the ending of the children."""
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def tied(command: Sequence[str | Path]) -> list[str | Path]:
    """The command, so that it gets SIGTERM once this process is gone, even by SIGKILL: Linux sees to it, where `setpriv` is there.

    What Linux waits for is the end of the thread that starts it, so only the main thread ties anything.
    """
    program = shutil.which("setpriv")
    if program is None or threading.current_thread() is not threading.main_thread():
        return list(command)
    return [program, "--pdeathsig", "TERM", "--", "sh", "-c", BESIDE_ITS_STARTER, str(os.getpid()), *command]


@dataclass(slots=True)
class Demo:
    """Where the demo lives and listens. `home` is emptied at each start, because the simulator starts anew as well."""

    base: Path
    home: Path
    port: int
    simulator_port: int
    admin: str = ""
    accounts: Sequence[str] = ()
    simulator_args: Sequence[str] = ()
    say: Callable[[str], None] = print
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator_port}"

    def environment(self, *, client_id: str, client_secret: str) -> dict[str, str]:
        """The children's variables; those of the person's own shell that mean the console are replaced, not mixed in."""
        return dict(os.environ) | {
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "DJANGO_SECRET_KEY": secrets.token_urlsafe(50),
            "DJANGO_DEBUG": "false",
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "TOKEN_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
            "DATABASE_URL": f"sqlite:///{self.home / 'db.sqlite3'}",
            "QUEUE_URL": f"sqlite:///{self.home / 'queue.sqlite3'}",
            "CACHE_URL": "",
            "SESSION_STORE": "database",
            "DOCUSIGN_ENVIRONMENT": "simulator",
            "DOCUSIGN_SIMULATOR_URL": self.simulator_url,
            "DOCUSIGN_API_URL": "",
            "DOCUSIGN_CLIENT_ID": client_id,
            "DOCUSIGN_CLIENT_SECRET": client_secret,
            "DOCUSIGN_REDIRECT_URI": f"{self.url}/oauth/callback/",
            "DOCUSIGN_SCOPES": "signature aow_manage",
            "CONSOLE_ACCOUNTS": ",".join(self.accounts),
            "CONNECT_HMAC_KEYS": secrets.token_urlsafe(32),
            # Everybody is on this machine, and scripts try it out; RATE_LIMITS= in the shell brings the usual limits.
            "RATE_LIMITS": os.environ.get("RATE_LIMITS", "off"),
            "TRUSTED_PROXIES": "",
            "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING"),
        }

    def run(self, variables: Mapping[str, str]) -> None:
        """Start everything, say when it is ready, and stay until a signal or the end of a child."""
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir(parents=True)
        python, manage = sys.executable, str(self.base / "manage.py")
        try:
            self._start(
                "simulator",
                [python, manage, "simulator", "--port", str(self.simulator_port), *self.simulator_args],
                variables,
            )
            prepared = subprocess.run(  # noqa: S603  # our own command
                [python, manage, "prepare_demo", self.admin, *self.accounts],
                env=dict(variables),
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            self._wait("simulator", f"{self.simulator_url}/_control/state")
            self._start("worker", [python, manage, "work"], variables)
            bind = ["--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread", "--workers", "2", "--threads", "4"]
            # As in deploy/gunicorn.conf.py: a connection must not be closed under a request.
            served = ["dashboard.wsgi", *bind, "--keep-alive", "65", "--preload", "--log-level", "warning"]
            self._start("console", [python, "-m", "gunicorn", *served], variables)
            self._wait("console", f"{self.url}/readyz")
            self._connect(prepared.stdout.strip(), variables)
            self.say(f"Console ready: {self.url}")
            self._watch()
        except subprocess.CalledProcessError as error:
            raise DemoFailed("The demo database could not be prepared.") from error
        finally:
            self.stop()

    def _connect(self, hook: str, variables: Mapping[str, str]) -> None:
        """Let the simulator send its events of the first account here, signed with a key that both know."""
        wanted = {
            "url": hook,
            "keys": [variables["CONNECT_HMAC_KEYS"]],
            "account_id": self.accounts[0],
        }
        request = urllib.request.Request(  # noqa: S310  # an address on this machine
            f"{self.simulator_url}/_control/connect",
            data=json.dumps(wanted).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=10):  # noqa: S310  # an address on this machine
                return
        except (urllib.error.URLError, OSError) as error:
            raise DemoFailed("The simulator did not take the address for its events.") from error

    def _start(self, name: str, command: Sequence[str], variables: Mapping[str, str]) -> None:
        # A session of its own, so that Ctrl-C reaches the children once, through us, in order.
        self.children[name] = subprocess.Popen(  # noqa: S603  # our own commands
            tied(command), env=dict(variables), cwd=self.base, start_new_session=True
        )

    def _wait(self, name: str, url: str, seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self.children[name].poll() is not None:
                raise DemoFailed(f"The {name} ended while starting. Is its port taken?")
            try:
                with urllib.request.urlopen(url, timeout=2):  # noqa: S310  # an address on this machine
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise DemoFailed(f"The {name} did not answer within {seconds:.0f} seconds.")

    def _watch(self) -> None:
        while True:
            for name, child in self.children.items():
                if child.poll() is not None:
                    raise DemoFailed(f"The {name} ended by itself.")
            time.sleep(0.5)

    def stop(self) -> None:
        """End every child, gently first, last started first."""
        ignore_signals()
        living = [child for child in reversed(self.children.values()) if child.poll() is None]
        for child in living:
            child.send_signal(signal.SIGTERM)
        until = time.monotonic() + STOP_SECONDS
        for child in living:
            try:
                child.wait(max(0.1, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
