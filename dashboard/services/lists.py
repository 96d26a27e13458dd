"""Pages of long lists by keyset: a page starts beside a row, never at a number.

The one rule: a list is ordered by columns of which the last is unique, so that equal values neither repeat nor vanish between pages.
"""

import base64
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, DateTimeField, Func, IntegerField, Model, QuerySet, Value
from django.db.models.sql.compiler import SQLCompiler

Row = TypeVar("Row", bound=Model)
SIZES = (25, 50, 100)
COUNT_CAP = 10_000
LARGEST = 2**63 - 1


class Beyond(Func):
    """Rows after a place in an order, as one comparison of rows, so that equal values cost nothing and never repeat."""

    conditional = True
    output_field = BooleanField()

    def __init__(self, columns: Sequence[Any], values: Sequence[Any], *, operator: str) -> None:
        super().__init__(*columns, *(Value(value) for value in values))
        self.operator = operator

    def resolve_expression(self, *args: Any, **kwargs: Any) -> Any:
        """Each value is written as its column writes values."""
        made = super().resolve_expression(*args, **kwargs)
        parts = made.get_source_expressions()
        columns = parts[: len(parts) // 2]
        values = parts[len(columns) :]
        typed = [
            Value(value.value, output_field=column.output_field) for column, value in zip(columns, values, strict=True)
        ]
        made.set_source_expressions([*columns, *typed])
        return made

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *_: Any, **__: Any) -> Any:
        spelled: list[str] = []
        params: list[Any] = []
        for part in self.get_source_expressions():
            sql, these = compiler.compile(part)
            spelled.append(sql)
            params.extend(these)
        half = len(spelled) // 2
        left, right = ", ".join(spelled[:half]), ", ".join(spelled[half:])
        return f"({left}) {self.operator} ({right})", params


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The rows of one page, and the cursors of its neighbours (None at an end)."""

    rows: list[Row]
    newer: str | None
    older: str | None
    is_first: bool


def page_of(
    rows: QuerySet[Row] | Sequence[QuerySet[Row]],
    *columns: str,
    size: int,
    after: str = "",
    before: str = "",
    is_descending: bool = True,
) -> Page[Row]:
    """The page after or before a cursor, in the order of columns of which the last is unique. What is no cursor gives the first.

    `rows` may come in parts, each of which an index of its own gives in order, where one query for all of them would read
    everything. A row may be in several parts; the columns are no text, which Python orders in another way. The parts are read one
    after the other, so a row made meanwhile may be in the next reading only.
    """
    parts = [rows] if isinstance(rows, QuerySet) else list(rows)
    start = read_cursor(after, parts[0].model, columns)
    end = None if start else read_cursor(before, parts[0].model, columns)
    is_down = is_descending != bool(end)
    found = _next(parts, columns, start or end, size + 1, is_descending=is_down)
    kept = found[:size][::-1] if end else found[:size]
    ends = (
        [write_cursor([getattr(row, name) for name in columns]) for row in (kept[0], kept[-1])] if kept else [None] * 2
    )
    if end:
        return Page(kept, ends[0] if len(found) > size else None, ends[1], False)
    return Page(kept, ends[0] if start else None, ends[1] if len(found) > size else None, start is None)


def _next(
    parts: list[QuerySet[Row]], columns: Sequence[str], place: list[Any] | None, most: int, *, is_descending: bool
) -> list[Row]:
    """The rows that follow a place: the first of each part, and of these the first."""
    order = [f"-{column}" if is_descending else column for column in columns]
    if place:
        parts = [part.filter(beyond(columns, place, is_descending=is_descending)) for part in parts]
    found = {row.pk: row for part in parts for row in part.order_by(*order)[:most]}
    if len(parts) == 1:
        return list(found.values())
    return sorted(found.values(), key=attrgetter(*columns), reverse=is_descending)[:most]


def beyond(columns: Sequence[Any], place: Sequence[Any], *, is_descending: bool) -> Beyond:
    """Rows that come after a place in the direction of reading; columns are names or expressions."""
    return Beyond(columns, place, operator="<" if is_descending else ">")


def capped_count(rows: QuerySet[Any], cap: int = COUNT_CAP, *, by: Collection[str] = ()) -> int:
    """How many rows, counted no further than one beyond the cap; in the order `by` of the index that serves a range.

    Without it PostgreSQL may take any index that holds the columns of the filter, and reads that from end to end.
    """
    return rows.order_by(*by)[: cap + 1].count()


def write_cursor(place: Sequence[Any], part: str = "") -> str:
    """A place in a list as text: the values of its row, and the part of the list where that has parts."""
    said = [{"at": value.isoformat()} if isinstance(value, datetime) else _plain(value) for value in place]
    return base64.urlsafe_b64encode(json.dumps([part, *said]).encode()).decode().rstrip("=")


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | str) else str(value)


def part_of(text: str) -> str | None:
    """The part of the list that a cursor names; None when somebody wrote the cursor by hand."""
    said = _said(text)
    return said[0] if said and isinstance(said[0], str) else None


def read_cursor(text: str, model: type[Model], columns: Sequence[str]) -> list[Any] | None:
    """The values of a cursor; None when somebody wrote it by hand, or for another order."""
    said = _said(text)
    if said is None or len(said) != len(columns) + 1:
        return None
    try:
        return [_value(model._meta.get_field(column), value) for column, value in zip(columns, said[1:], strict=True)]
    except (ValueError, TypeError, KeyError, OverflowError, ValidationError):
        return None


def _said(text: str) -> list[Any] | None:
    try:
        said = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) if text else None
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, list) and said else None


def _value(field: Any, said: Any) -> Any:
    """A value as its column takes it; raises for anything else."""
    if isinstance(field, DateTimeField):
        return datetime.fromisoformat(said["at"]).astimezone(UTC)
    if isinstance(field, IntegerField):
        value: int = field.to_python(said if type(said) is int else None) + 0
        if abs(value) > (LARGEST if "Big" in field.get_internal_type() else 2**31 - 1):
            raise ValueError("Larger than the column.")
        return value
    if not isinstance(said, str) or "\0" in said:
        raise TypeError("Not a text that a database takes.")
    said.encode()  # half of a surrogate pair, which JSON can spell, cannot be asked of a database
    return field.to_python(said)
