"""`manage.py work`: the worker. Its one rule: SIGTERM lets the call in flight finish and claims nothing new (U-10)."""

import threading
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections
from django.utils import timezone
from django_tasks import task_backends

from dashboard.facts import set_facts
from dashboard.queue import QueueBackend
from dashboard.services import batch_runs, schedules
from dashboard.services.timings import HEARTBEAT_SECONDS

MOST_ROUNDS = 50


class Command(BaseCommand):
    help = "Run the worker: queue, schedules, sync, sweeper. --once drains what is due and ends."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="do what is due, then end")
        parser.add_argument("--threads", type=int, default=3, help="jobs at the same time (3)")

    def handle(self, *args: Any, **options: Any) -> None:
        backend = task_backends["default"]
        if not isinstance(backend, QueueBackend):
            raise CommandError("The worker needs a queue of dashboard.queue, such as HueyBackend (setting TASKS).")
        if options["once"]:
            self._drain(backend)
        else:
            self._serve(backend, options["threads"])

    def _drain(self, backend: QueueBackend) -> None:
        """Schedules and queue in turn, until neither finds anything; work for later stays for later."""
        for _ in range(MOST_ROUNDS):
            schedules.run_due(everything=True)
            if not backend.drain():
                return

    def _serve(self, backend: QueueBackend, threads: int) -> None:
        stopped = threading.Event()
        regular = threading.Thread(target=self._keep_time, args=(stopped,), name="schedules")

        def began(ending: threading.Event) -> None:
            batch_runs.end_with(ending)
            regular.start()
            self.stdout.write("Worker ready")
            self.stdout.flush()

        try:
            backend.serve(threads, began)
        finally:
            stopped.set()
            if regular.ident is not None:
                regular.join()
            schedules.say_goodbye()

    def _keep_time(self, stopped: threading.Event) -> None:
        started_at, next_beat = timezone.now(), time.monotonic()
        while not stopped.is_set():
            try:
                set_facts(None)  # each turn, and the jobs that it queues, under an id of their own
                close_old_connections()
                if (now := time.monotonic()) >= next_beat:
                    schedules.beat(started_at)
                    next_beat = now + HEARTBEAT_SECONDS
                schedules.run_due()
            except DatabaseError as error:  # a busy database must not end the schedules; the next turn tries again
                self.stderr.write(f"A schedule failed: {type(error).__name__}")
            stopped.wait(1.0)
