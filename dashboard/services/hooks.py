"""The receiver of Docusign Connect: is a message from Docusign, is it for this account, and is it stored.

The one rule: nothing is parsed before its signature was found good, and "taken" is answered only after the commit (W-1, W-4).
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, auto

from django.conf import settings
from django.db import OperationalError, transaction
from django.db.models import F
from django.utils import timezone

from dashboard import crypto
from dashboard.addresses import source_of
from dashboard.models import Delivery, Hook, HookKey, HookRefusal
from dashboard.services.accounts import served_accounts
from dashboard.services.instances import uuid_of
from dashboard.services.store import in_turn, waiting_at_most
from maestro_api import UnreadableEvent, parse_event, verify_signature

log = logging.getLogger(__name__)
BAD_SIGNATURES_A_MINUTE = 60
NOTE_EVERY = timedelta(seconds=1)  # one message in a second writes down when the last one came
LOCK_WAIT_MS = 2_000  # Docusign is told to come again before its own patience of about five seconds ends
ADDRESSES_REMEMBERED = 10_000
SETTINGS_LABEL = "CONNECT_HMAC_KEYS, key {}"


class Outcome(Enum):
    """What became of a message."""

    TAKEN = auto()
    FOREIGN = auto()
    FORGED = auto()
    FLOOD = auto()


@dataclass(frozen=True, slots=True)
class ActiveKey:
    """A key that may have signed; `row` is None for one out of the settings that was never used yet."""

    label: str
    fingerprint: str
    secret: str = field(repr=False)
    row: HookKey | None


# Who floods in the present minute, so that each further forgery of theirs costs no query.
_flooding: dict[str, datetime] = {}


def find_hook(token: str) -> Hook | None:
    """The receiver with this token, if this console serves its account."""
    return Hook.objects.filter(token=token, account__in=served_accounts()).prefetch_related("keys").first()


def fingerprint_of(secret: str) -> str:
    """A name for a key that tells nothing about it to anybody without this console's own secret."""
    return crypto.keyed_digest("connect key", secret, size=16)


def key_place(row: HookKey) -> tuple[str, ...]:
    """Where a sealed key belongs: to this very row's receiver and fingerprint."""
    return ("hook", str(row.hook_id), row.fingerprint, "key")


def active_keys(hook: Hook) -> list[ActiveKey]:
    """Every key that counts now (W-3): those of the account, then those of the settings."""
    rows = {row.fingerprint: row for row in hook.keys.all()}
    found = []
    for row in rows.values():
        if not row.sealed_key:
            continue
        try:
            found.append(ActiveKey(row.label, row.fingerprint, crypto.unseal(row.sealed_key, *key_place(row)), row))
        except crypto.SealBroken:  # the others still count
            log.error("hook.key_broken", extra={"account": str(hook.pk), "key": row.fingerprint})
    for number, text in enumerate(settings.CONNECT_HMAC_KEYS, start=1):
        secret = text.strip()
        mark = fingerprint_of(secret)
        if secret and mark not in {key.fingerprint for key in found}:
            found.append(ActiveKey(SETTINGS_LABEL.format(number), mark, secret, rows.get(mark)))
    return found


def receive(hook: Hook, body: bytes, headers: Mapping[str, str], *, address: str) -> Outcome:
    """Verify, look at the account, store once. Raises OperationalError when it could not be stored."""
    keys = active_keys(hook)
    index = verify_signature(body, headers, [key.secret for key in keys])
    if index is None:
        return _refuse(hook, address)
    delivery = _delivery(hook, body, keys[index])
    if delivery is None:
        with waiting_at_most(LOCK_WAIT_MS):
            Hook.objects.filter(pk=hook.pk).update(foreign=F("foreign") + 1)
        return Outcome.FOREIGN
    with in_turn(LOCK_WAIT_MS), waiting_at_most(LOCK_WAIT_MS), transaction.atomic():
        # A redelivery finds its key taken and changes nothing (W-5).
        Delivery.objects.bulk_create([delivery], ignore_conflicts=True)
        _note_use(hook, keys[index], delivery.received_at)
    if delivery.state == Delivery.State.DEAD:
        log.error("hook.unreadable", extra={"account": str(hook.pk), "reason": delivery.message})
    return Outcome.TAKEN


def _delivery(hook: Hook, body: bytes, key: ActiveKey) -> Delivery | None:
    """The row of a message; None when the message is another account's (W-9). What cannot be read is kept aside (W-7)."""
    now = timezone.now()
    delivery = Delivery(account_id=hook.pk, body=body, received_at=now, next_try_at=now, key_label=key.label)
    if not fill_in(delivery, body):
        delivery.dedupe_key = hashlib.sha256(body).hexdigest()
        return delivery
    return delivery if delivery.account_id == hook.pk else None


def fill_in(delivery: Delivery, body: bytes) -> bool:
    """Write what the message says into its row, its account too; False, with the reason in the row, when it cannot be read."""
    try:
        event = parse_event(body)
    except UnreadableEvent as error:
        delivery.state, delivery.message = Delivery.State.DEAD, f"Not read: {error}."
        delivery.settled_at, delivery.next_try_at = timezone.now(), None
        return False
    delivery.dedupe_key = event.dedupe_key
    delivery.event = event.event.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    delivery.instance_id, delivery.workflow_id = uuid_of(event.instance_id), uuid_of(event.workflow_id)
    named = uuid_of(event.account_id)
    if named is not None:
        delivery.account_id = named
    return True


def _note_use(hook: Hook, key: ActiveKey, now: datetime) -> None:
    """When the last event came and with which key; not more often than it is worth."""
    if hook.last_event_at is None or hook.last_event_at <= now - NOTE_EVERY or hook.last_key != key.label:
        Hook.objects.filter(pk=hook.pk).update(last_event_at=now, last_key=key.label)
    if key.row is None:
        HookKey.objects.bulk_create(
            [HookKey(hook=hook, label=key.label, fingerprint=key.fingerprint, last_used_at=now)], ignore_conflicts=True
        )
    elif key.row.last_used_at is None or key.row.last_used_at <= now - NOTE_EVERY:
        HookKey.objects.filter(pk=key.row.pk).update(last_used_at=now)


def _refuse(hook: Hook, address: str) -> Outcome:
    """Count a message whose signature is not good; beyond a number in a minute the sender is told to wait.

    Only forgeries are ever told so: somebody who floods from behind the same proxy does not lock Docusign out.
    """
    now, source = timezone.now(), source_of(address)
    minute = now.replace(second=0, microsecond=0)
    if _flooding.get(source) == minute:
        return Outcome.FLOOD
    mine = HookRefusal.objects.filter(address=source, minute=minute)
    try:
        with waiting_at_most(LOCK_WAIT_MS), transaction.atomic():
            HookRefusal.objects.bulk_create(
                [HookRefusal(address=source, minute=minute, count=0)], ignore_conflicts=True
            )
            mine.update(count=F("count") + 1)
            Hook.objects.filter(pk=hook.pk).update(refused=F("refused") + 1, last_refused_at=now)
        count = mine.values_list("count", flat=True).first() or 0
    except OperationalError:  # nothing is lost with a count: a forgery is refused all the same
        log.warning("hook.refusal_not_counted")
        return Outcome.FORGED
    if count <= BAD_SIGNATURES_A_MINUTE:
        return Outcome.FORGED
    if len(_flooding) >= ADDRESSES_REMEMBERED:
        _flooding.clear()
    _flooding[source] = minute
    return Outcome.FLOOD
