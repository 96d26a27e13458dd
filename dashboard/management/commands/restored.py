"""`manage.py restored`: say that the database is an older copy. Its one rule: it runs before the worker and the console start."""

from typing import Any

from django.core.management.base import BaseCommand

from dashboard.models import Account
from dashboard.services import restores
from dashboard.wording import plural


class Command(BaseCommand):
    help = "After restoring a backup: hold every bulk run, and look up at Docusign what may have been sent since."

    def handle(self, *args: Any, **options: Any) -> None:
        for account in Account.objects.order_by("pk"):
            found = restores.declare(account)
            held, doubted = plural(found["batches"], "bulk run"), plural(found["operations"], "deed")
            self.stdout.write(f"{account}: {held} held, {doubted} in doubt.")
