"""Reading an answer's body: whole, within its caps, or not at all.

The one rule: bytes are counted as they come and again as they unfold, and reading stops at the cap; a body counts only
when its end was really reached.
"""

from __future__ import annotations

import http.client
import zlib
from typing import Final

import requests
import urllib3.exceptions

MIB: Final = 1024 * 1024
BODY_CAP: Final = 5 * MIB
LIST_CAP: Final = 32 * MIB  # the per-workflow list comes in one piece, without pages
RATIO_CAP: Final = 100
RATIO_FLOOR: Final = MIB
CHUNK: Final = 64 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS


class BodyTooLarge(Exception):
    """A cap was reached."""


class BodyIncomplete(Exception):
    """The body ended early, or cannot be unpacked."""


def read_body(answer: requests.Response, cap: int) -> bytes:
    """The decoded body of a streamed answer.

    Raises BodyTooLarge or BodyIncomplete; errors of the connection come through as urllib3 or OS errors.
    """
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return _plain(answer, cap)
    if encoding in ("gzip", "x-gzip"):
        return _unzipped(answer, cap)
    raise BodyIncomplete("the answer is packed in a way that was not asked for")


def _plain(answer: requests.Response, cap: int) -> bytes:
    declared = answer.headers.get("Content-Length", "")
    if declared.isascii() and declared.isdigit() and (len(declared) > 15 or int(declared) > cap):
        raise BodyTooLarge
    first = _read(answer)
    if not first:
        return b""
    parts = [first]
    size = len(first)
    while size <= cap:
        part = _read(answer)
        if not part:
            return first if len(parts) == 1 else b"".join(parts)
        parts.append(part)
        size += len(part)
    raise BodyTooLarge


def _unzipped(answer: requests.Response, cap: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    out = bytearray()
    packed = 0
    while packet := _read(answer):
        packed += len(packet)
        while packet:
            if unpacker.eof:  # a further member of the same stream
                unpacker = zlib.decompressobj(_GZIP)
            try:
                out += unpacker.decompress(packet, CHUNK)
            except zlib.error:
                raise BodyIncomplete("the answer's compression is damaged") from None
            if len(out) > cap or (len(out) > RATIO_FLOOR and len(out) > packed * RATIO_CAP):
                raise BodyTooLarge
            packet = unpacker.unconsumed_tail or unpacker.unused_data
    if packed and not unpacker.eof:
        raise BodyIncomplete("the answer's compression ends early")
    return bytes(out)


def _read(answer: requests.Response) -> bytes:
    try:
        data = answer.raw.read(CHUNK, decode_content=False)
    except urllib3.exceptions.ProtocolError as error:
        if not isinstance(error.args[-1], http.client.IncompleteRead):
            raise
    else:
        return bytes(data)
    raise BodyIncomplete("the answer is shorter than announced")
