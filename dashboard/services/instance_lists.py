"""The list of instances as pages show it: states with their counts, filters and order.

The one rule: every row, figure and suggestion comes from exactly the rows that the person may see (V-1, V-3).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.utils import timezone

from dashboard.models import Bucket, Instance, InstanceDenial, InstanceState, Membership, Workflow, bucket_of
from dashboard.services import instance_counts, segments
from dashboard.services.conditions import Condition, Elsewhere, Keyed, Named, NotDenied, OwnOrOpen, Test, given
from dashboard.services.findable import folded
from dashboard.services.instance_counts import Counts
from dashboard.services.instance_queries import Rows, Segment, shortest_way
from dashboard.services.lists import COUNT_CAP, Page
from dashboard.services.suggestions import SUGGESTED, Starter, suggest_starters, suggest_workflows
from dashboard.services.visibility import reach_of, visible_instances

__all__ = [
    "LIST_COLUMNS", "ORDERS", "SUGGESTED", "TABS", "Found", "Search", "Starter", "Tab", "count_instances", "find_instances",
    "iter_instances", "suggest_starters", "suggest_workflows", "tabs_for",
]  # fmt: skip

# The columns of each order before the id; where a value may be missing, such rows come last.
ORDERS: Mapping[str, tuple[str, ...]] = {
    "changed": ("sort_at",),
    "name": ("name_order",),
    "workflow": ("sort_at",),
    "state": ("sort_at",),
    "steps": ("last_completed_step",),
    "by": ("starter_order", "started_by"),
    "started": ("started_at",),
    "expires": ("expires_at",),
}
NULLABLE = frozenset({"steps", "started", "expires"})
# What a list shows; inputs and links stay out of lists (V-4).
LIST_COLUMNS = (
    "id", "account_id", "workflow_id", "name", "status", "raw_status", "started_at", "started_by", "started_by_name",
    "last_modified_at", "sort_at", "expires_at", "ended_at", "canceled_at", "is_from_here", "total_steps",
    "last_completed_step", "last_completed_step_name", "workflow__id", "workflow__name",
)  # fmt: skip


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
    def starter(self) -> str:
        return self.started_by.strip("{}").lower()

    @property
    def is_counted(self) -> bool:
        """Whether the kept counts know the states of these rows."""
        others = (self.started_from, self.started_until, self.changed_from, self.changed_until, self.expires_within)
        rest = (*others, self.steps_done, self.key)
        return not self.name and not self.origin and all(each is None for each in rest)


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
    tabs = tabs_for(membership, search)
    total = next((tab.count for tab in tabs if tab.key == search.state), 0)
    return Found(_page(membership, search, search.size), tabs, total)


def tabs_for(membership: Membership, search: Search) -> list[Tab]:
    """All tabs under the filters; "Other" appears only when something is there, or when it is the chosen one."""
    counts = _counts(membership, search)
    made = [Tab(key, label, counts.in_tab(key), tone) for key, label, tone in TABS]
    return [tab for tab in made if tab.key != "other" or tab.count or search.state == "other"]


def count_instances(membership: Membership, search: Search) -> int:
    """How many rows match, counted no further than one beyond the cap."""
    number = _counts(membership, search).in_tab(search.state) if search.is_counted else None
    if number is None:
        rows = _rows(membership, search)
        number = instance_counts.capped(rows.also(*_in_tab(search.state))) if rows else 0
    return min(number, COUNT_CAP + 1)


def iter_instances(membership: Membership, search: Search, batch: int = 2000) -> Iterator[list[Instance]]:
    """Every matching row in the order of the search, a batch at a time, each under the rights of its moment."""
    after: str | None = ""
    while after is not None:
        page = _page(membership, replace(search, after=after, before=""), batch)
        if page.rows:
            yield page.rows
        after = page.older


def _counts(membership: Membership, search: Search) -> Counts:
    rows = _rows(membership, search)
    if rows is None:
        return Counts(by_state=instance_counts.nothing(), expiring=0)
    if not search.is_counted:
        way = shortest_way(rows)
        return instance_counts.read_counts(rows, way) if way and way.is_short else Counts(None, None)
    kept = instance_counts.kept(membership, search.workflows, search.starter)
    return Counts(instance_counts.by_state(kept), instance_counts.capped(rows.also(*_in_tab("expiring"))))


def _page(membership: Membership, search: Search, size: int) -> Page[Instance]:
    rows = _rows(membership, search)
    if rows is None:
        return Page([], None, None, True)
    rows = rows.also(*_in_tab(search.state))
    column = search.sort.removeprefix("-")
    parts = _segments(membership, search)
    part = {"workflow": "workflow_id", "state": "status"}.get(column, "")
    spots = segments.spots_of(rows, parts, size=size, after=search.after, before=search.before, part=part)
    kept = visible_instances(membership).select_related("workflow").only(*LIST_COLUMNS)
    known = {row.pk: row for row in kept.filter(pk__in=spots.ids).order_by()}
    return Page([known[pk] for pk in spots.ids if pk in known], spots.newer, spots.older, spots.is_first)


def _in_tab(key: str) -> tuple[Condition, ...]:
    """The rows of a tab."""
    if key == "expiring":
        return instance_counts.expiring_conditions()
    return () if key == "all" else (Condition("bucket", Test.IS, key),)


def _rows(membership: Membership, search: Search) -> Rows | None:
    """Every condition but the tab; None where nothing can match."""
    reach = reach_of(membership)
    if not reach.is_any or "\0" in search.name:
        return None
    account_id = membership.account_id
    conditions = [Condition("account_id", Test.IS, account_id)]
    elsewhere: list[Elsewhere] = []
    if not reach.is_all:
        if reach.open_ids:
            elsewhere.append(OwnOrOpen(account_id, reach.own_id, tuple(reach.open_ids)))
        else:
            conditions.append(Condition("started_by", Test.IS, reach.own_id))
    if InstanceDenial.objects.filter(user_id=membership.user_id).exists():
        elsewhere.append(NotDenied(membership.user_id))
    if search.workflows:
        known = Workflow.objects.filter(account_id=account_id, pk__in=search.workflows).values_list("pk", flat=True)
        conditions.append(_one_of("workflow_id", sorted(known)))
    conditions += _of_columns(search)
    if search.name:
        elsewhere.append(_named(search.name))
    if search.key is not None:
        elsewhere.append(Keyed(*search.key))
    return Rows(tuple(dict.fromkeys(conditions)), tuple(elsewhere))


def _one_of(column: str, values: list[UUID]) -> Condition:
    return Condition(column, Test.IS, values[0]) if len(values) == 1 else Condition(column, Test.IN, tuple(values))


def _of_columns(search: Search) -> Iterator[Condition]:
    if search.starter:
        yield Condition("started_by", Test.IS, search.starter)
    for column, since, until in (
        ("started_at", search.started_from, search.started_until),
        ("sort_at", search.changed_from, search.changed_until),
    ):
        if since is not None:
            yield Condition(column, Test.FROM, since)
        if until is not None:
            yield from () if since is not None else (given(column),)
            yield Condition(column, Test.UNTIL, until)
    if search.expires_within is not None:
        yield Condition("bucket", Test.IS, Bucket.RUNNING)
        yield Condition("expires_at", Test.BY, timezone.now() + search.expires_within)
    if search.steps_done is not None:
        yield Condition("last_completed_step", Test.FROM, search.steps_done)
    if search.origin:
        yield Condition("is_from_here", Test.IS, search.origin == "here")


def _named(text: str) -> Named:
    """Part of a name, or a whole instance id."""
    try:
        return Named(folded(text), UUID(text))
    except ValueError:
        return Named(folded(text))


def _segments(membership: Membership, search: Search) -> list[Segment]:
    """The parts of the list under this order: by workflow or state, or rows with a value before those without."""
    column, is_descending = search.sort.removeprefix("-"), search.sort.startswith("-")
    columns = (*ORDERS[column], "id")
    if column == "workflow":
        return _by_workflow(membership, search, columns)
    if column == "state":
        return _by_state(membership, search, columns)
    if column not in NULLABLE:
        return [Segment("", columns, is_descending)]
    missing = Condition(columns[0], Test.MISSING)
    return [
        Segment("", columns, is_descending, (given(columns[0]),)),
        Segment("none", ("id",), is_descending, (missing,)),
    ]


def _by_workflow(membership: Membership, search: Search, columns: tuple[str, ...]) -> list[Segment]:
    """One workflow after the other by name, each with its latest change first."""
    kept = instance_counts.kept(membership, search.workflows, search.starter)
    used = {workflow_id for workflow_id, _ in kept}
    named = Workflow.objects.filter(account_id=membership.account_id).values_list("name", "pk")
    ordered = sorted(((folded(name), pk) for name, pk in named if pk in used), reverse=search.sort.startswith("-"))
    return [Segment(str(pk), columns, True, (Condition("workflow_id", Test.IS, pk),)) for _, pk in ordered]


def _by_state(membership: Membership, search: Search, columns: tuple[str, ...]) -> list[Segment]:
    """One state after the other, what runs and what failed first, each with its latest change first."""
    used = instance_counts.by_state(instance_counts.kept(membership, search.workflows, search.starter))
    states = [state for bucket in Bucket for state in InstanceState if bucket_of(state) == bucket and used[state]]
    if search.state in (*Bucket.values, "expiring"):
        wanted = Bucket.RUNNING if search.state == "expiring" else search.state
        states = [state for state in states if bucket_of(state) == wanted]
    if search.sort.startswith("-"):
        states.reverse()
    return [Segment(state, columns, True, _in_state(state, states)) for state in states]


def _in_state(state: InstanceState, states: list[InstanceState]) -> tuple[Condition, ...]:
    bucket = bucket_of(state)
    tab = Condition("bucket", Test.IS, bucket)
    is_alone = sum(bucket_of(each) == bucket for each in states) == 1
    return (tab,) if is_alone else (tab, Condition("status", Test.IS, state))
