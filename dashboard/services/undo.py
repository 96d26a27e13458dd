"""The undo window of a single cancel: planned, then undone, sent at once, or sent when the window is over.

The one rule: undone or sent is decided by one conditional update, never both; and the state is read again just before sending.
"""

from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from dashboard.models import Instance, Membership, Operation, OperationKind, OperationState, Role, User
from dashboard.services import budget, jobs, second_person
from dashboard.services.actions import QUICKER, carry_out, refuse_a_second
from dashboard.services.calls import RECONNECT
from dashboard.services.edges import Outcome, claim_planned, insert_planned, move
from dashboard.services.errors import ReconnectNeeded, Refused
from dashboard.services.instances import bump
from dashboard.services.outcomes import next_check
from dashboard.services.readings import Verdict, read_back
from dashboard.services.store import before_sending
from dashboard.services.timings import (
    CLICK_DEADLINE_SECONDS,
    QUEUED_PATIENCE,
    READ_DEADLINE_SECONDS,
    UNDO_GIVES_UP,
    WORKER_DEADLINE_SECONDS,
)
from dashboard.services.triggers import ANOTHER_FORM, first_result
from dashboard.services.visibility import is_connected, may_still_act

State = OperationState
Kind = OperationKind
TOO_LATE = "It is too late to undo: the cancel was sent already."
NOTHING_TO_UNDO = "There is nothing to undo. {}"
TOO_LATE_FOR_NOW = "This cancel does not wait any more: {}."
UNDONE = "Undone before anything was sent."
GONE = "Docusign does not show you this instance any more. Nothing was sent."
ALREADY = "It was already canceled. Nothing was sent."
NO_ANSWER = (
    "Docusign could not be asked for the present state, so nothing was sent. Cancel again if it is still wanted."
)
TOO_OLD = "It could not be sent soon after its window, so it was not sent. Cancel again if it is still wanted."
ROLE_TAKEN = "You may not cancel here any more, so nothing was sent."
WAITS = "Docusign could not be asked for the present state at {:%H:%M:%S} UTC; this console tries again."


def plan_cancel(instance: Instance, *, actor: User, membership: Membership, reason: str, key: str) -> Operation:
    """Cancel when the window is over. Raises Refused, NeedsSecondPerson, DocusignUnavailable, ReconnectNeeded."""
    workflow = instance.workflow
    if first := first_result(key, actor=actor, kind=Kind.CANCEL, workflow=workflow, instance_id=instance.pk):
        return first
    if instance.is_terminal:
        raise Refused(f"It is too late to cancel: the instance is {instance.look.label.lower()}.")
    second_person.refuse_single(workflow, Kind.CANCEL)
    if not is_connected(membership):
        raise ReconnectNeeded(RECONNECT)
    budget.check(membership.account, budget.Lane.PEOPLE)  # while Docusign is down it is refused, not put by
    operation = Operation(
        key=key,
        kind=Kind.CANCEL,
        account_id=workflow.account_id,
        actor=actor,
        workflow=workflow,
        instance=instance,
        reason=reason.strip(),
    )
    try:
        with before_sending(), transaction.atomic():
            refuse_a_second(operation)
            is_first = insert_planned(operation, at=timezone.now() + timedelta(seconds=settings.UNDO_SECONDS))
    except IntegrityError as error:  # somebody else was quicker between the two statements
        refuse_a_second(operation)
        raise Refused(QUICKER) from error
    if not is_first:
        winner = first_result(key, actor=actor, kind=Kind.CANCEL, workflow=workflow, instance_id=instance.pk)
        if winner is None:
            raise Refused(ANOTHER_FORM)
        return winner
    bump(operation.account_id)
    return operation


def undo_cancel(operation: Operation, *, membership: Membership) -> Operation:
    """Take it back: by its person or an admin, while it waits. The same once more changes nothing. Raises Refused."""
    is_theirs = operation.actor_id == membership.user_id or membership.role == Role.ADMIN
    if str(operation.account_id) != str(membership.account_id) or not is_theirs:
        raise Refused(f"Only {operation.actor} or an admin can undo this.")
    operation.refresh_from_db()
    if operation.state == State.WITHDRAWN:
        return operation
    with before_sending():
        is_undone = _waits(operation) and move(
            operation, Outcome(State.WITHDRAWN, UNDONE), action="instance.cancel_undone", actor=membership.user
        )
    if not is_undone:
        operation.refresh_from_db()
        if operation.state == State.WITHDRAWN:
            return operation  # another tab was quicker
        raise Refused(NOTHING_TO_UNDO.format(operation.message) if _is_unsent(operation) else TOO_LATE)
    return operation


def _is_unsent(operation: Operation) -> bool:
    """Whether it has ended without ever being sent."""
    return operation.state == State.REJECTED and not operation.attempts


def send_now(operation: Operation, *, membership: Membership) -> Operation:
    """Do not wait for the end of the window; by its own person, with whose connection it is sent. Raises Refused."""
    if (str(operation.account_id), operation.actor_id) != (str(membership.account_id), membership.user_id):
        raise Refused(f"Only {operation.actor} can send this, because it is sent with that person's own connection.")
    operation.refresh_from_db()
    if operation.state in (State.SENT, State.CONFIRMED):
        return operation  # the window ended in the same moment
    if not _waits(operation):
        raise Refused(TOO_LATE_FOR_NOW.format(operation.look.label.lower()))
    with before_sending():  # should this process die, the worker sends it afterwards
        after = timezone.now() + timedelta(seconds=CLICK_DEADLINE_SECONDS)
        Operation.objects.filter(pk=operation.pk, state=State.PLANNED).update(next_check_at=after)
    _send(operation, membership, deadline=CLICK_DEADLINE_SECONDS)
    operation.refresh_from_db()  # the worker or another click may have been quicker
    return operation


def run_due() -> int:
    """Queue the cancels whose window is over, each once; how many. The time until the next try is set in the same update."""
    now, number = timezone.now(), 0
    rows = Operation.objects.filter(
        kind=Kind.CANCEL, state=State.PLANNED, attempts=0, item=None, next_check_at__lte=now
    )
    for pk, due_at in rows.values_list("pk", "next_check_at")[:200]:
        claimed = Operation.objects.filter(pk=pk, state=State.PLANNED, next_check_at=due_at)
        if claimed.update(next_check_at=now + QUEUED_PATIENCE):
            jobs.enqueue("settle_operation", pk, priority=jobs.PEOPLE_FIRST)
            number += 1
    return number


def send_waited(operation: Operation, membership: Membership | None) -> None:
    """The window is over, and the worker sends; what cannot be sent within minutes is given up and says so."""
    if membership is not None and membership.role == Role.VIEWER:
        move(operation, Outcome(State.REJECTED, ROLE_TAKEN))
    elif membership is None or not is_connected(membership):
        _wait_or_give_up(operation)
    elif _is_too_old(operation):  # no worker ran for a while
        move(operation, Outcome(State.REJECTED, TOO_OLD))
    else:
        _send(operation, membership, deadline=WORKER_DEADLINE_SECONDS)


def _waits(operation: Operation) -> bool:
    return operation.kind == Kind.CANCEL and operation.state == State.PLANNED and not operation.attempts


def _send(operation: Operation, membership: Membership, *, deadline: float) -> None:
    reading = read_back(operation, membership, deadline=min(deadline, READ_DEADLINE_SECONDS))
    if reading.verdict in (Verdict.UNREAD, Verdict.SILENT):
        _wait_or_give_up(operation)
        return
    why = {Verdict.REACHED: ALREADY, Verdict.DENIED: GONE, Verdict.TOO_LATE: reading.too_late}.get(reading.verdict)
    with transaction.atomic():
        reading.apply()
        if not why and not may_still_act(membership):
            why = ROLE_TAKEN
        if why:
            move(operation, Outcome(State.REJECTED, why))
            return
        if not claim_planned(operation):
            return  # undone, or sent by somebody else, in the same moment
    carry_out(operation, membership, deadline=deadline)


def _is_too_old(operation: Operation) -> bool:
    return timezone.now() - operation.planned_at > timedelta(seconds=settings.UNDO_SECONDS) + UNDO_GIVES_UP


def _wait_or_give_up(operation: Operation) -> None:
    now = timezone.now()
    if _is_too_old(operation):
        move(operation, Outcome(State.REJECTED, NO_ANSWER))
        return
    rows = Operation.objects.filter(pk=operation.pk, state=State.PLANNED, fence=operation.fence)
    rows.update(next_check_at=next_check(operation), message=WAITS.format(now))
