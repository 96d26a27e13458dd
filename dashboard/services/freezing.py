"""Freezing a list: what was selected becomes items, with names and states as of this moment.

The one rule: one statement takes all rows over, so the list is that of one moment however long it is, and is frozen once.
"""

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import (
    Case,
    CharField,
    F,
    IntegerField,
    JSONField,
    QuerySet,
    TextField,
    UUIDField,
    Value,
    When,
    Window,
)
from django.db.models.functions import Left, RowNumber
from django.utils import timezone

from dashboard.models import (
    TERMINAL_STATES,
    Batch,
    BatchItem,
    BatchState,
    Instance,
    ItemState,
    OperationKind,
    Workflow,
)
from dashboard.services.errors import Refused
from dashboard.services.instances import LONGEST_NAME
from dashboard.services.store import before_sending

FROZEN_ALREADY = "This list is already frozen; select anew for another one. Nothing was sent."
ENDED_BEFORE = "It had already ended when it was selected."


def freeze_instances(batch: Batch, rows: QuerySet[Instance]) -> int:
    """Take over these instances in their order (by id where they have none); how many. Raises Refused when it is frozen already."""
    order: list[Any] = list(rows.query.order_by) or ["pk"]
    has_ended = When(status__in=TERMINAL_STATES, then=Value(ItemState.SKIPPED.value))
    is_cancel = batch.kind == OperationKind.CANCEL
    # What has ended stays so, so nobody needs to ask Docusign about it again.
    columns: dict[str, Any] = {
        "batch_id": Value(batch.pk, output_field=UUIDField()),
        "position": Window(RowNumber(), order_by=order),
        "state": _chosen(has_ended if is_cancel else None, ItemState.WAITING.value),
        "label": Left("name", LONGEST_NAME),
        "workflow_id": F("workflow_id"),
        "instance_id": F("pk"),
        "status_then": F("status"),
        "sealed_inputs": Value("", output_field=TextField()),
        "problems": Value([], output_field=JSONField()),
        "key_digest": Value("", output_field=CharField()),
        "attempt": Value(1, output_field=IntegerField()),
        "message": _chosen(When(status__in=TERMINAL_STATES, then=Value(ENDED_BEFORE)) if is_cancel else None, ""),
    }
    with before_sending(), transaction.atomic():
        _claim(batch)
        total = _insert_selected(columns, rows)
        Batch.objects.filter(pk=batch.pk).update(total=total)
    batch.refresh_from_db()
    return total


def freeze_workflows(batch: Batch, rows: Iterable[Workflow]) -> int:
    """The same for the workflows that a pause or resume is for; there are never many."""
    items = [
        BatchItem(batch=batch, position=number, label=row.name, workflow=row, status_then=row.status)
        for number, row in enumerate(rows, start=1)
    ]
    with before_sending(), transaction.atomic():
        _claim(batch)
        BatchItem.objects.bulk_create(items, batch_size=100)
        Batch.objects.filter(pk=batch.pk).update(total=len(items))
    batch.refresh_from_db()
    return len(items)


def _claim(batch: Batch) -> None:
    rows = Batch.objects.filter(pk=batch.pk, state=BatchState.PLANNED, frozen_at=None)
    if not rows.update(frozen_at=timezone.now()):
        raise Refused(FROZEN_ALREADY)


def _chosen(condition: When | None, otherwise: str) -> Case | Value:
    usual = Value(otherwise, output_field=CharField())
    return Case(condition, default=usual, output_field=CharField()) if condition else usual


def _insert_selected(columns: dict[str, Any], rows: QuerySet[Instance]) -> int:
    """INSERT … SELECT, which the query language of Django does not know; both halves are compiled by it all the same."""
    # Names of annotations must not be those of columns of the row.
    named = {f"frozen_{name}": value for name, value in columns.items()}
    if rows.query.is_sliced:
        rows = Instance.objects.filter(pk__in=rows.values("pk"))
    selected = rows.order_by().annotate(**named).values_list(*named)
    try:
        select, parameters = selected.query.sql_with_params()
    except EmptyResultSet:  # a filter that nothing can match is not even asked
        return 0
    quote = connection.ops.quote_name
    names = ", ".join(quote(name) for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {quote(BatchItem._meta.db_table)} ({names}) {select}", parameters)
        return int(cursor.rowcount)
