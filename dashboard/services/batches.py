"""Bulk runs up to their confirm, and the figures of how far they are; `batch_states` pauses, stops and resumes them.

The one rule: a list is frozen before it is confirmed, and a confirm is one conditional update with its audit entry (U-8, A-1).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from dashboard.models import (
    Account,
    Batch,
    BatchItem,
    BatchState,
    Contract,
    ItemState,
    Membership,
    OperationKind,
    User,
    Workflow,
)
from dashboard.services import audit, batch_states, restores, second_person
from dashboard.services.batch_doubts import doubt_waiting
from dashboard.services.batch_inputs import inputs_place
from dashboard.services.batch_states import (
    hold,
    is_theirs,
    pause,
    start_now,
    stop,
    undo,
    undo_window,
)
from dashboard.services.errors import NeedsSecondPerson, Refused
from dashboard.services.freezing import freeze_instances, freeze_workflows
from dashboard.services.instances import bump, lock_mirror
from dashboard.services.quota import HOUR, HOUR_SHARES, Lane, quota_of
from dashboard.services.store import before_sending

__all__ = [
    "Eta",
    "confirm",
    "counts",
    "create_batch",
    "eta",
    "freeze_instances",
    "freeze_workflows",
    "hold",
    "inputs_place",
    "is_theirs",
    "pause",
    "price",
    "resume",
    "retry",
    "start_now",
    "stop",
    "undo",
    "undo_window",
]
LONGEST_BATCH_NAME = 120
CALLS = {OperationKind.TRIGGER: 1, OperationKind.CANCEL: 3, OperationKind.PAUSE: 2, OperationKind.RESUME: 2}
"""What one item costs: a trigger is one call; a cancel is read before and after, a pause or resume only after."""
ANOTHER_FORM = "This form was already used for something else; open a new one. Nothing was sent."
EMPTY = "There is nothing to do in this list: no row of it is ready. Nothing was sent."
CHANGED = "The list was changed after you were asked. Look at it as it is now, and answer again. Nothing was sent."
FORGOTTEN = "This list was not started for so long that it was forgotten; make it anew. Nothing was sent."
NOT_FROZEN = "This list is not complete yet. Nothing was sent."
NOT_YOURS = "Only {} can start this bulk run, because it runs with that person's own connection. Nothing was sent."
NOT_PLANNED = "This bulk run is already {}."


@dataclass(frozen=True, slots=True)
class Eta:
    """How long it will still take; `why` says what it waits for, or why nothing can be said."""

    seconds: float | None
    per_second: float
    why: str = ""


def create_batch(
    account: Account,
    *,
    actor: User,
    kind: OperationKind | str,
    source: Batch.Source | str,
    name: str,
    key: str,
    workflow: Workflow | None = None,
    reason: str = "",
    described: str = "",
    contract: Contract | None = None,
) -> Batch:
    """An empty list, planned. The same form once more gives the first one (U-7). Raises Refused for another use of its key."""
    wanted = (
        str(account.pk),
        actor.pk,
        OperationKind(kind),
        Batch.Source(source),
        str(workflow.pk if workflow else ""),
    )
    first = Batch.objects.filter(key=key).first()
    if first is None:
        try:
            with before_sending(), transaction.atomic():
                return Batch.objects.create(
                    key=key,
                    account=account,
                    actor=actor,
                    kind=wanted[2],
                    source=wanted[3],
                    workflow=workflow,
                    contract=contract,
                    name=name[:LONGEST_BATCH_NAME],
                    reason=reason.strip(),
                    described=described,
                )
        except IntegrityError:  # the same form, sent twice at once
            first = Batch.objects.get(key=key)
    if (str(first.account_id), first.actor_id, first.kind, first.source, str(first.workflow_id or "")) != wanted:
        raise Refused(ANOTHER_FORM)
    return first


def confirm(batch: Batch, *, membership: Membership, key: str, reason: str = "", seen: str | None = None) -> Batch:
    """Start it: a cancel after the undo window, everything else at once. Raises Refused, NeedsSecondPerson.

    The same form once more is no second start. It runs with its own person's connection, so that person confirms (V-5). `seen` is
    the digest of the list that this person was asked about: no other one starts.
    """
    batch.refresh_from_db()
    if batch.confirmed_at and batch.confirm_key == key:
        return batch
    if batch.actor_id != membership.user_id or not is_theirs(batch, membership):
        raise Refused(NOT_YOURS.format(batch.actor))
    with before_sending(), transaction.atomic():
        lock_mirror(batch.account_id)
        # Under the lock that changes of lists and policies take too: what is weighed and counted here is what starts.
        if not Batch.objects.filter(pk=batch.pk).exists():
            raise Refused(FORGOTTEN)
        batch.refresh_from_db()
        if batch.confirmed_at and batch.confirm_key == key:
            return batch  # the same form, sent twice at once
        number = _startable(batch)
        digest = second_person.digest_of(batch) if seen is not None else ""
        if digest != (seen or ""):
            raise Refused(CHANGED)
        if second_person.is_let_go(batch, digest):
            reason = ""  # that of the list stays: whoever let it go has judged it
        elif policy := second_person.policy_of(batch):
            raise NeedsSecondPerson(second_person.needs_sentence(policy), policy=policy)
        if not _confirmed(batch, key, reason.strip() or batch.reason):
            raise Refused(FORGOTTEN)
        if restores.is_older(batch):
            doubt_waiting(batch)
        batch.refresh_from_db()
        bump(batch.account_id)
        audit.record(
            "batch.confirmed",
            actor=membership.user,
            account=batch.account,
            subject=batch,
            reason=batch.reason,
            detail={"kind": batch.kind, "count": number, "workflow": str(batch.workflow or "")},
        )
    return batch


def _startable(batch: Batch) -> int:
    """How many items start. Raises Refused where nothing can."""
    if batch.frozen_at is None:
        raise Refused(NOT_FROZEN)
    _refuse_unless_planned(batch)
    number = batch.items.filter(state=ItemState.WAITING).count()
    if not number:
        raise Refused(EMPTY)
    return number


def _refuse_unless_planned(batch: Batch) -> None:
    if batch.state != BatchState.PLANNED:
        raise Refused(NOT_PLANNED.format(batch.look.label.lower()))


def _confirmed(batch: Batch, key: str, reason: str) -> bool:
    now = timezone.now()
    starts_at = now + undo_window(batch)
    rows = Batch.objects.filter(pk=batch.pk, state=BatchState.PLANNED)
    return bool(
        rows.update(
            state=BatchState.RUNNING,
            hold=Batch.Hold.NONE,
            confirm_key=key,
            confirmed_at=now,
            starts_at=starts_at,
            next_send_at=starts_at,
            reason=reason,
            message="",
        )
    )


def resume(batch: Batch, *, membership: Membership) -> Batch:
    """Go on from where it stands. Raises Refused."""
    with _doubting(batch):
        return batch_states.resume(batch, membership=membership)


def retry(batch: Batch, *, membership: Membership, key: str) -> int:
    """Send again what surely did not run; how many. Raises Refused, NeedsSecondPerson."""
    with _doubting(batch):
        return batch_states.retry(batch, membership=membership, key=key)


@contextmanager
def _doubting(batch: Batch) -> Iterator[None]:
    """In one transaction; after a restore nothing goes before every row was looked for at Docusign (U-12)."""
    with before_sending(), transaction.atomic():
        yield
        if restores.is_older(batch):
            doubt_waiting(batch)


def counts(batch: Batch) -> dict[ItemState, int]:
    """How many items are in each state; states without an item are absent."""
    rows = _items(batch).order_by().values_list("state").annotate(number=Count("pk"))
    return {ItemState(state): number for state, number in rows}


def _items(batch: Batch) -> QuerySet[BatchItem]:
    return BatchItem.objects.filter(batch=batch)


def price(batch: Batch) -> int:
    """How many calls to Docusign are still to be made, without those for outcomes that will be unknown."""
    return _to_go(batch) * CALLS[OperationKind(batch.kind)]


def _to_go(batch: Batch) -> int:
    return _items(batch).filter(state__in=(ItemState.WAITING, ItemState.PLANNED)).count()


def eta(batch: Batch) -> Eta:
    """By the pace and by what the batch lane leaves of the hour (R-4); None while a person or Docusign holds it up."""
    now = timezone.now()
    pace = float(settings.BATCH_RATE_PER_SECOND)
    to_go = _to_go(batch)
    if batch.state == BatchState.DONE:
        return Eta(0.0, pace)
    if batch.state == BatchState.PAUSED:
        return Eta(None, pace, batch.message)
    # What holds it back now and why; the wait for its own pace is part of the pace.
    begins = max((moment for moment in (batch.starts_at, batch.next_send_at) if moment), default=now)
    delay = max((begins - now).total_seconds(), 0.0)
    seconds = max(delay + to_go / pace, _by_quota(batch, to_go * CALLS[OperationKind(batch.kind)], pace))
    return Eta(seconds, min(pace, to_go / seconds) if seconds else pace, batch.message)


def _by_quota(batch: Batch, calls: int, pace: float) -> float:
    """Seconds until the lane has left so many calls; whole hours for what does not fit into this one."""
    quota = quota_of(getattr(batch.account, "budget", None), timezone.now())
    left = quota.left_for(Lane.BATCH)
    if calls <= left:
        return 0.0
    an_hour = max(quota.limit * HOUR_SHARES[Lane.BATCH] // 100, 1)
    hours, rest = divmod(calls - left, an_hour)
    until_reset = max((quota.resets_at - timezone.now()).total_seconds(), 0.0)
    return until_reset + hours * HOUR.total_seconds() + rest / CALLS[OperationKind(batch.kind)] / pace
