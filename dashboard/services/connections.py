"""A person's connection to Docusign: the configured environment, the clients built for it, and its end.

The one rule: a client for a person is built only here, always with that person's own token.
"""

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dashboard.facts import current_facts
from dashboard.models import Account, AuditEntry, Connection, Membership, User
from dashboard.services import accounts, audit, browser_sessions, tokens
from dashboard.services.authorization_server import environment, oauth_client
from dashboard.services.quota import Lane
from dashboard.services.turnstile import Turnstile
from maestro_api import MaestroClient


def client_for(
    connection: Connection,
    account: Account,
    turnstile: Turnstile | None = None,
    *,
    deadline: float | None = None,
) -> MaestroClient:
    """A client that acts as this person in this account, each attempt through the turnstile; a 401 costs one refresh and
    one retry (O-13)."""
    return MaestroClient(
        environment(),
        str(account.pk),
        lambda: tokens.access_token(connection),
        refresh=lambda dead_token: tokens.replace_dead_token(connection, dead_token),
        correlation_id=current_facts().request_id,
        deadline=deadline,
        **(turnstile or Turnstile(account, Lane.PEOPLE)).options,
    )


def mark_reconnect_needed(connection: Connection, reason: str) -> None:
    """Docusign takes this grant no more: stop using it until the person signs in again."""
    tokens.mark_reconnect_needed(connection, reason)


def close_grant(user: User, reason: str) -> None:
    """Forget both tokens; inside the transaction of the reason."""
    Connection.objects.filter(user=user).update(
        sealed_access_token="",
        sealed_refresh_token="",
        access_expires_at=None,
        lease="",
        lease_until=None,
        state=Connection.State.DISCONNECTED,
        state_reason=reason,
        state_changed_at=timezone.now(),
        first_granted_at=None,
        # An answer that is under way no longer matches the version, so it is never stored.
        version=F("version") + 1,
    )


def disconnect(connection: Connection, *, actor: User) -> None:
    """O-14: forget both tokens, end every session of the person, then tell Docusign if it can be told."""
    refresh_token = tokens.stored_refresh_token(connection)
    with transaction.atomic():
        close_grant(connection.user, "You disconnected it.")
        User.objects.filter(pk=connection.user_id).update(session_epoch=F("session_epoch") + 1)
        browser_sessions.end_all(connection.user)
        mine = Membership.objects.filter(user_id=connection.user_id)
        accounts.forget_rights(connection.user, mine)
        audit.record(
            "connection.disconnected",
            actor=actor,
            account=accounts.home_account(connection.user),
            subject=connection.user,
            result=AuditEntry.Result.OK,
        )
    if refresh_token and settings.DOCUSIGN_REVOKE:
        oauth_client().revoke(refresh_token)
