"""How long the web process takes from its start to its first answer, as `deploy/` starts it, over a database that is ready."""

import base64
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.processes import ROOT, free_port, product_environment, wait_until

TIMES = 5


def figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="maestro-console-start-") as folder:
        variables = environment(Path(folder))
        migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=variables, check=True)
        started_once(variables)  # compiles what Python has not compiled yet, which an installation does once
        taken = [started_once(variables) for _ in range(TIMES)]
    yield Figure("web_start_to_first_answer", statistics.median(taken), "s", "<= 2")


def environment(folder: Path) -> dict[str, str]:
    return product_environment() | {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "DJANGO_SECRET_KEY": os.urandom(40).hex(),
        "TOKEN_KEYS": base64.b64encode(os.urandom(32)).decode(),
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": f"sqlite:///{folder}/db.sqlite3",
        "QUEUE_URL": f"sqlite:///{folder}/queue.sqlite3",
        "DOCUSIGN_ENVIRONMENT": "simulator",
        "DOCUSIGN_CLIENT_ID": "0c5e7a94-2b61-4d3f-9e8a-5f1c6b7d2a10",
        "DOCUSIGN_CLIENT_SECRET": os.urandom(16).hex(),
        "DOCUSIGN_REDIRECT_URI": "http://127.0.0.1:8000/oauth/callback/",
    }


def started_once(variables: Mapping[str, str]) -> float:
    """Seconds from the start of the process to its first answer."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", str(ROOT / "deploy/gunicorn.conf.py"), "dashboard.wsgi"]
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=dict(variables) | {"WEB_BIND": f"127.0.0.1:{port}"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until("the web process answers", lambda: answers(f"http://127.0.0.1:{port}/livez"), every=0.02)
        return time.monotonic() - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
