"""`manage.py sync`: one full sync of every connected account. Its one rule: each person's own token reads what is theirs."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.models import Membership
from dashboard.services.due import connected
from dashboard.services.sync import sync_membership

WIDTH = 30


class Command(BaseCommand):
    help = "Read every connected account once, with a progress bar on a terminal."

    def handle(self, *args: Any, **options: Any) -> None:
        people = list(connected())
        failed: list[Membership] = []
        for number, membership in enumerate(people, start=1):
            if not sync_membership(membership):
                failed.append(membership)
            self._show(number, len(people), membership)
        for membership in failed:
            membership.refresh_from_db()
            self.stderr.write(f"{membership}: {membership.sync_error or 'another worker is reading it'}")
        if failed:
            raise CommandError(f"{len(failed)} of {len(people)} could not be read.")
        self.stdout.write(f"Read {len(people)} of {len(people)}.")

    def _show(self, number: int, total: int, membership: Membership) -> None:
        if self.stdout.isatty():
            done = "#" * (WIDTH * number // total)
            self.stdout.write(
                f"\r[{done:<{WIDTH}}] {number}/{total} {membership.account}", ending="\n" * (number == total)
            )
            self.stdout.flush()
