"""Cancels that wait for the end of their undo window, as pages show them. Its one rule: it reads; `undo.py` decides and sends."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from dashboard.models import Membership, Operation, OperationKind, OperationState, Role


@dataclass(frozen=True, slots=True)
class Window:
    """A cancel that was not sent yet: how many seconds are left of how many, and whether this person can undo or send it."""

    operation: Operation
    seconds: int
    of: int
    may_undo: bool
    may_send: bool


def is_open(operation: Operation) -> bool:
    """Whether it is a cancel that nobody has tried to send yet."""
    return (
        operation.kind == OperationKind.CANCEL and operation.state == OperationState.PLANNED and not operation.attempts
    )


def window_of(operation: Operation, membership: Membership) -> Window | None:
    """The window of this operation; None when there is none, or none any more."""
    if not is_open(operation):
        return None
    # By when it was asked for: the time of the next try moves on while the worker looks at it.
    ends_at = operation.planned_at + timedelta(seconds=settings.UNDO_SECONDS)
    is_own = operation.actor_id == membership.user_id
    return Window(
        operation,
        seconds=max(0, ceil((ends_at - timezone.now()).total_seconds())),
        of=settings.UNDO_SECONDS,
        may_undo=is_own or membership.role == Role.ADMIN,
        may_send=is_own,
    )


def windows_of(instance_ids: Iterable[UUID], membership: Membership) -> dict[UUID, Window]:
    """The open windows of these instances, by instance."""
    rows = Operation.objects.filter(
        kind=OperationKind.CANCEL, state=OperationState.PLANNED, attempts=0, instance_id__in=list(instance_ids)
    )
    return windows_among(rows.select_related("actor"), membership)


def windows_among(operations: Iterable[Operation], membership: Membership) -> dict[UUID, Window]:
    """Those of operations that are read already, by instance."""
    found = (window_of(row, membership) for row in operations)
    return {window.operation.instance_id: window for window in found if window and window.operation.instance_id}
