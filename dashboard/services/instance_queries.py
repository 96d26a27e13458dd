"""Which way to the rows of a list of instances is the shortest, and that way spelled so that the database takes it.

The one rule: whichever way is taken, the same rows come in the same order; a way is only ever chosen by bounded counts.

There are two ways. Walking: an index that has the order is read from the place where the page starts, and each row is looked at.
Gathering: an index that has the filter gives all rows of the filter, which are then sorted. Databases guess between the two
(SQLite knows little of how values are spread, PostgreSQL trusts that they are spread evenly), so the choice is made here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

from django.db.models import Case, F, IntegerField, Q, QuerySet, Sum, Value, When
from django.db.models.expressions import OrderBy

from dashboard.models import BUCKETS, Instance, InstanceCount, InstanceState
from dashboard.services.conditions import Condition, Elsewhere, Loose, Test
from dashboard.services.lists import beyond, capped_count

Place: TypeAlias = Sequence[Any]
# So many rows are read and sorted in a few milliseconds.
GATHERED = 6_000
# A walk goes no further before the other way is taken: rows of the filter may all stand at the other end of the order.
STRIDE = 4_000
# So many rows are gathered sooner than an index over all rows is read to its end.
MANY = 60_000
# Gathering so many takes long enough to look first whether the page is full after so many times its rows along an index.
NOT_SO_FEW, SHORT_STRIDE = 1_000, 20
COUNTED = frozenset({"account_id", "workflow_id", "started_by", "bucket", "status"})


def _columns_of(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(Instance._meta.get_field(name).attname for name in names)  # type: ignore[union-attr]  # plain columns only


INDEXES = tuple(_columns_of(index.fields) for index in Instance._meta.indexes)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of the list: the conditions on their columns, and those that are decided beside them."""

    conditions: tuple[Condition, ...]
    elsewhere: tuple[Elsewhere, ...] = ()
    # How many rows meet conditions of theirs, as far as that was counted for this list, and how far.
    sizes: dict[frozenset[Condition], tuple[int, int]] = field(default_factory=dict, compare=False, repr=False)
    sizes_elsewhere: dict[Elsewhere, int | None] = field(default_factory=dict, compare=False, repr=False)

    def size(self, conditions: Collection[Condition], most: int) -> int:
        """How many rows of the table meet the conditions, counted once and, where that takes reading them, no further than `most`."""
        key = frozenset(conditions)
        known, reach = self.sizes.get(key, (0, -1))
        if known > reach and reach < most:
            known, reach = self.sizes[key] = _size(conditions, most), most
        return known

    def size_elsewhere(self, by: Elsewhere) -> int | None:
        """How many rows another table finds, counted once and no further than few; None where it finds none quickly."""
        if by not in self.sizes_elsewhere:
            found = by.found(GATHERED + 1)
            self.sizes_elsewhere[by] = None if found is None else capped_count(found, GATHERED)
        return self.sizes_elsewhere[by]

    def also(self, *conditions: Condition) -> "Rows":
        return replace(self, conditions=(*self.conditions, *conditions)) if conditions else self

    def implies(self, condition: Condition) -> bool:
        """Whoever names workflows has made sure that they are of the account."""
        return condition.column == "account_id" and any(each.column == "workflow_id" for each in self.conditions)

    def through(self, way: Sequence[Condition] = (), by: Elsewhere | None = None) -> QuerySet[Instance]:
        """All rows, spelled so that an index serves these conditions and no other."""
        spelled = [
            each.spelled(loose=each not in way) for each in self.conditions if each in way or not self.implies(each)
        ]
        spelled += [each.spelled() for each in self.elsewhere if each is not by]
        found = by.found() if by is not None else None
        rows = Instance.objects.filter(pk__in=found) if found is not None else Instance.objects.all()
        return rows.filter(*spelled).order_by()


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the list with an order of its own; `columns` end with the id."""

    key: str
    columns: tuple[str, ...]
    is_descending: bool
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Way:
    """A way of gathering: what an index is asked, and how many rows that gives, counted no further than needed."""

    conditions: tuple[Condition, ...]
    by: Elsewhere | None
    size: int

    @property
    def is_short(self) -> bool:
        return self.size <= GATHERED

    def is_all_of(self, rows: Rows) -> bool:
        """Whether no other condition is left, so that its size is the number of the rows."""
        if self.by is not None or rows.elsewhere:
            return False
        return all(each in self.conditions or rows.implies(each) for each in rows.conditions)


def shortest_way(rows: Rows) -> Way | None:
    """The condition that leaves the fewest rows; None where no index serves any."""
    best: Way | None = None
    for way in _ways(rows):
        if best is None or (way.size, -_weight(way.conditions)) < (best.size, -_weight(best.conditions)):
            best = way
        if best.size == 0:
            break
    return best


def _ways(rows: Rows) -> "Sequence[Way] | Any":
    """What the indexes can be asked, the quickest counts first."""
    served: set[frozenset[Condition]] = set()
    for index in INDEXES:
        taken = _served(index, rows.conditions)
        if any(each.column != "account_id" and not each.is_given for each in taken):
            served.add(taken)
    whole = [taken for taken in served if not any(taken < other for other in served)]
    for taken in sorted(whole, key=lambda taken: not all(each.column in COUNTED for each in taken)):
        yield Way(tuple(taken), None, rows.size(taken, GATHERED))
    for each in rows.elsewhere:
        if (size := rows.size_elsewhere(each)) is not None:
            yield Way((), each, size)


def _served(index: Sequence[str], conditions: Sequence[Condition]) -> frozenset[Condition]:
    """What an index can be asked: equal values of its first columns, then a range of the next one."""
    taken: list[Condition] = []
    for column in index:
        those = [each for each in conditions if each.column == column and each.test != Test.NOT_IN]
        equal = [each for each in those if each.is_equal]
        taken += equal or those
        if not equal:
            break
    return frozenset(taken)


def _size(conditions: Collection[Condition], most: int) -> int:
    known = counted(tuple(conditions))
    if known is not None:
        return known
    rows = Instance.objects.filter(*(each.spelled() for each in conditions))
    bounded = {each.column for each in conditions if each.test in (Test.FROM, Test.UNTIL, Test.BY)}
    is_one_range = len(bounded) == 1 and all(each.is_equal or each.column in bounded for each in conditions)
    return capped_count(rows, most, by=bounded if is_one_range else ())


def counted(conditions: Sequence[Condition]) -> int | None:
    """How many rows meet the conditions, from the kept counts; None where those do not tell."""
    rows = kept_counts(conditions)
    return None if rows is None else max(0, rows.aggregate(number=Sum("rows"))["number"] or 0)


def kept_counts(conditions: Sequence[Condition]) -> QuerySet[InstanceCount] | None:
    """The kept counts of rows that meet the conditions; None where those do not tell."""
    rows = InstanceCount.objects.all()
    if not any(each.column == "started_by" for each in conditions):
        rows = rows.filter(started_by=InstanceCount.ANYBODY)
    for each in conditions:
        if each.column not in COUNTED or each.test not in (Test.IS, Test.IN, Test.NOT_IN):
            return None
        if each.column == "started_by" and each.value in ("", InstanceCount.ANYBODY):
            return None
        if each.column == "bucket":
            states = [state for state in InstanceState if BUCKETS.get(state, "other") == each.value]
            rows = rows.filter(status__in=states)
        else:
            rows = rows.filter(each.spelled())
    return rows


def places(
    rows: Rows, segment: Segment, *, limit: int, start: Place | None, backwards: bool, way: Way | None
) -> list[tuple[Any, ...]]:
    """The first places of a segment after `start`, as tuples of its columns; `way` is taken when the caller knows it to be short."""
    rows = rows.also(*segment.conditions)
    reading = _Reading(rows, segment.columns, segment.is_descending != backwards, limit, start)
    walk = _walk(rows.conditions, segment.columns)
    if way is not None and way.is_short:
        return reading.soon(way, walk)
    if is_served(rows, segment.columns):
        return reading.walked(walk or ())
    way = shortest_way(rows)
    if way is not None and (way.is_short or walk is None):
        return reading.gathered(way)
    if walk is None or way is None:
        return reading.walked(walk or ())
    is_covered = _is_covered(rows, walk, segment.columns)
    if not is_covered and _is_within(rows, way, segment.columns) and rows.size(way.conditions, MANY) <= MANY:
        return reading.gathered(way)  # many entries of one index are read sooner than a few thousand rows of the table
    if (found := reading.strolled(walk)) is not None:
        return found
    if is_covered and (way.by is not None or rows.size(way.conditions, MANY) > MANY):
        return reading.walked(walk)
    return reading.gathered(way)


def is_served(rows: Rows, columns: Sequence[str]) -> bool:
    """Whether an index has both this order and all of these conditions."""
    walk = _walk(rows.conditions, columns)
    return (
        walk is not None and not rows.elsewhere and all(each in walk or rows.implies(each) for each in rows.conditions)
    )


def across(rows: Rows, segments: Sequence[Segment], way: Way, *, limit: int, backwards: bool) -> list[tuple[Any, ...]]:
    """The first places of several segments with the same columns, as tuples of the segment's number and its columns."""
    kept = rows.through(way.conditions, way.by)
    numbers = [
        When(Q(*(each.spelled(loose=True) for each in segment.conditions)), then=Value(number))
        for number, segment in enumerate(segments)
    ]
    kept = kept.annotate(number=Case(*numbers, default=None, output_field=IntegerField())).filter(number__isnull=False)
    is_descending = segments[0].is_descending != backwards
    columns = segments[0].columns
    order = [OrderBy(F("number")), *(OrderBy(Loose(column), descending=is_descending) for column in columns)]
    return list(kept.order_by(*order).values_list("number", *columns)[:limit])


def _walk(conditions: Sequence[Condition], columns: Sequence[str]) -> tuple[Condition, ...] | None:
    """The conditions that an index with this order serves, of the index that serves most of them."""
    used = _walked(tuple((each.column, each.is_equal) for each in conditions), tuple(columns))
    return None if used is None else tuple(each for each in conditions if each.column in used)


@lru_cache(maxsize=1024)
def _walked(asked: tuple[tuple[str, bool], ...], columns: tuple[str, ...]) -> frozenset[str] | None:
    """The columns of that index, by what is asked and not by its values: a list by workflow asks the same of each."""
    best, most = None, -1
    equal = {column for column, is_equal in asked if is_equal}
    for index in INDEXES:
        for place in range(1, len(index)):
            if index[place : place + len(columns)] == columns and equal.issuperset(index[:place]):
                used = frozenset({*index[:place], columns[0]})
                weight = sum(column != "account_id" for column, _ in asked if column in used)
                if weight > most:
                    best, most = used, weight
    return best


def _weight(conditions: Sequence[Condition]) -> int:
    """How much an index narrows that serves these: being of the account narrows nothing."""
    return sum(each.column != "account_id" for each in conditions)


def _is_covered(rows: Rows, walk: Sequence[Condition], columns: Sequence[str]) -> bool:
    """Whether the index of a walk holds whatever has to be looked at, so that no row is read."""
    wanted = {each.column for each in rows.conditions if not rows.implies(each)}
    for each in rows.elsewhere:
        if each.columns is None:
            return False
        wanted |= each.columns
    prefix = {each.column for each in walk}
    return any(
        wanted <= set(index) and prefix - set(columns) <= set(index) and _has_order(index, columns, prefix)
        for index in INDEXES
    )


def _is_within(rows: Rows, way: Way, columns: Sequence[str]) -> bool:
    """Whether an index that serves the way of gathering holds the order and whatever has to be looked at."""
    if way.by is not None or rows.elsewhere:
        return False
    wanted = {each.column for each in rows.conditions if not rows.implies(each)} | set(columns)
    return any(wanted <= set(index) and _served(index, rows.conditions).issuperset(way.conditions) for index in INDEXES)


def _has_order(index: Sequence[str], columns: Sequence[str], prefix: set[str]) -> bool:
    """Whether the index has these columns in a row, after equal ones of the prefix."""
    size = len(columns)
    return any(index[at : at + size] == tuple(columns) and prefix.issuperset(index[:at]) for at in range(1, len(index)))


@dataclass(frozen=True, slots=True)
class _Reading:
    """One segment, read in one direction from one place."""

    rows: Rows
    columns: tuple[str, ...]
    is_descending: bool
    limit: int
    start: Place | None

    def soon(self, way: Way, walk: Sequence[Condition] | None) -> list[tuple[Any, ...]]:
        """Gathered; where that is not so little, a short stretch of the walk is looked at before."""
        if walk is not None and way.size >= NOT_SO_FEW:
            found = self.along(walk, self.limit * SHORT_STRIDE)
            if found is not None:
                return found
        return self.gathered(way)

    def gathered(self, way: Way) -> list[tuple[Any, ...]]:
        found = self._after_start(self.rows.through(way.conditions, way.by), loose=True)
        order = [OrderBy(Loose(column), descending=self.is_descending) for column in self.columns]
        return list(found.order_by(*order).values_list(*self.columns)[: self.limit])

    def walked(self, walk: Sequence[Condition]) -> list[tuple[Any, ...]]:
        found = self._after_start(self.rows.through(self._still_asked(walk)))
        return list(self._in_order(found).values_list(*self.columns)[: self.limit])

    def strolled(self, walk: Sequence[Condition]) -> list[tuple[Any, ...]] | None:
        """Like a walk, but given up (None) when a long stretch does not hold enough rows; tried on a shorter one first.

        Finding where a stretch ends takes as long as reading it, which many rows (of an export) would feel once a batch.
        """
        for stretch in sorted({max(STRIDE, self.limit * 4), max(STRIDE, self.limit * 100)}):
            if (rows := self.along(walk, stretch)) is not None:
                return rows
        return None

    def along(self, walk: Sequence[Condition], stretch: int) -> list[tuple[Any, ...]] | None:
        """The rows that lie on a stretch of the walk; None when it does not hold enough of them."""
        path = self._after_start(Rows(tuple(walk)).through(self._still_asked(walk)))
        far = self._in_order(path).values_list(*self.columns)[stretch : stretch + 1]
        end = next(iter(far), None)
        found = self._after_start(self.rows.through(self._still_asked(walk, is_ended=end is not None)))
        if end is not None:
            found = found.filter(beyond(self.columns, end, is_descending=not self.is_descending))
        rows = list(self._in_order(found).values_list(*self.columns)[: self.limit])
        return rows if end is None or len(rows) == self.limit else None

    def _still_asked(self, walk: Sequence[Condition], *, is_ended: bool = False) -> list[Condition]:
        """What the index is asked beside the places where reading starts and ends.

        Of two bounds on one side SQLite takes the first one written, and would read up to that from far behind the place.
        """
        behind: tuple[Test, ...] = (Test.UNTIL, Test.BY)
        ahead: tuple[Test, ...] = (Test.FROM,)
        if not self.is_descending:
            behind, ahead = ahead, behind
        told = (*(behind if self.start is not None else ()), *(ahead if is_ended else ()))
        return [each for each in walk if each.column != self.columns[0] or each.test not in told]

    def _after_start(self, rows: QuerySet[Instance], *, loose: bool = False) -> QuerySet[Instance]:
        if self.start is None:
            return rows
        columns = [Loose(column) for column in self.columns] if loose else self.columns
        return rows.filter(beyond(columns, self.start, is_descending=self.is_descending))

    def _in_order(self, rows: QuerySet[Instance]) -> QuerySet[Instance]:
        return rows.order_by(*(OrderBy(F(column), descending=self.is_descending) for column in self.columns))
