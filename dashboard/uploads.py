"""Files that people send: kept in memory, up to a hard limit. Its one rule: nothing of a file ever reaches the disk (S-13).

Only a view marked by `takes_file` gets a body larger than a form; of what is beyond the limit nothing more is read.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any, Protocol

from django.core.files.uploadedfile import InMemoryUploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, resolve

from dashboard.services.sheet_tables import MAX_BYTES

WORTH_DRAINING = 4 * MAX_BYTES
"""Of a body up to here the rest is read and thrown away, so that the browser waits for the answer that says why."""
MAX_BODY_BYTES = 64 * 1024 * 1024
"""Beyond this nobody chose a wrong file by mistake, and the answer is that of any other page."""

View = Callable[..., HttpResponseBase]


class Sent(Protocol):
    """The part of an address that decides: only the path is looked at."""

    path_info: str


def takes_file(view: View) -> View:
    """Mark a view whose form carries a file."""
    view.takes_file = True  # type: ignore[attr-defined]  # read by `may_carry_file`
    return view


def may_carry_file(request: Sent) -> bool:
    """Whether the address belongs to a view that takes a file."""
    try:
        return bool(getattr(resolve(request.path_info).func, "takes_file", False))
    except Resolver404:
        return False


def was_too_large(request: HttpRequest) -> bool:
    """Whether a file of this request was larger than the limit, so that it was not kept."""
    return bool(getattr(request, "is_file_too_large", False))


class MemoryUpload(FileUploadHandler):
    """Keeps the file in memory and stops at the limit; what was typed before the file in the form is still there."""

    announced = 0
    held = 0
    file: BytesIO

    def handle_raw_input(
        self, input_data: Any, META: dict[str, Any], content_length: int, boundary: Any, encoding: str | None = None
    ) -> None:
        self.announced = content_length

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        self.file = BytesIO()

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self.held += len(raw_data)
        if self.held <= MAX_BYTES:
            self.file.write(raw_data)
            return
        self.file = BytesIO()
        self.request.is_file_too_large = True  # type: ignore[union-attr]  # our own member, read by `was_too_large`
        if self.announced > WORTH_DRAINING:
            raise StopUpload(connection_reset=True)

    def file_complete(self, file_size: int) -> InMemoryUploadedFile | None:
        if self.held > MAX_BYTES:
            return None
        self.file.seek(0)
        return InMemoryUploadedFile(
            self.file,
            self.field_name,
            self.file_name,
            self.content_type,
            file_size,
            self.charset,
            self.content_type_extra,
        )
