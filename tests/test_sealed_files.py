"""Sealed files open whole and unchanged with their key, or not at all (D-5)."""

import base64
from io import BytesIO
from typing import Any

import pytest

from dashboard import crypto

OLD = base64.b64encode(b"an old key of thirty-two bytes!!").decode()
NEW = base64.b64encode(b"a newer key of thirty-two bytes!").decode()
HEADER = len(crypto.FILE_MAGIC) + crypto.KEY_ID_BYTES + crypto.SALT_BYTES
PIECE = crypto.PIECE_BYTES + crypto.TAG_BYTES


@pytest.fixture(autouse=True)
def _keys(settings: Any) -> None:
    settings.BACKUP_KEYS = [NEW, OLD]


def sealed(*parts: bytes) -> bytes:
    sink = BytesIO()
    sealer = crypto.FileSealer(sink)
    for part in parts:
        sealer.write(part)
    sealer.close()
    return sink.getvalue()


def opened(data: bytes) -> bytes:
    return b"".join(crypto.unseal_file(BytesIO(data)))


@pytest.mark.parametrize("size", [0, 1, crypto.PIECE_BYTES, crypto.PIECE_BYTES + 1, 3 * crypto.PIECE_BYTES])
def test_what_is_sealed_opens_again(size: int) -> None:
    data = bytes(each % 251 for each in range(1000)) * (size // 1000 + 1)
    assert opened(sealed(data[: size // 2], data[size // 2 : size])) == data[:size]


def test_one_file_sealed_twice_shows_nothing_in_common() -> None:
    first, second = sealed(b"the same"), sealed(b"the same")
    assert first[HEADER:] != second[HEADER:]


@pytest.mark.parametrize("place", [HEADER - 1, HEADER, HEADER + PIECE + 5, -1])
def test_a_changed_byte_is_found(place: int) -> None:
    data = bytearray(sealed(bytes(2 * crypto.PIECE_BYTES)))
    data[place] ^= 1
    with pytest.raises(crypto.SealBroken, match="changed, or is not whole"):
        opened(bytes(data))


@pytest.mark.parametrize("kept", [HEADER, HEADER + 100, HEADER + PIECE, HEADER + PIECE + 100])
def test_a_file_that_was_cut_off_is_found(kept: int) -> None:
    """Also where the cut is between two pieces."""
    with pytest.raises(crypto.SealBroken, match="not whole"):
        opened(sealed(bytes(2 * crypto.PIECE_BYTES + 5))[:kept])


def test_pieces_in_another_order_are_found() -> None:
    data = sealed(bytes(2 * crypto.PIECE_BYTES + 5))
    first, second = data[HEADER : HEADER + PIECE], data[HEADER + PIECE : HEADER + 2 * PIECE]
    with pytest.raises(crypto.SealBroken):
        opened(data[:HEADER] + second + first + data[HEADER + 2 * PIECE :])


def test_an_older_key_of_the_ring_still_opens_and_a_foreign_one_does_not(settings: Any) -> None:
    settings.BACKUP_KEYS = [OLD]
    data = sealed(b"a backup")
    settings.BACKUP_KEYS = [NEW, OLD]
    assert opened(data) == b"a backup"
    settings.BACKUP_KEYS = [NEW]
    with pytest.raises(crypto.SealBroken, match="No key of BACKUP_KEYS"):
        opened(data)


def test_the_keys_of_tokens_open_no_backup(settings: Any) -> None:
    data = sealed(b"a backup")
    settings.BACKUP_KEYS, settings.TOKEN_KEYS = [], [NEW]
    with pytest.raises(crypto.SealBroken):
        opened(data)


def test_without_a_key_nothing_is_written(settings: Any) -> None:
    settings.BACKUP_KEYS = []
    sink = BytesIO()
    with pytest.raises(crypto.NoKey, match="BACKUP_KEYS is empty"):
        crypto.FileSealer(sink)
    assert sink.getvalue() == b""


@pytest.mark.parametrize(
    "data", [b"", b"MCBACK1\n", b"something else that is quite long, but no backup of a console at all"]
)
def test_what_is_no_backup_is_called_so(data: bytes) -> None:
    with pytest.raises(crypto.SealBroken, match="no backup of this console"):
        opened(data)
