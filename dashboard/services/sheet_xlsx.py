"""Excel workbooks as rows: the first sheet, each cell as the text that a person would write, formulas as their stored values.

The one rule: everything that a hostile workbook could make large is measured before the reader of workbooks sees it (S-13).
"""

import io
import re
import zipfile
import zlib
from datetime import date, datetime, time, timedelta
from typing import IO, Any
from xml.parsers import expat

from django.conf import settings
from python_calamine import CalamineError, CalamineWorkbook, PasswordError

from dashboard.services.sheet_tables import MAX_COLUMNS, Collector, SheetError, Table

MAX_ENTRIES = 500
MAX_DIRECTORY = 256 * 1024
MAX_UNPACKED = 64 * 1024 * 1024
MAX_STRINGS = 20 * 1024 * 1024
MAX_PART = 1024 * 1024  # of the parts that only say what is where
RATIO_FROM, MAX_RATIO = 1024 * 1024, 200
SPARE_ROWS = 1_000  # blank rows and what stands above the header
CHUNK = 64 * 1024
# The reader of workbooks tries other formats where the first one fails; what was measured here says nothing of those.
OTHER_FORMATS = ("mimetype", "content.xml", "xl/workbook.bin")
_DIRECTORY_END = b"PK\x05\x06"
_REFERENCE = re.compile(r"([A-Z]{1,3})([0-9]{1,7})")
NOT_A_WORKBOOK = "This is not an Excel workbook in the format .xlsx, or it is damaged. Save it again, or as CSV."
LOCKED = "The workbook is protected by a password, or it is an old .xls file. Save it as .xlsx without a password, or as CSV."
MACROS = "The workbook holds macros. Save it as .xlsx without them, or as CSV."
BLOWN_UP = "The workbook would become far larger when it is unpacked, so it was not opened. Save the rows as CSV."


def read_workbook(data: bytes | bytearray) -> Table:
    """The rows of the first sheet. Raises SheetError."""
    errors = _Guard(data).check()
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(data)) as book:
            return _rows(book, errors)
    except PasswordError as error:
        raise SheetError(LOCKED) from error
    except (CalamineError, OSError, ValueError) as error:
        raise SheetError(NOT_A_WORKBOOK) from error


def _rows(book: CalamineWorkbook, errors: set[tuple[int, int]]) -> Table:
    sheet = book.get_sheet_by_index(0)
    if sheet.start is None:
        raise SheetError("The first sheet of the workbook is empty.")
    left = sheet.start[1]
    collector = Collector(pads=True)
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        for place in range(len(cells)):
            if (number, left + place) in errors:
                raise SheetError(
                    "The cell holds an error of Excel. Correct its formula, or write a value.",
                    number,
                    _letters(left + place),
                )
        collector.take(number, [text_of(cell) for cell in cells])
    return collector.table()


def text_of(cell: Any) -> str:
    """The cell as a person would write it: ISO dates, whole numbers without a point, true and false."""
    if isinstance(cell, str):
        return cell.replace("\r\n", "\n")
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="milliseconds" if cell.microsecond else "seconds")
    if isinstance(cell, date | time):
        return cell.isoformat()
    if isinstance(cell, timedelta):
        minutes, seconds = divmod(round(cell.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(cell)


class _Guard:
    """Looks into the package without unpacking more than its limits."""

    def __init__(self, data: bytes | bytearray) -> None:
        self.data = data

    def check(self) -> set[tuple[int, int]]:
        """Refuse what is dangerous; the places (row from 1, column from 0) of cells of the first sheet that hold errors."""
        if bytes(self.data[:4]) == b"\xd0\xcf\x11\xe0":
            raise SheetError(LOCKED)
        self._check_directory()
        try:
            with zipfile.ZipFile(io.BytesIO(self.data)) as package:
                self._check_entries(package.infolist())
                return self._check_parts(package)
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, zlib.error) as error:
            raise SheetError(NOT_A_WORKBOOK) from error
        except expat.ExpatError as error:
            raise SheetError(NOT_A_WORKBOOK) from error

    def _check_directory(self) -> None:
        """The size of the list of entries, before it becomes objects."""
        place = self.data.rfind(_DIRECTORY_END)
        if place < 0 or len(self.data) < place + 22:
            raise SheetError(NOT_A_WORKBOOK)
        size = int.from_bytes(self.data[place + 12 : place + 16], "little")
        if size > MAX_DIRECTORY or b"PK\x06\x07" in self.data[max(place - 20, 0) : place]:
            raise SheetError(BLOWN_UP)

    def _check_entries(self, entries: list[zipfile.ZipInfo]) -> None:
        names = [entry.filename.replace("\\", "/").lower() for entry in entries]
        if len(entries) > MAX_ENTRIES or len(set(names)) < len(names) or any(name in OTHER_FORMATS for name in names):
            raise SheetError(NOT_A_WORKBOOK)
        if any(entry.flag_bits & 0x1 for entry in entries):
            raise SheetError(LOCKED)
        if any(name.endswith(("vbaproject.bin", "vbadata.xml")) for name in names):
            raise SheetError(MACROS)
        if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
            raise SheetError(BLOWN_UP)
        for entry, name in zip(entries, names, strict=True):
            is_steep = entry.file_size > RATIO_FROM and entry.file_size > MAX_RATIO * max(entry.compress_size, 1)
            if is_steep or (name.endswith("sharedstrings.xml") and entry.file_size > MAX_STRINGS):
                raise SheetError(BLOWN_UP)

    def _check_parts(self, package: zipfile.ZipFile) -> set[tuple[int, int]]:
        """Every part to its end: what it announces must be true, and no sheet may span more than can be read."""
        first = _first_sheet(package)
        errors: set[tuple[int, int]] = set()
        for entry in package.infolist():
            name = entry.filename.lower()
            with package.open(entry) as part:
                if "worksheets/" in name and name.endswith(".xml"):
                    span = _Span()
                    span.read(part)
                    if name == first:
                        errors = span.errors
                elif name.endswith((".xml", ".rels")):
                    _parse(part, {})
                else:
                    while part.read(CHUNK):
                        pass
        return errors


def _first_sheet(package: zipfile.ZipFile) -> str:
    """The part in which the first sheet stands, in small letters; empty where the workbook does not say it plainly."""
    names = {entry.filename.lower(): entry for entry in package.infolist()}
    book, links = names.get("xl/workbook.xml"), names.get("xl/_rels/workbook.xml.rels")
    if book is None or links is None or max(book.file_size, links.file_size) > MAX_PART:
        raise SheetError(NOT_A_WORKBOOK)
    sheets: list[str] = []
    targets: dict[str, str] = {}

    def note_sheet(attributes: dict[str, str]) -> None:
        sheets.append(next((value for key, value in attributes.items() if key.endswith(":id")), ""))

    def note_link(attributes: dict[str, str]) -> None:
        targets[attributes.get("Id", "")] = attributes.get("Target", "")

    with package.open(book) as part:
        _parse(part, {"sheet": note_sheet})
    with package.open(links) as part:
        _parse(part, {"Relationship": note_link})
    target = targets.get(sheets[0], "") if sheets else ""
    return (target.lstrip("/") if target.startswith("/") else f"xl/{target}").lower()


class _Span:
    """How far the cells of a sheet reach, and where errors stand."""

    def __init__(self) -> None:
        self.row = self.column = 0
        self.errors: set[tuple[int, int]] = set()
        self.most_rows = settings.BATCH_MAX_ROWS + SPARE_ROWS

    def read(self, part: IO[bytes]) -> None:
        _parse(part, {"row": self._row, "c": self._cell})

    def _row(self, attributes: dict[str, str]) -> None:
        number = attributes.get("r", "")
        self.row = int(number) if number.isdecimal() and len(number) < 9 else self.row + 1
        self.column = 0

    def _cell(self, attributes: dict[str, str]) -> None:
        found = _REFERENCE.fullmatch(attributes.get("r", ""))
        if found:
            self.column, self.row = _number_of(found[1]), int(found[2])
        else:
            self.column += 1
        if self.column > MAX_COLUMNS:
            raise SheetError(
                f"The sheet has more than {MAX_COLUMNS} columns. Delete those that are not needed.", self.row
            )
        if self.row > self.most_rows:
            raise SheetError(
                f"The sheet goes on below row {self.most_rows:,}. Split it, or delete the rows below.", self.row
            )
        if attributes.get("t") == "e":
            self.errors.add((self.row, self.column - 1))


def _parse(part: IO[bytes], wanted: dict[str, Any]) -> None:
    """Call `wanted` by the local name of each element that begins. No document type, so no entity grows."""
    parser = expat.ParserCreate()

    def begin(name: str, attributes: dict[str, str]) -> None:
        if call := wanted.get(name.rpartition(":")[2]):
            call(attributes)

    def refuse(*_: object) -> None:
        raise SheetError(NOT_A_WORKBOOK)

    parser.StartElementHandler = begin if wanted else None
    parser.StartDoctypeDeclHandler = refuse
    while chunk := part.read(CHUNK):
        parser.Parse(chunk)
    parser.Parse(b"", True)


def _number_of(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number


def _letters(place: int) -> str:
    """The letters of a column counted from 0."""
    text, rest = "", place + 1
    while rest:
        rest, letter = divmod(rest - 1, 26)
        text = chr(65 + letter) + text
    return text
