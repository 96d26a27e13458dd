"""`manage.py setup_code`: a new setup code. Its one rule: it prints one only while no account is served."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.services import setup


class Command(BaseCommand):
    help = "Print a new setup code, with which the first person claims the Docusign account of this console."

    def handle(self, *args: Any, **options: Any) -> None:
        code = setup.offer_code(again=True)
        if code is None:
            raise CommandError("This console serves an account already, so there is nothing to claim.")
        self.stdout.write(setup.announcement(code))
