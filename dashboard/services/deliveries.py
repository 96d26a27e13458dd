"""What is done with the stored messages of Docusign Connect: each makes the worker read its instance again.

The one rule: a message is a hint (W-8). What the mirror then holds is what Docusign answers now, never what the message says.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import OperationalError, transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone

from dashboard.models import Account, Delivery, HookRefusal, Instance, InstanceChange, User, Workflow
from dashboard.services import audit, due, hooks, jobs
from dashboard.services.calls import explained, is_denial
from dashboard.services.errors import DocusignUnavailable, Refused, ServiceError
from dashboard.services.identities import reading
from dashboard.services.instances import apply_instance, uuid_of
from dashboard.services.timings import (
    DELIVERIES_KEPT,
    DELIVERY_BACKOFF,
    DELIVERY_LEASE,
    DELIVERY_LOOKS,
    DELIVERY_TRIES,
    READ_DEADLINE_SECONDS,
    SETTLE_AFTER,
)
from maestro_api import MaestroClient, MaestroError

log = logging.getLogger(__name__)
State = Delivery.State
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOST_AT_ONCE = 200
PURGED_AT_ONCE = 5_000
BETWEEN = 20  # the queue's priority: after what people wait for, before looks by themselves
NOT_WAITING = "This message is neither left alone nor unreadable any more; look at its state. Nothing was changed."
ENDINGS = frozenset({"workflow-completed", "workflow-failed"})


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the messages about one instance."""

    state: Delivery.State
    message: str
    again_at: datetime | None = None
    counts: bool = True


def run_due() -> int:
    """Claim what waits, account by account, and queue its reading. How many messages that were."""
    now, claimed = timezone.now(), 0
    waiting = Delivery.objects.filter(state=State.WAITING, next_try_at__lte=now)
    for account_id in waiting.order_by().values_list("account_id", flat=True).distinct():
        lease = now + DELIVERY_LEASE + timedelta(microseconds=secrets.randbelow(1_000_000))
        mine = list(
            waiting.filter(account_id=account_id)
            .order_by("next_try_at", "pk")
            .values_list("pk", flat=True)[:MOST_AT_ONCE]
        )
        # The condition decides among workers: what another one has claimed has its time in the future.
        count = waiting.filter(pk__in=mine).update(next_try_at=lease, attempts=F("attempts") + 1)
        if count:
            jobs.enqueue("apply_deliveries", account_id, _microseconds(lease), priority=BETWEEN)
            claimed += count
    return claimed


def apply_claimed(account: Account, lease: int) -> None:
    """Read the instances of the messages claimed under this lease; several messages of one instance cost one call."""
    rows = list(_claimed(account, lease).defer("body").order_by("pk"))
    groups: dict[UUID | None, list[Delivery]] = {}
    for row in rows:
        groups.setdefault(row.instance_id, []).append(row)
    known = {
        row.pk: row
        for row in Instance.objects.filter(pk__in=[key for key in groups if key]).only(
            *("id", "account_id", "workflow_id", "status", "synced_at", "read_at")
        )
    }
    homes = dict(
        Workflow.objects.filter(pk__in=[row.workflow_id for row in rows if row.workflow_id]).values_list(
            "pk", "account_id"
        )
    )
    called_for: list[tuple[Instance | None, list[Delivery]]] = []
    settled: dict[Fate, list[Delivery]] = {}
    for instance_id, group in groups.items():
        instance = known.get(instance_id) if instance_id else None
        if fate := _fate_without_a_call(account, group, instance, homes):
            settled.setdefault(fate, []).extend(group)
        else:
            called_for.append((instance, group))
    for fate, those in settled.items():  # many at once: each write waits for the disk
        _settle(account, lease, those, fate)
    held: Fate | None = None
    for instance, group in called_for:
        if timezone.now() > _until(lease) - timedelta(seconds=READ_DEADLINE_SECONDS):
            return  # the rest comes again when the lease has ended
        fate = held or _read(account, group, instance)
        held = held or (None if fate.counts else fate)  # no call is allowed before that time, so none is tried
        _settle(account, lease, group, fate)


def _claimed(account: Account, lease: int) -> QuerySet[Delivery]:
    return Delivery.objects.filter(account=account, state=State.WAITING, next_try_at=_until(lease))


def _until(lease: int) -> datetime:
    return EPOCH + timedelta(microseconds=lease)


def _microseconds(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


def _fate_without_a_call(
    account: Account, group: Sequence[Delivery], instance: Instance | None, homes: dict[UUID, UUID]
) -> Fate | None:
    """What needs no reading: an instance that has ended stays as it is, and one that was seen since is up to date.

    `homes` has the account of each workflow that is known.
    """
    newest = max(row.received_at for row in group)
    if group[0].instance_id is None:
        return Fate(State.UNMATCHED, "It names no instance.")
    if instance is None:
        workflow_id = group[0].workflow_id
        if workflow_id is None or homes.get(workflow_id, account.pk) != account.pk:
            return Fate(
                State.UNMATCHED, "It names an instance that is not known here, and no workflow of this account."
            )
        return None
    if instance.account_id != account.pk:
        return Fate(State.UNMATCHED, "It names an instance of another account.")
    if instance.is_terminal:
        return Fate(State.APPLIED, "The instance had ended already.")
    if _is_past(instance.read_at, newest) or _is_past(instance.synced_at, newest + SETTLE_AFTER):
        return None if _says_ended(group) else Fate(State.APPLIED, "The instance was read since.")
    return None


def _is_past(moment: datetime | None, other: datetime) -> bool:
    return moment is not None and moment > other


def _says_ended(group: Sequence[Delivery]) -> bool:
    return any(row.event in ENDINGS for row in group)


def _read(account: Account, group: Sequence[Delivery], instance: Instance | None) -> Fate:
    attempts = max(row.attempts for row in group)
    try:
        with reading(account, deadline=READ_DEADLINE_SECONDS) as (_, client):
            return _read_with(client, account, group, instance)
    except MaestroError as error:
        if is_denial(error):
            return _later(
                attempts, "Docusign does not show this instance to the connection that reads.", DELIVERY_LOOKS
            )
        return _waiting_for(explained(error), attempts)
    except ServiceError as error:
        return _waiting_for(error, attempts)
    except OperationalError:  # our own database is busy: the lease ends by itself and the message comes again
        raise
    except Exception as error:  # W-7: one message that nothing can be done with must not stop those behind it
        log.exception("delivery.broken", extra={"account": str(account.pk), "delivery": group[0].pk})
        return Fate(State.DEAD, f"Reading its instance failed: {type(error).__name__}.")


def _read_with(client: MaestroClient, account: Account, group: Sequence[Delivery], instance: Instance | None) -> Fate:
    workflow_id = instance.workflow_id if instance else group[0].workflow_id
    answer = client.get_instance(str(workflow_id), str(group[0].instance_id))
    if uuid_of(answer.id) != group[0].instance_id:
        return Fate(State.UNMATCHED, "Docusign answered with another instance.")
    row, _ = apply_instance(account, answer, source=InstanceChange.Source.READ)
    if row is None:
        return Fate(State.UNMATCHED, "Docusign's answer does not fit this account.")
    if _says_ended(group) and not row.is_terminal:
        said = "Docusign still shows the instance as running."
        fate = _later(max(each.attempts for each in group), said, DELIVERY_LOOKS)
        return fate if fate.state == State.WAITING else Fate(State.APPLIED, said)
    return Fate(State.APPLIED, "")


def _waiting_for(error: ServiceError, attempts: int) -> Fate:
    """A time that was named is waited for and costs no try; anything else is tried again, more and more rarely."""
    named = error.retry_at if isinstance(error, DocusignUnavailable) else None
    if named is not None:
        return Fate(State.WAITING, error.message, named, counts=False)
    return _later(attempts, error.message, DELIVERY_TRIES)


def _later(attempts: int, message: str, most: int) -> Fate:
    if attempts >= most:
        return Fate(State.UNMATCHED, message)
    pause = DELIVERY_BACKOFF[min(attempts, len(DELIVERY_BACKOFF)) - 1]
    return Fate(State.WAITING, message, timezone.now() + pause)


def _settle(account: Account, lease: int, group: Sequence[Delivery], fate: Fate) -> None:
    mine = _claimed(account, lease).filter(pk__in=[row.pk for row in group])
    if fate.state == State.WAITING:
        mine.update(
            next_try_at=fate.again_at,
            message=fate.message,
            attempts=F("attempts") if fate.counts else F("attempts") - 1,
        )
        return
    mine.update(state=fate.state, message=fate.message, next_try_at=None, settled_at=timezone.now())
    if fate.state == State.UNMATCHED:
        due.want_account(account)


def replay(delivery: Delivery, *, actor: User) -> None:
    """Put a message that could not be read, or was left alone, into the queue again. Raises Refused."""
    again = Q(pk=delivery.pk, state__in=(State.DEAD, State.UNMATCHED))
    fresh = Delivery(account_id=delivery.account_id, body=delivery.body, state=State.WAITING)
    is_readable = hooks.fill_in(fresh, bytes(delivery.body)) and fresh.account_id == delivery.account_id
    with transaction.atomic():
        changed = is_readable and Delivery.objects.filter(again).update(
            **{name: getattr(fresh, name) for name in ("event", "instance_id", "workflow_id")},
            **{"state": State.WAITING, "message": "", "attempts": 0, "settled_at": None, "next_try_at": timezone.now()},
        )
        audit.record(
            "connect.replayed",
            actor=actor,
            account=delivery.account,
            subject=delivery.account,
            result=audit.Result.OK if changed else audit.Result.REFUSED,
            reason="" if changed else NOT_WAITING if is_readable else fresh.message,
            detail={"delivery": delivery.pk},
        )
    if not is_readable:
        raise Refused(f"The message can still not be used. {fresh.message or 'It names another account.'}")
    if not changed:
        raise Refused(NOT_WAITING)


def latest(account: Account, count: int = 20) -> list[Delivery]:
    """The last messages, newest first, without their bodies."""
    return list(Delivery.objects.filter(account=account).defer("body").order_by("-received_at", "-pk")[:count])


def counts(account: Account) -> dict[str, int]:
    """How many messages are kept in each state."""
    rows = Delivery.objects.filter(account=account).order_by().values("state").annotate(count=Count("pk"))
    found = {row["state"]: row["count"] for row in rows}
    return {state.value: found.get(state.value, 0) for state in State}


def purge() -> int:
    """Forget what is older than redeliveries can be (W-5); a part at a time, so that nobody waits for the database."""
    now = timezone.now()
    HookRefusal.objects.filter(minute__lt=now - timedelta(hours=1)).delete()
    old = Delivery.objects.filter(received_at__lt=now - DELIVERIES_KEPT).exclude(state=State.WAITING)
    return Delivery.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:PURGED_AT_ONCE])).delete()[0]
