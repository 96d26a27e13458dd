"""The markers of what a bulk run triggers: made from a row's place in the run and not from chance.

The one rule (U-12): a copy of the database makes the same ones, so it finds what another copy sent. What one of them calls the first
attempt may be the second one of the other, so every attempt is looked for; only the last of them can have run. They are made with
DJANGO_SECRET_KEY, so those that an older one made are looked for as well.
"""

from collections.abc import Iterator

from dashboard import crypto
from dashboard.services.marker import marker_from

PURPOSE = "marker"
FURTHER = 5  # attempts that a newer copy may have made of a row


def marker_of(key: str) -> str:
    """The marker of an attempt, by the key of its operation."""
    return marker_from(crypto.keyed_digest(PURPOSE, key))


def of_other_attempts(key: str) -> Iterator[str]:
    """The markers of the same row's earlier and further attempts, and what an older secret made of this one; none for what belongs
    to no bulk run."""
    place, _, attempt = key.rpartition(":")
    if place:
        for number in range(1, int(attempt) + FURTHER + 1):
            made = [marker_from(digest) for digest in crypto.keyed_digests(PURPOSE, f"{place}:{number}")]
            yield from made[1:] if number == int(attempt) else made
