"""The list of instances as pages show it: states with their counts, filters and order.

The one rule: every row, figure and suggestion comes from exactly the rows that the person may see (V-1, V-3).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from django.db.models import QuerySet

from dashboard.models import Instance, Membership, Workflow
from dashboard.services import instance_counts
from dashboard.services.instance_search import ORDERS, Listing, Search
from dashboard.services.lists import COUNT_CAP, Page
from dashboard.services.segments import spots_of
from dashboard.services.suggestions import SUGGESTED, Starter, suggest_starters, suggest_workflows
from dashboard.services.visibility import visible_instances

__all__ = [
    "LIST_COLUMNS", "ORDERS", "SUGGESTED", "TABS", "Found", "Search", "Starter", "Tab", "count_instances", "find_instances",
    "iter_instances", "suggest_starters", "suggest_workflows", "tabs_for",
]  # fmt: skip

# What a list shows; inputs and links stay out of lists (V-4).
LIST_COLUMNS = (
    "id", "account_id", "workflow_id", "name", "status", "raw_status", "started_at", "started_by", "started_by_name",
    "last_modified_at", "sort_at", "expires_at", "ended_at", "canceled_at", "is_from_here", "total_steps",
    "last_completed_step", "last_completed_step_name", "workflow__id", "workflow__name",
)  # fmt: skip

MANY_ROWS = 200  # of an export: they share few workflows, which are then read once and not beside each row

READ_COLUMNS = tuple(column for column in LIST_COLUMNS if not column.startswith("workflow__"))

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


def find_instances(membership: Membership, search: Search) -> Found:
    """The page that was asked for, with the counts of all states under the same filters."""
    listing = Listing(membership, search)
    tabs = _tabs(listing)
    total = next((tab.count for tab in tabs if tab.key == search.state), 0)
    return Found(_page(listing), tabs, total)


def tabs_for(membership: Membership, search: Search) -> list[Tab]:
    """All tabs under the filters, whatever the order is."""
    return _tabs(Listing(membership, replace(search, sort="-changed")))


def count_instances(membership: Membership, search: Search) -> int:
    """How many rows match, counted no further than one beyond the cap."""
    listing = Listing(membership, replace(search, sort="-changed"))
    number = _count(listing, search.state)
    if number is None:
        number = instance_counts.capped(listing.rows_in_tab) if listing.rows_in_tab else 0
    return min(number, COUNT_CAP + 1)


def iter_instances(
    membership: Membership, search: Search, batch: int = 2000, *, read: Sequence[str] = READ_COLUMNS
) -> Iterator[list[Instance]]:
    """Every matching row in the order of the search, a batch at a time, each under the rights of its moment; `read` are its columns."""
    after: str | None = ""
    while after is not None:
        page = _page(Listing(membership, replace(search, size=batch, after=after, before="")), read)
        if page.rows:
            yield page.rows
        after = page.older


def _tabs(listing: Listing) -> list[Tab]:
    """ "Other" appears only when something is there, or when it is the chosen one."""
    made = [Tab(key, label, _count(listing, key), tone) for key, label, tone in TABS]
    return [tab for tab in made if tab.key != "other" or tab.count or listing.search.state == "other"]


def _count(listing: Listing, tab: str) -> int | None:
    census = listing.census
    if tab == "expiring" and census is not None and census.soon is None and listing.rows is not None:
        return listing.expiring
    return None if census is None else census.total(tab)


def _page(listing: Listing, read: Sequence[str] = READ_COLUMNS) -> Page[Instance]:
    search = listing.search
    if listing.rows_in_tab is None or listing.is_empty:
        return Page([], None, None, True)
    rows, parts, few = listing.rows_in_tab, listing.segments, listing.few
    spots = spots_of(rows, parts, size=search.size, after=search.after, before=search.before, few=few)
    kept = visible_instances(listing.membership, listing.reach, ids=spots.ids).order_by()
    if len(spots.ids) > MANY_ROWS:
        known = _with_workflows(kept.only("id", "workflow_id", "status", *read))
    else:
        kept = kept.select_related("workflow").only(*LIST_COLUMNS)
        known = {row.pk: row for row in kept} if spots.ids else {}
    return Page([known[pk] for pk in spots.ids if pk in known], spots.newer, spots.older, spots.is_first)


def _with_workflows(rows: QuerySet[Instance]) -> dict[UUID, Instance]:
    """The rows by their ids, each with its workflow's name. Many share few workflows, so those are read beside them."""
    known = {row.pk: row for row in rows}
    named = Workflow.objects.only("id", "name").in_bulk({row.workflow_id for row in known.values()})
    keep = Instance._meta.get_field("workflow").set_cached_value  # what setting it comes to, at a tenth of the price
    for row in known.values():
        keep(row, named.get(row.workflow_id) or row.workflow)
    return known
