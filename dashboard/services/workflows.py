"""The mirror of workflows: taking Docusign's list in, remembering what was done here, counting instances.

The one rule: Docusign's word and our memory of a confirmed pause are kept apart, and both are shown as what they are.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from dashboard.models import Account, Membership, User, Workflow, WorkflowAccess, WorkflowState
from dashboard.services.instances import LONGEST_NAME, bump, is_of, lock_mirror, uuid_of
from maestro_api import Workflow as ApiWorkflow

WRITTEN = [
    "name",
    "status",
    "raw_status",
    "created_at",
    "created_by",
    "modified_at",
    "modified_by",
    "synced_at",
    "asked_ended_at",
]
SEEN_BY_PEOPLE = ["name", "status", "raw_status", "created_at", "created_by", "modified_at", "modified_by"]
OWN_CHANGE = timedelta(seconds=60)  # a modification time this close to our own pause is that pause
# Which of Docusign's words do not speak against what was done here; how a paused workflow is listed is not documented.
AGREES: dict[str, tuple[str, ...]] = {
    WorkflowState.PAUSED: (WorkflowState.PAUSED, WorkflowState.INACTIVE),
    WorkflowState.ACTIVE: (WorkflowState.ACTIVE,),
}


@dataclass(frozen=True, slots=True)
class PauseMemory:
    """What this console last did to a workflow, and whether it still counts."""

    state: str
    at: datetime
    by: User | None
    ended_at: datetime | None

    @property
    def is_past(self) -> bool:
        return self.ended_at is not None


def apply_workflows(account: Account, answers: Iterable[ApiWorkflow]) -> list[Workflow]:
    """Take a list in. Rows of other accounts and rows whose id is no UUID are left out; nothing is deleted."""
    now = timezone.now()
    named = {pk: answer for answer in answers if (pk := uuid_of(answer.id)) and is_of(account, answer.account_id)}
    with transaction.atomic():
        lock_mirror(account.pk)
        stored = {row.pk: row for row in Workflow.objects.select_for_update(no_key=True).filter(pk__in=named)}
        named = {
            pk: answer
            for pk, answer in named.items()
            if pk not in stored or str(stored[pk].account_id) == str(account.pk)
        }
        new = [Workflow(pk=pk, account=account) for pk in named if pk not in stored]
        rows = {row.pk: row for row in [*new, *(stored[pk] for pk in named if pk in stored)]}
        moved = [pk for pk, answer in named.items() if _write(rows[pk], answer)]
        for row in rows.values():
            row.synced_at = now
        Workflow.objects.bulk_create(new, ignore_conflicts=True)
        Workflow.objects.bulk_update([rows[pk] for pk in named if pk in stored], WRITTEN, batch_size=50)
        if moved or new:
            bump(account.pk)
    return list(rows.values())


def _write(row: Workflow, answer: ApiWorkflow) -> bool:
    """Copy the answer into the row; whether anything that people see moved."""
    before = [getattr(row, name) for name in SEEN_BY_PEOPLE]
    raw_before, modified_before = row.raw_status, row.modified_at
    row.name = (answer.name or row.name)[:LONGEST_NAME]
    row.status, row.raw_status = answer.status.value, answer.raw_status
    row.created_at = answer.created_at or row.created_at
    row.created_by = answer.created_by or row.created_by
    row.modified_at = answer.modified_at or row.modified_at
    row.modified_by = answer.modified_by or row.modified_by
    if _is_superseded(row, raw_before=raw_before, modified_before=modified_before):
        row.asked_ended_at = timezone.now()
    return before != [getattr(row, name) for name in SEEN_BY_PEOPLE]


def _is_superseded(row: Workflow, *, raw_before: str, modified_before: datetime | None) -> bool:
    """Whether the answer shows a change of the workflow that came after what was done here."""
    if row.asked_at is None or row.asked_ended_at is not None or row.status in AGREES.get(row.asked_state, ()):
        return False
    if row.raw_status != raw_before:
        return True
    modified = row.modified_at
    return modified is not None and modified != modified_before and modified > row.asked_at + OWN_CHANGE


def remember(workflow: Workflow, *, state: WorkflowState, actor: User) -> None:
    """Note that Docusign confirmed a pause or a resume of ours. Inside the transaction that settles the operation."""
    Workflow.objects.filter(pk=workflow.pk).update(
        asked_state=state, asked_at=timezone.now(), asked_by=actor, asked_ended_at=None
    )
    bump(workflow.account_id)


def pause_memory(workflow: Workflow) -> PauseMemory | None:
    """What was last done here; past once Docusign showed a later change of the workflow."""
    if workflow.asked_at is None:
        return None
    return PauseMemory(workflow.asked_state, workflow.asked_at, workflow.asked_by, workflow.asked_ended_at)


def apply_access(membership: Membership, listed: Sequence[Workflow]) -> None:
    """A complete list of this person's own token: what it does not hold is no longer theirs to see."""
    now = timezone.now()
    rows = WorkflowAccess.objects.filter(user_id=membership.user_id, workflow__account_id=membership.account_id)
    listed_ids = {row.pk for row in listed}
    with transaction.atomic():
        lock_mirror(membership.account_id)
        known = set(rows.values_list("workflow_id", flat=True))
        rows.exclude(workflow_id__in=listed_ids).delete()
        rows.filter(workflow_id__in=listed_ids).update(listed_at=now)
        WorkflowAccess.objects.bulk_create(
            [
                WorkflowAccess(user_id=membership.user_id, workflow=row, listed_at=now)
                for row in listed
                if row.pk not in known
            ],
            ignore_conflicts=True,
        )
        if known != listed_ids:
            bump(membership.account_id)


def remove_access(membership: Membership, workflow: Workflow | None = None) -> None:
    """Docusign refused: this person sees no workflow of the account, or not this one, from now on."""
    rows = WorkflowAccess.objects.filter(user_id=membership.user_id, workflow__account_id=membership.account_id)
    if (rows.filter(workflow=workflow) if workflow else rows).delete()[0]:
        bump(membership.account_id)
