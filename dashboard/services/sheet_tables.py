"""Rows as they come from a file, and what every file has to keep to, whatever its kind.

The one rule: a row is taken whole and unchanged as texts, or the file is refused with the row and the column at fault (S-13).
"""

import re
from dataclasses import dataclass

from django.conf import settings

from dashboard.services.input_values import quoted

MAX_BYTES = 5 * 1024 * 1024
MAX_COLUMNS = 100
MAX_CELL_BYTES = 32 * 1024
MAX_HEADING = 255
MAX_CELLS = 400_000
BLANK_SHARE = 5  # so many times as many rows are looked at, most of them blank
# What no cell may hold: everything below the blank but tab and line ends, the control signs of Latin-1, and halves of characters.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ud800-\udfff]")
NOT_UTF_8 = "The file is not UTF-8 text. Save it as “CSV UTF-8” and choose it again."


class SheetError(Exception):
    """The file cannot be taken. `message` is a sentence for people; row (the header is 1) and column where they are known."""

    def __init__(self, message: str, row: int | None = None, column: str = "") -> None:
        place = f"Row {row:,}" if row else ""
        if column:
            place = f"{place}, column {column}" if place else f"Column {column}"
        super().__init__(f"{place}: {message}" if place else message)
        self.message = str(self)
        self.row = row
        self.column = column


@dataclass(frozen=True, slots=True)
class Table:
    """Headings, and rows of as many texts each; `numbers` are the rows' numbers in the file, the header's being the first."""

    columns: list[str]
    rows: list[list[str]]
    numbers: list[int]


class Collector:
    """Takes rows one by one, the header first, and refuses the first one that is wrong; blank rows are passed over."""

    def __init__(self, *, is_odd: bool = True, pads: bool = False) -> None:
        self.is_odd, self.pads = is_odd, pads
        self.most_rows = settings.BATCH_MAX_ROWS
        self.columns: list[str] = []
        self.rows: list[list[str]] = []
        self.numbers: list[int] = []

    def take(self, number: int, cells: list[str]) -> None:
        if number > BLANK_SHARE * (self.most_rows + MAX_COLUMNS):
            raise SheetError("There are too many blank rows. Delete them.", number)
        if not any(cells) or not any(map(str.strip, cells)):
            return
        if self.columns:
            self._take_row(number, cells)
        else:
            self._take_header(number, cells)

    def table(self) -> Table:
        if not self.columns:
            raise SheetError("The file holds nothing but blanks.")
        if not self.rows:
            raise SheetError("There is only a header. Add a row for each instance below it.")
        return Table(self.columns, self.rows, self.numbers)

    def _take_header(self, number: int, cells: list[str]) -> None:
        names = [cell.strip() for cell in cells]
        while names and not names[-1]:
            names.pop()
        if len(names) > MAX_COLUMNS:
            raise SheetError(f"There are {len(names):,} columns; at most {MAX_COLUMNS} are read.", number)
        self._refuse_odd(number, names, [str(place) for place in range(1, len(names) + 1)])
        seen: set[str] = set()
        for place, name in enumerate(names, start=1):
            if not name:
                raise SheetError("The column has no heading. Write one, or delete the column.", number, str(place))
            if name in seen:
                raise SheetError(
                    "The heading comes twice. Give each column a heading of its own.", number, quoted(name)
                )
            if len(name) > MAX_HEADING:
                raise SheetError(f"The heading is longer than {MAX_HEADING} characters.", number, str(place))
            seen.add(name)
        self.columns = names

    def _take_row(self, number: int, cells: list[str]) -> None:
        width = len(self.columns)
        if len(self.rows) >= self.most_rows:
            raise SheetError(f"There are more than {self.most_rows:,} rows. Split the file into parts.", number)
        if len(cells) > width:
            if any(map(str.strip, cells[width:])):
                raise SheetError(f"The row has {len(cells):,} cells, but the header has {width:,}.", number)
            cells = cells[:width]
        elif len(cells) < width:
            if not self.pads:
                raise SheetError(f"The row has {len(cells):,} cells, but the header has {width:,}.", number)
            cells = cells + [""] * (width - len(cells))
        if (len(self.rows) + 1) * width > MAX_CELLS:
            raise SheetError(f"There are more than {MAX_CELLS:,} cells. Split the file, or delete columns.", number)
        self._refuse_odd(number, cells, self.columns)
        self.rows.append(cells)
        self.numbers.append(number)

    def _refuse_odd(self, number: int, cells: list[str], names: list[str]) -> None:
        for cell, name in zip(cells, names, strict=True):
            if len(cell) > MAX_CELL_BYTES // 4 and len(cell.encode(errors="surrogateescape")) > MAX_CELL_BYTES:
                raise SheetError(f"The cell is larger than {MAX_CELL_BYTES // 1024} KB.", number, quoted(name))
            if self.is_odd and (found := CONTROL.search(cell)):
                raise SheetError(_complaint(found[0]), number, quoted(name))


def _complaint(sign: str) -> str:
    if "\ud800" <= sign <= "\udfff":
        return NOT_UTF_8
    return f"The cell holds the control character U+{ord(sign):04X}. Remove it."
