"""`manage.py work`: the worker. Its one rule: SIGTERM lets the call in flight finish and claims nothing new (U-10)."""

import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, close_old_connections
from django.utils import timezone
from django_tasks import task_backends

from dashboard.queue import HueyBackend
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
        if not isinstance(backend, HueyBackend):
            raise CommandError("The worker needs the queue of dashboard.queue.HueyBackend (setting TASKS).")
        if options["once"]:
            self._drain(backend)
        else:
            self._serve(backend, options["threads"])

    def _drain(self, backend: HueyBackend) -> None:
        """Schedules and queue in turn, until neither finds anything; work for later stays for later."""
        for _ in range(MOST_ROUNDS):
            schedules.run_due(everything=True)
            if not backend.drain():
                return

    def _serve(self, backend: HueyBackend, threads: int) -> None:
        consumer = backend.huey.create_consumer(
            workers=threads,
            periodic=False,
            initial_delay=0.1,
            max_delay=1.0,
            check_worker_health=True,
            graceful_signal="TERM",
            shutdown_timeout=30,
        )
        batch_runs.end_with(consumer.stop_flag)
        stopped = threading.Event()
        regular = threading.Thread(target=self._keep_time, args=(stopped,), name="schedules")
        regular.start()
        self.stdout.write("Worker ready")
        self.stdout.flush()
        try:
            consumer.run()
        finally:
            stopped.set()
            regular.join()
            schedules.say_goodbye()

    def _keep_time(self, stopped: threading.Event) -> None:
        started_at, next_beat = timezone.now(), 0.0
        waited = 0.0
        while not stopped.is_set():
            try:
                close_old_connections()
                if waited >= next_beat:
                    schedules.beat(started_at)
                    next_beat = waited + HEARTBEAT_SECONDS
                schedules.run_due()
            except DatabaseError as error:  # a busy database must not end the schedules; the next turn tries again
                self.stderr.write(f"A schedule failed: {type(error).__name__}")
            stopped.wait(1.0)
            waited += 1.0
