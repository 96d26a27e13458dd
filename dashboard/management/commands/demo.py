"""Start the whole console against a simulated Docusign. Its one rule: no account, key or variable is needed."""

import signal
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashboard.services.demo import ENDING_SIGNALS, Demo, DemoFailed, ignore_signals
from maestro_api.simulator import ADA_ADMIN, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID


class Command(BaseCommand):
    help = "Starts a seeded simulator, the worker and the console; prints the address once all of them answer."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="Port of the console.")
        parser.add_argument("--simulator-port", type=int, default=9000, help="Port of the simulated Docusign.")
        parser.add_argument("--workflows", type=int, default=12)
        parser.add_argument("--instances", type=int, default=400)
        parser.add_argument("--profile", default="spec107", choices=("seed2025", "spec107", "wb100"))
        parser.add_argument("--latency-ms", type=int, default=0, help="How long the simulator takes for each answer.")
        parser.add_argument(
            "--no-account-list", action="store_true", help="Without the account-level list of instances."
        )
        parser.add_argument("--home", default=str(settings.BASE_DIR / ".demo"), help="Folder of the demo's databases.")

    def handle(self, *args: Any, **options: Any) -> None:
        simulator_args = [f"--{name}={options[name]}" for name in ("workflows", "instances", "profile")]
        simulator_args.append(f"--latency-ms={options['latency_ms']}")
        if options["no_account_list"]:
            simulator_args.append("--no-account-list")
        demo = Demo(
            base=settings.BASE_DIR,
            home=settings.BASE_DIR / options["home"],
            port=options["port"],
            simulator_port=options["simulator_port"],
            admin=ADA_ADMIN,
            accounts=[MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID],
            simulator_args=simulator_args,
            say=self._say,
        )
        for number in ENDING_SIGNALS:
            signal.signal(number, _interrupt)
        try:
            demo.run(demo.environment(client_id=DEMO_CLIENT_ID, client_secret=DEMO_CLIENT_SECRET))
        except DemoFailed as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self._say("Demo ended.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _interrupt(number: int, frame: FrameType | None) -> None:
    ignore_signals()
    raise KeyboardInterrupt
