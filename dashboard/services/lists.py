"""Pages of long lists by keyset: a page starts beside a row, never at a number.

The one rule: a list is ordered by one column and then by the id, so that equal values neither repeat nor vanish between pages.
"""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import DateTimeField, F, Field, Model, Q, QuerySet
from django.db.models.expressions import OrderBy

Row = TypeVar("Row", bound=Model)
SIZES = (25, 50, 100)
COUNT_CAP = 10_000


@dataclass(frozen=True, slots=True)
class Order:
    """The column of a list, its direction, and whether rows may lack a value (they come last)."""

    column: str
    is_descending: bool = True
    is_nullable: bool = False
    tie: str = "pk"


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The rows of one page, and the cursors of its neighbours (None at an end)."""

    rows: list[Row]
    newer: str | None
    older: str | None
    is_first: bool


def page_of(rows: QuerySet[Row], order: Order, *, size: int, after: str = "", before: str = "") -> Page[Row]:
    """The page after or before a cursor; a cursor that cannot be read gives the first page."""
    start = _read_cursor(after, rows.model, order)
    end = None if start else _read_cursor(before, rows.model, order)
    if end:
        found = list(_ordered(rows.filter(_beyond(order, end, backwards=True)), order, backwards=True)[: size + 1])
        kept = found[:size][::-1]
        return Page(kept, _cursor_of(kept, 0, order) if len(found) > size else None, _cursor_of(kept, -1, order), False)
    if start:
        rows = rows.filter(_beyond(order, start, backwards=False))
    found = list(_ordered(rows, order, backwards=False)[: size + 1])
    kept = found[:size]
    newer = _cursor_of(kept, 0, order) if start else None
    return Page(kept, newer, _cursor_of(kept, -1, order) if len(found) > size else None, start is None)


def capped_count(rows: QuerySet[Any], cap: int = COUNT_CAP) -> int:
    """How many rows, counted no further than one beyond the cap."""
    return rows.order_by()[: cap + 1].count()


def _ordered(rows: QuerySet[Row], order: Order, *, backwards: bool) -> QuerySet[Row]:
    descending = order.is_descending != backwards
    if not order.is_nullable:
        sign = "-" if descending else ""
        return rows.order_by(f"{sign}{order.column}", f"{sign}{order.tie}")
    first = OrderBy(
        F(order.column), descending=descending, nulls_first=backwards or None, nulls_last=not backwards or None
    )
    return rows.order_by(first, OrderBy(F(order.tie), descending=descending))


def _beyond(order: Order, cursor: tuple[Any, Any], *, backwards: bool) -> Q:
    """Rows that come after the cursor in the direction of reading."""
    value, tie = cursor
    step = "lt" if order.is_descending != backwards else "gt"
    tied = Q(**{f"{order.tie}__{step}": tie})
    if value is None:
        same = Q(**{f"{order.column}__isnull": True}) & tied
        return same | Q(**{f"{order.column}__isnull": False}) if backwards else same
    beyond = Q(**{f"{order.column}__{step}": value}) | (Q(**{order.column: value}) & tied)
    if order.is_nullable and not backwards:
        beyond |= Q(**{f"{order.column}__isnull": True})
    return beyond


def _cursor_of(rows: list[Row], place: int, order: Order) -> str | None:
    if not rows:
        return None
    value, tie = getattr(rows[place], order.column), getattr(rows[place], order.tie)
    said = {"at": value.isoformat()} if isinstance(value, datetime) else {"is": value}
    return base64.urlsafe_b64encode(json.dumps([said, str(tie)]).encode()).decode().rstrip("=")


def _read_cursor(text: str, model: type[Model], order: Order) -> tuple[Any, Any] | None:
    """The value and id of a cursor; None when somebody wrote it by hand, or for another order."""
    if not text:
        return None
    column, tie_column = _field(model, order.column), _field(model, order.tie)
    try:
        said, tie = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        value = datetime.fromisoformat(said["at"]).astimezone(UTC) if "at" in said else said["is"]
        is_time = isinstance(column, DateTimeField)
        if is_time != isinstance(value, datetime) and not (value is None and order.is_nullable):
            return None
        f"{value}{tie}".encode()  # half of a surrogate pair, which JSON can spell, cannot be asked of a database
        return (value if is_time else column.to_python(value), tie_column.to_python(tie)) if tie is not None else None
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError, ValidationError):
        return None


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    if not isinstance(field, Field):
        raise TypeError(f"{name} is not a column.")
    return field
