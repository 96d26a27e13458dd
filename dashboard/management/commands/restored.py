"""`manage.py restored`: say that the database is an older copy. Its one rule: it runs before the worker and the console start."""

from typing import Any

from django.core.management.base import BaseCommand

from dashboard.services import restores


class Command(BaseCommand):
    help = (
        "After restoring a backup by hand: hold every bulk run, and look up at Docusign what may have been sent since."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        for line in restores.declare_console({"backup": "restored by hand"}).told():
            self.stdout.write(line)
