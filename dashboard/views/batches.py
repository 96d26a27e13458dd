"""Bulk runs: the list, and one of them. Its one rule: a run that may not be seen does not exist, and a page changes nothing."""

import zlib
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.http import require_safe

from dashboard import htmx, permissions, stamps
from dashboard.forms.batches import BatchFilter, ItemFilter
from dashboard.models import FREEZING, ApprovalState, Batch, BatchState, ItemState, Membership, OperationKind
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import batch_lists, batch_progress, batch_states, batches, due
from dashboard.services.batch_lists import BatchSearch, Counts, ItemSearch, Shown
from dashboard.services.batch_results import told
from dashboard.services.sign_in_gate import sign_in_url
from dashboard.services.visibility import sees_all, visible_batches, visible_workflows
from dashboard.views.frames import frame, pager

SOON = 5
MOVING = (BatchState.RUNNING, BatchState.STOPPING)
PAGING = ("after", "before")
HELD = {
    Batch.Hold.RECONNECT: "It waits for a connection to Docusign",
    Batch.Hold.DRIFT: "The workflow asks for other inputs now",
    Batch.Hold.WORKFLOW: "The workflow is paused",
    Batch.Hold.RESTORED: "The database was restored",
}


@requires("batch.view")
@require_safe
def index(request: PersonRequest) -> HttpResponse:
    """Bulk runs that this person may see, newest first."""
    due.look(request.membership)
    if same := stamps.unchanged(request):
        return same
    chosen = BatchFilter(request.GET)
    mine, size = request.membership, chosen.value("size")
    wanted = {name: chosen.cleaned_data.get(name, "") for name in ("state", "who")}
    page = batch_lists.find_batches(mine, BatchSearch(**wanted, size=size, **_place(request)))
    counts = batch_lists.counts_of(page.rows)
    context = {
        **frame(request),
        "filter": chosen,
        "rows": [_line(batch, counts[batch.pk]) for batch in page.rows],
        "sees_others": sees_all(mine),
        "no_run": permissions.reason(mine, "batch.run"),
        **pager(request, page, size),
    }
    if any(batch.state in MOVING for batch in page.rows):
        context["poll_seconds"] = SOON
    return htmx.render(request, "batches/index.html", "batches/_batches.html", context)


def _place(request: PersonRequest) -> dict[str, str]:
    return {name: request.GET.get(name, "") for name in PAGING}


def _line(batch: Batch, counts: Counts) -> dict[str, Any]:
    """A row of the list, with a mark that changes with what it shows."""
    look, (settled, total) = batch_lists.look_of(batch), batch_progress.settled_of(counts)
    told = [each for each in batch_lists.OUTCOMES if each.tone in ("danger", "unknown") and each.number(counts)]
    notes = [f"{each.number(counts):,} {each.label.lower()}" for each in told]
    said = (batch.name, look, sorted(counts.items()), batch.confirmed_at, batch.ended_at)
    return {
        "batch": batch,
        "look": look,
        "settled": settled,
        "total": total,
        "notes": notes,
        "tone": batch_progress.tone_of(batch),
        "mark": _mark(said),
    }


def _mark(said: tuple[object, ...]) -> str:
    return f"{zlib.crc32(repr(said).encode()):x}"


@requires("batch.view")
@require_safe
def detail(request: PersonRequest, batch_id: str) -> HttpResponse:
    """How far one bulk run is, and what became of each item."""
    due.look(request.membership)
    if same := stamps.unchanged(request):
        return same
    batch = found(request, batch_id)
    counts: Counts = batches.counts(batch)
    context = {
        **frame(request),
        "batch": batch,
        "look": batch_lists.look_of(batch),
        "progress": batch_progress.progress_of(batch, counts),
        "now": timezone.now(),
        "calls": batch_progress.calls_of(batch, counts),
        **standing(batch, request.membership),
        **ways(batch, request.membership, counts),
        **_items(request, batch, counts),
    }
    is_open = any(counts.get(state) for state in (ItemState.UNKNOWN, ItemState.NEEDS_PERSON))
    context |= {"is_final": batch.is_over and not is_open, "poll_seconds": SOON}
    return htmx.render(request, "batches/detail.html", "batches/_batch.html", context)


def found(request: PersonRequest, batch_id: str) -> Batch:
    """The run, if this person may see it."""
    rows = visible_batches(request.membership)
    return get_object_or_404(rows.select_related("account__budget", "actor", "approval", "workflow"), pk=batch_id)


def _items(request: PersonRequest, batch: Batch, counts: Counts) -> dict[str, Any]:
    """The table of items, its tabs and its pager."""
    chosen = ItemFilter(request.GET)
    size = chosen.value("size")
    wanted = {name: chosen.cleaned_data.get(name, "") for name in ("outcome", "q")}
    page = batch_lists.find_items(batch, request.membership, ItemSearch(**wanted, size=size, **_place(request)))
    outcome = batch_lists.BY_KEY.get(wanted["outcome"])
    number = outcome.number(counts) if outcome else sum(counts.values())
    shown, is_own = batch_lists.shown(batch, request.membership, page.rows), batch.actor_id == request.user.pk
    return {
        "filter": chosen,
        "tab": wanted["outcome"],
        "tabs": [(each, each.number(counts)) for each in batch_progress.figured(counts, wanted["outcome"])],
        "all_items": sum(counts.values()),
        "rows": [(each, told(each.item, is_own=is_own), _item_mark(each)) for each in shown],
        "is_of_workflows": batch.kind in (OperationKind.PAUSE, OperationKind.RESUME),
        **pager(request, page, size, total=None if wanted["q"] else number),
    }


def _item_mark(each: Shown) -> str:
    item = each.item
    sent_at = item.operation.sent_at if item.operation else None
    return _mark((item.state, item.message, item.attempt, item.settled_at, sent_at, each.is_named, each.is_next))


def standing(batch: Batch, membership: Membership) -> dict[str, Any]:
    """Why it stands or waits, and the way on."""
    approval = getattr(batch, "approval", None)
    sees_workflow = batch.workflow_id and visible_workflows(membership).filter(pk=batch.workflow_id).exists()
    is_own = batch.actor_id == membership.user_id
    return {
        "approval": approval,
        "is_asked": approval is not None and approval.state == ApprovalState.WAITING,
        "is_own": is_own,
        "held": HELD.get(Batch.Hold(batch.hold), "") if batch.state == BatchState.PAUSED else "",
        "sees_workflow": bool(sees_workflow),
        "reconnect_url": sign_in_url(f"/batches/{batch.pk}/")
        if is_own and batch.state == BatchState.PAUSED and batch.hold == Batch.Hold.RECONNECT
        else "",
    }


def _may_change_rows(batch: Batch) -> bool:
    """Whether the rows of a file were checked, and nobody has started them or was asked to judge them."""
    approval = getattr(batch, "approval", None)
    is_asked_for = approval is not None and approval.state in FREEZING
    is_checked = batch.source == Batch.Source.SHEET and batch.frozen_at is not None
    return is_checked and batch.state == BatchState.PLANNED and not is_asked_for


def ways(batch: Batch, membership: Membership, counts: Counts) -> dict[str, Any]:
    """What can be done with it now, and why this person cannot."""
    state, is_undoable = batch.state, batch_lists.is_undoable(batch)
    left = (batch.starts_at - timezone.now()).total_seconds() if is_undoable and batch.starts_at else 0
    not_theirs = "" if batches.is_theirs(batch, membership) else f"Only {batch.actor} or an admin can change this run."
    not_mine = "" if batch.actor_id == membership.user_id else batch_states.NOT_YOURS_TO_START.format(batch.actor)
    why_not = permissions.reason(membership, "batch.run") or not_theirs
    return {
        "why_not": why_not,
        "why_no_retry": why_not or not_mine,
        "undo_seconds": max(1, round(left)) if is_undoable else 0,
        "can_check": _may_change_rows(batch),
        "can_pause": state == BatchState.RUNNING,
        "can_resume": state == BatchState.PAUSED,
        "can_stop": state in (BatchState.PLANNED, BatchState.RUNNING, BatchState.PAUSED) and not is_undoable,
        "retry": batch_progress.retry_of(batch, counts),
    }
