"""The whole audit as a file that proves itself: entries with their links and signatures, checked later without the database (A-6).

The one rule: what is written is exactly what was signed, so whoever holds the secret finds every change, gap and cut end in it.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from dashboard.models import AuditCheckpoint, AuditEntry, AuditHead
from dashboard.services import audit
from dashboard.services.workbooks import csv_head, csv_lines

FORM = "maestro-console audit 1"
COLUMNS = [field.name for field in AuditEntry._meta.concrete_fields]
AT_ONCE = 1000
PURGED = "Entries were purged while they were written. Begin anew."


class BrokenExport(Exception):
    """A file of an export that does not prove itself; what is wrong, in a sentence."""


def begin() -> AuditHead:
    """Note that the audit leaves, which is the last entry that does."""
    with transaction.atomic():
        audit.record("audit.exported", actor=None, account=None)
        return AuditHead.objects.get(pk=1)


def json_chunks(head: AuditHead) -> Iterator[bytes]:
    """One JSON object a line: what the chain begins and ends with, then every entry."""
    begun = AuditCheckpoint.objects.order_by("-seq").first()
    yield _line(
        {
            "form": FORM,
            "made_at": timezone.now().isoformat(),
            "begins_after": begun.seq if begun else 0,
            "begins_with": begun.hash if begun else "",
            "ends_at": head.seq,
            "ends_with": head.hash,
        }
    )
    for entry in _entries(begun.seq if begun else 0, head.seq):
        yield _line({name: _plain(getattr(entry, name)) for name in COLUMNS})


def csv_chunks(head: AuditHead) -> Iterator[bytes]:
    """The same as a table. Cells that a spreadsheet might take for a formula are guarded, so only the links can be compared."""
    begun = AuditCheckpoint.objects.order_by("-seq").first()
    yield csv_head(COLUMNS)
    for entry in _entries(begun.seq if begun else 0, head.seq):
        yield csv_lines([[_cell(getattr(entry, name)) for name in COLUMNS]])


def check(lines: Iterable[str]) -> int:
    """How many entries an export in JSON holds. Raises BrokenExport at the first that is not as it was written."""
    rows = (json.loads(line) for line in lines)
    try:
        first: dict[str, Any] = next(rows, {})
        if first.get("form") != FORM:
            raise BrokenExport("This is no export of an audit in JSON.")
        begun, previous = first["begins_after"], first["begins_with"]
        expected = begun
        for row in rows:
            expected += 1
            if row["seq"] != expected:
                raise BrokenExport(f"Entry {expected} is missing.")
            if row["prev_hash"] != previous or not audit.is_whole(row):
                raise BrokenExport(f"Entry {expected} was changed, or the secret is another one.")
            previous = row["hash"]
        if (expected, previous) != (first["ends_at"], first["ends_with"]):
            raise BrokenExport(f"Entries after {expected} are missing.")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenExport("A line cannot be read.") from error
    return int(expected - begun)


def _entries(begun: int, last: int) -> Iterator[AuditEntry]:
    expected = begun
    while expected < last:
        rows = list(AuditEntry.objects.filter(seq__gt=expected, seq__lte=last).order_by("seq")[:AT_ONCE])
        if not rows or rows[0].seq != expected + 1:
            raise BrokenExport(PURGED)
        yield from rows
        expected = rows[-1].seq


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row, sort_keys=True).encode() + b"\n"


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _cell(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""
    return "" if value is None else str(_plain(value))
