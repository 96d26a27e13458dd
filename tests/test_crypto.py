"""Sealed values open in their own place, with their own key, unchanged, and nowhere else."""

import base64
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashboard import crypto

PLACE = ("simulator", "user-1", "access_token")
OLD = base64.b64encode(b"an old key of thirty-two bytes!!").decode()
NEW = base64.b64encode(b"a newer key of thirty-two bytes!").decode()


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens_again(text: str) -> None:
    assert crypto.unseal(crypto.seal(text, *PLACE), *PLACE) == text


def test_two_seals_of_one_text_differ() -> None:
    """O-10: a random nonce each time."""
    assert crypto.seal("x", *PLACE) != crypto.seal("x", *PLACE)


@pytest.mark.parametrize(
    "place",
    [
        ("production", "user-1", "access_token"),
        ("simulator", "user-2", "access_token"),
        ("simulator", "user-1", "refresh_token"),
        ("simulator", "user-1access_token"),
        ("simulatoruser-1", "access_token"),
        (),
    ],
)
def test_a_seal_opens_in_no_other_place(place: tuple[str, ...]) -> None:
    """O-10: environment, owner and field are bound, and no two places spell the same."""
    with pytest.raises(crypto.SealBroken):
        crypto.unseal(crypto.seal("secret", *PLACE), *place)


def test_a_changed_seal_does_not_open() -> None:
    sealed = crypto.seal("secret", *PLACE)
    head, body = sealed.rsplit(".", 1)
    data = bytearray(base64.urlsafe_b64decode(body))
    for at in (0, 12, len(data) - 1):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(crypto.SealBroken):
            crypto.unseal(f"{head}.{base64.urlsafe_b64encode(changed).decode()}", *PLACE)


@pytest.mark.parametrize("text", ["", "v1", "v1.x", "v1.x.y", "v2.", "plain text", "v1..", "v1.00000000.AAAA", "é.é.é"])
def test_something_else_is_no_seal(text: str) -> None:
    with pytest.raises(crypto.SealBroken):
        crypto.unseal(text, *PLACE)


def test_a_seal_of_another_version_does_not_open() -> None:
    sealed = crypto.seal("secret", *PLACE)
    with pytest.raises(crypto.SealBroken, match="form"):
        crypto.unseal("v9" + sealed[2:], *PLACE)


def test_an_older_key_opens_and_the_newest_seals(settings: Any) -> None:
    """O-11: the first of the ring seals, all of them open."""
    settings.TOKEN_KEYS = [OLD]
    sealed = crypto.seal("secret", *PLACE)
    settings.TOKEN_KEYS = [NEW, OLD]
    assert crypto.unseal(sealed, *PLACE) == "secret"
    assert crypto.sealed_key_id(crypto.seal("x", *PLACE)) == crypto.newest_key_id() != crypto.sealed_key_id(sealed)


def test_without_its_key_a_seal_stays_shut(settings: Any) -> None:
    settings.TOKEN_KEYS = [OLD]
    sealed = crypto.seal("secret", *PLACE)
    settings.TOKEN_KEYS = [NEW]
    with pytest.raises(crypto.KeyUnknown, match="does not hold"):
        crypto.unseal(sealed, *PLACE)


def test_a_key_id_gives_nothing_of_the_key_away() -> None:
    identifier = crypto.key_id(crypto.decode_key(OLD))
    assert len(identifier) == 8
    assert set(identifier) <= set(string.hexdigits)
    assert identifier not in OLD


@pytest.mark.parametrize("text", ["", "short", "A" * 44, "=" * 44, "ä" * 44, base64.b64encode(b"x" * 31).decode()])
def test_a_bad_key_is_named_bad(text: str) -> None:
    with pytest.raises(crypto.BadKey):
        crypto.decode_key(text)


def test_a_key_may_be_written_in_either_alphabet_and_without_padding() -> None:
    raw = bytes(range(224, 256))
    assert crypto.decode_key(base64.b64encode(raw).decode()) == raw
    assert crypto.decode_key(base64.urlsafe_b64encode(raw).decode().rstrip("=")) == raw


def test_a_keyed_digest_depends_on_purpose_text_and_secret(settings: Any) -> None:
    one = crypto.keyed_digest("session", "a")
    assert one == crypto.keyed_digest("session", b"a")
    assert one != crypto.keyed_digest("setup", "a")
    assert one != crypto.keyed_digest("session", "b")
    settings.SECRET_KEY = "another secret"
    assert one != crypto.keyed_digest("session", "a")
