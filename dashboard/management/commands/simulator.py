"""Runs a local Docusign: sign-in, the Maestro API and its control calls. Rule: it needs no database and no settings."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from maestro_api.simulator import Simulator, SimulatorServer


class Command(BaseCommand):
    help = "Run a local Docusign simulator on the loopback address."
    requires_system_checks: list[str] = []
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=9000, help="where to listen on 127.0.0.1; 0 picks a free port")
        parser.add_argument("--workflows", type=int, default=12, help="workflows in the main account")
        parser.add_argument("--instances", type=int, default=400, help="instances in the main account")
        parser.add_argument(
            "--people", nargs="*", default=[], help="names, or comma lists of them; NAME:LEVEL invents one"
        )
        parser.add_argument("--profile", choices=("seed2025", "spec107", "wb100"), default="spec107")
        parser.add_argument("--no-account-list", action="store_true", help="answer 404 to the account-level list")
        parser.add_argument("--latency-ms", type=float, default=0, help="time every API answer takes")
        parser.add_argument("--seed", type=int, default=1, help="another number gives other identifiers and data")

    def handle(self, *args: Any, **options: Any) -> None:
        done = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: done.set())
        try:
            server = SimulatorServer(_simulator(options), port=options["port"]).start()
        except (OSError, ValueError) as error:
            raise CommandError(f"The simulator cannot start: {error}") from error
        self.stdout.write(f"Simulator ready: {server.url}")
        self.stdout.flush()
        done.wait()
        server.stop()


def _simulator(options: dict[str, Any]) -> Simulator:
    return Simulator(
        people=[name for name in ",".join(options["people"]).split(",") if name.strip()] or None,
        profile=options["profile"],
        seed=options["seed"],
        workflows=options["workflows"],
        instances=options["instances"],
        account_list=not options["no_account_list"],
        latency_ms=options["latency_ms"],
    )
