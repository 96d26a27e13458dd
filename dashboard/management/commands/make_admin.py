"""`manage.py make_admin`: a way back in when the last admin has left. Its one rule: only somebody who signed in before."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashboard.services import team


class Command(BaseCommand):
    help = "Make a person admin of all their accounts in this console. The person must have signed in before."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user_id", help="the person's Docusign user id, as the connections page shows it")

    def handle(self, *args: Any, **options: Any) -> None:
        members = team.make_admin(sub=options["user_id"], environment=settings.DOCUSIGN_ENVIRONMENT)
        if not members:
            raise CommandError(
                "Nobody with this Docusign user id could be made an admin: unknown here, or one already."
            )
        for member in members:
            self.stdout.write(f"{member.user} is now admin of {member.account}.")
