"""The setup of an account's receiver: its address, its keys, and whether it has fallen silent.

The one rule: a key is shown to nobody once it is stored; it is known by its label and fingerprint. Every change is in the audit.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils import timezone

from dashboard import crypto
from dashboard.models import Account, Bucket, Hook, HookKey, Instance, User
from dashboard.services import audit
from dashboard.services.errors import Refused
from dashboard.services.hooks import active_keys, fingerprint_of, key_place

TOKEN_BYTES = 32
MOST_KEYS = 10  # Docusign signs with each active key, and ten signatures of a message are looked at
EVENT_PATIENCE = timedelta(minutes=2)  # what has just ended may still be on its way


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """What may be shown of a key; `row` is None while one of the settings was never used."""

    label: str
    fingerprint: str
    last_used_at: datetime | None
    row: HookKey | None
    is_from_settings: bool


def hook_of(account: Account) -> Hook | None:
    """The account's receiver."""
    return Hook.objects.prefetch_related("keys").filter(account=account).first()


def address_of(hook: Hook) -> str:
    """The full address for Docusign's configuration: from the settings, never from a request."""
    parts = urlsplit(settings.DOCUSIGN_REDIRECT_URI)
    return f"{parts.scheme}://{parts.netloc}{reverse('hook', args=[hook.token])}"


def key_facts(hook: Hook) -> list[KeyFacts]:
    """The keys that count now."""
    return [
        KeyFacts(
            key.label,
            key.fingerprint,
            key.row.last_used_at if key.row else None,
            key.row,
            key.row is None or not key.row.sealed_key,
        )
        for key in active_keys(hook)
    ]


def create_hook(account: Account, *, actor: User | None) -> Hook:
    """Give the account a receiver; the one that it has, if it has one."""
    with transaction.atomic():
        hook, is_new = Hook.objects.get_or_create(account=account, defaults={"token": _new_token()})
        if is_new:
            audit.record("connect.created", actor=actor, account=account, subject=account)
    return hook


def renew_token(hook: Hook, *, actor: User) -> None:
    """A new address; the old one is unknown from now on."""
    with transaction.atomic():
        Hook.objects.filter(pk=hook.pk).update(token=_new_token())
        audit.record("connect.token_renewed", actor=actor, account=hook.account, subject=hook.account)


def add_key(hook: Hook, *, actor: User | None, label: str, secret: str) -> HookKey:
    """Keep one more key, sealed. Raises Refused."""
    if len(active_keys(hook)) >= MOST_KEYS:
        raise Refused(f"There are {MOST_KEYS} keys already. Remove one that is not used any more.")
    row = HookKey(hook=hook, label=label, fingerprint=fingerprint_of(secret))
    row.sealed_key = crypto.seal(secret, *key_place(row))
    detail = {"label": label, "fingerprint": row.fingerprint}
    # A key of the settings that was used has a row already; from now on the key is kept here as well.
    known = HookKey.objects.filter(hook=hook, fingerprint=row.fingerprint)
    try:
        with transaction.atomic():
            if not known.filter(sealed_key="").update(
                label=label, sealed_key=row.sealed_key, created_at=timezone.now()
            ):
                row.save(force_insert=True)
            audit.record("connect.key_added", actor=actor, account=hook.account, subject=hook.account, detail=detail)
    except IntegrityError as error:
        raise Refused("This key is here already.", field="key") from error
    return known.get()


def remove_key(key: HookKey, *, actor: User) -> None:
    """What is signed with this key alone is refused from now on."""
    detail = {"label": key.label, "fingerprint": key.fingerprint}
    account = key.hook.account
    with transaction.atomic():
        if HookKey.objects.filter(pk=key.pk).delete()[0]:
            audit.record("connect.key_removed", actor=actor, account=account, subject=account, detail=detail)


def silent_since(hook: Hook, *, now: datetime | None = None) -> datetime | None:
    """Since when no event came, if instances ended meanwhile of which there should have been one (W-10)."""
    since = hook.last_event_at or hook.created_at
    ended = Instance.objects.filter(
        account_id=hook.pk,
        bucket__in=(Bucket.COMPLETED, Bucket.FAILED),
        sort_at__gt=since + EVENT_PATIENCE,
        sort_at__lt=(now or timezone.now()) - EVENT_PATIENCE,
    )
    return since if ended.exists() else None


def _new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)
