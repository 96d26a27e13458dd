"""`manage.py prepare_demo`: all that the demo needs before its console starts, in one process because each start of Python costs.

Its one rule: it is meant for the demo's own variables, and refuses any Docusign but the simulator.
"""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from dashboard import static_files


class Command(BaseCommand):
    help = "Prepare the demo's database and static files, appoint its admin, and print the address for events."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", help="the Docusign user id of the demo's admin")
        parser.add_argument("accounts", nargs="+", help="the Docusign accounts; events come for the first")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.DOCUSIGN_ENVIRONMENT != "simulator":
            raise CommandError("Only a demo is prepared this way: DOCUSIGN_ENVIRONMENT is not simulator.")
        call_command("migrate", verbosity=0)
        call_command("make_admin", options["user_id"], account=options["accounts"], stdout=self.stderr)
        static_files.collect()
        call_command("create_hook", options["accounts"][0], stdout=self.stdout)
