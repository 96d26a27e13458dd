"""Rows with errors as a file to correct, and corrected rows among the others.

The one rule: a corrected row stands where its first version stood, found by its number; nothing else of the file moves.
"""

from django.conf import settings

from dashboard.models import Batch, BatchItem, ItemState
from dashboard.services.cells import GUARD, guarded
from dashboard.services.errors import Refused
from dashboard.services.input_values import quoted
from dashboard.services.sheet_tables import MAX_CELLS, Table
from dashboard.services.workbooks import csv_head, csv_lines

ROW_COLUMN = "Row"
PROBLEM_COLUMN = "What is wrong"


def corrections_csv(batch: Batch, table: Table) -> bytes:
    """The rows with errors as they were brought, with their numbers and what is wrong (S-14)."""
    place_of = {number: place for place, number in enumerate(table.numbers)}
    own = [name for name in (ROW_COLUMN, PROBLEM_COLUMN) if name not in table.columns]
    lines: list[list[str]] = []
    items = BatchItem.objects.filter(batch=batch, state=ItemState.INVALID).order_by("position")
    for number, problems in items.values_list("row_number", "problems"):
        said = " ".join(f"{column}: {sentence}" if column else sentence for column, sentence in problems)
        told = {ROW_COLUMN: str(number), PROBLEM_COLUMN: said}
        lines.append([*(told[name] for name in own), *table.rows[place_of[int(number or 0)]]])
    return csv_head([*own, *table.columns]) + csv_lines(lines)


def merged(batch: Batch, before: Table, more: Table) -> Table:
    """Both tables as one. With a column “Row” each row takes the place of the row with errors of that number; else they are added.

    Raises Refused where the headers differ, a number is none of a row with errors, or there are too many rows.
    """
    own = {name for name in (ROW_COLUMN, PROBLEM_COLUMN) if name in more.columns and name not in before.columns}
    if strange := sorted({*more.columns} - own ^ {*before.columns}):
        raise Refused(f"The rows need the same header as the first ones; {quoted(strange[0])} differs.")
    order = [more.columns.index(name) for name in before.columns]
    rows = [[cells[place] for place in order] for cells in more.rows]
    if ROW_COLUMN in own:
        column = more.columns.index(ROW_COLUMN)
        return _replaced(batch, before, rows, [cells[column] for cells in more.rows])
    number = len(before.rows) + len(rows)
    if number > settings.BATCH_MAX_ROWS:
        raise Refused(
            f"Together there are {number:,} rows; at most {settings.BATCH_MAX_ROWS:,} can go in one bulk run."
        )
    if number * len(before.columns) > MAX_CELLS:
        raise Refused(f"Together there are more than {MAX_CELLS:,} cells. Start another bulk run for these rows.")
    last = max(before.numbers, default=1)
    return Table(before.columns, before.rows + rows, [*before.numbers, *range(last + 1, last + 1 + len(rows))])


def _replaced(batch: Batch, before: Table, rows: list[list[str]], named: list[str]) -> Table:
    wrong = BatchItem.objects.filter(batch=batch, state__in=(ItemState.INVALID, ItemState.LEFT_OUT))
    free = set(wrong.values_list("row_number", flat=True))
    place_of = {number: place for place, number in enumerate(before.numbers)}
    result = list(before.rows)
    for text, row in zip(named, rows, strict=True):
        number = int(text) if text.strip().isdecimal() and len(text) < 9 else 0
        if number not in free:
            raise Refused(f"{quoted(text)} in the column “{ROW_COLUMN}” is not the number of a row with errors.")
        free.remove(number)
        result[place_of[number]] = [_unguarded(cell) for cell in row]
    return Table(before.columns, result, before.numbers)


def _unguarded(cell: str) -> str:
    """Without the apostrophe that `corrections_csv` put before what a spreadsheet could take for a formula."""
    return cell[1:] if cell.startswith(GUARD) and guarded(cell[1:]) == cell else cell
