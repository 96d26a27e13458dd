"""`manage.py verify_audit`: walk the audit chain. Its one rule: it changes nothing, and ends with 1 at the first bad entry."""

import sys
from typing import Any

from django.core.management.base import BaseCommand

from dashboard.services.audit import verify_chain


class Command(BaseCommand):
    help = "Check the audit chain; exit 1 and name the first bad entry."

    def handle(self, *args: Any, **options: Any) -> None:
        report = verify_chain()
        if report.is_ok:
            self.stdout.write(f"The audit chain holds: {report.count} {'entry' if report.count == 1 else 'entries'}.")
            return
        self.stderr.write(f"The audit chain is broken at entry {report.first_bad_seq}: {report.problem}")
        sys.exit(1)
