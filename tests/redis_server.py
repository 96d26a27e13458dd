"""A Redis of the tests' own, which they may kill and start again empty.

The one rule: it listens on loopback, keeps nothing on disk, and ends with whoever started it.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from types import TracebackType
from typing import Self

import pytest

from dashboard.services.demo import tied
from tests.processes import free_port, wait_until

MISSING = "Redis is not installed (on Debian: apt-get install redis-server)"


def program() -> str:
    """Where the server is; a missing one skips the test, and fails it with CI=true."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


class RedisServer:
    """A running server with many databases, so that each console of a test has one for itself."""

    def __init__(self) -> None:
        self._program = program()
        self._folder = tempfile.TemporaryDirectory(prefix="maestro-redis-")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.place = f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()

    def start(self) -> None:
        """Start it, empty."""
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            tied([self._program, *words, "--databases", "10000", "--dir", self._folder.name]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the tests; the server ends after them
        )
        wait_until("Redis answers", self._answers, every=0.02)

    def kill(self) -> None:
        """kill -9: everything in it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
