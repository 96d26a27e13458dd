"""A request's body as the bytes that came, from a sender who may send too much or too slowly.

The one rule: no sender holds a thread for longer than the time given, nor makes this process keep more than the size given (W-6).
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any


class BodyRefused(Exception):
    """The body was not taken; `status` is the answer that says why."""

    status = 400


class BodyTooLarge(BodyRefused):
    """It is, or would have become, larger than allowed; the rest was not read."""

    status = 413


class BodyTooSlow(BodyRefused):
    """It was not there when the time was over."""

    status = 408


class BodyBroken(BodyRefused):
    """It ended before its announced end, or its chunks make no sense."""


def read_body(environ: Mapping[str, Any], *, limit: int, seconds: float) -> bytes:
    """All of the body. Raises BodyRefused."""
    announced = str(environ.get("CONTENT_LENGTH") or "")
    length = int(announced) if announced.isdecimal() else None
    if length is not None and length > limit:
        raise BodyTooLarge
    if length is None and not environ.get("wsgi.input_terminated"):
        return b""  # a server that does not mark the end of such a body would let us wait for ever
    wanted = limit + 1 if length is None else length
    with _cut_off(environ.get("gunicorn.socket"), seconds) as is_late:
        body = _read(environ["wsgi.input"], wanted)
    if is_late.is_set():
        raise BodyTooSlow
    if body is None or (length is not None and len(body) < length):
        raise BodyBroken
    if len(body) > limit:
        raise BodyTooLarge
    return body


def _read(stream: Any, wanted: int) -> bytes | None:
    try:
        return bytes(stream.read(wanted))
    except Exception:  # noqa: BLE001  # each server raises errors of its own for a body that breaks off
        return None


@contextmanager
def _cut_off(connection: socket.socket | None, seconds: float) -> Iterator[threading.Event]:
    """Ends the reading side of the connection when the time is over, which wakes whoever waits for it.

    A timeout of the socket would not do: it counts anew with each byte. Other servers than gunicorn give no socket, and no deadline.
    """
    is_late = threading.Event()
    if connection is None:
        yield is_late
        return

    def cut() -> None:
        is_late.set()
        with suppress(OSError):  # it was closed meanwhile
            connection.shutdown(socket.SHUT_RD)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()
