"""`manage.py verify_audit`: walk the audit chain. Its one rule: it changes nothing, and ends with 1 at the first bad entry."""

import sys
from argparse import ArgumentParser
from datetime import UTC
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from dashboard.services.audit import ChainReport, OutsideHead, verify_chain
from dashboard.services.audit_anchors import is_file_missing, read_heads
from dashboard.wording import plural


class Command(BaseCommand):
    help = "Check the audit chain; exit 1 and name the first bad entry."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--heads",
            dest="files",
            action="append",
            type=Path,
            metavar="FILE",
            help="a file of heads, or a log of the worker (AUDIT_ANCHOR_FILE if set); may be given again",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        report = verify_chain(self._heads(options["files"]))
        if not report.is_ok:
            self.stderr.write(f"The audit chain is broken at entry {report.first_bad_seq}: {report.problem}")
            for line in _excused(report):
                self.stderr.write(line)
            sys.exit(1)
        for line in _told(report):
            self.stdout.write(line)

    def _heads(self, files: list[Path] | None) -> list[OutsideHead]:
        if files is None:
            own = Path(settings.AUDIT_ANCHOR_FILE)
            if is_file_missing():
                raise CommandError(
                    f"{own} (AUDIT_ANCHOR_FILE) is not there. The worker writes it each hour; --heads names a copy."
                )
            files = [own] if settings.AUDIT_ANCHOR_FILE and own.exists() else []
        found: list[OutsideHead] = []
        for path in files:
            try:
                with path.open(encoding="utf-8", errors="replace") as lines:
                    heads = read_heads(lines)
            except OSError as error:
                raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
            if not heads:
                raise CommandError(f"{path} holds no head of an audit chain.")
            found += heads
        return found


def _told(report: ChainReport) -> list[str]:
    lines = [f"The audit chain holds: {report.count} {'entry' if report.count == 1 else 'entries'}."]
    if report.begins_after:
        lines.append(
            f"It begins after entry {report.begins_after}; those before were purged, with a signed checkpoint."
        )
    if report.matched:
        lines.append(f"It agrees with {plural(report.matched, 'head')} from outside.")
    return [*lines, *_excused(report)]


def _excused(report: ChainReport) -> list[str]:
    """What is missing because of restores, and which: whoever reads it knows whether there was one."""
    if not report.restored_away:
        return []
    lines = [f"{plural(report.restored_away, 'head')} from outside belong to entries that a restore took away:"]
    for entry, number in report.excuses:
        backup = entry.detail.get("backup") or "a backup that nobody named"
        when = f"{entry.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        lines.append(f"  entry {entry.seq}, {when}: {backup} was restored; {plural(number, 'head')}.")
    return lines
