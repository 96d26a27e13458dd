"""What a person asked of the list of instances, as conditions, as segments in order, and as counts: each worked out once a page.

The one rule: nothing is asked of the database before it is needed, and nothing twice.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID

from django.utils import timezone

from dashboard.models import Bucket, InstanceState, Membership, Workflow, bucket_of
from dashboard.services import instance_counts
from dashboard.services.conditions import Condition, Elsewhere, Keyed, Named, NotDenied, OwnOrOpen, Test, given
from dashboard.services.findable import folded
from dashboard.services.instance_counts import Census
from dashboard.services.instance_queries import Rows, Segment, Way, is_served, shortest_way
from dashboard.services.lists import part_of
from dashboard.services.segments import Few
from dashboard.services.visibility import Reach, reach_of

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
# Which part of a count a list in this order is cut by.
PARTS = {"workflow": 0, "state": 1}


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


def in_tab(key: str) -> tuple[Condition, ...]:
    """The rows of a tab."""
    if key == "expiring":
        return instance_counts.expiring_conditions()
    return () if key == "all" else (Condition("bucket", Test.IS, key),)


class Listing:
    """A question of one person, and what was found out to answer it."""

    def __init__(self, membership: Membership, search: Search) -> None:
        self.membership, self.search = membership, search
        self.column = search.sort.removeprefix("-")

    @cached_property
    def reach(self) -> Reach:
        return reach_of(self.membership)

    @cached_property
    def workflows(self) -> tuple[UUID, ...]:
        """The workflows asked for, as far as they are of the account."""
        if not self.search.workflows:
            return ()
        known = Workflow.objects.filter(account_id=self.membership.account_id, pk__in=self.search.workflows)
        return tuple(sorted(known.values_list("pk", flat=True)))

    @cached_property
    def rows(self) -> Rows | None:
        """Every condition but the tab; None where nothing can match."""
        search, account_id = self.search, self.membership.account_id
        if not self.reach.is_any or "\0" in search.name or (search.workflows and not self.workflows):
            return None
        conditions = [Condition("account_id", Test.IS, account_id)]
        elsewhere: list[Elsewhere] = []
        if self.reach.open_ids:
            elsewhere.append(OwnOrOpen(account_id, self.reach.own_id, tuple(self.reach.open_ids)))
        elif not self.reach.is_all:
            conditions.append(Condition("started_by", Test.IS, self.reach.own_id))
        if self.reach.has_denials:
            elsewhere.append(NotDenied(self.membership.user_id))
        if self.workflows:
            conditions.append(_one_of("workflow_id", self.workflows))
        conditions += _of_columns(search)
        if search.name:
            elsewhere.append(_named(search.name))
        if search.key is not None:
            elsewhere.append(Keyed(*search.key))
        return Rows(tuple(dict.fromkeys(conditions)), tuple(elsewhere))

    @cached_property
    def rows_in_tab(self) -> Rows | None:
        """The rows of the chosen tab."""
        return None if self.rows is None else self.rows.also(*in_tab(self.search.state))

    @cached_property
    def way(self) -> Way | None:
        """The way that leaves few rows; None when there is none."""
        way = shortest_way(self.rows) if self.rows is not None else None
        return way if way is not None and way.is_short else None

    @property
    def is_empty(self) -> bool:
        """Whether nothing has the name or the key, which a list by them finds out first anyway."""
        is_looked_up = bool(self.search.name or self.search.key)
        return self.rows is None or (is_looked_up and self.way is not None and not self.way.size)

    @cached_property
    def census(self) -> Census | None:
        """The rows of all tabs by state; None when they are too many to be counted for one page."""
        if self.rows is None:
            return Census(Counter(), Counter())
        if self.search.is_counted:
            return self.kept
        if self.is_empty:
            return Census(Counter(), Counter())
        by_workflow = self.column == "workflow"
        return instance_counts.read_census(self.rows, self.way, by_workflow=by_workflow) if self.way else None

    @cached_property
    def kept(self) -> Census:
        """Visible rows by state under those filters that the kept counts know."""
        account_id, user_id = self.membership.account_id, self.membership.user_id
        by_workflow = self.column == "workflow"
        return instance_counts.kept(
            account_id, user_id, self.reach, self.workflows, self.search.starter, by_workflow=by_workflow
        )

    @cached_property
    def expiring(self) -> int:
        return instance_counts.capped(self.rows.also(*in_tab("expiring"))) if self.rows is not None else 0

    @cached_property
    def segments(self) -> list[Segment]:
        """The parts of the list under this order: by workflow or state, or rows with a value before those without."""
        is_descending = self.search.sort.startswith("-")
        columns = (*ORDERS[self.column], "id")
        if self.column == "workflow":
            return self._by_workflow(columns)
        if self.column == "state":
            return self._by_state(columns)
        if self.column not in NULLABLE:
            return [Segment("", columns, is_descending)]
        missing = Condition(columns[0], Test.MISSING)
        return [
            Segment("", columns, is_descending, (given(columns[0]),)),
            Segment("none", ("id",), is_descending, (missing,)),
        ]

    @cached_property
    def few(self) -> Few | None:
        """How to read a page of few rows; None where an index has everything, or where rows are many."""
        rows = self.rows_in_tab
        if rows is None:
            return None
        if all(is_served(rows.also(*segment.conditions), segment.columns) for segment in self.segments):
            return None
        way = self.way
        if way is None and self.search.state != "all":
            way = shortest_way(rows)
        if way is None or not way.is_short:
            return None
        return Few(way, self._sizes(rows, way) if self.column in PARTS else None)

    def _sizes(self, rows: Rows, way: Way) -> Mapping[str, int]:
        census = self.census
        if census is None or (census.soon is None and self.search.state == "expiring"):
            census = instance_counts.read_census(rows, way, by_workflow=self.column == "workflow")
        return census.by(PARTS[self.column], self.search.state)

    def _used(self) -> set[str]:
        """The parts of the list that hold rows, and the one where this page starts: it may have been emptied meanwhile."""
        used = (self.census or self.kept).by(PARTS[self.column], self.search.state)
        start = part_of(self.search.after or self.search.before)
        return {part for part, rows in used.items() if rows} | {start or ""}

    def _by_workflow(self, columns: tuple[str, ...]) -> list[Segment]:
        """One workflow after the other by name, each with its latest change first."""
        used = self._used()
        named = Workflow.objects.filter(account_id=self.membership.account_id).values_list("name", "pk")
        ordered = sorted((folded(name), pk) for name, pk in named if str(pk) in used)
        if self.search.sort.startswith("-"):
            ordered.reverse()
        return [Segment(str(pk), columns, True, (Condition("workflow_id", Test.IS, pk),)) for _, pk in ordered]

    def _by_state(self, columns: tuple[str, ...]) -> list[Segment]:
        """One state after the other, what runs and what failed first, each with its latest change first."""
        used = self._used()
        states = [state for bucket in Bucket for state in InstanceState if bucket_of(state) == bucket and state in used]
        if self.search.sort.startswith("-"):
            states.reverse()
        return [Segment(state, columns, True, _in_state(state, states)) for state in states]


def _one_of(column: str, values: tuple[UUID, ...]) -> Condition:
    return Condition(column, Test.IS, values[0]) if len(values) == 1 else Condition(column, Test.IN, values)


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


def _in_state(state: InstanceState, states: list[InstanceState]) -> tuple[Condition, ...]:
    bucket = bucket_of(state)
    tab = Condition("bucket", Test.IS, bucket)
    is_alone = sum(bucket_of(each) == bucket for each in states) == 1
    return (tab,) if is_alone else (tab, Condition("status", Test.IS, state))
