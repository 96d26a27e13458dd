"""A person's tokens: sealed at rest, renewed once per version across all processes.

The one rule: a refresh is claimed by a lease row and stored by compare-and-swap on the version, because row locks do nothing in
SQLite and a refresh token that is used twice may end the whole grant.
"""

import logging
import secrets
import time
from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from dashboard import crypto
from dashboard.models import AuditEntry, Connection
from dashboard.services import audit
from dashboard.services.accounts import home_account
from dashboard.services.authorization_server import oauth_client
from dashboard.services.errors import DocusignUnavailable, ReconnectNeeded
from maestro_api import InvalidGrant, MaestroError, TokenGrant

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=15)
WAIT_SECONDS = 5.0
LOOK_EVERY_SECONDS = 0.05
AHEAD_SECONDS = 300
JITTER_SECONDS = 60
State = Connection.State
KEY_UNKNOWN = (
    "This console does not hold the key that your sign-in at Docusign was sealed with. Nothing was sent. Whoever runs the server can "
    "give it that key; without it, sign in again."
)


def access_token(connection: Connection) -> str:
    """The person's token, renewed ahead of its end. Raises ReconnectNeeded, DocusignUnavailable."""
    row = _reload(connection)
    ahead = AHEAD_SECONDS + secrets.randbelow(2 * JITTER_SECONDS + 1) - JITTER_SECONDS
    if _lives(row, seconds=ahead):
        return _open(row, "access_token")
    return _renew(row, must=not _lives(row, seconds=0))


def replace_dead_token(connection: Connection, dead_token: str) -> str:
    """Docusign answered 401 to this token, which counts more than our clock (O-13): renew it, unless that was done."""
    row = _reload(connection)
    present = _open(row, "access_token")
    return present if present != dead_token else _renew(row, must=True)


def store_grant(connection: Connection, grant: TokenGrant) -> None:
    """Keep the pair of a fresh sign-in, in the caller's transaction."""
    now = timezone.now()
    Connection.objects.filter(pk=connection.pk).update(
        **_sealed(connection, grant),
        version=F("version") + 1,
        state=State.ACTIVE,
        state_reason="",
        state_changed_at=now,
        first_granted_at=now,
        scopes=grant.scope or "",
    )
    connection.refresh_from_db()


def stored_refresh_token(connection: Connection) -> str:
    """The refresh token for a revocation; empty when there is none that opens."""
    row = Connection.objects.select_related("user").get(pk=connection.pk)
    try:
        return (
            crypto.unseal(row.sealed_refresh_token, *token_place(row, "refresh_token"))
            if row.sealed_refresh_token
            else ""
        )
    except crypto.SealBroken:
        return ""


def mark_reconnect_needed(connection: Connection, reason: str, *, version: int | None = None) -> bool:
    """Drop the tokens and stop all use until the person signs in again; False when a newer pair came meanwhile."""
    rows = Connection.objects.filter(pk=connection.pk, state=State.ACTIVE)
    if version is not None:
        rows = rows.filter(version=version)
    with transaction.atomic():
        changed = rows.update(
            state=State.RECONNECT_NEEDED,
            state_reason=reason,
            state_changed_at=timezone.now(),
            sealed_access_token="",
            sealed_refresh_token="",
            access_expires_at=None,
            lease="",
            lease_until=None,
        )
        if changed:
            audit.record(
                "connection.reconnect_needed",
                actor=connection.user,
                account=home_account(connection.user),
                subject=connection.user,
                result=AuditEntry.Result.FAILED,
                reason=reason,
            )
    return bool(changed)


def _renew(row: Connection, *, must: bool) -> str:
    """Exactly one process renews this version; the others wait a moment and take what it stored (O-8)."""
    version = row.version
    until = time.monotonic() + WAIT_SECONDS
    while True:
        if row.version != version:
            return _open(row, "access_token")
        if lease := _claim(row):
            return _refresh(row, lease, must=must)
        if not must:
            return _open(row, "access_token")
        if time.monotonic() > until:
            raise DocusignUnavailable(
                "Your sign-in at Docusign is being renewed and that takes too long. Nothing was sent."
            )
        time.sleep(LOOK_EVERY_SECONDS)
        row = _reload(row)


def _claim(row: Connection) -> str:
    now = timezone.now()
    lease = secrets.token_hex(16)
    free = Q(lease="") | Q(lease_until__lt=now)
    rows = Connection.objects.filter(free, pk=row.pk, version=row.version, state=State.ACTIVE)
    return lease if rows.update(lease=lease, lease_until=now + LEASE) else ""


def _refresh(row: Connection, lease: str, *, must: bool) -> str:
    try:
        grant = oauth_client().refresh(_open(row, "refresh_token"))
    except InvalidGrant as error:
        return _after_refusal(row, error)
    except DocusignUnavailable:
        _release(row, lease)
        raise
    except MaestroError as error:
        _release(row, lease)
        log.warning("token.refresh_failed", extra={"user_id": str(row.user_id), "error": type(error).__name__})
        if must:
            raise DocusignUnavailable(
                f"{error.user_message} Your sign-in could not be renewed; nothing was sent."
            ) from error
        return _open(row, "access_token")
    # O-12: stored at once, in a transaction of its own, before anything else can fail.
    stored = Connection.objects.filter(pk=row.pk, version=row.version, state=State.ACTIVE).update(
        **_sealed(row, grant), version=row.version + 1
    )
    return grant.access_token if stored else _open(_reload(row), "access_token")


def _release(row: Connection, lease: str) -> None:
    Connection.objects.filter(pk=row.pk, lease=lease).update(lease="", lease_until=None)


def _after_refusal(row: Connection, error: InvalidGrant) -> str:
    """O-9: look once whether another process was quicker; else only the person can help."""
    fresh = _reload(row)
    if fresh.version != row.version:
        return _open(fresh, "access_token")
    reason = "Docusign ended the connection. Sign in again to renew it."
    if not mark_reconnect_needed(row, reason, version=row.version):
        return _open(_reload(row), "access_token")
    raise ReconnectNeeded(reason) from error


def _sealed(row: Connection, grant: TokenGrant) -> dict[str, object]:
    """The columns of a new pair. The end is counted from receipt, so a wrong clock at Docusign does not matter."""
    now = timezone.now()
    columns: dict[str, object] = {
        "sealed_access_token": crypto.seal(grant.access_token, *token_place(row, "access_token")),
        "access_expires_at": now + timedelta(seconds=grant.expires_in),
        "refreshed_at": now,
        "lease": "",
        "lease_until": None,
    }
    if grant.refresh_token:
        columns["sealed_refresh_token"] = crypto.seal(grant.refresh_token, *token_place(row, "refresh_token"))
    return columns


def _reload(connection: Connection) -> Connection:
    row = Connection.objects.select_related("user").get(pk=connection.pk)
    if row.state != State.ACTIVE:
        raise ReconnectNeeded(row.state_reason or "You are not connected to Docusign. Sign in again to connect.")
    return row


def _lives(row: Connection, *, seconds: int) -> bool:
    return row.access_expires_at is not None and row.access_expires_at > timezone.now() + timedelta(seconds=seconds)


def _open(row: Connection, field: str) -> str:
    try:
        return crypto.unseal(getattr(row, f"sealed_{field}"), *token_place(row, field))
    except crypto.KeyUnknown as error:
        # A process that was not given the key yet, or any more, must not end the sign-in for all the others (O-11).
        log.error("token.key_unknown", extra={"user_id": str(row.user_id), "field": field})
        raise DocusignUnavailable(KEY_UNKNOWN) from error
    except crypto.SealBroken as error:
        # A ciphertext that does not open in its own row is a security event, not a hiccup (O-10).
        log.error("token.seal_broken", extra={"user_id": str(row.user_id), "field": field})
        reason = "The stored sign-in cannot be opened. Sign in again to renew it."
        mark_reconnect_needed(row, reason, version=row.version)
        raise ReconnectNeeded(reason) from error


def token_place(row: Connection, field: str) -> tuple[str, str, str]:
    """Where a token is sealed to: environment, person, field (O-10)."""
    return row.user.environment, str(row.user_id), field
