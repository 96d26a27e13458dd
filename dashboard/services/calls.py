"""The way from a service to Docusign: this person's own token, the budget, and errors in plain words.

The one rule: no call is made without both, and never inside a database transaction of a service.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.utils import timezone

from dashboard.models import Membership
from dashboard.services import budget
from dashboard.services.budget import Lane
from dashboard.services.connections import client_for
from dashboard.services.errors import DocusignUnavailable, ReconnectNeeded, Refused, ServiceError
from dashboard.services.turnstile import through
from dashboard.services.visibility import is_connected
from maestro_api import (
    ConnectFailed,
    Forbidden,
    InvalidRequest,
    MaestroClient,
    MaestroError,
    NotFound,
    RateLimited,
    ResponseError,
    ServerError,
    TransportError,
    Unauthorized,
    UnexpectedStatus,
    UnreadableResponse,
)

RECONNECT = "Your connection to Docusign has ended; connect again to go on. Nothing was sent."


@contextmanager
def calling(
    membership: Membership, *, deadline: float | None = None, lane: Lane = Lane.PEOPLE
) -> Iterator[MaestroClient]:
    """A client with this person's own token, for one or a few calls, each claimed in the lane before it is sent.

    A call that the budget holds back raises DocusignUnavailable with `retry_at`, at the start or in the middle; what fails
    at Docusign is raised unchanged.
    """
    if not is_connected(membership):
        raise ReconnectNeeded(RECONNECT)
    with through(membership.account, lane) as turnstile:
        yield client_for(membership.user.connection, membership.account, turnstile, deadline=deadline)


def explained(error: MaestroError) -> ServiceError:
    """What a failed read means for the person who asked for it."""
    if isinstance(error, RateLimited):
        return limited(error)
    if isinstance(error, Unauthorized):
        return ReconnectNeeded(error.user_message)
    if isinstance(error, TransportError | ServerError | UnreadableResponse | UnexpectedStatus):
        return DocusignUnavailable(f"{error.user_message} Nothing was changed.")
    return Refused(sentence_of(error))


def limited(error: RateLimited) -> DocusignUnavailable:
    """Too many calls: when to come back."""
    retry_at = timezone.now() + timedelta(seconds=error.retry_after or 30.0)
    return DocusignUnavailable(budget.LIMIT_SENTENCE.format(retry_at), retry_at=retry_at)


def sentence_of(error: MaestroError) -> str:
    """Our sentence, then Docusign's own words where it gave any."""
    detail = error.detail.strip() if isinstance(error, ResponseError) else ""
    return f"{error.user_message} Docusign said: {detail}" if detail else error.user_message


def is_denial(error: MaestroError) -> bool:
    """Whether Docusign said that this person may not see the object (V-6)."""
    return isinstance(error, Forbidden | NotFound)


def was_not_sent(error: MaestroError) -> bool:
    """Whether it is certain that no byte of the request reached Docusign."""
    return not error.may_have_happened and isinstance(error, ConnectFailed | InvalidRequest | TransportError)
