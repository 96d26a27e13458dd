"""`manage.py sync`: one full reading of every connected account. Its one rule: it shares the claim of the worker, so none reads twice."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.models import Account, AccountSync
from dashboard.services import due, passes
from dashboard.services.budget import Lane
from dashboard.services.passes import Outcome

WIDTH = 30


class Command(BaseCommand):
    help = "Read every connected account once and whole, with a progress bar on a terminal."

    def handle(self, *args: Any, **options: Any) -> None:
        accounts = due.readable_accounts()
        reasons = [reason for account in accounts if (reason := self._read(account))]
        for reason in reasons:
            self.stderr.write(reason)
        if reasons:
            raise CommandError(f"{len(reasons)} of {len(accounts)} accounts could not be read.", returncode=1)
        self.stdout.write(f"Read {len(accounts)} of {len(accounts)} accounts.")

    def _read(self, account: Account) -> str:
        """Why it could not be read whole; empty when it could."""
        outcome = passes.read_account(
            account, lane=Lane.PEOPLE, wants_full=True, heard=lambda row: self._show(account, row)
        )
        if self.stdout.isatty():
            self.stdout.write("")
        if outcome is Outcome.WHOLE:
            return ""
        row = AccountSync.objects.get(account=account)
        if outcome is Outcome.WAITS and row.not_before:
            return f"{account}: the calls of this hour are used; it goes on after {row.not_before:%H:%M:%S} UTC."
        return f"{account}: {row.error if outcome is Outcome.FAILED else outcome.value}"

    def _show(self, account: Account, row: AccountSync) -> None:
        if self.stdout.isatty():
            self.stdout.write(bar(account, row), ending="")
            self.stdout.flush()


def bar(account: Account, row: AccountSync) -> str:
    """How far a reading is. What Docusign announces is about right, so more than all is all."""
    share = min(row.rows / row.expected, 1.0) if row.expected else 0.0
    done = "#" * int(WIDTH * share)
    told = f"{row.rows:,} of about {row.expected:,}" if row.expected else f"{row.rows:,} rows"
    return f"\r[{done:<{WIDTH}}] {told}, {row.pages:,} pages · {account}"
