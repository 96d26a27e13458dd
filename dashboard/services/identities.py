"""Who reads the mirror of an account for everybody.

The one rule: the reader's token fills the mirror; what a person sees of it is decided by their own proofs alone (V-5).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from dashboard.models import Account, Membership, Rights
from dashboard.services.budget import Lane
from dashboard.services.calls import calling
from dashboard.services.due import connected
from dashboard.services.errors import ReconnectNeeded
from maestro_api import MaestroClient

NOBODY = "Nobody whose connection works may read this account for everybody."
ORDER = {Rights.MANAGE: 0, Rights.UNPROVEN: 1, Rights.OWN: 2, Rights.NONE: 3}


def reader_of(account: Account) -> Membership | None:
    """The most privileged live connection that an admin allows; among equals whoever looked last."""
    allowed = connected().filter(account=account, may_sync=True)
    return min(allowed, key=lambda row: ORDER[Rights(row.rights)], default=None)


@contextmanager
def reading(
    account: Account, *, lane: Lane = Lane.BACKGROUND, deadline: float | None = None
) -> Iterator[tuple[Membership, MaestroClient]]:
    """The reader and a client with the reader's token. Raises ReconnectNeeded when there is nobody."""
    reader = reader_of(account)
    if reader is None:
        raise ReconnectNeeded(NOBODY)
    with calling(reader, deadline=deadline, lane=lane) as client:
        yield reader, client
