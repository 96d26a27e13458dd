"""`manage.py restore FILE`: replace the database by a backup. Its one rule: what is restored sends nothing until a person goes on."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.services import archives, backups


class Command(BaseCommand):
    help = "Replace the database by a backup. The console and the worker must be stopped."
    requires_system_checks: list[str] = []  # the database that there is may be broken

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="a file that `backup` made")
        parser.add_argument("--force", action="store_true", help="put a database that is not empty aside")
        parser.add_argument("--audit-broken", action="store_true", help="restore it even where its audit does not hold")
        parser.add_argument("--check", action="store_true", help="only prove the file, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        began = time.monotonic()
        try:
            if options["check"]:
                manifest = backups.check_backup(options["file"])
                self.stdout.write(f"The backup of {manifest['made_at']} is whole ({time.monotonic() - began:.1f} s).")
                return
            done = backups.restore(
                options["file"], is_forced=options["force"], takes_broken_audit=options["audit_broken"]
            )
        except archives.BackupFailed as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"Restored: the database as of {done.manifest['made_at']} ({time.monotonic() - began:.1f} s)."
        )
        if done.audit_problem:
            self.stderr.write(f"{done.audit_problem} verify_audit goes on saying so.")
        for line in done.found.told():
            self.stdout.write(line)
        if done.kept:
            self.stdout.write(f"The database before is kept as {done.kept}; delete it when it is not needed any more.")
        self.stdout.write("Start the worker and the console. Bulk runs are paused until somebody goes on with them.")
