"""Text as rows: a CSV file, or cells copied from a spreadsheet.

The one rule: one line of the text is in memory at a time, and no longer line than can be sent; UTF-8 and nothing else (S-13).
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator

from dashboard.services.sheet_tables import MAX_COLUMNS, Collector, SheetError, Table

MAX_LINE = 512 * 1024  # letters: no row that can be sent is nearly as long
SAMPLE_LINES = 20
DELIMITERS = "\t;,"
_CONTROL_BYTES = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_SEPARATOR_LINE = re.compile(r'"?sep=([,;\t])"?\r?\n?', re.IGNORECASE)
OPEN_QUOTE = "A quotation mark is not closed, or a cell holds one that is not doubled. Close it, or write it twice."
LARGE_OR_OPEN = "A cell is larger than 32 KB, or a quotation mark is not closed."


def read_text(data: bytes | bytearray, *, is_pasted: bool = False) -> Table:
    """The rows of a text in UTF-8. Raises SheetError."""
    _refuse_other_kinds(data)
    is_odd = _CONTROL_BYTES.search(data) is not None or not _is_utf_8(data)
    delimiter = _delimiter_of(data, is_pasted=is_pasted)
    collector = Collector(is_odd=is_odd, pads=delimiter == "\t")
    number = 0
    try:
        for number, cells in _records(data, delimiter):
            collector.take(number, cells)
    except csv.Error as error:
        is_large = "field larger" in str(error)
        raise SheetError(LARGE_OR_OPEN if is_large else OPEN_QUOTE, number + 1) from error
    return collector.table()


def _refuse_other_kinds(data: bytes | bytearray) -> None:
    start = bytes(data[:4])
    if not bytes(data[:4096]).strip():
        raise SheetError("The file is empty." if not data.strip() else "The file begins with an empty page of blanks.")
    if start[:2] in _UTF_16 or _has_wide_letters(bytes(data[:80])):
        raise SheetError("The file is in UTF-16. Save it as “CSV UTF-8” and choose it again.")
    if start == _ZIP:
        raise SheetError("This is a zip file or an Excel workbook under another name. Choose an .xlsx or a CSV file.")
    if start == _OLE:
        raise SheetError("This is an old Excel file under another name. Save it as .xlsx or CSV.")


def _has_wide_letters(start: bytes) -> bool:
    """Whether every other byte is empty, as in UTF-16 without its mark."""
    return any(2 * half.count(0) > len(half) > 1 for half in (start[::2], start[1::2]))


def _is_utf_8(data: bytes | bytearray) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for place in range(0, len(data), 65536):
            decoder.decode(data[place : place + 65536])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _lines(data: bytes | bytearray) -> Iterator[str]:
    """Lines with their ends, one at a time; what is no UTF-8 becomes lone surrogates, which no cell may hold."""
    with io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", errors="surrogateescape", newline="") as text:
        number = 0
        while line := text.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                many = f" At most {MAX_COLUMNS} columns are read." if number == 1 else ""
                raise SheetError(f"The line is longer than {MAX_LINE // 1024} KB.{many}", number)
            yield line


def _delimiter_of(data: bytes | bytearray, *, is_pasted: bool) -> str:
    """The sign that divides the first lines most evenly: all of them into as many cells, and into more than one."""
    sample: list[str] = []
    for line in _lines(data):
        if not sample and (named := _SEPARATOR_LINE.fullmatch(line)):
            return named[1]
        if line.strip():
            sample.append(line)
        if len(sample) >= SAMPLE_LINES or sum(map(len, sample)) > MAX_LINE:
            break
    if is_pasted and sample and "\t" in sample[0]:
        return "\t"
    return max(DELIMITERS, key=lambda sign: _evenness(sample, sign))


def _evenness(sample: list[str], sign: str) -> tuple[bool, int]:
    counts = []
    try:
        for cells in csv.reader(sample, delimiter=sign, strict=True):
            counts.append(len(cells))
    except csv.Error:
        pass  # the sample ends within a cell, or this sign does not fit what is quoted; what came before counts
    first = counts[0] if counts else 1
    return first > 1 and all(count == first for count in counts), first


def _records(data: bytes | bytearray, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    lines = _lines(data)
    first = next(lines, "")
    # Excel's own word for the delimiter is a line of the file, so the rows keep the numbers that people see.
    skipped = 1 if _SEPARATOR_LINE.fullmatch(first) else 0
    reader = csv.reader(lines if skipped else _again(first, lines), delimiter=delimiter, strict=True)
    yield from enumerate(reader, start=1 + skipped)


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest
