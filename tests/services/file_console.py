"""A console on files, for tests that need several processes or threads, or kill one.

The one rule: the processes are the product's own commands and services over real files and real sockets; only the test interferes.
"""

import atexit
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import psycopg

from maestro_api.simulator import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, MAIN_ACCOUNT_ID, SimulatorServer
from tests.engines import own_store

ROOT = Path(__file__).resolve().parents[2]
KEYS = {
    "DJANGO_SECRET_KEY": "tests-only-secret-key-that-is-long-enough-to-pass-the-start-checks",
    "TOKEN_KEYS": "dGVzdHMtb25seS10b2tlbi1rZXktMzItYnl0ZXMhISE=",
}
PRELUDE = """
import json, sys, threading
import django
django.setup()
from django.core.management import call_command
from django.db import connection, transaction
from dashboard.models import *
from dashboard.services import audit, contracts, operations, sync
from dashboard.services.worker_jobs import PEOPLE
"""
MIGRATE = 'call_command("migrate", verbosity=0, skip_checks=True)'
PREPARE = """
from tests.factories import AccountFactory, person, sealed_tokens
pair = json.loads(sys.argv[1])
account = AccountFactory(id=sys.argv[2], resend_allowed=True)
membership = person(account, Role.OPERATOR, sub=pair["user_id"], name="Ada Admin")
sealed_tokens(membership.user.connection, access=pair["access_token"], refresh=pair["refresh_token"])
membership = PEOPLE.get()
assert sync.sync_membership(membership), membership.sync_error
workflow = Workflow.objects.get(name="Supplier NDA")
contract = contracts.read_contract(workflow, membership=membership)
print(contract.digest)
"""
TRIGGER = """
from tests.services.conftest import inputs_for
membership, contract = PEOPLE.get(user__name="Ada Admin"), Contract.objects.get(workflow__name="Supplier NDA")
def trigger(key):
    return operations.trigger_workflow(contract.workflow, actor=membership.user, membership=membership, name="NDA",
        inputs=inputs_for(contract), key=key, contract_hash=contract.digest)
"""


@cache
def empty_database() -> Path:
    """A file with all tables and no rows; migrated once a process, since each console begins with a copy."""
    folder = Path(tempfile.mkdtemp(prefix="maestro-tables-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = {"DJANGO_SETTINGS_MODULE": "dashboard.settings", "DATABASE_URL": f"sqlite:///{folder / 'empty.sqlite3'}"}
    environment = KEYS | dict(os.environ) | {"DOCUSIGN_ENVIRONMENT": "simulator"} | settings
    command = [sys.executable, "-c", PRELUDE + MIGRATE]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return folder / "empty.sqlite3"


class FileConsole:
    """Database and queue in a folder, against a simulator on a port.

    The queue is another one where `queue_url` or TEST_QUEUE_URL says so (`tests.engines`); within `tests.postgres` the database is
    one of its own on that server.
    """

    def __init__(
        self, folder: Path, simulator: SimulatorServer | None = None, *, queue_url: str = "", database_url: str = ""
    ) -> None:
        self.simulator = simulator
        self.logs = folder
        server = os.environ.get("DATABASE_URL", "")
        if not database_url and server.startswith("postgres"):
            database_url = own_store(server, folder)
        self.environment = dict(os.environ) | {
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "DATABASE_URL": database_url or f"sqlite:///{folder / 'console.sqlite3'}",
            "QUEUE_URL": queue_url or own_store(os.environ.get("TEST_QUEUE_URL", ""), folder),
            "DOCUSIGN_ENVIRONMENT": "simulator",
            "DOCUSIGN_SIMULATOR_URL": simulator.url if simulator else "http://127.0.0.1:9",
            "DOCUSIGN_CLIENT_ID": DEMO_CLIENT_ID,
            "DOCUSIGN_CLIENT_SECRET": DEMO_CLIENT_SECRET,
            "DOCUSIGN_REDIRECT_URI": "http://127.0.0.1:8000/oauth/callback/",
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "LOG_LEVEL": "ERROR",
        }
        if self.is_on_sqlite:
            shutil.copy(empty_database(), folder / "console.sqlite3")
        else:
            self.run(MIGRATE)

    def start(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """A process that runs a piece of Python inside the console."""
        return subprocess.Popen(
            [sys.executable, "-c", PRELUDE + code, *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str, *arguments: str) -> str:
        """The output of such a process; fails the test with what it said when it failed."""
        process = self.start(code, *arguments)
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, err
        return out.strip()

    def work(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A real worker. What it says goes into a file: a pipe that nobody reads would hold it up once it is full."""
        with (self.logs / "workers.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", "work", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def worker_log(self) -> str:
        """What the workers wrote."""
        return (self.logs / "workers.log").read_text()

    def prepare(self) -> None:
        """Migrate, connect Ada, fill the mirror, read one contract."""
        assert self.simulator is not None
        self.run(PREPARE, json.dumps(self.simulator.sim.token("Ada Admin")), MAIN_ACCOUNT_ID)

    @property
    def is_on_sqlite(self) -> bool:
        return self.environment["DATABASE_URL"].startswith("sqlite")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What is stored, read from outside."""
        if not self.is_on_sqlite:
            with psycopg.connect(self.environment["DATABASE_URL"]) as connection:
                return connection.execute(sql).fetchall()  # type: ignore[call-overload]  # the tests' own words
        path = self.environment["DATABASE_URL"].removeprefix("sqlite:///")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20) as database:
            return database.execute(sql).fetchall()

    def change(self, sql: str) -> None:
        """Change what is stored, from outside."""
        if not self.is_on_sqlite:
            with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
                connection.execute(sql)  # type: ignore[call-overload]  # the tests' own words
            return
        path = self.environment["DATABASE_URL"].removeprefix("sqlite:///")
        with sqlite3.connect(path, timeout=20, isolation_level=None) as database:
            database.execute(sql)

    def operation(self) -> dict[str, Any]:
        """The only operation, as stored."""
        code = "row = Operation.objects.get()\nprint(json.dumps([row.state, row.attempts, row.resends]))"
        state, attempts, resends = json.loads(self.run(code))
        return {"state": state, "attempts": attempts, "resends": resends}

    def posts(self) -> list[dict[str, Any]]:
        """The triggers that reached the simulator."""
        assert self.simulator is not None
        return [entry for entry in self.simulator.sim.ledger() if entry["path"].endswith("/actions/trigger")]


def until(test: Any, *, seconds: float = 60.0) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not test():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
