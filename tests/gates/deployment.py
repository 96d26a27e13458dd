"""What Django itself finds wrong with a console in production, and tables that no migration makes (S-18)."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping

from tests.processes import ROOT

# A console as docs/deploy.md sets it up; the keys are made anew each time.
PRODUCTION = {
    "DJANGO_DEBUG": "false",
    "DJANGO_ALLOWED_HOSTS": "console.example.com",
    "DOCUSIGN_ENVIRONMENT": "production",
    "DOCUSIGN_CLIENT_ID": "0c5e7a94-2b61-4d3f-9e8a-5f1c6b7d2a10",
    "DOCUSIGN_REDIRECT_URI": "https://console.example.com/oauth/callback/",
}
MAKE_KEYS = (
    "import base64, os; print(os.urandom(40).hex(), base64.b64encode(os.urandom(32)).decode(), os.urandom(16).hex())"
)


def deployment(changes: Mapping[str, str] | None = None, *, settings: str = "dashboard.settings") -> list[str]:
    """The warnings of `check --deploy`."""
    return _manage(["check", "--deploy", "--fail-level", "WARNING"], changes, settings)


def migrations(changes: Mapping[str, str] | None = None, *, settings: str = "dashboard.settings") -> list[str]:
    """Changes of models without a migration."""
    return _manage(["makemigrations", "--check", "--dry-run"], changes, settings)


def _manage(words: list[str], changes: Mapping[str, str] | None, settings: str) -> list[str]:
    made = subprocess.run([sys.executable, "-c", MAKE_KEYS], check=True, capture_output=True, text=True).stdout.split()
    keys = dict(zip(("DJANGO_SECRET_KEY", "TOKEN_KEYS", "DOCUSIGN_CLIENT_SECRET"), made, strict=True))
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="maestro-gate-") as folder:
        stores = {"DATABASE_URL": f"sqlite:///{folder}/db.sqlite3", "QUEUE_URL": f"sqlite:///{folder}/queue.sqlite3"}
        variables = kept | PRODUCTION | keys | stores | {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": settings}
        command = [sys.executable, str(ROOT / "manage.py"), *words]
        ended = subprocess.run(command, env=variables | dict(changes or {}), cwd=ROOT, capture_output=True, text=True)
    if ended.returncode == 0:
        return []
    return [line for line in (ended.stdout + ended.stderr).splitlines() if line.strip()]
