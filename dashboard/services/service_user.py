"""The service user of the server: a Docusign user by JWT grant who reads mirrors, and does nothing else.

The one rule: its token is used for background reading only; no deed and no proof of a person's rights ever uses it (V-5).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from dashboard.facts import current_facts
from dashboard.models import Account, AccountSync, Membership, Role
from dashboard.services.authorization_server import environment, oauth_client
from dashboard.services.budget import Lane
from dashboard.services.errors import ServiceError
from dashboard.services.timings import SERVICE_RETRY_AFTER
from dashboard.services.turnstile import Turnstile, through
from dashboard.startup import read_pem
from maestro_api import (
    ConsentRequired,
    Forbidden,
    InvalidRequest,
    JwtGrant,
    MaestroClient,
    OAuthError,
    Unauthorized,
)

LABEL = "the service user"
NEEDS_CONSENT = "The service user has not yet allowed this console to act for them."
UNREADABLE_KEY = "The key of the service user cannot be read on the server."


class ServiceUserRefused(ServiceError):
    """The service user may not read this account; it is not asked again for a while."""


def is_configured() -> bool:
    return bool(settings.DOCUSIGN_SERVICE_USER and settings.DOCUSIGN_SERVICE_KEY)


def own_id() -> str:
    """The service user's Docusign id as instances name it."""
    return str(settings.DOCUSIGN_SERVICE_USER).strip("{}").lower()


def works_for(account: Account) -> bool:
    """Whether there is a service user who was not refused lately."""
    if not is_configured():
        return False
    recent = timezone.now() - SERVICE_RETRY_AFTER
    return not AccountSync.objects.filter(account=account, service_problem_at__gt=recent).exists()


def consent_url() -> str:
    """Where the service user signs in once to allow impersonation; the code that comes back is not used."""
    return oauth_client().consent_url()


@lru_cache(maxsize=2)
def _grant(user: str, key: str, client_id: str, redirect_uri: str) -> JwtGrant:
    """One a process and setting, because it caches its token."""
    return JwtGrant(environment(), client_id, user, read_pem(key), redirect_uri=redirect_uri)


def _present_grant() -> JwtGrant:
    key = str(settings.DOCUSIGN_SERVICE_KEY)
    return _grant(own_id(), key, settings.DOCUSIGN_CLIENT_ID, settings.DOCUSIGN_REDIRECT_URI)


def token() -> str:
    """A token of the service user. Raises ConsentRequired and other OAuth errors."""
    return _present_grant().token()


@contextmanager
def calling(
    account: Account, *, deadline: float | None = None, lane: Lane = Lane.BACKGROUND
) -> Iterator[MaestroClient]:
    """A client with the service user's token; refusals are noted for admins and raised as ServiceUserRefused."""
    try:
        with through(account, lane) as turnstile:
            yield _client(account, turnstile, deadline)
    except (OAuthError, Unauthorized, Forbidden) as error:
        is_consent = isinstance(error, ConsentRequired)
        said = NEEDS_CONSENT if is_consent else f"Docusign does not let the service user read. {error.user_message}"
        note_problem(account, said)
        raise ServiceUserRefused(said) from error
    note_works(account)


def _client(account: Account, turnstile: Turnstile, deadline: float | None) -> MaestroClient:
    try:
        grant = _present_grant()
    except (OSError, InvalidRequest) as error:  # the start-up checks saw it work, so the file went away since
        note_problem(account, UNREADABLE_KEY)
        raise ServiceUserRefused(UNREADABLE_KEY) from error
    return MaestroClient(
        environment(),
        str(account.pk),
        grant.token,
        refresh=grant.refresh,
        correlation_id=current_facts().request_id,
        deadline=deadline,
        **turnstile.options,
    )


def note_problem(account: Account, said: str) -> None:
    """Why the service user cannot read; admins see it beside the way out."""
    AccountSync.objects.get_or_create(account=account)
    AccountSync.objects.filter(account=account).update(service_problem=said, service_problem_at=timezone.now())


def note_works(account: Account) -> None:
    rows = AccountSync.objects.filter(~Q(service_problem=""), account=account)
    rows.update(service_problem="", service_problem_at=None)


@dataclass(frozen=True, slots=True)
class Notice:
    """What keeps the service user from reading, and the way out where a person has one."""

    text: str
    consent_url: str = ""


def notice_for(membership: Membership) -> Notice | None:
    """For admins only: they know who runs the server."""
    said = problem_of(membership.account) if membership.role == Role.ADMIN else ""
    if not said:
        return None
    return Notice(said, consent_url() if said == NEEDS_CONSENT else "")


def problem_of(account: Account) -> str:
    """The last problem; empty when it works or is not configured."""
    row = AccountSync.objects.filter(account=account).first()
    return row.service_problem if row is not None and is_configured() else ""
