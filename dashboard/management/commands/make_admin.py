"""`manage.py make_admin`: name an account's admin beforehand, or after the last one has left.

Its one rule: a role opens nothing by itself; Docusign must name the account at the person's sign-in.
"""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashboard.services import team


class Command(BaseCommand):
    help = "Make a person admin: of all accounts they signed in to, or of those named, also before the first sign-in."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", help="the person's Docusign user id, as the connections page shows it")
        parser.add_argument("--account", action="append", default=[], help="a Docusign account id; may be repeated")

    def handle(self, *args: Any, **options: Any) -> None:
        for account_id in options["account"]:
            self._appoint(options["user_id"], account_id)
        if options["account"]:
            return
        members = team.make_admin(sub=options["user_id"], environment=settings.DOCUSIGN_ENVIRONMENT)
        if not members:
            raise CommandError(
                "Nobody with this Docusign user id could be made an admin: unknown here, or one already."
            )
        for member in members:
            self.stdout.write(f"{member.user} is now admin of {member.account}.")

    def _appoint(self, user_id: str, account_id: str) -> None:
        if account_id.lower() not in settings.CONSOLE_ACCOUNTS:
            raise CommandError("The account is not one of CONSOLE_ACCOUNTS, so this console does not serve it.")
        team.appoint_admin(sub=user_id, environment=settings.DOCUSIGN_ENVIRONMENT, account_id=account_id.lower())
        self.stdout.write(f"The person will be admin of {account_id} from their first sign-in on.")
