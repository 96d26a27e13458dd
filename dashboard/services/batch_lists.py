"""Bulk runs and their items as pages list them: outcomes with their numbers, filters, keyset pages.

The one rule: only runs that the person may see, and of an item on an instance that the person may not see, no name (V-1, V-3).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from dashboard.models import (
    ApprovalState,
    Batch,
    BatchItem,
    BatchState,
    ItemState,
    Look,
    Membership,
    OperationKind,
)
from dashboard.services.lists import COUNT_CAP, Page, page_of
from dashboard.services.visibility import (
    visible_batches,
    visible_instances,
    visible_operations,
    visible_workflows,
)

Counts = Mapping[Any, int]  # by ItemState or its text
MINE = "me"
HIDDEN = "not visible to you"
ALERTING = (Batch.Hold.RECONNECT, Batch.Hold.DRIFT, Batch.Hold.WORKFLOW, Batch.Hold.RESTORED)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of items, as people read it: one or several states under one word."""

    key: str
    label: str
    states: tuple[ItemState, ...]
    tone: str = ""
    is_always: bool = False

    def number(self, counts: Counts) -> int:
        return sum(counts.get(state, 0) for state in self.states)


OUTCOMES = (
    Outcome("done", "Done", (ItemState.CONFIRMED,), "good", is_always=True),
    Outcome("skipped", "Skipped", (ItemState.SKIPPED,), "neutral", is_always=True),
    Outcome("refused", "Refused", (ItemState.REJECTED,), "danger", is_always=True),
    Outcome("unknown", "Unknown outcome", (ItemState.UNKNOWN, ItemState.NEEDS_PERSON), "unknown", is_always=True),
    Outcome("waiting", "Waiting", (ItemState.WAITING, ItemState.SENT, ItemState.PLANNED), is_always=True),
    Outcome("not_sent", "Not sent", (ItemState.NOT_SENT,), "neutral"),
    Outcome("invalid", "With errors", (ItemState.INVALID,), "danger"),
    Outcome("left_out", "Left out", (ItemState.LEFT_OUT,), "neutral"),
)
BY_KEY = {outcome.key: outcome for outcome in OUTCOMES}


@dataclass(frozen=True, slots=True)
class BatchSearch:
    """Which bulk runs a person asked for."""

    state: str = ""
    who: str = ""
    size: int = 25
    after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class ItemSearch:
    """Which items of one bulk run a person asked for."""

    outcome: str = ""
    q: str = ""
    size: int = 50
    after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """An item, its name as this person may see it, and what of it may be opened."""

    item: BatchItem
    is_named: bool
    instance_id: UUID | None
    operation_id: UUID | None
    workflow_id: UUID | None
    is_next: bool


def find_batches(membership: Membership, search: BatchSearch) -> Page[Batch]:
    """One page of bulk runs, newest first."""
    rows = visible_batches(membership).select_related("workflow", "actor", "approval")
    if search.state:
        rows = rows.filter(state=search.state)
    if search.who == MINE:
        rows = rows.filter(actor_id=membership.user_id)
    return page_of(rows, "created_at", "id", size=search.size, after=search.after, before=search.before)


def counts_of(batches: Iterable[Batch]) -> dict[UUID, dict[str, int]]:
    """The items of each run by state, in one query for a whole page."""
    found: dict[UUID, dict[str, int]] = {batch.pk: {} for batch in batches}
    rows = BatchItem.objects.filter(batch__in=list(found)).order_by().values_list("batch_id", "state")
    for batch_id, state, number in rows.annotate(number=Count("pk")):
        found[batch_id][state] = number
    return found


def running_count(membership: Membership) -> int:
    """How many go on now."""
    going = (BatchState.RUNNING, BatchState.STOPPING)
    return visible_batches(membership).filter(state__in=going).order_by()[: COUNT_CAP + 1].count()


def look_of(batch: Batch) -> Look:
    """The state in a word; loud where only a person can help."""
    approval = getattr(batch, "approval", None)
    if batch.state == BatchState.PLANNED:
        is_asked = approval is not None and approval.state == ApprovalState.WAITING
        word = "Planned" if batch.frozen_at else "Being prepared"
        return approval.look if approval is not None and is_asked else Look(word, "neutral", "ring")
    if is_undoable(batch):
        return Look("Not sent yet", "warning", "clock", loud=True)
    if batch.state == BatchState.PAUSED and batch.hold in ALERTING:
        return Look("Paused", "warning", "pause", loud=True)
    return batch.look


def is_undoable(batch: Batch) -> bool:
    """Whether nothing was sent yet and the time to undo goes on."""
    is_waiting = batch.state in (BatchState.RUNNING, BatchState.PAUSED)
    return is_waiting and batch.starts_at is not None and batch.starts_at > timezone.now()


def find_items(batch: Batch, membership: Membership, search: ItemSearch) -> Page[BatchItem]:
    """One page of items in the order of the list."""
    rows = batch.items.select_related("workflow", "operation")
    if outcome := BY_KEY.get(search.outcome):
        rows = rows.filter(state__in=outcome.states)
    if search.q:
        rows = _named(rows, membership).filter(label__icontains=search.q)
    paging = {"size": search.size, "after": search.after, "before": search.before}
    return page_of(rows, "position", is_descending=False, **paging)  # type: ignore[arg-type]  # three arguments of two types


def _named(rows: QuerySet[BatchItem], membership: Membership) -> QuerySet[BatchItem]:
    """Items whose name this person may see: what cannot be read cannot be searched either."""
    seen = visible_instances(membership).filter(pk=OuterRef("instance_id"))
    return rows.filter(Q(instance=None) | Q(batch__kind=OperationKind.TRIGGER) | Exists(seen))


def shown(batch: Batch, membership: Membership, items: list[BatchItem]) -> list[Shown]:
    """The items with what this person may open, in a few queries for a whole page."""
    instance_ids = [item.instance_id for item in items if item.instance_id]
    seen = set(visible_instances(membership, ids=instance_ids).values_list("pk", flat=True))
    operation_ids = [item.operation_id for item in items if item.operation_id]
    sent = set(visible_operations(membership).filter(pk__in=operation_ids).values_list("pk", flat=True))
    first = batch.items.filter(state=ItemState.WAITING).order_by("position").values_list("position", flat=True).first()
    listed = visible_workflows(membership).filter(pk__in=[item.workflow_id for item in items])
    workflows = set(listed.values_list("pk", flat=True))
    return [
        Shown(
            item=item,
            is_named=is_named(batch, item, seen),
            instance_id=item.instance_id if item.instance_id in seen else None,
            operation_id=item.operation_id if item.operation_id in sent else None,
            workflow_id=item.workflow_id if item.workflow_id in workflows else None,
            is_next=item.position == first,
        )
        for item in items
    ]


def masked(items: list[BatchItem], membership: Membership) -> list[BatchItem]:
    """The items for pages that show the instances themselves: of one that may not be seen now, neither name nor state (V-6)."""
    ids = [item.instance_id for item in items if item.instance_id]
    seen = set(visible_instances(membership, ids=ids).values_list("pk", flat=True))
    for item in items:
        if item.instance_id and item.instance_id not in seen:
            item.label, item.status_then, item.instance = HIDDEN, "", None
    return items


def is_named(batch: Batch, item: BatchItem, seen: set[UUID]) -> bool:
    """A trigger's name was written by its own person; that of an instance may be seen with the instance (V-3)."""
    return item.instance_id is None or batch.kind == OperationKind.TRIGGER or item.instance_id in seen
