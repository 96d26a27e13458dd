"""Seal and unseal secrets: AES-256-GCM under a key ring. Its one rule: it alone reads the keys.

A sealed text is `v1.<key id>.<base64url of nonce and ciphertext>`. The associated data binds it to its place (environment, owner,
field), so a ciphertext copied to another row opens nowhere. Whole files are sealed in pieces under keys of their own
(`BACKUP_KEYS`): each file has a key derived from a random salt, each piece is bound to its number, and the last one says that it is
the last, so that nothing can be changed, moved or cut off.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterator, Sequence
from functools import cache
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

VERSION = "v1"
NONCE_BYTES = 12
KEY_BYTES = 32
TAG_BYTES = 16
FILE_MAGIC = b"MCBACK1\n"
KEY_ID_BYTES, SALT_BYTES = 8, 32
PIECE_BYTES = 1 << 20


class SealBroken(Exception):
    """A sealed value does not open here: wrong key, wrong place, or changed."""


class KeyUnknown(SealBroken):
    """A sealed value names a key that this process does not hold: with the key back it opens, so nothing is thrown away for it."""


class BadKey(ValueError):
    """A key is not 32 bytes of base64."""


class NoKey(Exception):
    """BACKUP_KEYS is empty, so nothing can be sealed into a file."""


def decode_key(text: str) -> bytes:
    """The 32 bytes of one key; raises BadKey."""
    plain = text.strip().replace("-", "+").replace("_", "/")
    try:
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise BadKey("a key is not base64") from error
    if len(key) != KEY_BYTES:
        raise BadKey(f"a key has {len(key)} bytes instead of {KEY_BYTES}")
    return key


def key_id(key: bytes) -> str:
    """The public name of a key: eight hex digits of its digest."""
    return hashlib.sha256(b"maestro console key id" + key).hexdigest()[:8]


@cache
def _ring(keys: tuple[str, ...]) -> dict[str, bytes]:
    decoded = [decode_key(text) for text in keys]
    return {key_id(key): key for key in decoded}


def _keys() -> dict[str, bytes]:
    return _ring(tuple(settings.TOKEN_KEYS))


def newest_key_id() -> str:
    """The id of the key that seals now."""
    return next(iter(_keys()))


def sealed_key_id(sealed: str) -> str:
    """The id of the key that sealed this text."""
    return sealed.split(".", 2)[1] if sealed.count(".") == 2 else ""


def _associated(identifier: str, place: Sequence[str]) -> bytes:
    # Lengths in front, so that no two places spell the same bytes.
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in (VERSION, identifier, *place))


def seal(text: str, *place: str) -> str:
    """Seal a text for its place, such as ("simulator", user id, "refresh_token")."""
    identifier, key = next(iter(_keys().items()))
    nonce = os.urandom(NONCE_BYTES)
    ciphertext = AESGCM(key).encrypt(nonce, text.encode(), _associated(identifier, place))
    return f"{VERSION}.{identifier}.{base64.urlsafe_b64encode(nonce + ciphertext).decode()}"


def unseal(sealed: str, *place: str) -> str:
    """Open a sealed text in its place; raises SealBroken, KeyUnknown."""
    try:
        version, identifier, body = sealed.split(".", 2)
        data = base64.urlsafe_b64decode(body)
    except ValueError as error:
        raise SealBroken("The sealed value is none.") from error
    if version != VERSION:
        raise SealBroken("The sealed value has a form that this console does not know.")
    key = _keys().get(identifier)
    if key is None:
        raise KeyUnknown("The sealed value names a key that this console does not hold.")
    try:
        return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _associated(identifier, place)).decode()
    except (InvalidTag, UnicodeDecodeError) as error:
        raise SealBroken("The sealed value was changed or belongs to another place.") from error


def keyed_digest(purpose: str, text: str | bytes, *, size: int = 64) -> str:
    """A digest that can be matched but not reversed or forged without the console's secret."""
    return _digest(settings.SECRET_KEY, purpose, text)[:size]


def keyed_digests(purpose: str, text: str | bytes, *, size: int = 64) -> list[str]:
    """The same digest under the present secret and, after it, under each older one: to find again what was made before a change."""
    return [_digest(secret, purpose, text)[:size] for secret in (settings.SECRET_KEY, *settings.OLD_SECRET_KEYS)]


def _digest(secret: str, purpose: str, text: str | bytes) -> str:
    key = hashlib.sha256(b"maestro console digest" + purpose.encode() + secret.encode()).digest()
    data = text.encode() if isinstance(text, str) else text
    return hmac.digest(key, data, "sha256").hex()


class FileSealer:
    """Writes a sealed file piece by piece. `close` makes it whole; without it the file opens nowhere."""

    def __init__(self, sink: BinaryIO) -> None:
        keys = _ring(tuple(settings.BACKUP_KEYS))
        if not keys:
            raise NoKey("BACKUP_KEYS is empty; a backup needs a key of its own.")
        identifier, key = next(iter(keys.items()))
        self._header = FILE_MAGIC + identifier.encode() + os.urandom(SALT_BYTES)
        self._cipher = _file_cipher(key, self._header)
        self._sink = sink
        self._waiting = bytearray()
        self._number = 0
        sink.write(self._header)

    def write(self, data: bytes) -> None:
        """Add plain bytes."""
        self._waiting += data
        # The last piece is known as such only at the end, so one piece always waits.
        while len(self._waiting) > PIECE_BYTES:
            self._seal(bytes(self._waiting[:PIECE_BYTES]), is_last=False)
            del self._waiting[:PIECE_BYTES]

    def close(self) -> None:
        """Seal what waits as the last piece."""
        self._seal(bytes(self._waiting), is_last=True)
        self._waiting.clear()

    def _seal(self, piece: bytes, *, is_last: bool) -> None:
        self._sink.write(self._cipher.encrypt(_piece_nonce(self._number, is_last), piece, self._header))
        self._number += 1


def unseal_file(source: BinaryIO) -> Iterator[bytes]:
    """The plain bytes of a sealed file, each piece proven; the file is whole only when the iterator ends. Raises SealBroken."""
    header = source.read(len(FILE_MAGIC) + KEY_ID_BYTES + SALT_BYTES)
    if not header.startswith(FILE_MAGIC) or len(header) < len(FILE_MAGIC) + KEY_ID_BYTES + SALT_BYTES:
        raise SealBroken("This is no backup of this console.")
    identifier = header[len(FILE_MAGIC) :][:KEY_ID_BYTES].decode(errors="replace")
    key = _ring(tuple(settings.BACKUP_KEYS)).get(identifier)
    if key is None:
        raise SealBroken("No key of BACKUP_KEYS opens this backup.")
    cipher, number = _file_cipher(key, header), 0
    piece = source.read(PIECE_BYTES + TAG_BYTES)
    while True:
        following = source.read(PIECE_BYTES + TAG_BYTES)
        try:
            yield cipher.decrypt(_piece_nonce(number, not following), piece, header)
        except InvalidTag as error:
            raise SealBroken("The backup was changed, or is not whole.") from error
        if not following:
            return
        piece, number = following, number + 1


def _file_cipher(key: bytes, header: bytes) -> AESGCM:
    salt = header[-SALT_BYTES:]
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt, b"maestro console backup file").derive(key))


def _piece_nonce(number: int, is_last: bool) -> bytes:
    return number.to_bytes(NONCE_BYTES - 1, "big") + bytes([is_last])
