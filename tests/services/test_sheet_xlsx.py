"""Excel workbooks: cells as a person would write them, and nothing that is larger than it looks."""

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
import xlsxwriter

from dashboard.services.sheets import SheetError, Table, read_sheet

SHEET = "xl/worksheets/sheet1.xml"


def workbook(fill: Callable[[Any, Any], None]) -> bytes:
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        fill(book, book.add_worksheet("Rows"))
    return file.getvalue()


def of_rows(*rows: list[Any]) -> bytes:
    def fill(book: Any, sheet: Any) -> None:
        for line, row in enumerate(rows):
            sheet.write_row(line, 0, row)

    return workbook(fill)


def changed(data: bytes, name: str, change: Callable[[bytes], bytes], **more: bytes) -> bytes:
    """The same package with one part changed, and others beside it."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, change(content) if entry == name else content)
        for entry, content in more.items():
            new.writestr(entry, content)
    return file.getvalue()


def refused(data: bytes) -> SheetError:
    with pytest.raises(SheetError) as caught:
        read_sheet("rows.xlsx", data)
    return caught.value


def test_cells_become_the_texts_that_a_person_would_write() -> None:
    def fill(book: Any, sheet: Any) -> None:
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        moment = book.add_format({"num_format": "yyyy-mm-dd hh:mm"})
        sheet.write_row(0, 0, ["Whole", "Part", "Large", "Day", "Moment", "Yes", "Text", "Blank"])
        sheet.write_row(1, 0, [7, 12.5, 123_456_789_012])
        sheet.write_datetime(1, 3, date(2026, 6, 1), day)
        sheet.write_datetime(1, 4, datetime(2026, 6, 1, 9, 30), moment)  # noqa: DTZ001  # Excel knows no zones
        sheet.write_boolean(1, 5, True)
        sheet.write_string(1, 6, " 007 ")

    table = read_sheet("rows.xlsx", workbook(fill))
    assert table.rows == [["7", "12.5", "123456789012", "2026-06-01", "2026-06-01T09:30:00", "true", " 007 ", ""]]


def test_a_formula_is_its_stored_value_and_never_carried_out() -> None:
    """S-13: formula cells are data."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(0, 0, ["Sum", "Text"])
        sheet.write_formula(1, 0, "=1+1", None, 99)
        sheet.write_string(1, 1, '=HYPERLINK("http://x")')

    assert read_sheet("rows.xlsx", workbook(fill)).rows == [["99", '=HYPERLINK("http://x")']]


def test_an_error_of_excel_is_told_with_its_cell() -> None:
    """S-13: an error is not taken for an empty cell."""

    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(1, 1, ["Name", "Amount"])
        sheet.write_string(2, 1, "A")
        sheet.write_formula(2, 2, "=1/0", None, "#DIV/0!")

    error = refused(workbook(fill))
    assert (error.row, error.column) == (3, "C")


def test_only_the_first_sheet_is_read_with_the_numbers_that_excel_shows() -> None:
    def fill(book: Any, sheet: Any) -> None:
        sheet.write_row(2, 0, ["Name"])
        sheet.write_row(4, 0, ["A"])
        book.add_worksheet("Other").write_row(0, 0, ["Secret"])

    assert read_sheet("rows.xlsx", workbook(fill)) == Table(["Name"], [["A"]], [5])


def test_the_same_rows_as_csv_and_as_workbook_are_the_same_table() -> None:
    rows = [["Name", "Amount"], ["Ä\nb", "x;y"], ["=1", "'"]]
    text = "\r\n".join(",".join(f'"{cell}"' for cell in row) for row in rows)
    assert read_sheet("a.xlsx", of_rows(*rows)).rows[0] == read_sheet("a.csv", text.encode()).rows[0]


def test_no_workbook_is_refused_in_words() -> None:
    """S-13: a CSV, a broken package and a package of something else."""
    whole = of_rows(["Name"], ["A"])
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as package:
        package.writestr("readme.txt", "x")
    for data in (b"Name\nA\n", whole[:-40], whole[: len(whole) // 2], other.getvalue(), b""):
        assert "not an Excel workbook" in refused(data).message


def test_a_workbook_with_macros_or_a_password_is_refused() -> None:
    """S-13: neither is opened."""
    whole = of_rows(["Name"], ["A"])
    assert "macros" in refused(changed(whole, "", bytes, **{"xl/vbaProject.bin": b"x"})).message
    assert "password" in refused(b"\xd0\xcf\x11\xe0" + b"\0" * 600).message
    locked = bytearray(whole)
    locked[locked.rfind(b"PK\x01\x02") + 8] |= 1
    assert "password" in refused(bytes(locked)).message


def test_a_package_that_would_blow_up_is_not_unpacked() -> None:
    """S-13: measured before any workbook is opened."""
    whole = of_rows(["Name"], ["A"])
    bomb = changed(whole, "", bytes, **{"xl/media/a.bin": b"\0" * 30_000_000})
    assert len(bomb) < 100_000
    assert "far larger" in refused(bomb).message


def test_a_part_that_is_larger_than_it_says_is_refused() -> None:
    """S-13: sizes are not believed."""
    lying = bytearray(changed(of_rows(["Name"], ["A"]), SHEET, lambda content: content + b" " * 200_000))
    with zipfile.ZipFile(io.BytesIO(lying)) as package:
        size = package.getinfo(SHEET).file_size
    number = size.to_bytes(4, "little")
    assert number in lying
    assert "not an Excel workbook" in refused(bytes(lying.replace(number, (1000).to_bytes(4, "little")))).message


def test_a_document_type_is_refused_before_an_entity_grows() -> None:
    """S-13: no entities in any part."""
    bomb = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'
    for part in (SHEET, "xl/workbook.xml", "docProps/app.xml"):
        assert "not an Excel workbook" in refused(changed(of_rows(["Name"], ["A"]), part, lambda _: bomb)).message


def test_a_package_that_is_also_of_another_format_is_refused() -> None:
    """S-13: where the workbook itself does not open, the reader would try a table that repeats one cell ten million times."""
    broken = changed(of_rows(["Name"], ["A"]), "xl/workbook.xml", lambda part: part.replace(b'"rId1"', b'"rId99"'))
    names = {
        "office": "urn:oasis:names:tc:opendocument:xmlns:office:1.0",
        "table": "urn:oasis:names:tc:opendocument:xmlns:table:1.0",
        "text": "urn:oasis:names:tc:opendocument:xmlns:text:1.0",
    }
    spaces = " ".join(f'xmlns:{short}="{long}"' for short, long in names.items())
    cell = '<table:table-cell office:value-type="string"><text:p>Amount</text:p></table:table-cell>'
    row = f'<table:table-row table:number-rows-repeated="3">{cell}</table:table-row>'
    body = f'<office:spreadsheet><table:table table:name="S">{row}</table:table></office:spreadsheet>'
    content = f"<office:document-content {spaces}><office:body>{body}</office:body></office:document-content>"
    parts = {"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": content.encode()}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as new, zipfile.ZipFile(io.BytesIO(broken)) as old:
        for name, part in parts.items():
            new.writestr(name, part)
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))
    assert "not an Excel workbook" in refused(file.getvalue()).message


@pytest.mark.parametrize(("cell", "said"), [("A1048576", "below row"), ("XFD2", "more than 100 columns")])
def test_a_cell_far_out_costs_no_memory(cell: str, said: str) -> None:
    """S-13: a sheet that spans the whole grid is refused before it becomes a table."""
    far = changed(of_rows(["Name"], ["A"]), SHEET, lambda content: content.replace(b'r="A2"', f'r="{cell}"'.encode()))
    assert said in refused(far).message


@pytest.mark.parametrize("part", [SHEET, "xl/workbook.xml", "xl/sharedStrings.xml", "xl/styles.xml"])
def test_a_damaged_part_is_refused_in_words(part: str) -> None:
    """S-13: broken XML anywhere is no stack trace."""
    assert refused(changed(of_rows(["Name"], ["A"]), part, lambda content: content[: len(content) // 2])).message
