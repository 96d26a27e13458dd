"""The marker: random text at the end of an instance name, by which a lost answer is found again.

The one rule: only this module makes, finds or removes markers, and a person's own text never passes for one (U-3).
"""

import re
import secrets

SIGN = "·"
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # 32 signs: five bits each, without i, l, o, u
LENGTH = 11  # 55 random bits
_LETTERS = "0-9a-hjkmnp-tv-z"
_DOTS = "·\u0387\u2022\u2219\u22c5\u30fb\uff65"  # signs that look like ours, or that normalisation turns into ours
_AT_END = re.compile(rf"\s*{SIGN}([{_LETTERS}]{{{LENGTH}}})\s*\Z")
_LOOK_ALIKE = re.compile(rf"[{_DOTS}](?:[{_LETTERS}]{{{LENGTH}}})", re.IGNORECASE)


def make_marker() -> str:
    """A new marker, without its sign."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def marker_from(digest: str) -> str:
    """The marker of what has a secret digest of its own: the same deed always finds itself, even from a copy of the database."""
    number, signs = int(digest, 16), []
    for _ in range(LENGTH):
        number, rest = divmod(number, len(ALPHABET))
        signs.append(ALPHABET[rest])
    return "".join(signs)


def with_marker(name: str, marker: str) -> str:
    """The name as it is sent. It is never cut: no limit of its length is documented."""
    return f"{clean_name(name)} {SIGN}{marker}"


def find_marker(full_name: str) -> str:
    """The marker at the end of a name, or an empty text."""
    found = _AT_END.search(full_name)
    return found[1] if found else ""


def without_marker(full_name: str) -> str:
    """The name as people see it."""
    return _AT_END.sub("", full_name)


def clean_name(name: str) -> str:
    """What a person typed, without anything that could be taken for a marker."""
    cleaned, before = name.strip(), None
    while cleaned != before:
        before = cleaned
        cleaned = _LOOK_ALIKE.sub("", cleaned).strip()
    return cleaned
