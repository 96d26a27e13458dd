"""Emergency stop of a workflow: pause it, wait until that is certain, freeze what runs, and let its person choose what to cancel.

The one rule: nothing is frozen before Docusign surely takes no new instances, and nothing is canceled without the usual question.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.models import (
    TERMINAL_STATES,
    UNDER_WAY,
    Approval,
    ApprovalState,
    Batch,
    BatchItem,
    BatchState,
    ItemState,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Workflow,
    WorkflowState,
)
from dashboard.services import actions, audit, batches, jobs, refreshes, second_person
from dashboard.services.errors import DocusignUnavailable, Refused, ServiceError
from dashboard.services.instances import bump, lock_mirror
from dashboard.services.store import before_sending
from dashboard.services.timings import WORKER_DEADLINE_SECONDS
from dashboard.services.visibility import is_connected, visible_instances

log = logging.getLogger(__name__)
Pause = Literal["paused", "waiting", "person", "refused", "none"]
FREEZING = timedelta(seconds=60)  # longer than reading one workflow's instances
AGAIN_AFTER = timedelta(seconds=15)
TAKES_NEW = (WorkflowState.ACTIVE, WorkflowState.UNKNOWN)
OTHERS = "Only {} can go on with it, because it runs with that person's connection to Docusign."
ASKED = "A second person looks at this list. Withdraw the request before you change it."
RESUMED = "The workflow is active again, so new instances can start. Pause it again to go on."


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a stop is: the pause, the list, and how many of it would be canceled."""

    batch: Batch
    pause: Pause
    is_frozen: bool
    total: int = 0
    taken: int = 0
    left_out: int = 0


def open_stop(workflow: Workflow) -> Batch | None:
    """The stop of this workflow that is not over; there is one at most."""
    rows = Batch.objects.filter(workflow=workflow, source=Batch.Source.EMERGENCY).exclude(state=BatchState.DONE)
    return rows.select_related("actor", "workflow", "account", "pause_operation").order_by("-created_at").first()


def last_stop(workflow: Workflow) -> Batch | None:
    """The latest one that is over."""
    rows = Batch.objects.filter(workflow=workflow, source=Batch.Source.EMERGENCY, state=BatchState.DONE)
    return rows.select_related("actor").order_by("-created_at").first()


def begin(workflow: Workflow, *, membership: Membership, reason: str, key: str) -> Batch:
    """Pause the workflow, then have its running instances frozen. While one is open, that one is given back.

    Raises Refused, NeedsSecondPerson where even a pause needs somebody else.
    """
    if found := open_stop(workflow):
        return found
    if not is_connected(membership):
        raise Refused("You are not connected to Docusign, so nothing can be stopped from here. Sign in again first.")
    if not reason.strip():
        raise Refused("Write why. It is kept in the audit.", field="reason")
    if takes_new(workflow):
        second_person.refuse_single(workflow, OperationKind.PAUSE)
    with before_sending(), transaction.atomic():
        lock_mirror(workflow.account_id)  # of two people at once the second finds the stop of the first
        if found := open_stop(workflow):
            return found
        batch = batches.create_batch(
            membership.account,
            actor=membership.user,
            kind=OperationKind.CANCEL,
            source=Batch.Source.EMERGENCY,
            name=f"Emergency stop of {workflow}",
            key=key,
            workflow=workflow,
            reason=reason.strip(),
            described=f"everything that ran in {workflow}",
        )
        bump(workflow.account_id)
        audit.record(
            "workflow.stop_begun",
            actor=membership.user,
            account=workflow.account,
            subject=workflow,
            reason=reason.strip(),
            detail={"batch": str(batch.pk)},
        )
    go_on(batch, membership=membership)
    return batch


def go_on(batch: Batch, *, membership: Membership) -> None:
    """Pause, where that is still to be done; then let the worker freeze. May be repeated at any time."""
    _refuse_others(batch, membership)
    workflow = Workflow.objects.get(batches=batch)
    if batch.state == BatchState.PLANNED and pause_of(batch) in ("none", "refused"):
        _pause(batch, workflow, membership)
    freeze_later(batch)


def _pause(batch: Batch, workflow: Workflow, membership: Membership) -> None:
    under_way = Operation.objects.filter(workflow=workflow, kind=OperationKind.PAUSE, state__in=UNDER_WAY)
    operation = under_way.first()  # of somebody else: its outcome is ours as well
    if operation is None:
        number = Operation.objects.filter(key__startswith=f"stop:{batch.pk.hex}:").count() + 1
        operation = actions.pause_workflow(
            workflow,
            actor=membership.user,
            membership=membership,
            key=f"stop:{batch.pk.hex}:{number}",
            reason=batch.reason,
        )
    Batch.objects.filter(pk=batch.pk).update(pause_operation=operation, message="")
    batch.pause_operation = operation


def takes_new(workflow: Workflow) -> bool:
    """Whether new instances can start, as far as is known here."""
    return not workflow.is_paused and workflow.status in TAKES_NEW


def pause_of(batch: Batch) -> Pause:
    """Whether the workflow surely takes no new instances."""
    workflow = Workflow.objects.get(batches=batch)
    operation = batch.pause_operation
    if operation is not None and operation.state in UNDER_WAY:
        return "waiting"
    if not takes_new(workflow):
        return "paused"
    if operation is None or operation.state == OperationState.CONFIRMED:
        return "none"  # not asked for yet, or somebody resumed it since
    return "refused" if operation.state == OperationState.REJECTED else "person"


def standing_of(batch: Batch) -> Standing:
    """For the page."""
    rows = BatchItem.objects.filter(batch=batch)
    left_out = rows.filter(state=ItemState.LEFT_OUT).count()
    taken = rows.filter(state=ItemState.WAITING).count()
    return Standing(batch, pause_of(batch), batch.frozen_at is not None, batch.total, taken, left_out)


def run_due() -> int:
    """Have the lists frozen of stops whose pause has become certain; how many."""
    return sum(freeze_later(batch) for batch in _unfrozen().select_related("workflow"))


def _unfrozen() -> QuerySet[Batch]:
    return Batch.objects.filter(source=Batch.Source.EMERGENCY, state=BatchState.PLANNED, frozen_at=None)


def freeze_later(batch: Batch) -> bool:
    """Queue the freezing, once at a time; False where it is not due."""
    now = timezone.now()
    if pause_of(batch) != "paused":
        return False
    is_free = Q(lease_until=None) | Q(lease_until__lte=now)
    if not _unfrozen().filter(is_free, pk=batch.pk).update(lease_until=now + FREEZING):
        return False
    jobs.enqueue("freeze_stop", batch.pk, priority=jobs.PEOPLE_FIRST)
    return True


def freeze(batch: Batch) -> bool:
    """Read the workflow once more with the person's own token, then freeze what runs; called by the worker."""
    people = Membership.objects.select_related("user", "user__connection", "account")
    membership = people.filter(user_id=batch.actor_id, account_id=batch.account_id).first()
    if membership is None or not _unfrozen().filter(pk=batch.pk).exists():
        return False
    try:
        workflow = refreshes.refresh_workflow(
            Workflow.objects.get(batches=batch), membership, deadline=WORKER_DEADLINE_SECONDS
        )
    except ServiceError as error:
        return _tell(batch, error.message, again=isinstance(error, DocusignUnavailable))
    if takes_new(workflow):
        return _tell(batch, RESUMED)
    rows = visible_instances(membership).filter(workflow=workflow).exclude(status__in=TERMINAL_STATES)
    with transaction.atomic():
        lock_mirror(batch.account_id)
        if not _unfrozen().filter(pk=batch.pk).exists():
            return False  # stopped, or frozen by another worker, while this one read
        total = batches.freeze_instances(batch, rows.order_by("-sort_at", "-id"))
        Batch.objects.filter(pk=batch.pk).update(lease_until=None, message="")
        bump(batch.account_id)
        audit.record(
            "workflow.stop_frozen",
            actor=batch.actor,
            account=batch.account,
            subject=workflow,
            reason=batch.reason,
            detail={"batch": str(batch.pk), "count": total},
        )
    return True


def _tell(batch: Batch, message: str, *, again: bool = True) -> bool:
    """Why it is not frozen yet; it is tried again a little later."""
    log.warning("stop.not_frozen", extra={"batch": str(batch.pk)})
    wait = AGAIN_AFTER if again else FREEZING
    _unfrozen().filter(pk=batch.pk).update(message=message, lease_until=timezone.now() + wait)
    bump(batch.account_id)
    return False


def look_again(batch: Batch, *, membership: Membership) -> None:
    """Throw the list away and freeze anew, for what Docusign listed late."""
    with _changing(batch, membership):
        BatchItem.objects.filter(batch=batch).delete()
        Batch.objects.filter(pk=batch.pk).update(frozen_at=None, total=0, lease_until=None)
    batch.refresh_from_db()
    go_on(batch, membership=membership)


def choose(batch: Batch, *, membership: Membership, shown: Iterable[int], taken: Iterable[int]) -> int:
    """Of the rows shown on a page, cancel those taken and leave the others out; how many are taken of the whole list."""
    with _changing(batch, membership):
        rows = BatchItem.objects.filter(batch=batch, position__in=list(shown))
        wanted = list(taken)
        rows.filter(state=ItemState.WAITING).exclude(position__in=wanted).update(state=ItemState.LEFT_OUT)
        rows.filter(state=ItemState.LEFT_OUT, position__in=wanted).update(state=ItemState.WAITING)
    return BatchItem.objects.filter(batch=batch, state=ItemState.WAITING).count()


def choose_all(batch: Batch, *, membership: Membership, is_taken: bool) -> int:
    """Cancel everything that runs, or leave everything out to pick some."""
    states = (ItemState.LEFT_OUT, ItemState.WAITING)
    before, after = states if is_taken else states[::-1]
    with _changing(batch, membership):
        return BatchItem.objects.filter(batch=batch, state=before).update(state=after)


@contextmanager
def _changing(batch: Batch, membership: Membership) -> Iterator[None]:
    """A change of the list before it is confirmed, by its own person, and not while somebody else looks at it."""
    _refuse_others(batch, membership)
    with before_sending(), transaction.atomic():
        lock_mirror(batch.account_id)
        if not Batch.objects.filter(pk=batch.pk, state=BatchState.PLANNED).exclude(frozen_at=None).exists():
            raise Refused("The list cannot be changed any more.")
        asked = Approval.objects.filter(batch=batch, state=ApprovalState.WAITING, expires_at__gt=timezone.now())
        if asked.exists():
            raise Refused(ASKED)
        yield
        bump(batch.account_id)


def _refuse_others(batch: Batch, membership: Membership) -> None:
    if batch.actor_id != membership.user_id:
        raise Refused(OTHERS.format(batch.actor))
