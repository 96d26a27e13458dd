"""The list of instances as a file, CSV or XLSX: every page of exactly what is on the screen, a batch at a time.

The one rule: each batch is asked for again through the person's present rights, and how many rows left the console is in the audit.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from django.db import transaction
from django.utils import timezone

from dashboard.models import Instance, Membership
from dashboard.services import audit
from dashboard.services.cells import CELLS, READ, instant
from dashboard.services.errors import NotAllowed
from dashboard.services.instance_lists import Search, iter_instances
from dashboard.services.visibility import sees_anything
from dashboard.services.workbooks import csv_head, csv_lines, write_book

BATCH = 2000
CHUNK_BYTES = 64 * 1024
ENDED = "The export ended, because you are signed out or Docusign shows you nothing any more."
Column = tuple[str, str]


class BrokenOff(NotAllowed):
    """The person may see nothing any more, so the file ends here: as a failed download, never as a short file."""


@dataclass(frozen=True, slots=True)
class Export:
    """What is to be written: whose rows, which, in which columns (key, heading), and whether the person is still signed in."""

    membership: Membership
    search: Search
    columns: tuple[Column, ...]
    kind: str = "csv"
    is_signed_in: Callable[[], bool] = lambda: True

    def filename(self) -> str:
        """With date and time in UTC, in letters that every system takes."""
        return f"instances-{timezone.now():%Y-%m-%d-%H%M}.{self.kind}"


def begin(export: Export) -> None:
    """Note that the export was asked for, before the first row leaves."""
    with transaction.atomic():
        _record(export, "instances.export_asked", audit.Result.INTENT)


def csv_chunks(export: Export) -> Iterator[bytes]:
    """The file in pieces: UTF-8 with its mark, CRLF, every cell quoted and none of them a formula (S-14)."""
    rows, is_whole = 0, False
    cells = [CELLS[key] for key, _ in export.columns]
    try:
        yield csv_head([heading for _, heading in export.columns])
        for batch in _batches(export):
            yield csv_lines([cell(row) for cell in cells] for row in batch)
            rows += len(batch)
        is_whole = True
    finally:
        _end(export, rows, is_whole)


def xlsx_chunks(export: Export) -> Iterator[bytes]:
    """The file in pieces. It is written whole before the first piece, to a file that has no name and goes with the download."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the download
    try:
        rows = _write_sheet(export, file)
    except BaseException:
        file.close()
        _end(export, 0, False)
        raise
    return _handed_over(export, file, rows)


def _handed_over(export: Export, file: BinaryIO, rows: int) -> Iterator[bytes]:
    is_whole = False
    try:
        file.seek(0)
        mine = Membership.objects.get(pk=export.membership.pk)
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
            _go_on(export, mine)
        is_whole = True
    finally:
        file.close()
        _end(export, rows, is_whole)


def _write_sheet(export: Export, file: BinaryIO) -> int:
    """All rows as texts; how many there were."""
    cells = [CELLS[key] for key, _ in export.columns]
    rows = ([[cell(row) for cell in cells] for row in batch] for batch in _batches(export))
    return write_book(file, "Instances", [heading for _, heading in export.columns], rows)


def _batches(export: Export) -> Iterator[list[Instance]]:
    """The rows in the order of the search, each batch asked for under the rights of its moment (V-6)."""
    mine = Membership.objects.get(pk=export.membership.pk)
    read = [column for key, _ in export.columns for column in READ.get(key, ())]
    for batch in iter_instances(mine, export.search, BATCH, read=read):
        yield batch
        _go_on(export, mine)


def _go_on(export: Export, mine: Membership) -> None:
    """Read the person's rights anew. Raises BrokenOff where nothing of them is left."""
    mine.refresh_from_db()  # what `iter_instances` asks by next
    if not export.is_signed_in() or not sees_anything(mine):
        raise BrokenOff(ENDED, action="instance.export")


def _end(export: Export, rows: int, is_whole: bool) -> None:
    action, result = (
        ("instances.exported", audit.Result.OK) if is_whole else ("instances.export_broken_off", audit.Result.FAILED)
    )
    with transaction.atomic():
        _record(export, action, result, rows=rows)


def _record(export: Export, action: str, result: audit.Result, **figures: int) -> None:
    mine = export.membership
    detail = {
        "format": export.kind,
        "columns": [key for key, _ in export.columns],
        "filters": told(export.search),
        **figures,
    }
    audit.record(action, actor=mine.user, account=mine.account, subject=mine.account, result=result, detail=detail)


def told(search: Search) -> dict[str, Any]:
    """The filters for the audit: ids, states and times; of a name or a key input only that there was one (A-5)."""
    said = {
        "state": search.state,
        "sort": search.sort,
        "name": "part of a name" if search.name else "",
        "workflows": [str(pk) for pk in search.workflows],
        "started_by": search.started_by,
        "started_from": instant(search.started_from),
        "started_until": instant(search.started_until),
        "changed_from": instant(search.changed_from),
        "changed_until": instant(search.changed_until),
        "expires_within_days": search.expires_within.days if search.expires_within else None,
        "steps_done": search.steps_done,
        "key_input": search.key[0] if search.key else "",
        "origin": search.origin,
    }
    return {name: value for name, value in said.items() if value not in ("", None, [])}
