"""Rows that a person brings: a CSV file, an Excel workbook, or text pasted from a spreadsheet.

The one rule: of what is larger than 5 MB nothing more is read, and nothing in a file is ever carried out (S-13).
"""

from collections.abc import Iterable
from typing import Protocol

from dashboard.services.sheet_tables import MAX_BYTES, SheetError, Table
from dashboard.services.sheet_text import read_text
from dashboard.services.sheet_xlsx import read_workbook

__all__ = ["SheetError", "Table", "read_pasted", "read_sheet"]
TEXT_ENDINGS = ("csv", "tsv", "txt")
TOO_LARGE = "The file is larger than 5 MB. Split it into parts."


class Uploaded(Protocol):
    """A file as a form holds it."""

    def chunks(self) -> Iterable[bytes]: ...


def read_sheet(file_name: str, content: Uploaded | Iterable[bytes] | bytes | str) -> Table:
    """The rows of an uploaded file, CSV or XLSX by its name; text is taken as pasted. Raises SheetError."""
    if isinstance(content, str):
        return read_pasted(content)
    data = _held(content)
    ending = file_name.rpartition(".")[2].lower()
    if ending == "xlsx":
        return read_workbook(data)
    if ending not in TEXT_ENDINGS:
        raise SheetError("Choose a .csv or an .xlsx file; other kinds are not read.")
    return read_text(data)


def read_pasted(text: str) -> Table:
    """The rows of a text area: cells divided by tabs, as spreadsheets copy them, or as in a CSV. Raises SheetError."""
    data = text.encode(errors="surrogatepass")
    if len(data) > MAX_BYTES:
        raise SheetError("The text is larger than 5 MB. Paste it in parts.")
    return read_text(data, is_pasted=True)


def _held(content: Uploaded | Iterable[bytes] | bytes) -> bytearray | bytes:
    """The content, of which nothing beyond the limit is read."""
    if isinstance(content, bytes | bytearray):
        chunks: Iterable[bytes] = (content,)
    else:
        chunks = content.chunks() if hasattr(content, "chunks") else content
    data = bytearray()
    for chunk in chunks:
        if len(data) + len(chunk) > MAX_BYTES:
            raise SheetError(TOO_LARGE)
        data += chunk
    return data
