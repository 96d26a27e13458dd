"""The list of workflows as pages show it. Its one rule: every figure counts only instances that the person may see (V-3)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import Aggregate, Count, Max, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from dashboard.models import (
    EXPIRES_SOON,
    RUNNING_STATES,
    Bucket,
    Instance,
    InstanceState,
    Membership,
    Workflow,
    WorkflowState,
)
from dashboard.services.conditions import Loose
from dashboard.services.figures import in_bucket
from dashboard.services.instance_counts import kept_for
from dashboard.services.people import names_of
from dashboard.services.visibility import Reach, reach_of, visible_instances, visible_workflows

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
    """Counts and last trigger by workflow: the same few queries, however many workflows and instances there are."""
    reach = reach_of(membership)
    if not reach.is_any or not workflow_ids:
        return {}
    figures: dict[UUID, Figures] = {}
    for (workflow_id, state), number in kept_for(membership, tuple(workflow_ids)).rows.items():
        if workflow_id is not None:
            line = figures.setdefault(workflow_id, Figures())
            line.total += number
            line.running += number if state in RUNNING_STATES else 0
            line.failed += number if state == InstanceState.FAILED else 0
    visible = visible_instances(membership)
    expiring = in_bucket(membership, Bucket.RUNNING).filter(expires_at__lte=timezone.now() + EXPIRES_SOON)
    for workflow_id, number in _by_workflow(expiring, Count("pk")):
        if workflow_id in figures:
            figures[workflow_id].expiring = number
    for workflow_id, started_at, name in _last_triggers(visible, reach, list(figures)):
        figures[workflow_id].last_trigger_at, figures[workflow_id].last_trigger_by = started_at, name
    return figures


def _last_triggers(
    visible: QuerySet[Instance], reach: Reach, workflow_ids: Sequence[UUID]
) -> Iterator[tuple[UUID, datetime, str]]:
    """Where all rows of a workflow are seen, an index over it has the latest one; elsewhere the person's own rows are read."""
    told = ("workflow_id", "started_at", "started_by_name")
    opened = [pk for pk in workflow_ids if reach.is_all or pk in reach.open_ids]
    own = [pk for pk in workflow_ids if pk not in opened]
    started = visible.filter(started_at__isnull=False)
    latest = started.filter(workflow=OuterRef("pk")).order_by("-started_at", "-pk").values("pk")[:1]
    if opened:
        marked = Workflow.objects.filter(pk__in=opened).annotate(last=Subquery(latest)).values("last")
        yield from Instance.objects.filter(pk__in=marked).values_list(*told)
    if own:
        mine = started.filter(started_by=reach.own_id).order_by()
        newest = dict(_by_workflow(mine, Max("started_at")))
        at = Q(*(Q(workflow_id=pk, started_at=newest[pk]) for pk in own if pk in newest), _connector=Q.OR)
        yield from mine.filter(at).values_list(*told) if at else ()


def _by_workflow(rows: QuerySet[Instance], figure: Aggregate) -> Iterator[tuple[UUID, Any]]:
    """Grouped without the help of an index over workflows, which would lead through all of their rows."""
    found = rows.order_by().annotate(flow=Loose("workflow_id")).values_list("flow").annotate(figure=figure)
    yield from ((UUID(str(workflow_id)), value) for workflow_id, value in found)


def _is_in(workflow: Workflow, state: str) -> bool:
    """A workflow that we paused counts as paused, whatever the list of Docusign still says."""
    return workflow.is_paused if state == WorkflowState.PAUSED else workflow.status == state and not workflow.is_paused


def _name_people(membership: Membership, lines: list[WorkflowLine]) -> None:
    names = names_of(membership, [line.workflow.modified_by for line in lines])
    for line in lines:
        line.changed_by = names.get(line.workflow.modified_by.strip("{}").lower(), "")
