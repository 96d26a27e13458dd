"""The engines behind the Tasks API: what they have in common, and Huey on the store that QUEUE_URL names.

The one rule: a queue entry carries a task's name, ids and the request's id, signed; everything that must not be lost is a row of
ours, so a lost entry, or a queue that cannot be reached, costs time and nothing else.
"""

import logging
import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import close_old_connections, connection
from django.utils import timezone
from django.utils.module_loading import import_string
from django_tasks.backends.base import BaseTaskBackend
from django_tasks.base import Task, TaskResult, TaskResultStatus
from django_tasks.utils import get_random_id
from huey import Huey
from huey.serializer import SignedSerializer
from huey.storage import MemoryStorage, PostgresStorage, PriorityRedisStorage, SqliteStorage

from dashboard.facts import RequestFacts, current_facts, set_facts

log = logging.getLogger(__name__)
SALT = "maestro console queue"
CONNECT_SECONDS = 2
TABLES_LOCK = 72_366_821  # any number that nothing else on that database uses


class OrderlyPostgresStorage(PostgresStorage):  # type: ignore[misc]  # huey has no types
    """Processes that start at once make its tables one after the other: `if not exists` alone lets one of two fail."""

    def initialize_schema(self) -> None:
        self.ddl.insert(0, f"select pg_advisory_xact_lock({TABLES_LOCK})")
        super().initialize_schema()


def huey_for(url: str) -> Huey:
    """The Huey on a store: `sqlite:///file`, `redis://`, `postgres://`, or `memory://` inside one process."""
    scheme = urlsplit(url).scheme
    # Nobody asks for results, and a record of each task would stay for ever.
    common: dict[str, Any] = {"results": False, "serializer": SignedSerializer(settings.SECRET_KEY, SALT)}
    if scheme == "sqlite":
        return Huey(
            "console", storage_class=SqliteStorage, filename=url.removeprefix("sqlite:///"), timeout=20, **common
        )
    if scheme == "memory":
        return Huey("console", storage_class=MemoryStorage, **common)
    if scheme in ("redis", "rediss"):
        return Huey("console", storage_class=PriorityRedisStorage, url=_with_limits(url), **common)
    if scheme in ("postgres", "postgresql"):
        return Huey("console", storage_class=OrderlyPostgresStorage, dsn=url, connect_timeout=CONNECT_SECONDS, **common)
    raise ImproperlyConfigured(f"QUEUE_URL: {scheme or 'nothing'} is no queue that this version knows.")


def _with_limits(url: str) -> str:
    """A Redis that does not answer must not hold a page for longer than this."""
    limits = f"socket_connect_timeout={CONNECT_SECONDS}&socket_timeout=5"
    return f"{url}{'&' if urlsplit(url).query else '?'}{limits}"


class QueueBackend(BaseTaskBackend):
    """What every engine does alike: it takes a call, whether or not its store can be reached."""

    supports_priority = True

    def enqueue(self, task: Task[Any, Any], args: Any, kwargs: Any) -> TaskResult[Any]:
        """Queue one call. The result object says nothing about the call; that is in our rows."""
        self.validate_task(task)
        result: TaskResult[Any] = TaskResult(
            task=task,
            id=get_random_id(),
            status=TaskResultStatus.READY,
            enqueued_at=timezone.now(),
            started_at=None,
            last_attempted_at=None,
            finished_at=None,
            args=args,
            kwargs=kwargs,
            backend=self.alias,
            errors=[],
            worker_ids=[],
        )
        call = (task.module_path, list(result.args), result.kwargs, current_facts().request_id)
        for is_last in (False, True):  # the first try may meet a connection that died when the server was restarted
            try:
                self.hand_over(call, task.priority)
                break
            except Exception as error:  # noqa: BLE001  # each store has errors of its own; a schedule queues the row again
                if is_last:
                    extra = {"job": task.module_path, "error": type(error).__name__}
                    log.error("The queue cannot be reached", extra=extra)
        return result

    @abstractmethod
    def hand_over(self, call: tuple[str, list[Any], dict[str, Any], str], priority: int) -> None:
        """Hand the arguments of `run_task` to the engine, signed."""

    @abstractmethod
    def drain(self) -> int:
        """Run everything that is queued now, in this thread; how many tasks that were."""

    @abstractmethod
    def depth(self) -> int:
        """How many calls wait."""

    def close(self) -> None:
        """Let go of the store."""

    @abstractmethod
    def serve(self, threads: int, began: Callable[[threading.Event], None]) -> None:
        """Run what is queued until SIGTERM, and let the calls in flight finish. `began` gets the flag that is set by then."""


class HueyBackend(QueueBackend):
    """Queues tasks in Huey, and runs what Huey hands out."""

    @cached_property
    def huey(self) -> Huey:
        """Opened when it is first needed: a store that cannot be reached then must not end what a person does."""
        made = huey_for(self.options["url"])
        self._run = made.task(name="run")(run_task)
        return made

    def hand_over(self, call: tuple[str, list[Any], dict[str, Any], str], priority: int) -> None:
        huey = self.huey
        huey.enqueue(self._run.s(*call, priority=priority))

    def close(self) -> None:
        self.huey.storage.close()

    def drain(self) -> int:
        number = 0
        while (message := self.huey.dequeue()) is not None:
            self.huey.execute(message)
            number += 1
        return number

    def depth(self) -> int:
        return int(self.huey.storage.queue_size())

    def serve(self, threads: int, began: Callable[[threading.Event], None]) -> None:
        consumer = self.huey.create_consumer(
            workers=threads,
            periodic=False,
            initial_delay=0.1,
            max_delay=1.0,
            check_worker_health=True,
            graceful_signal="TERM",
            shutdown_timeout=30,
        )
        began(consumer.stop_flag)
        consumer.run()


def run_task(path: str, args: list[Any], kwargs: dict[str, Any], request_id: str) -> None:
    """Run one queued call under the id of the request that asked for it."""
    task = import_string(path)
    set_facts(RequestFacts(request_id=request_id))
    _renew_connections()
    began, name = time.monotonic(), path.rpartition(".")[2]
    try:
        task.call(*args, **kwargs)
        took = round((time.monotonic() - began) * 1000)
        log.info("job", extra={"job": name, "ids": " ".join(map(str, args)), "ms": took})
    except Exception:  # one broken job must not end the worker; what it worked on is swept and tried again
        log.exception("A job failed", extra={"job": path})
    finally:
        set_facts(None)
        _renew_connections()


def _renew_connections() -> None:
    """Drop a database connection that has died; never inside a transaction, where a test would lose its rows."""
    if not connection.in_atomic_block:
        close_old_connections()
