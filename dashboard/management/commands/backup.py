"""`manage.py backup FOLDER`: a sealed copy of the database, while people work. Its one rule: it ends with 0 only when the file is good."""

import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.crypto import NoKey
from dashboard.services import archives, backups
from dashboard.wording import plural


class Command(BaseCommand):
    help = "Copy the database into a new sealed file of a folder; the queue is not part of it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, help="where backups are kept; it must exist")
        parser.add_argument("--keep", type=int, default=0, metavar="N", help="delete all but the newest N afterwards")
        parser.add_argument(
            "--verify", action="store_true", help="restore it into a database of its own and check that"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["keep"] < 0:
            raise CommandError("--keep must be a whole number from 1.")
        began = time.monotonic()
        try:
            made = backups.take_backup(options["folder"])
            size = made.path.stat().st_size / 1e6
            self.stdout.write(
                f"{made.path}: {plural(made.rows, 'row')}, {size:,.1f} MB, {time.monotonic() - began:.1f} s."
            )
            if options["verify"]:
                backups.check_backup(made.path)
                self.stdout.write(f"Verified by restoring it beside: {time.monotonic() - began:.1f} s in all.")
        except (archives.BackupFailed, NoKey) as error:
            raise CommandError(str(error)) from error
        if options["keep"]:
            gone = archives.prune(made.path, options["keep"])
            self.stdout.write(f"{plural(len(gone), 'older backup')} deleted.")
        if ahead := archives.later_than(made.path):
            self.stderr.write(
                f"{plural(len(ahead), 'backup')} with a later name than this one: was the clock ahead? Look, and delete them by hand."
            )
