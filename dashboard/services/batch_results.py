"""What became of every item of a bulk run, as a file, CSV or XLSX; never what was sent.

The one rule: each batch of rows is asked for under the person's rights of its moment, and how many rows left is in the audit (V-6).
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from django.db import transaction
from django.utils import timezone

from dashboard.models import Batch, BatchItem, ItemState, Membership
from dashboard.services import audit
from dashboard.services.batch_lists import HIDDEN, is_named
from dashboard.services.cells import instant
from dashboard.services.exports import CHUNK_BYTES, BrokenOff
from dashboard.services.visibility import visible_batches, visible_instances
from dashboard.services.workbooks import csv_head, csv_lines, write_book

BATCH = 2000
HEADINGS = (
    "Row", "Instance name", "Workflow", "Outcome", "Instance ID", "Message", "Attempts", "Sent at", "Settled at",
)  # fmt: skip
ENDED = "The file ended, because you are signed out or may not see this bulk run any more."


@dataclass(frozen=True, slots=True)
class Results:
    """Whose file of which run, and whether the person is still signed in."""

    membership: Membership
    batch: Batch
    kind: str = "csv"
    is_signed_in: Callable[[], bool] = lambda: True

    def filename(self) -> str:
        """With date and time in UTC, in letters that every system takes."""
        return f"bulk-run-{timezone.now():%Y-%m-%d-%H%M}.{self.kind}"


def begin(results: Results) -> None:
    """Note that the file was asked for, before the first row leaves."""
    with transaction.atomic():
        _record(results, "batch.results_asked", audit.Result.INTENT)


def csv_chunks(results: Results) -> Iterator[bytes]:
    """The file in pieces."""
    rows, is_whole = 0, False
    try:
        yield csv_head(HEADINGS)
        for batch in _batches(results):
            yield csv_lines(batch)
            rows += len(batch)
        is_whole = True
    finally:
        _end(results, rows, is_whole)


def xlsx_chunks(results: Results) -> Iterator[bytes]:
    """The file in pieces. It is written whole before the first piece, to a file that has no name and goes with the download."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # it lives as long as the download
    try:
        rows = write_book(file, "Results", HEADINGS, _batches(results))
    except BaseException:
        file.close()
        _end(results, 0, False)
        raise
    return _handed_over(results, file, rows)


def _handed_over(results: Results, file: BinaryIO, rows: int) -> Iterator[bytes]:
    is_whole = False
    try:
        file.seek(0)
        while chunk := file.read(CHUNK_BYTES):
            _present(results)
            yield chunk
        is_whole = True
    finally:
        file.close()
        _end(results, rows, is_whole)


def _batches(results: Results) -> Iterator[list[list[str]]]:
    """The rows in the order of the list."""
    position = 0
    while True:
        mine = _present(results)
        items = results.batch.items.filter(position__gt=position).select_related("workflow", "operation")
        found = list(items.order_by("position")[:BATCH])
        if not found:
            return
        ids = [item.instance_id for item in found if item.instance_id]
        seen = set(visible_instances(mine, ids=ids).values_list("pk", flat=True))
        batch, is_own = results.batch, results.batch.actor_id == mine.user_id
        yield [
            _row(batch, item, is_named(batch, item, seen), item.instance_id in seen, is_own=is_own) for item in found
        ]
        position = found[-1].position


def _present(results: Results) -> Membership:
    """The person's rights as they are now. Raises BrokenOff where nothing of them is left."""
    mine = Membership.objects.select_related("user", "account").get(pk=results.membership.pk)
    if not results.is_signed_in() or not visible_batches(mine).filter(pk=results.batch.pk).exists():
        raise BrokenOff(ENDED, action="batch.view")
    return mine


def _row(batch: Batch, item: BatchItem, has_name: bool, has_instance: bool, *, is_own: bool) -> list[str]:
    operation = item.operation
    return [
        str(item.row_number or item.position),
        item.label if has_name else HIDDEN,
        item.workflow.name,
        item.look.label,
        str(item.instance_id) if has_instance else "",
        told(item, is_own=is_own),
        str(item.attempt if operation else item.attempt - 1),
        instant(operation.sent_at if operation else None),
        instant(item.settled_at),
    ]


def told(item: BatchItem, *, is_own: bool) -> str:
    """What is known of it, in a sentence; of a row with errors all that is wrong with it, for the person who brought its values (V-4)."""
    if is_own and item.state == ItemState.INVALID and item.problems:
        return " · ".join(": ".join(filter(None, map(str, problem))) for problem in item.problems)
    return item.message


def _end(results: Results, rows: int, is_whole: bool) -> None:
    action, result = (
        ("batch.results_exported", audit.Result.OK) if is_whole else ("batch.results_broken_off", audit.Result.FAILED)
    )
    with transaction.atomic():
        _record(results, action, result, rows=rows)


def _record(results: Results, action: str, result: audit.Result, **figures: int) -> None:
    mine, batch = results.membership, results.batch
    detail = {"format": results.kind, **figures}
    audit.record(action, actor=mine.user, account=mine.account, subject=batch, result=result, detail=detail)
