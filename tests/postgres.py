"""Runs a command against a PostgreSQL of its own: `python -m tests.postgres pytest …`.

The one rule: the cluster is temporary. It lives in a folder that is deleted, on loopback, and is stopped however the command ends.
It gives up durability for speed, which no console may do.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NoReturn, Self

from dashboard.services.demo import tied
from tests.processes import free_port

FOLDERS = "/usr/lib/postgresql"
OWNERS = ("postgres", "nobody")
OLDEST = 14
MISSING = "PostgreSQL 14 or newer is not installed (on Debian: apt-get install postgresql)"
ROOM = ("max_connections=120", "shared_buffers=128MB")
# For tests: what a power cut would lose is thrown away anyway, and no table lives long.
IN_A_HURRY = ("fsync=off", "full_page_writes=off", "autovacuum=off")


def programs() -> Path | None:
    """The folder with `initdb` and `postgres` of the newest version that is installed."""
    versions = [each for each in Path(FOLDERS).glob("*") if each.name.isdigit() and (each / "bin" / "initdb").exists()]
    newest = max(versions, key=lambda each: int(each.name), default=None)
    if newest is not None and int(newest.name) >= OLDEST:
        return newest / "bin"
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Cluster:
    """A running PostgreSQL with one empty database; where it is to be like a real one, it is in no hurry."""

    def __init__(self, folder: Path, *, is_in_a_hurry: bool = True) -> None:
        self._settings = (*ROOM, *(IN_A_HURRY if is_in_a_hurry else ()))
        # As root, a TMPDIR of our own may be closed to the user that the cluster runs as.
        self._folder = Path(tempfile.mkdtemp(prefix="maestro-postgres-", dir="/tmp" if _identity() else None))  # noqa: S108
        self._programs = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self.url = f"postgres://console@127.0.0.1:{self._port}/console"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # PostgreSQL's "fast" shutdown: it waits for nobody
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self) -> None:
        identity = _identity()
        if identity:
            shutil.chown(self._folder, identity["user"], identity["group"])
        data = self._folder / "data"
        subprocess.run(
            [
                *(self._programs / "initdb", "--pgdata", data, "--username", "console", "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            **identity,
        )
        self._run()
        self._create()

    def _run(self) -> None:
        settings = [*self._settings, "listen_addresses=127.0.0.1", f"port={self._port}", "unix_socket_directories="]
        data = self._folder / "data"
        self._process = subprocess.Popen(
            tied([self._programs / "postgres", "-D", data, *(word for each in settings for word in ("-c", each))]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            start_new_session=True,  # Ctrl-C is for the command; the cluster ends after it
            **_identity(),
        )

    def restart(self) -> None:
        """As an administrator does it: every connection is ended, and what was committed is there again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(30)
        self._run()

    def _create(self) -> None:
        """Make the database, which proves that the cluster answers."""
        until = time.monotonic() + 60
        command: list[str | Path] = [
            self._programs / "createdb",
            "--host=127.0.0.1",
            f"--port={self._port}",
            "--username=console",
            "console",
        ]
        while subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode:
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("PostgreSQL does not start.")
            time.sleep(0.1)


def _identity() -> dict[str, Any]:
    """As whom the cluster runs: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in OWNERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL does not run as root, and there is neither the user postgres nor nobody.")


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def main(command: list[str]) -> int:
    """Run the command with DATABASE_URL set; its exit code. Without PostgreSQL: 0 with the reason, or 1 with CI=true."""
    folder = programs()
    if folder is None:
        print(f"Skipped: {MISSING}.", file=sys.stderr)
        return 1 if os.environ.get("CI") == "true" else 0
    signal.signal(signal.SIGTERM, _stop)
    with Cluster(folder) as cluster:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], env=dict(os.environ) | {"DATABASE_URL": cluster.url}
        )
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait(60)
            raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
