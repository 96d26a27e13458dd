"""Rows of texts as CSV lines and as a workbook. Its one rule: a cell is a text, never a formula, a link or a guessed number (S-14)."""

import csv
import io
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO

import xlsxwriter

from dashboard.services.cells import guarded
from dashboard.services.errors import Refused

BYTE_ORDER_MARK = "\ufeff"  # Excel takes a CSV without it for the codec of the machine
SHEET_ROWS = 1_048_575  # beside the row of headings
CELL_LETTERS = 32_767
Row = Sequence[str]


def csv_head(headings: Row) -> bytes:
    """The mark and the first line."""
    return BYTE_ORDER_MARK.encode() + csv_lines([headings])


def csv_lines(rows: Iterable[Row]) -> bytes:
    """Lines in UTF-8 with CRLF, every cell quoted and none of them a formula."""
    return _lines([guarded(text) for text in row] for row in rows).encode(errors="replace")


def _lines(rows: Any) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return text.getvalue()


def write_book(file: BinaryIO, title: str, headings: Row, batches: Iterable[Iterable[Row]]) -> int:
    """A workbook of one sheet; how many rows it holds. Raises Refused where a sheet cannot hold them."""
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "constant_memory": True, "tmpdir": folder,
            "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
        }  # fmt: skip
        book = xlsxwriter.Workbook(file, options)
        try:
            sheet = book.add_worksheet(title)
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, len(headings) - 1, 24)
            bold = book.add_format({"bold": True})
            for place, heading in enumerate(headings):
                sheet.write_string(0, place, heading, bold)
            return _fill(sheet, batches)
        finally:
            book.close()


def _fill(sheet: Any, batches: Iterable[Iterable[Row]]) -> int:
    line = 0
    for batch in batches:
        for row in batch:
            line += 1
            if line > SHEET_ROWS:
                raise Refused(
                    f"An Excel sheet holds {SHEET_ROWS:,} rows, and this list has more. Narrow the filters, or export CSV."
                )
            for place, text in enumerate(row):
                sheet.write_string(line, place, _fitting(text))
    return line


def _fitting(text: str) -> str:
    """No cell of a sheet holds more."""
    return text if len(text) <= CELL_LETTERS else f"{text[: CELL_LETTERS - 1]}…"
