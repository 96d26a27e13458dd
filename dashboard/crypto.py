"""Seal and unseal secrets: AES-256-GCM under a key ring. Its one rule: it alone reads the keys.

A sealed text is `v1.<key id>.<base64url of nonce and ciphertext>`. The associated data binds it to its place (environment, owner,
field), so a ciphertext copied to another row opens nowhere.
"""

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Sequence
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

VERSION = "v1"
NONCE_BYTES = 12
KEY_BYTES = 32


class SealBroken(Exception):
    """A sealed value does not open here: wrong key, wrong place, or changed."""


class BadKey(ValueError):
    """A key of TOKEN_KEYS is not 32 bytes of base64."""


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
    """Open a sealed text in its place; raises SealBroken."""
    try:
        version, identifier, body = sealed.split(".", 2)
        data = base64.urlsafe_b64decode(body)
        key = _keys()[identifier]
    except (ValueError, KeyError) as error:
        raise SealBroken("The sealed value names a key that this console does not hold.") from error
    if version != VERSION:
        raise SealBroken("The sealed value has a form that this console does not know.")
    try:
        return AESGCM(key).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], _associated(identifier, place)).decode()
    except (InvalidTag, UnicodeDecodeError) as error:
        raise SealBroken("The sealed value was changed or belongs to another place.") from error


def keyed_digest(purpose: str, text: str | bytes, *, size: int = 64) -> str:
    """A digest that can be matched but not reversed or forged without the console's secret."""
    key = hashlib.sha256(b"maestro console digest" + purpose.encode() + settings.SECRET_KEY.encode()).digest()
    data = text.encode() if isinstance(text, str) else text
    return hmac.digest(key, data, "sha256").hex()[:size]
