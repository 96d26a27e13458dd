"""The edges of an operation's life: each one conditional update on state and fence, with its audit entry in one transaction.

The one rule: no other code changes the state of an operation; a writer with an old fence changes nothing (U-1, U-9).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from dashboard.models import (
    Account,
    AuditEntry,
    BatchItem,
    Instance,
    ItemState,
    Operation,
    OperationKind,
    OperationState,
    Workflow,
)
from dashboard.services import audit
from dashboard.services.instances import bump, lock_mirror
from dashboard.services.timings import SEND_LEASE

State = OperationState
EDGES: dict[str, frozenset[str]] = {
    State.PLANNED: frozenset({State.SENT, State.WITHDRAWN, State.REJECTED, State.UNKNOWN}),
    State.SENT: frozenset({State.CONFIRMED, State.REJECTED, State.UNKNOWN, State.PLANNED}),
    State.UNKNOWN: frozenset({State.CONFIRMED, State.REJECTED, State.PLANNED, State.NEEDS_PERSON}),
    State.NEEDS_PERSON: frozenset({State.CONFIRMED, State.REJECTED}),
    State.CONFIRMED: frozenset(),
    State.REJECTED: frozenset(),
    State.WITHDRAWN: frozenset(),
}
FINAL = (State.CONFIRMED, State.REJECTED, State.WITHDRAWN)
RESULTS = {
    State.PLANNED: AuditEntry.Result.OK,
    State.SENT: AuditEntry.Result.INTENT,
    State.CONFIRMED: AuditEntry.Result.OK,
    State.REJECTED: AuditEntry.Result.REFUSED,
    State.UNKNOWN: AuditEntry.Result.UNKNOWN,
    State.NEEDS_PERSON: AuditEntry.Result.UNKNOWN,
    State.WITHDRAWN: AuditEntry.Result.OK,
}
_DONE = {
    OperationKind.TRIGGER: "instance.triggered",
    OperationKind.CANCEL: "instance.canceled",
    OperationKind.PAUSE: "workflow.paused",
    OperationKind.RESUME: "workflow.resumed",
}
_DOING = {
    OperationKind.TRIGGER: "instance.trigger",
    OperationKind.CANCEL: "instance.cancel",
    OperationKind.PAUSE: "workflow.pause",
    OperationKind.RESUME: "workflow.resume",
}
_ENDINGS = {
    State.SENT: "asked",
    State.REJECTED: "rejected",
    State.UNKNOWN: "unknown",
    State.PLANNED: "planned_again",
    State.NEEDS_PERSON: "needs_person",
    State.WITHDRAWN: "undone",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an operation goes, and what is known about why."""

    state: OperationState
    message: str
    http_status: int | None = None
    docusign_request_id: str = ""
    reason: str = ""
    field_errors: dict[str, list[str]] = field(default_factory=dict)
    instance: Instance | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)
    retry_at: datetime | None = None  # surely nothing ran, and it may be tried again then


def action_of(kind: str, state: str) -> str:
    """The audit code: `instance.triggered`, `instance.cancel_rejected`, `workflow.pause_asked`."""
    if state == State.CONFIRMED:
        return _DONE[OperationKind(kind)]
    return f"{_DOING[OperationKind(kind)]}_{_ENDINGS[OperationState(state)]}"


def insert_sent(operation: Operation, *, item: BatchItem | None = None) -> bool:
    """Commit the intent as sent, with its audit entry; False when its key is already used (U-1, U-7, A-2).

    With the item of a bulk run that it carries out: False also when that one does not wait any more.
    """
    now = timezone.now()
    operation.state, operation.fence, operation.attempts = State.SENT, 1, 1
    operation.sent_at, operation.lease_until = now, now + SEND_LEASE
    try:
        with transaction.atomic():
            operation.save(force_insert=True)
            if item is not None and not _begin(item, operation):
                raise _Taken
            _audit(operation, State.SENT, Outcome(State.SENT, "", reason=operation.reason, detail=_place(item)))
    except IntegrityError:
        if Operation.objects.filter(key=operation.key).exists():
            return False
        raise
    except _Taken:
        return False
    return True


def insert_planned(operation: Operation, *, at: datetime) -> bool:
    """Commit the intent to send at this time, with its audit entry; False when its key is already used (U-7)."""
    operation.state, operation.next_check_at = State.PLANNED, at
    try:
        with transaction.atomic():
            operation.save(force_insert=True)
            planned = Outcome(State.PLANNED, "", reason=operation.reason, detail={"at": at.isoformat()})
            _audit(operation, State.PLANNED, planned, action=f"{_DOING[OperationKind(operation.kind)]}_planned")
    except IntegrityError:
        if Operation.objects.filter(key=operation.key).exists():
            return False
        raise
    return True


def insert_unknown(pairs: Sequence[tuple[BatchItem, Operation]], message: str) -> None:
    """Intents of which nobody knows whether they were carried out before; the caller records them all in one entry (U-12)."""
    now = timezone.now()
    for item, operation in pairs:
        operation.state, operation.fence, operation.attempts = State.UNKNOWN, 1, 1
        operation.sent_at, operation.next_check_at, operation.message = now, now, message
        item.operation, item.state, item.message = operation, ItemState.UNKNOWN, message
    Operation.objects.bulk_create([operation for _, operation in pairs], batch_size=100)
    BatchItem.objects.bulk_update([item for item, _ in pairs], ["operation", "state", "message"], batch_size=100)


def claim_planned(operation: Operation) -> bool:
    """Take a planned operation for sending: sent, with a new fence and lease, committed before the call."""
    now = timezone.now()
    rows = Operation.objects.filter(pk=operation.pk, state=State.PLANNED, fence=operation.fence)
    with transaction.atomic():
        if not rows.update(
            state=State.SENT,
            fence=F("fence") + 1,
            attempts=F("attempts") + 1,
            sent_at=now,
            lease_until=now + SEND_LEASE,
            next_check_at=None,
            message="",  # what it waited for is over
        ):
            return False
        operation.refresh_from_db()
        _follow(operation)
        _audit(operation, State.SENT, Outcome(State.SENT, "", detail={"attempt": operation.attempts}))
    return True


def is_mine(operation: Operation) -> bool:
    """Whether the claim under which a call is about to leave still holds: asked last, just before it (U-9)."""
    rows = Operation.objects.filter(pk=operation.pk, state=State.SENT, fence=operation.fence)
    return rows.filter(lease_until__gt=timezone.now()).exists()


def extend_attempt(operation: Operation) -> bool:
    """A further attempt of the same sender, after a fresh read said that the first had no effect (U-6)."""
    rows = Operation.objects.filter(pk=operation.pk, state=State.SENT, fence=operation.fence)
    is_mine = rows.update(attempts=F("attempts") + 1, lease_until=timezone.now() + SEND_LEASE)
    operation.attempts += 1
    return bool(is_mine)


def move(operation: Operation, outcome: Outcome, *, action: str = "", actor: Any = None) -> bool:
    """Follow one edge from the state that `operation` was read in; False when somebody else was quicker."""
    came_from, to = operation.state, outcome.state
    if to not in EDGES[came_from]:
        raise ValueError(f"There is no way from {came_from} to {to}.")
    now = timezone.now()
    columns: dict[str, Any] = {
        "state": to,
        "message": outcome.message,
        "lease_until": None,
        "http_status": outcome.http_status,
        "docusign_request_id": outcome.docusign_request_id,
        "field_errors": outcome.field_errors,
    }
    if outcome.instance is not None:
        columns["instance"] = outcome.instance
    if to in FINAL:
        # What was sent is no longer needed to send it again, and may hold personal data.
        columns |= {"settled_at": now, "next_check_at": None, "sealed_payload": ""}
    columns |= outcome.columns
    rows = Operation.objects.filter(pk=operation.pk, state=came_from, fence=operation.fence)
    with transaction.atomic():
        lock_mirror(operation.account_id)
        if not rows.update(fence=F("fence") + 1, **columns):
            return False
        operation.refresh_from_db()
        _follow(operation)
        bump(operation.account_id)
        _audit(operation, to, outcome, action=action, actor=actor)
    return True


class _Taken(Exception):
    """The item of a bulk run does not wait any more: the intent is taken back with everything that belongs to it."""


def _begin(item: BatchItem, operation: Operation) -> bool:
    rows = BatchItem.objects.filter(pk=item.pk, attempt=item.attempt, state=ItemState.WAITING, operation=None)
    return bool(rows.update(operation=operation, state=ItemState.SENT, message=""))


def _follow(operation: Operation) -> None:
    """The item of a bulk run shows the state of its operation. One that was not carried out keeps its inputs for a retry."""
    state = operation.state
    columns: dict[str, Any] = {"state": state, "message": operation.message}
    if state == State.WITHDRAWN:
        columns["state"] = ItemState.NOT_SENT
    if state in FINAL:
        columns["settled_at"] = operation.settled_at
    if state == State.CONFIRMED:
        columns |= {"sealed_inputs": "", "instance": operation.instance_id}
    BatchItem.objects.filter(operation=operation).update(**columns)


def _place(item: BatchItem | None) -> dict[str, Any]:
    return {"batch": str(item.batch_id), "position": item.position} if item is not None else {}


def _audit(operation: Operation, state: str, outcome: Outcome, *, action: str = "", actor: Any = None) -> None:
    subject: Instance | Workflow = outcome.instance or operation.instance or operation.workflow
    detail = dict(outcome.detail)
    if operation.marker:
        detail["marker"] = operation.marker
    audit.record(
        action or action_of(operation.kind, state),
        actor=actor or operation.actor,
        account=Account.objects.get(pk=operation.account_id),
        subject=subject,
        operation=operation,
        result=RESULTS[OperationState(state)],
        reason=outcome.reason,
        http_status=outcome.http_status,
        docusign_request_id=outcome.docusign_request_id,
        detail=detail,
    )
