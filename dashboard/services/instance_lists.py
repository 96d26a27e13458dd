"""The list of instances as pages show it: states with their counts, filters, order, and what the filters suggest.

The one rule: every row, figure and suggestion comes from exactly the rows that the person may see (V-1, V-3).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from dashboard.models import EXPIRES_SOON, RUNNING_STATES, Bucket, Instance, InstanceState, Membership, Workflow
from dashboard.services.findable import folded
from dashboard.services.lists import COUNT_CAP, Order, Page, capped_count, page_of
from dashboard.services.visibility import visible_instances, visible_workflows

KNOWN_TABS = (*RUNNING_STATES, InstanceState.COMPLETED, InstanceState.FAILED, InstanceState.CANCELED)
ORDERS: Mapping[str, Order] = {
    "changed": Order("sort_at"),
    "name": Order("name_order", is_descending=False),
    "workflow": Order("workflow_id", is_descending=False),
    "state": Order("bucket", is_descending=False),
    "steps": Order("last_completed_step", is_nullable=True),
    "by": Order("starter_order", is_descending=False),
    "started": Order("started_at", is_nullable=True),
    "expires": Order("expires_at", is_nullable=True),
}
# What a list shows; inputs and links stay out of lists (V-4).
LIST_COLUMNS = (
    "id", "account_id", "workflow_id", "name", "name_order", "status", "bucket", "raw_status", "started_at", "started_by",
    "started_by_name", "starter_order", "last_modified_at", "sort_at", "expires_at", "ended_at", "canceled_at",
    "is_from_here", "total_steps", "last_completed_step", "last_completed_step_name", "workflow__id", "workflow__name",
)  # fmt: skip
SUGGESTED = 20


@dataclass(frozen=True, slots=True)
class Search:
    """What a person asked for; `state` is the key of a tab, times are half-open spans."""

    name: str = ""
    workflows: tuple[UUID, ...] = ()
    state: str = "all"
    started_by: str = ""
    started_from: datetime | None = None
    started_until: datetime | None = None
    changed_from: datetime | None = None
    changed_until: datetime | None = None
    expires_within: timedelta | None = None
    steps_done: int | None = None
    key: tuple[str, str] | None = None
    origin: str = ""
    sort: str = "-changed"
    size: int = 25
    after: str = ""
    before: str = ""

    @property
    def order(self) -> Order:
        order = ORDERS[self.sort.lstrip("-")]
        return Order(order.column, self.sort.startswith("-"), order.is_nullable)


TABS = (
    ("running", "In progress", ""),
    ("failed", "Failed", "danger"),
    ("expiring", "Expiring", "warning"),
    ("completed", "Completed", ""),
    ("canceled", "Canceled", ""),
    ("other", "Other", "unknown"),
    ("all", "All", ""),
)


@dataclass(frozen=True, slots=True)
class Tab:
    """A state of the list: its key, word and tone, and how many rows it has; None when they are too many to count."""

    key: str
    label: str
    count: int | None
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the list, the tabs, and how many rows the chosen tab has."""

    page: Page[Instance]
    tabs: list[Tab] = field(default_factory=list)
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Starter:
    """Somebody who started instances: Docusign's user id and the name that the rows give."""

    id: str
    name: str


def find_instances(membership: Membership, search: Search) -> Found:
    """The page that was asked for, with the counts of all states under the same filters."""
    base = _matching(membership, search)
    tabs = tabs_of(base, chosen=search.state)
    total = next((tab.count for tab in tabs if tab.key == search.state), 0)
    rows = base.filter(in_tab(search.state)).select_related("workflow").only(*LIST_COLUMNS)
    page = page_of(rows, search.order, size=search.size, after=search.after, before=search.before)
    return Found(page, tabs, total)


def count_instances(membership: Membership, search: Search) -> int:
    """How many rows match, counted no further than one beyond the cap."""
    return capped_count(_matching(membership, search).filter(in_tab(search.state)), COUNT_CAP)


def iter_instances(membership: Membership, search: Search, batch: int = 2000) -> Iterator[list[Instance]]:
    """Every matching row in the order of the search, a batch at a time."""
    rows = _matching(membership, search).filter(in_tab(search.state)).select_related("workflow").only(*LIST_COLUMNS)
    after: str | None = ""
    while after is not None:
        page = page_of(rows, search.order, size=batch, after=after)
        if page.rows:
            yield page.rows
        after = page.older


def suggest_workflows(membership: Membership, text: str) -> list[Workflow]:
    """Visible workflows whose name holds the text."""
    rows = visible_workflows(membership).order_by("name", "pk")
    return [row for row in rows if folded(text) in folded(row.name)][:SUGGESTED]


def suggest_starters(membership: Membership, text: str) -> list[Starter]:
    """People who started instances that this person may see."""
    rows = visible_instances(membership).filter(starter_order__contains=folded(text)).exclude(started_by="")
    found = rows.order_by("starter_order").values_list("started_by", "started_by_name").distinct()[:SUGGESTED]
    return [Starter(*row) for row in found]


def tabs_of(rows: QuerySet[Instance], *, chosen: str = "all") -> list[Tab]:
    """All tabs; "Other" appears only when something is there, or when it is the chosen one."""
    by_state = dict(rows.order_by().values_list("status").annotate(rows=Count("*")))
    counts = {
        "running": sum(by_state.get(state, 0) for state in RUNNING_STATES),
        "expiring": rows.filter(in_tab("expiring")).order_by().count(),
        "other": sum(count for state, count in by_state.items() if state not in KNOWN_TABS),
        "all": sum(by_state.values()),
    }
    made = [Tab(key, label, counts[key] if key in counts else by_state.get(key, 0), tone) for key, label, tone in TABS]
    return [tab for tab in made if tab.key != "other" or tab.count or chosen == "other"]


def in_tab(key: str) -> Q:
    """The rows of a tab."""
    if key == "expiring":
        return Q(bucket=Bucket.RUNNING, expires_at__lte=timezone.now() + EXPIRES_SOON)
    return Q() if key == "all" else Q(bucket=key)


def _matching(membership: Membership, search: Search) -> QuerySet[Instance]:
    rows = visible_instances(membership)
    exact = {"workflow_id__in": search.workflows, "started_by": search.started_by.strip("{}").lower()}
    spans = {
        "started_at__gte": search.started_from,
        "started_at__lt": search.started_until,
        "sort_at__gte": search.changed_from,
        "sort_at__lt": search.changed_until,
        "last_completed_step__gte": search.steps_done,
    }
    rows = rows.filter(**{name: value for name, value in exact.items() if value})
    rows = rows.filter(**{name: value for name, value in spans.items() if value is not None})
    if search.name:
        rows = rows.filter(_named(search.name))
    if search.expires_within is not None:
        rows = rows.filter(bucket=Bucket.RUNNING, expires_at__lte=timezone.now() + search.expires_within)
    if search.key is not None:
        name, digest = search.key
        rows = rows.filter(keys__key_input__name=name, keys__digest=digest)
    if search.origin:
        rows = rows.filter(is_from_here=search.origin == "here")
    return rows


def _named(text: str) -> Q:
    """Part of a name, or a whole instance id."""
    try:
        return Q(pk=UUID(text))
    except ValueError:
        return Q(search_name__text__contains=folded(text))
