"""The engines that the queue runs on, each with a real server: `python -m tests.engines celery pytest -m processes tests/services`.

The one rule: each console of a test gets a store of its own on the server, so that no worker takes the jobs of another test.
Both databases: `python -m tests.postgres tests.engines celery pytest …`.
"""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.postgres import MISSING, Cluster, programs
from tests.redis_server import RedisServer

ENGINES = ("sqlite", "redis", "postgres", "celery")


def own_store(url: str, folder: Path) -> str:
    """A store that nobody else uses: a file, a numbered database of a Redis, or a new database of a PostgreSQL."""
    if "redis://" in url:
        return f"{url}/{1 + secrets.randbelow(9999)}"
    if url.startswith("postgres"):
        name = f"console_{secrets.token_hex(8)}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return f"{url.rpartition('/')[0]}/{name}"
    return f"sqlite:///{folder / 'queue.sqlite3'}"


@contextmanager
def server_of(engine: str) -> Iterator[str]:
    """The address of a running server of this engine; empty where it needs none."""
    if engine == "sqlite":
        yield ""
    elif engine == "postgres":
        with _postgres() as url:
            yield url
    else:
        with RedisServer() as server:
            yield f"{'celery+' if engine == 'celery' else ''}redis://{server.place}"


@contextmanager
def _postgres() -> Iterator[str]:
    if os.environ.get("DATABASE_URL", "").startswith("postgres"):
        yield os.environ["DATABASE_URL"]  # that of `tests.postgres`, around this
        return
    folder = programs()
    if folder is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with Cluster(folder) as cluster:
        yield cluster.url


def main(engine: str, command: list[str]) -> int:
    """Run the command with TEST_QUEUE_URL set to a server of the engine; its exit code."""
    with server_of(engine) as url:
        variables = dict(os.environ) | {"TEST_QUEUE_URL": url}
        return subprocess.run([sys.executable, "-m", *command], env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
