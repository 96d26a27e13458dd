"""Cancel, pause and resume: "make it so".

The one rule (U-6): what happened is read back from Docusign. The state that was wanted is a success, whoever brought it about;
a doubtful attempt is repeated only after a fresh read, three times at most.
"""

import time
from uuid import UUID

from django.db import IntegrityError, transaction

from dashboard.models import (
    UNDER_WAY,
    Instance,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    User,
    Workflow,
    WorkflowState,
)
from dashboard.services import second_person, workflows
from dashboard.services.calls import calling
from dashboard.services.edges import Outcome, extend_attempt, insert_sent, move
from dashboard.services.errors import Refused, ServiceError
from dashboard.services.outcomes import UNKNOWN_SENTENCE, facts_of, kept_in_place, next_check, outcome_of
from dashboard.services.quota import Lane
from dashboard.services.readings import GOALS, Reading, Verdict, read_back, send
from dashboard.services.store import before_sending
from dashboard.services.timings import CLICK_DEADLINE_SECONDS, FINISH_RESERVE_SECONDS, MAX_ACTION_ATTEMPTS
from dashboard.services.triggers import ANOTHER_FORM, first_result
from maestro_api import Conflict, MaestroError

State = OperationState
Kind = OperationKind
QUICKER = "Somebody else did this at the same moment. Nothing was sent; look at the result first."
RESUMABLE = (WorkflowState.PAUSED, WorkflowState.INACTIVE)


def cancel_instance(instance: Instance, *, actor: User, membership: Membership, reason: str, key: str) -> Operation:
    """End all remaining steps of an instance. Raises Refused when it has already ended."""
    workflow = instance.workflow
    if first := first_result(key, actor=actor, kind=Kind.CANCEL, workflow=workflow, instance_id=instance.pk):
        return first
    if instance.is_terminal:
        raise Refused(f"It is too late to cancel: the instance is {instance.look.label.lower()}.")
    return _act(Kind.CANCEL, workflow, actor, membership, key, reason=reason, instance=instance)


def pause_workflow(workflow: Workflow, *, actor: User, membership: Membership, key: str, reason: str = "") -> Operation:
    """Stop new instances; running ones go on. Raises Refused when it is paused already or cannot be."""
    if first := first_result(key, actor=actor, kind=Kind.PAUSE, workflow=workflow):
        return first
    if workflow.is_paused:
        raise Refused("This workflow is already paused.")
    if workflow.status not in (WorkflowState.ACTIVE, WorkflowState.UNKNOWN):
        raise Refused(f"Only an active workflow can be paused; this one is {workflow.docusign_look.label.lower()}.")
    return _act(Kind.PAUSE, workflow, actor, membership, key, reason=reason)


def resume_workflow(
    workflow: Workflow, *, actor: User, membership: Membership, key: str, reason: str = ""
) -> Operation:
    """Allow new instances again. Raises Refused when the workflow is not paused."""
    if first := first_result(key, actor=actor, kind=Kind.RESUME, workflow=workflow):
        return first
    if not (workflow.is_paused or workflow.status in RESUMABLE):
        raise Refused(f"Only a paused workflow can be resumed; this one is {workflow.docusign_look.label.lower()}.")
    return _act(Kind.RESUME, workflow, actor, membership, key, reason=reason)


def _act(
    kind: OperationKind,
    workflow: Workflow,
    actor: User,
    membership: Membership,
    key: str,
    *,
    reason: str,
    instance: Instance | None = None,
) -> Operation:
    second_person.refuse_single(workflow, kind)
    operation = Operation(
        key=key,
        kind=kind,
        account_id=workflow.account_id,
        actor=actor,
        workflow=workflow,
        instance=instance,
        reason=reason.strip(),
    )
    try:
        with before_sending(), transaction.atomic():
            refuse_a_second(operation)
            is_first = insert_sent(operation)
    except IntegrityError as error:  # somebody else was quicker between the two statements
        refuse_a_second(operation)
        raise Refused(QUICKER) from error
    if not is_first:
        instance_id: UUID | None = instance.pk if instance else None
        winner = first_result(key, actor=actor, kind=kind, workflow=workflow, instance_id=instance_id)
        if winner is None:
            raise Refused(ANOTHER_FORM)
        return winner
    carry_out(operation, membership, deadline=CLICK_DEADLINE_SECONDS)
    operation.refresh_from_db()  # where it took longer than its lease, the worker may have found out more
    return operation


def refuse_a_second(operation: Operation) -> None:
    """Two people, or two tabs, never do the same thing to the same object at once."""
    if Operation.objects.filter(key=operation.key).exists():
        return  # the same form once more: it gets the first result, not a refusal
    same = Operation.objects.filter(kind=operation.kind, workflow=operation.workflow, state__in=UNDER_WAY)
    if operation.instance_id:
        same = same.filter(instance=operation.instance)
    other = same.select_related("actor").first()
    if other is not None:
        raise Refused(f"{other.actor} has already asked for this, and its outcome is still open. Nothing was sent.")


def carry_out(
    operation: Operation,
    membership: Membership,
    *,
    deadline: float,
    is_worker: bool = False,
    lane: Lane = Lane.PEOPLE,
) -> None:
    """Send a committed `sent` operation, read back, settle; again after a doubtful attempt while time is left."""
    ends = time.monotonic() + deadline
    while True:
        error: MaestroError | None = None
        try:
            left = max(ends - time.monotonic() - FINISH_RESERVE_SECONDS, 1.0)
            with calling(membership, deadline=left, lane=lane) as client:
                send(client, operation)
        except ServiceError as refusal:
            move(operation, _not_run(operation, refusal, is_worker=is_worker))
            return
        except MaestroError as failure:
            error = failure
        if error is not None and not error.may_have_happened and not isinstance(error, Conflict):
            move(operation, _not_run(operation, error, is_worker=is_worker))
            return
        reading = read_back(operation, membership, deadline=max(ends - time.monotonic(), 1.0), lane=lane)
        is_doubtful = error is not None and not isinstance(error, Conflict)
        has_time = ends - time.monotonic() > 2 * FINISH_RESERVE_SECONDS
        may_repeat = is_doubtful and has_time and operation.attempts < MAX_ACTION_ATTEMPTS
        if may_repeat and reading.verdict in (Verdict.NOT_YET, Verdict.SILENT) and extend_attempt(operation):
            continue
        settle_action(operation, judged(operation, error, reading), reading)
        return


def _not_run(operation: Operation, error: MaestroError | ServiceError, *, is_worker: bool) -> Outcome:
    """This attempt surely had no effect; if an earlier one was doubtful, that one still has to be found out about."""
    outcome = outcome_of(error, operation)
    if operation.attempts == 1:
        return kept_in_place(error, outcome) if is_worker else outcome
    if outcome.retry_at:
        return Outcome(State.PLANNED, outcome.message, columns={"next_check_at": outcome.retry_at})
    return Outcome(State.UNKNOWN, outcome.message, columns={"next_check_at": next_check(operation)})


def settle_action(operation: Operation, outcome: Outcome, reading: Reading) -> bool:
    """What was read, the operation and its audit entry, in one transaction."""
    with transaction.atomic():
        reading.apply()
        is_mine = move(operation, outcome)
        if is_mine and operation.state == State.CONFIRMED and operation.kind in GOALS:
            workflows.remember(operation.workflow, state=GOALS[Kind(operation.kind)], actor=operation.actor)
    return is_mine


def judged(operation: Operation, error: MaestroError | None, reading: Reading) -> Outcome:
    """The edge from `sent`, by what was answered and what was read afterwards."""
    facts = facts_of(error)
    is_conflict = isinstance(error, Conflict)
    if reading.verdict == Verdict.REACHED:
        said = reading.done if error is None else reading.already if is_conflict else reading.shown
        return Outcome(State.CONFIRMED, said, **facts)
    if reading.verdict == Verdict.TOO_LATE:
        return Outcome(State.REJECTED, reading.too_late, **facts)
    if error is None and operation.kind in GOALS:
        return Outcome(State.CONFIRMED, reading.accepted)
    if is_conflict and operation.kind in GOALS and (reading.verdict == Verdict.SILENT or operation.attempts > 1):
        return Outcome(State.CONFIRMED, reading.already, **facts)
    if error is not None and is_conflict and reading.verdict == Verdict.NOT_YET:
        return outcome_of(error, operation)
    said = reading.pending if error is None else UNKNOWN_SENTENCE.format(error.user_message)
    return Outcome(State.UNKNOWN, said, columns={"next_check_at": next_check(operation)}, **facts)
