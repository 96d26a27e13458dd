"""The list of instances as pages show it: states with their counts, search and order.

The one rule: every figure is counted over exactly the rows that the person may see.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from dashboard.models import EXPIRES_SOON, RUNNING_STATES, Instance, InstanceState, Membership
from dashboard.services.lists import Order, Page, page_of
from dashboard.services.visibility import own_id, visible_instances

KNOWN_TABS = (*RUNNING_STATES, InstanceState.COMPLETED, InstanceState.FAILED, InstanceState.CANCELED)
ORDERS: Mapping[str, Order] = {
    "changed": Order("sort_at"),
    "name": Order("name", is_descending=False),
    "started": Order("started_at", is_nullable=True),
    "expires": Order("expires_at", is_nullable=True),
    "by": Order("started_by_name", is_descending=False),
}
# What a list shows; inputs and links stay out of lists (V-4).
LIST_COLUMNS = (
    "id", "account_id", "workflow_id", "name", "status", "raw_status", "started_at", "started_by", "started_by_name",
    "last_modified_at", "sort_at", "expires_at", "total_steps", "last_completed_step", "last_completed_step_name",
    "workflow__id", "workflow__name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Search:
    """What a person asked for; `state` is the key of a tab."""

    q: str = ""
    workflows: tuple[UUID, ...] = ()
    state: str = "all"
    only_own: bool = False
    started_within: timedelta | None = None
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
    """A state of the list: its key, word and tone, and how many rows it has."""

    key: str
    label: str
    count: int
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of the list, the tabs, and how many rows the chosen tab has."""

    page: Page[Instance]
    tabs: list[Tab] = field(default_factory=list)
    total: int = 0


def find_instances(membership: Membership, search: Search) -> Found:
    """The page that was asked for, with the counts of all states under the same filters."""
    base = _matching(membership, search)
    tabs = tabs_of(base, chosen=search.state)
    total = next((tab.count for tab in tabs if tab.key == search.state), 0)
    rows = base.filter(in_tab(search.state)).select_related("workflow").only(*LIST_COLUMNS)
    page = page_of(rows, search.order, size=search.size, after=search.after, before=search.before)
    return Found(page, tabs, total)


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
    if key == "running":
        return Q(status__in=RUNNING_STATES)
    if key == "expiring":
        return Q(status__in=RUNNING_STATES, expires_at__lte=timezone.now() + EXPIRES_SOON)
    if key == "other":
        return Q(status__in=[state for state in InstanceState if state not in KNOWN_TABS])
    return Q() if key == "all" else Q(status=key)


def _matching(membership: Membership, search: Search) -> QuerySet[Instance]:
    rows = visible_instances(membership)
    if search.q:
        rows = rows.filter(_named(search.q))
    if search.workflows:
        rows = rows.filter(workflow_id__in=search.workflows)
    if search.only_own:
        rows = rows.filter(started_by=own_id(membership))
    if search.started_within:
        rows = rows.filter(started_at__gte=timezone.now() - search.started_within)
    return rows


def _named(text: str) -> Q:
    """Part of a name or of the starter's name, or a whole instance id."""
    named = Q(name__icontains=text) | Q(started_by_name__icontains=text)
    try:
        return named | Q(pk=UUID(text))
    except ValueError:
        return named
