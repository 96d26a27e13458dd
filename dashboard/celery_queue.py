"""The Tasks API on Celery, for `QUEUE_URL=celery+redis://`; imported only where that is set.

The one rule: Celery carries signed calls and nothing else. It stores no results, keeps no schedules and retries nothing: all of that
is in our rows, so that each engine does the same.
"""

import threading
from collections.abc import Callable
from typing import Any

from celery import Celery, signals
from django.core import signing

from dashboard.queue import CONNECT_SECONDS, SALT, QueueBackend, run_task

NAME = "console"
# Redis keeps a list for each step; 0 is handed out first.
FIRST, LAST = 0, 9
PEOPLE = 50


def app_for(url: str) -> Celery:
    """The Celery application on a Redis; its own conveniences for Django stay off, as `run_task` does what is needed."""
    app = Celery(NAME, broker=url.removeprefix("celery+"), fixups=[], set_as_current=False)
    app.conf.update(
        task_default_queue=NAME,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "priority_steps": [FIRST, (FIRST + LAST) // 2, LAST],
            "queue_order_strategy": "priority",
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": 5,
            "max_retries": 0,
        },
    )
    return app


class CeleryBackend(QueueBackend):
    """Queues tasks in Celery, and runs what Celery hands out."""

    def __init__(self, alias: str, params: dict[str, Any]) -> None:
        super().__init__(alias, params)
        self.app = app_for(self.options["url"])
        self._run = self.app.task(name="run")(run_signed)

    def hand_over(self, call: tuple[str, list[Any], dict[str, Any], str], priority: int) -> None:
        step = LAST - round(min(max(priority, 0), PEOPLE) / PEOPLE * (LAST - FIRST))
        self._run.apply_async((signing.dumps(call, salt=SALT),), priority=step, retry=False)

    def drain(self) -> int:
        number = 0
        with self.app.connection_for_read() as broker:
            queue = self.app.amqp.queues[NAME](broker.default_channel)
            while (message := queue.get(no_ack=True)) is not None:
                [signed], *_ = message.payload
                run_signed(signed)
                number += 1
        return number

    def depth(self) -> int:
        with self.app.connection_for_read() as broker:
            return int(self.app.amqp.queues[NAME](broker.default_channel).queue_declare().message_count)

    def close(self) -> None:
        self.app.close()

    def serve(self, threads: int, began: Callable[[threading.Event], None]) -> None:
        ending = threading.Event()
        signals.worker_shutting_down.connect(lambda **_: ending.set(), weak=False)
        signals.setup_logging.connect(lambda **_: None, weak=False)  # the lines are written as settings.LOGGING says
        worker = self.app.Worker(
            pool="threads",
            concurrency=threads,
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        began(ending)
        worker.start()  # ends after SIGTERM, once the calls in flight are done


def run_signed(signed: str) -> None:
    """Run a call that one of our processes signed."""
    run_task(*signing.loads(signed, salt=SALT))
