"""`manage.py export_audit`: the audit as a file, and whether such a file is whole. Its one rule: it writes over no file."""

import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.services import audit_export
from dashboard.services.audit_export import BrokenExport
from dashboard.wording import plural


class Command(BaseCommand):
    help = "Write the whole audit to a new file, as JSON lines that prove themselves or as CSV; or check such a file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        kinds = parser.add_mutually_exclusive_group()
        kinds.add_argument("--csv", action="store_true", help="for a spreadsheet")
        kinds.add_argument(
            "--check", action="store_true", help="check a file of JSON lines, with the secret of its time"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        try:
            if options["check"]:
                with path.open(encoding="utf-8") as lines:
                    number = audit_export.check(lines)
                self.stdout.write(f"The file is whole: {plural(number, 'link')} of the chain.")
                return
            _write(path, is_csv=options["csv"])
        except BrokenExport as broken:
            raise CommandError(str(broken)) from broken
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path}: {getattr(error, 'strerror', '') or 'it cannot be read'}.") from error
        self.stdout.write(f"Written: {path}.")


def _write(path: Path, *, is_csv: bool) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        try:
            head = audit_export.begin()
            file.writelines(audit_export.csv_chunks(head) if is_csv else audit_export.json_chunks(head))
        except BaseException:
            path.unlink()  # half an audit is none
            raise
