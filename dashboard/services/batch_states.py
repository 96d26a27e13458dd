"""What becomes of a confirmed bulk run: held, paused, resumed, stopped, undone, retried, done.

The one rule: each change is one conditional update on the state, with its audit entry in the same transaction.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone

from dashboard.models import (
    UNDER_WAY_ITEMS,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    ItemState,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Role,
    User,
)
from dashboard.services import audit, second_person
from dashboard.services.edges import Outcome, move
from dashboard.services.errors import NeedsSecondPerson, Refused
from dashboard.services.instances import bump, lock_mirror
from dashboard.services.store import before_sending

State = BatchState
Hold = Batch.Hold
# An operation belongs to one attempt; that of the last one stays as it is, and the item gets another.
AGAIN: dict[str, Any] = {
    "state": ItemState.WAITING,
    "attempt": F("attempt") + 1,
    "operation": None,
    "message": "",
    "settled_at": None,
}
WORDS = ("batch.confirmed", "batch.retried", "batch.stopped", "batch.undone")
OPEN_ITEMS = (ItemState.WAITING, *UNDER_WAY_ITEMS)
NOT_THEIRS = "Only {} or an admin can do this."
WRONG_STATE = "This bulk run is {}, so that is not possible any more."
PAUSED = "Paused by {}."
STOPPED = "The run was stopped before this one."
UNDONE = "The run was undone before anything was sent."
RETRY_UNDONE = "The retry was undone before it sent anything."
TOO_LATE_TO_UNDO = "The time to undo is over; stop it instead."
NOT_YOURS_TO_START = "Only {} can start this, because it runs with that person's own connection."
NOTHING_TO_RETRY = "There is nothing to try again: no row failed that surely did not run."


def is_theirs(batch: Batch, membership: Membership) -> bool:
    """Whether this person may pause, resume and stop it: their own, or any of the account for an admin."""
    is_same_account = str(batch.account_id) == str(membership.account_id)
    return is_same_account and (batch.actor_id == membership.user_id or membership.role == Role.ADMIN)


def undo_window(batch: Batch) -> timedelta:
    """How long it waits after the confirm: only a cancel cannot be taken back, so only a cancel waits."""
    return timedelta(seconds=settings.UNDO_SECONDS if batch.kind == OperationKind.CANCEL else 0)


def drop_unconfirmed(rows: QuerySet[Batch]) -> int:
    """Delete lists that nobody confirmed. They are ended first, so that a confirm at the same moment finds nothing to start."""
    planned = Batch.objects.filter(pk__in=list(rows.values_list("pk", flat=True)), confirmed_at=None)
    with transaction.atomic():
        planned.filter(state=State.PLANNED).update(state=State.DONE, ended_at=timezone.now())
        return planned.filter(state=State.DONE).delete()[0]


def pause(batch: Batch, *, membership: Membership) -> Batch:
    """Send nothing more until somebody resumes it; the call in flight goes on. Raises Refused.

    It wins over the hold that would end by itself at the next sign-in.
    """
    _refuse_others(batch, membership)
    message = PAUSED.format(membership.user)
    return _changed(
        batch,
        "batch.paused",
        membership.user,
        Q(state=State.RUNNING) | Q(state=State.PAUSED, hold=Hold.RECONNECT),
        state=State.PAUSED,
        hold=Hold.PERSON,
        message=message,
    )


def resume(batch: Batch, *, membership: Membership) -> Batch:
    """Go on from where it stands. What held it is looked at again before anything is sent. Raises Refused."""
    _refuse_others(batch, membership)
    return _changed(batch, "batch.resumed", membership.user, Q(state=State.PAUSED), **_going_on(batch))


def resume_by_itself(batch: Batch) -> bool:
    """Its person is connected to Docusign again (O-9)."""
    held = Q(state=State.PAUSED, hold=Hold.RECONNECT)
    return _change(batch, "batch.resumed", batch.actor, held, detail={"by": "connection"}, **_going_on(batch))


def hold(batch: Batch, hold: Batch.Hold | str, message: str, drift: Sequence[str] = ()) -> bool:
    """The runner finds that it cannot go on: every item keeps its place. False when it does not run any more."""
    return _change(
        batch,
        "batch.held",
        batch.actor,
        Q(state=State.RUNNING),
        reason=message,
        detail={"hold": str(hold)},
        state=State.PAUSED,
        hold=hold,
        message=message,
        drift=list(drift),
    )


def stop(batch: Batch, *, membership: Membership, reason: str = "") -> Batch:
    """Send nothing more, for good: what waits is not sent, what is under way is still settled. Raises Refused (U-8).

    What has ended or is about to stays as it is; `last_word` says how it came to that.
    """
    _refuse_others(batch, membership)
    running = Q(state__in=(State.PLANNED, State.RUNNING, State.PAUSED))
    with before_sending(), transaction.atomic():
        columns: dict[str, Any] = {
            "state": State.STOPPING,
            "hold": Hold.NONE,
            "drift": [],
            "next_send_at": timezone.now(),
        }
        if not _change(batch, "batch.stopped", membership.user, running, reason=reason.strip(), **columns):
            batch.refresh_from_db()
            return batch
        second_person.end_request(batch, by=membership.user)
        _leave_waiting(batch, STOPPED)
    wind_up(batch)
    batch.refresh_from_db()
    return batch


def last_word(batch: Batch) -> str:
    """What a person said of it last: "confirmed", "retried", "stopped" or "undone"; a run that ended without one of the last two
    came to its end by itself."""
    said = AuditEntry.objects.filter(account_id=str(batch.account_id), object_id=str(batch.pk), action__in=WORDS)
    return (said.order_by("-seq").values_list("action", flat=True).first() or "").removeprefix("batch.")


def undo(batch: Batch, *, membership: Membership) -> Batch:
    """Within the undo window: nothing was sent, and nothing will be. Once it is undone there is nothing to do. Raises Refused."""
    _refuse_others(batch, membership)
    with before_sending(), transaction.atomic():
        lock_mirror(batch.account_id)  # what takes a slot waits for it too, so "in time" is said of this very moment
        now = timezone.now()
        in_time = Q(state__in=(State.RUNNING, State.PAUSED), starts_at__gt=now)
        why = RETRY_UNDONE if batch.items.filter(attempt__gt=1).exists() else UNDONE
        # Only the window of a retry finds anything under way, left from before: that is wound up like after a stop.
        is_idle = not batch.items.filter(state__in=UNDER_WAY_ITEMS).exists()
        over: dict[str, Any] = (
            {"state": State.DONE, "ended_at": now} if is_idle else {"state": State.STOPPING, "next_send_at": now}
        )
        if not _change(batch, "batch.undone", membership.user, in_time, hold=Hold.NONE, message=why, **over):
            batch.refresh_from_db()
            is_over = batch.state in (State.STOPPING, State.DONE)
            if is_over and last_word(batch) == "undone":
                return batch
            raise Refused(WRONG_STATE.format(batch.look.label.lower()) if is_over else TOO_LATE_TO_UNDO)
        _leave_waiting(batch, why)
    batch.refresh_from_db()
    return batch


def start_now(batch: Batch, *, membership: Membership) -> Batch:
    """Do not wait for the end of the undo window; by its own person. Once it is over there is nothing to do. Raises Refused."""
    if batch.actor_id != membership.user_id or not is_theirs(batch, membership):
        raise Refused(NOT_YOURS_TO_START.format(batch.actor))
    now = timezone.now()
    waits = Q(state=State.RUNNING, starts_at__gt=now)
    with before_sending():
        is_started = _change(batch, "batch.started_now", membership.user, waits, starts_at=now, next_send_at=now)
    batch.refresh_from_db()
    if not is_started and batch.state != State.RUNNING:
        raise Refused(WRONG_STATE.format(batch.look.label.lower()))
    return batch


def retry(batch: Batch, *, membership: Membership, key: str) -> int:
    """Send again what surely did not run: refused and not sent items; how many. The same form once more sends nothing more.

    It is sent with its own person's connection, so that person asks for it, as for the first time (V-5).
    """
    _refuse_others(batch, membership)
    if batch.actor_id != membership.user_id:
        raise Refused(NOT_YOURS_TO_START.format(batch.actor))
    batch.refresh_from_db()
    if batch.confirm_key == key:
        return batch.items.filter(state=ItemState.WAITING).count()
    if policy := second_person.needed_for(batch):
        raise NeedsSecondPerson(second_person.needs_sentence(policy), policy=policy)
    starts_at = timezone.now() + undo_window(batch)
    with before_sending(), transaction.atomic():
        lock_mirror(batch.account_id)
        if Batch.objects.filter(pk=batch.pk, confirm_key=key).exists():
            return batch.items.filter(state=ItemState.WAITING).count()  # the same form, sent twice at once
        may = Q(state__in=(State.DONE, State.RUNNING, State.PAUSED))
        number = retriable(batch).count()
        if not number:
            raise Refused(NOTHING_TO_RETRY)
        columns = _going_on(batch) | {"starts_at": starts_at, "next_send_at": starts_at}
        _changed(
            batch,
            "batch.retried",
            membership.user,
            may,
            detail={"count": number},
            confirm_key=key,
            ended_at=None,
            **columns,
        )
        return retriable(batch).update(**AGAIN)


def put_back(item: BatchItem, operation: Operation) -> bool:
    """A refusal that was about the workflow and not about this row: it keeps its place."""
    rows = BatchItem.objects.filter(pk=item.pk, operation=operation, state=ItemState.REJECTED)
    return bool(rows.update(**AGAIN))


def wind_up(batch: Batch) -> bool:
    """Of a run that stops: what was to be sent again is not, and it is done once nothing is in flight."""
    _leave_waiting(batch, STOPPED)  # a row that a refusal put back after the stop
    planned = Operation.objects.filter(item__batch_id=batch.pk, state=OperationState.PLANNED)
    for operation in planned.select_related("actor", "workflow", "instance"):
        move(operation, Outcome(OperationState.WITHDRAWN, STOPPED))
    return finish(batch)


def finish(batch: Batch) -> bool:
    """Done, when nothing more will happen by itself: what needs a person may wait for one for long."""
    items = BatchItem.objects.filter(batch_id=batch.pk)
    if items.filter(state__in=OPEN_ITEMS).exists():
        return False
    is_open = BatchItem.objects.filter(batch=OuterRef("pk"), state__in=OPEN_ITEMS)
    over = Q(~Exists(is_open), state__in=(State.RUNNING, State.STOPPING))
    outcomes = dict(items.order_by().values_list("state").annotate(number=Count("pk")))
    now = timezone.now()
    return _change(batch, "batch.done", batch.actor, over, detail=outcomes, state=State.DONE, message="", ended_at=now)


def _going_on(batch: Batch) -> dict[str, Any]:
    """The columns of a run that runs again; the pace counts from now, so nothing is made up for."""
    now = timezone.now()
    earliest = [moment for moment in (batch.starts_at, batch.next_send_at) if moment]
    return {
        "state": State.RUNNING,
        "hold": Hold.NONE,
        "message": "",
        "drift": [],
        "next_send_at": max([now, *earliest]),
    }


def retriable(batch: Batch) -> QuerySet[BatchItem]:
    """Items that surely did not run and can be sent again."""
    rows = BatchItem.objects.filter(batch_id=batch.pk, state__in=(ItemState.REJECTED, ItemState.NOT_SENT))
    return rows.exclude(sealed_inputs="") if batch.kind == OperationKind.TRIGGER else rows


def _leave_waiting(batch: Batch, why: str) -> None:
    waiting = BatchItem.objects.filter(batch_id=batch.pk, state=ItemState.WAITING)
    waiting.update(state=ItemState.NOT_SENT, message=why, settled_at=timezone.now())


def _refuse_others(batch: Batch, membership: Membership) -> None:
    if not is_theirs(batch, membership):
        raise Refused(NOT_THEIRS.format(batch.actor))


def _changed(batch: Batch, action: str, actor: User, when: Q, **columns: Any) -> Batch:
    """As `_change`, for what a person asked for. Raises Refused."""
    with before_sending():
        if not _change(batch, action, actor, when, **columns):
            batch.refresh_from_db()
            raise Refused(WRONG_STATE.format(batch.look.label.lower()))
    return batch


def _change(
    batch: Batch,
    action: str,
    actor: User,
    when: Q,
    *,
    reason: str = "",
    detail: dict[str, Any] | None = None,
    **columns: Any,
) -> bool:
    with transaction.atomic():
        lock_mirror(batch.account_id)
        if not Batch.objects.filter(when, pk=batch.pk).update(**columns):
            return False
        batch.refresh_from_db()
        bump(batch.account_id)
        audit.record(
            action, actor=actor, account=batch.account, subject=batch, reason=reason or batch.reason, detail=detail
        )
    return True
