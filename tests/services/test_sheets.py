"""Files of rows: taken unchanged, or refused with the row and the column to look at."""

import contextlib
import csv
import io
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard.services.sheets import SheetError, Table, read_pasted, read_sheet

CELL = st.text(st.characters(blacklist_categories=("Cs", "Cc")) | st.sampled_from(",;\t\n\"'=+@"), max_size=12)
HEADING = CELL.map(str.strip).filter(bool)


def refused(content: bytes | str, name: str = "rows.csv") -> SheetError:
    with pytest.raises(SheetError) as caught:
        read_sheet(name, content)
    return caught.value


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    columns = draw(st.lists(HEADING, min_size=1, max_size=5, unique=True))
    row = st.lists(CELL, min_size=len(columns), max_size=len(columns)).filter(lambda row: any(map(str.strip, row)))
    return columns, draw(st.lists(row, min_size=1, max_size=8))


@settings(max_examples=150, deadline=None)
@given(tables(), st.sampled_from(",;\t"), st.sampled_from(["\r\n", "\n"]), st.booleans())
def test_what_a_csv_writer_wrote_is_read_back_unchanged(
    table: tuple[list[str], list[list[str]]], delimiter: str, end: str, has_mark: bool
) -> None:
    """S-13, S-14: every cell is data, whatever it looks like, and comes back letter by letter."""
    columns, rows = table
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator=end).writerows([columns, *rows])
    read = read_sheet("rows.csv", (("\ufeff" if has_mark else "") + text.getvalue()).encode())
    assert (read.columns, read.rows) == (columns, rows)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_taken_or_refused_in_words(data: bytes) -> None:
    """S-13: no file brings the reader down."""
    for name in ("rows.csv", "rows.xlsx"):
        with contextlib.suppress(SheetError):
            read = read_sheet(name, data)
            assert all(len(row) == len(read.columns) for row in read.rows)


@pytest.mark.parametrize(
    ("content", "row", "column", "said"),
    [
        (b"PK\x03\x04\x14\x00", None, "", "a zip file or an Excel workbook under another name"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", None, "", "an old Excel file"),
        ("Name,Amount\nA,1\n".encode("utf-16"), None, "", "UTF-16"),
        ("Name,Amount\nA,1\n".encode("utf-16-le"), None, "", "UTF-16"),
        ("Name,Amount\nA,1\n".encode("utf-16-be"), None, "", "UTF-16"),
        (b"Name,Amount\nA,1\nB,\x002\n", 3, "“Amount”", "the control character U+0000"),
        (b"Name,Amount\nA\x1b[2J,1\n", 2, "“Name”", "the control character U+001B"),
        ("Name,Amount\nA\u0085,1\n".encode(), 2, "“Name”", "the control character U+0085"),
        ("Name,Amount\nA,1\nJörg,2\n".encode("latin-1"), 3, "“Name”", "not UTF-8"),
        (b'Name,Amount\nA,1\n"B,2\nC,3\n', 3, "", "A quotation mark is not closed"),
        (b'Name,Amount\n"A" Ltd,1\n', 2, "", "A quotation mark is not closed"),
        (b'Name\n"' + b"x" * 200_000, 2, "", "a quotation mark is not closed"),
        (b"Name\nA\n" + b"x" * 40_000 + b"\n", 3, "“Name”", "larger than 32 KB"),
        (b"Name,Name\nA,B\n", 1, "“Name”", "The heading comes twice"),
        (b"Name,,Amount\nA,B,1\n", 1, "2", "The column has no heading"),
        (b"Name,Amount\nA,1,2\n", 2, "", "The row has 3 cells, but the header has 2"),
        (b"Name,Amount\nA,1\n\nB\n", 4, "", "The row has 1 cells, but the header has 2"),
        (b",".join(b"c%d" % number for number in range(101)) + b"\n", 1, "", "There are 101 columns; at most 100"),
        (b",".join([b"a"] * 1_000_000), 1, "", "At most 100 columns"),
        (b"", None, "", "The file is empty"),
        (b"\n \n\n", None, "", "The file is empty"),
        (b"Name,Amount\n", None, "", "There is only a header"),
    ],
)
def test_a_hostile_file_is_refused_with_its_place(content: bytes, row: int | None, column: str, said: str) -> None:
    """S-13: the sentence names the row and the column, the header being row 1."""
    error = refused(content)
    assert said in error.message
    assert (error.row, error.column) == (row, column)


def test_a_row_too_many_is_refused(settings: Any) -> None:
    """S-13: the limit of rows is a setting."""
    settings.BATCH_MAX_ROWS = 3
    assert len(read_sheet("rows.csv", b"Name\na\nb\nc\n").rows) == 3
    assert "more than 3 rows" in refused(b"Name\na\nb\nc\nd\n").message


def test_nothing_is_read_beyond_five_megabytes() -> None:
    """S-13: the stream is left as soon as the limit is passed."""
    given_out = []

    def endless() -> Iterator[bytes]:
        while True:
            given_out.append(1)
            yield b"x" * 65_536

    with pytest.raises(SheetError, match="larger than 5 MB"):
        read_sheet("rows.csv", endless())
    assert len(given_out) == 81


def test_a_million_blank_lines_are_given_up_early() -> None:
    """S-13: blanks cost no more than rows."""
    error = refused(b"Name\nA\n" + b"\n" * 1_000_000 + b"B\n")
    assert "too many blank rows" in error.message


@pytest.mark.parametrize("name", ["rows.xls", "rows.xlsm", "rows.ods", "rows.exe", "rows"])
def test_other_kinds_of_files_are_refused_by_name(name: str) -> None:
    """S-13: only what is meant to be rows is looked at."""
    assert "Choose a .csv or an .xlsx file" in refused(b"Name\nA\n", name).message


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b"Name;Amount\nA, B;1\n", [["A, B", "1"]]),
        (b"Name\tAmount\nA, B; C\t1\n", [["A, B; C", "1"]]),
        (b'Name,Amount\n"A;B;C",1\n', [["A;B;C", "1"]]),
        (b"sep=;\nName;Amount\nA,B,C;1\n", [["A,B,C", "1"]]),
        (b"Name,Amount\rA,1\rB,2\r", [["A", "1"], ["B", "2"]]),
        (b"Name,Amount,,\nA,1,,\n,,,\n", [["A", "1"]]),
        (b'Name,Amount\n"=HYPERLINK(""http://x"")",-5\n', [['=HYPERLINK("http://x")', "-5"]]),
    ],
)
def test_a_plain_file_is_understood_as_it_is_meant(content: bytes, rows: list[list[str]]) -> None:
    assert read_sheet("rows.csv", content).rows == rows


def test_a_single_column_with_commas_stays_one_column() -> None:
    assert read_sheet("rows.csv", b"Name\nBerg, Emma\nLind, Jon\n").rows == [["Berg, Emma"], ["Lind, Jon"]]


def test_rows_keep_the_numbers_that_a_spreadsheet_shows() -> None:
    table = read_sheet("rows.csv", b'\nName,Amount\n"two\nlines",1\n\nB,2\n')
    assert table == Table(["Name", "Amount"], [["two\nlines", "1"], ["B", "2"]], [3, 5])


def test_cells_copied_from_a_spreadsheet_are_divided_by_tabs() -> None:
    table = read_pasted("Name\tNote\tAmount\nA\ta, b; c\t1\nB")
    assert table.rows == [["A", "a, b; c", "1"], ["B", "", ""]]


def test_pasted_commas_are_read_as_in_a_file() -> None:
    assert read_pasted("Name,Amount\r\nA,1").rows == [["A", "1"]]


def test_half_a_character_that_was_pasted_is_refused() -> None:
    with pytest.raises(SheetError, match="not UTF-8"):
        read_pasted("Name\n\ud83d")
