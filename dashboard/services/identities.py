"""Who reads the mirror of an account for everybody.

The one rule: the reader's token fills the mirror; what a person sees of it is decided by their own proofs alone (V-5).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dashboard.models import Account, Membership, Rights
from dashboard.services import service_user, tokens
from dashboard.services.budget import Lane
from dashboard.services.calls import calling
from dashboard.services.due import connected
from dashboard.services.errors import ReconnectNeeded
from dashboard.services.visibility import own_id
from maestro_api import MaestroClient

NOBODY = "Nobody whose connection works may read this account for everybody."
ORDER = {Rights.MANAGE: 0, Rights.UNPROVEN: 1, Rights.OWN: 2}


@dataclass(frozen=True, slots=True)
class Reader:
    """Whose token reads: a person of the account, or the service user of the server, who is no member."""

    label: str
    own_id: str
    token: Callable[[], str] = field(repr=False)
    membership: Membership | None = None


def reader_of(account: Account) -> Membership | None:
    """The most privileged live connection that an admin allows; among equals whoever looked last."""
    allowed = connected().filter(account=account, may_sync=True).exclude(rights=Rights.NONE)
    return min(allowed, key=lambda row: ORDER[Rights(row.rights)], default=None)


def as_reader(membership: Membership) -> Reader:
    """A person as a reader."""
    return Reader(
        str(membership.user), own_id(membership), lambda: tokens.access_token(membership.user.connection), membership
    )


@contextmanager
def reading(
    account: Account, *, lane: Lane = Lane.BACKGROUND, deadline: float | None = None
) -> Iterator[tuple[Reader, MaestroClient]]:
    """The reader and a client with the reader's token: the service user where one works, else the widest connection.

    Raises ReconnectNeeded when there is nobody, ServiceUserRefused when the service user just turned out not to work:
    asked again, this gives the next best.
    """
    if service_user.works_for(account):
        reader = Reader(service_user.LABEL, service_user.own_id(), service_user.token)
        with service_user.calling(account, deadline=deadline, lane=lane) as client:
            yield reader, client
        return
    membership = reader_of(account)
    if membership is None:
        raise ReconnectNeeded(NOBODY)
    with calling(membership, deadline=deadline, lane=lane) as client:
        yield as_reader(membership), client
