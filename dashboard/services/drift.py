"""Contracts that changed since a person last looked at them.

The one rule: a change is told until this person opened the workflow or took note of everything, and then no more.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import OperationalError
from django.db.models import F, Q
from django.utils import timezone

from dashboard.models import Contract, Membership, Workflow, WorkflowAccess
from dashboard.services.contracts import diff
from dashboard.services.visibility import sees_anything

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Drift:
    """What a workflow asks for now that it did not before, in sentences."""

    workflow: Workflow
    at: datetime
    sentences: list[str]


def drifted_ids(membership: Membership) -> list[UUID]:
    """Visible workflows whose contract changed since this person looked or took note, the latest change first."""
    if not sees_anything(membership):
        return []
    # What changed before this person came belongs to how they found the workflow.
    since = max(filter(None, (membership.created_at, membership.seen_at)))
    mine = WorkflowAccess.objects.filter(user_id=membership.user_id, workflow__account_id=membership.account_id)
    unseen = Q(contract_seen_at=None) | Q(contract_seen_at__lt=F("workflow__contracts__first_seen_at"))
    rows = mine.filter(unseen, workflow__contracts__first_seen_at__gt=since)
    newest: dict[UUID, datetime] = {}
    for workflow_id, at in rows.values_list("workflow_id", "workflow__contracts__first_seen_at"):
        newest[workflow_id] = max(at, newest.get(workflow_id, at))
    later = Contract.objects.filter(workflow_id__in=newest).values_list("workflow_id", "first_seen_at")
    first = _earliest(later)
    return sorted((pk for pk in newest if first[pk] < newest[pk]), key=lambda pk: newest[pk], reverse=True)


def _earliest(rows: Iterable[tuple[UUID, datetime]]) -> dict[UUID, datetime]:
    first: dict[UUID, datetime] = {}
    for workflow_id, at in rows:
        first[workflow_id] = min(at, first.get(workflow_id, at))
    return first


def drifts_of(workflow_ids: list[UUID]) -> list[Drift]:
    """The latest change of each of these workflows, in their order."""
    versions: dict[UUID, list[Any]] = {pk: [] for pk in workflow_ids}
    rows = Contract.objects.filter(workflow_id__in=workflow_ids).order_by("-first_seen_at", "-pk")
    for row in rows.select_related("workflow"):
        versions[row.workflow_id].append(row)
    found = []
    for pair in versions.values():
        if len(pair) > 1:
            sentences = [change.sentence for change in diff(pair[1], pair[0])]
            found.append(Drift(pair[0].workflow, pair[0].first_seen_at, sentences))
    return found


def note_seen(membership: Membership, workflow: Workflow, newest: Contract | None) -> None:
    """This person looks at the workflow's page, with this version as the newest on it."""
    if newest is None:
        return
    unseen = Q(contract_seen_at=None) | Q(contract_seen_at__lt=newest.first_seen_at)
    mine = WorkflowAccess.objects.filter(unseen, user_id=membership.user_id, workflow=workflow)
    try:
        if mine.exists():
            mine.update(contract_seen_at=timezone.now())
    except OperationalError:  # a page can be read while nothing can be written (D-3); the next look notes it
        log.warning("look.not_noted", extra={"user_id": str(membership.user_id)})
