"""The engine behind the Tasks API: Huey on the store that QUEUE_URL names.

The one rule: a queue entry carries a task's name, ids and the request's id, signed; everything that must not be lost is a row of
ours, so a lost entry costs time and nothing else.
"""

import logging
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
        return Huey("console", storage_class=PriorityRedisStorage, url=url, **common)
    if scheme in ("postgres", "postgresql"):
        return Huey("console", storage_class=PostgresStorage, dsn=url, **common)
    raise ImproperlyConfigured(f"QUEUE_URL: {scheme or 'nothing'} is no queue that this version knows.")


class HueyBackend(BaseTaskBackend):
    """Queues tasks in Huey, and runs what Huey hands out."""

    supports_priority = True

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self.huey = huey_for(self.options["url"])
        self._run = self.huey.task(name="run")(run_task)

    def enqueue(self, task: Task[Any, Any], args: Any, kwargs: Any) -> TaskResult[Any]:
        """Queue one call. The result object only says that it was queued."""
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
        message = self._run.s(
            task.module_path, list(result.args), result.kwargs, current_facts().request_id, priority=task.priority
        )
        self.huey.enqueue(message)
        return result

    def drain(self) -> int:
        """Run everything that is queued now, in this thread; how many tasks that were."""
        number = 0
        while (message := self.huey.dequeue()) is not None:
            self.huey.execute(message)
            number += 1
        return number


def run_task(path: str, args: list[Any], kwargs: dict[str, Any], request_id: str) -> None:
    """Run one queued call under the id of the request that asked for it."""
    task = import_string(path)
    set_facts(RequestFacts(request_id=request_id))
    _renew_connections()
    try:
        task.call(*args, **kwargs)
    except Exception:  # one broken job must not end the worker; what it worked on is swept and tried again
        log.exception("A job failed", extra={"job": path})
    finally:
        set_facts(None)
        _renew_connections()


def _renew_connections() -> None:
    """Drop a database connection that has died; never inside a transaction, where a test would lose its rows."""
    if not connection.in_atomic_block:
        close_old_connections()
