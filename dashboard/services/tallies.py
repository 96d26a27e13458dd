"""Counts of instances by state, starter and hour, kept while rows are written.

The one rule: `note` runs in the transaction that writes the rows, with what they were before and what they are now.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model
from django.utils import timezone

from dashboard.models import TERMINAL_STATES, HourCount, Instance, InstanceCount, InstanceState

STARTED = "started"
HOURS_KEPT = timedelta(days=62)  # longer than any chart looks back; older hours would only fill the table
BATCH = 500
Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """What of an instance is counted."""

    account_id: UUID
    workflow_id: UUID
    started_by: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None


def standing_of(row: Instance) -> Standing:
    """The countable part of a row as it is now."""
    return Standing(row.account_id, row.workflow_id, row.started_by, str(row.status), row.started_at, _ended_at(row))


def _ended_at(row: Instance) -> datetime | None:
    if row.status not in TERMINAL_STATES:
        return None
    is_canceled = row.status == InstanceState.CANCELED and row.canceled_at is not None
    return row.canceled_at if is_canceled else row.ended_at or row.last_modified_at


def note(before: Iterable[Standing], after: Iterable[Standing]) -> None:
    """Take the difference into the counts, inside the caller's transaction."""
    states: Counter[Key] = Counter()
    hours: Counter[Key] = Counter()
    for sign, standings in ((-1, before), (1, after)):
        for standing in standings:
            for key in _state_keys(standing):
                states[key] += sign
            for key in _hour_keys(standing):
                hours[key] += sign
    _add(InstanceCount, ("account", "workflow", "started_by", "status"), 1, states)
    _add(HourCount, ("scope", "what", "hour"), 0, hours)


def forget_old_hours() -> int:
    """Take away the hours that no chart shows any more."""
    return HourCount.objects.filter(hour__lt=timezone.now() - HOURS_KEPT).delete()[0]


def _state_keys(standing: Standing) -> Iterator[Key]:
    yield standing.account_id, standing.workflow_id, InstanceCount.ANYBODY, standing.status
    if standing.started_by not in ("", InstanceCount.ANYBODY):
        yield standing.account_id, standing.workflow_id, standing.started_by, standing.status


def _hour_keys(standing: Standing) -> Iterator[Key]:
    oldest = timezone.now() - HOURS_KEPT
    for what, moment in ((STARTED, standing.started_at), (standing.status, standing.ended_at)):
        if moment is not None and moment > oldest:
            hour = moment.replace(minute=0, second=0, microsecond=0)
            yield standing.account_id, what, hour
            yield standing.workflow_id, what, hour


def _add(model: type[Model], names: Sequence[str], free: int, changes: Counter[Key]) -> None:
    """Add each change to its row, in one statement a batch; all but the first `free` names identify the row.

    The ORM can only replace a value on a conflict, not add to it, so the statement is written here for both databases.
    """
    moved = [(*key, number) for key, number in sorted(changes.items(), key=str) if number]
    fields = [model._meta.get_field(name) for name in (*names, "rows")]
    quoted = [connection.ops.quote_name(str(field.column)) for field in fields]  # type: ignore[union-attr]  # plain columns only
    table = connection.ops.quote_name(model._meta.db_table)
    for start in range(0, len(moved), BATCH):
        batch = moved[start : start + BATCH]
        places = ", ".join(f"({', '.join(['%s'] * len(fields))})" for _ in batch)
        values = [
            field.get_db_prep_save(value, connection)  # type: ignore[union-attr]  # plain columns only
            for row in batch
            for field, value in zip(fields, row, strict=True)
        ]
        statement = (
            f"INSERT INTO {table} ({', '.join(quoted)}) VALUES {places} "  # noqa: S608  # names of our own columns
            f"ON CONFLICT ({', '.join(quoted[free:-1])}) DO UPDATE SET rows = {table}.rows + excluded.rows"
        )
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
