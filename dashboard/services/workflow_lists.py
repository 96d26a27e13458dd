"""The list of workflows as pages show it. Its one rule: every figure counts only instances that the person may see (V-3)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Max, OuterRef, Q, Subquery
from django.utils import timezone

from dashboard.models import EXPIRES_SOON, RUNNING_STATES, InstanceState, Membership, Workflow, WorkflowState
from dashboard.services.people import names_of
from dashboard.services.visibility import visible_instances, visible_workflows

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class Figures:
    """Visible instances of one workflow."""

    running: int = 0
    failed: int = 0
    expiring: int = 0
    total: int = 0
    last_trigger_at: datetime | None = None
    last_trigger_by: str = ""


@dataclass(slots=True)
class WorkflowLine:
    """A row of the list: the workflow, its figures, and who changed it last."""

    workflow: Workflow
    figures: Figures
    changed_by: str = ""


@dataclass(frozen=True, slots=True)
class WorkflowsFound:
    """One page of the list; `total` match the filter, `all_known` are visible without it."""

    lines: list[WorkflowLine]
    total: int
    all_known: int
    page: int
    pages: int


KEYS: dict[str, Callable[[WorkflowLine], Any]] = {
    "name": lambda line: line.workflow.name.casefold(),
    "running": lambda line: line.figures.running,
    "failed": lambda line: line.figures.failed,
    "expiring": lambda line: line.figures.expiring,
    "trigger": lambda line: line.figures.last_trigger_at or LONG_AGO,
    "changed": lambda line: line.workflow.modified_at or LONG_AGO,
}


def find_workflows(
    membership: Membership, *, q: str = "", state: str = "", sort: str = "-trigger", page: int = 1, size: int = 50
) -> WorkflowsFound:
    """Workflows by name and state, sorted by any shown column. An account has hundreds of them, not more."""
    everything = list(visible_workflows(membership).select_related("asked_by"))
    found = [row for row in everything if q.casefold() in row.name.casefold() and (not state or _is_in(row, state))]
    figures = figures_of(membership, [row.pk for row in found])
    lines = [WorkflowLine(row, figures.get(row.pk, Figures())) for row in found]
    lines.sort(key=lambda line: (line.workflow.name.casefold(), str(line.workflow.pk)))
    lines.sort(key=KEYS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    pages = max(1, -(-len(lines) // size))
    page = min(page, pages)
    shown = lines[(page - 1) * size : page * size]
    _name_people(membership, shown)
    return WorkflowsFound(shown, len(lines), len(everything), page, pages)


def figures_of(membership: Membership, workflow_ids: Sequence[UUID]) -> dict[UUID, Figures]:
    """Counts and last trigger by workflow: two queries, however many workflows."""
    rows = visible_instances(membership).filter(workflow_id__in=workflow_ids).order_by()
    running = Q(status__in=RUNNING_STATES)
    counted = rows.values("workflow_id").annotate(
        running=Count("status", filter=running),
        failed=Count("status", filter=Q(status=InstanceState.FAILED)),
        expiring=Count("status", filter=running & Q(expires_at__lte=timezone.now() + EXPIRES_SOON)),
        total=Count("status"),
        last_trigger_at=Max("started_at"),
    )
    names = ("running", "failed", "expiring", "total", "last_trigger_at")
    figures = {row[0]: Figures(*row[1:]) for row in counted.values_list("workflow_id", *names)}
    newest = rows.filter(workflow=OuterRef("pk"), started_at__isnull=False).order_by("-started_at")
    named = Workflow.objects.filter(pk__in=list(figures)).annotate(by=Subquery(newest.values("started_by_name")[:1]))
    for workflow_id, name in named.values_list("pk", "by"):
        figures[workflow_id].last_trigger_by = name or ""
    return figures


def _is_in(workflow: Workflow, state: str) -> bool:
    """A workflow that we paused counts as paused, whatever the list of Docusign still says."""
    return workflow.is_paused if state == WorkflowState.PAUSED else workflow.status == state and not workflow.is_paused


def _name_people(membership: Membership, lines: list[WorkflowLine]) -> None:
    names = names_of(membership, [line.workflow.modified_by for line in lines])
    for line in lines:
        line.changed_by = names.get(line.workflow.modified_by.strip("{}").lower(), "")
