"""`manage.py create_hook`: give an account its address for events from the server, and print it.

Its one rule: it prints the address to the terminal only, and makes no second one.
"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.services import hook_setup
from dashboard.services.accounts import served_accounts


class Command(BaseCommand):
    help = "Create the address to which Docusign Connect sends an account's events, unless there is one, and print it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("account", help="the Docusign account id")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = options["account"].strip("{}").lower()
        account = next((each for each in served_accounts() if str(each.pk) == wanted), None)
        if account is None:
            raise CommandError("This console does not serve such an account, or nobody has signed in to it yet.")
        hook = hook_setup.create_hook(account, actor=None)
        if not hook_setup.key_facts(hook):
            self.stderr.write("There is no key yet; add one on the events page or in CONNECT_HMAC_KEYS.")
        self.stdout.write(hook_setup.address_of(hook))
