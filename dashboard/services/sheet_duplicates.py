"""Rows that look like something started before: by digests of key columns, never by values.

The one rule: what a person may not see is neither found nor counted, and what cannot be compared is said (V-3, V-4).
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, FilteredRelation, Max, Q
from django.utils import timezone

from dashboard.models import (
    RUNNING_STATES,
    Batch,
    BatchItem,
    ItemState,
    KeyInput,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Workflow,
)
from dashboard.services import key_inputs
from dashboard.services.input_values import quoted
from dashboard.services.sheet_checks import Row
from dashboard.services.visibility import visible_batches, visible_instances
from dashboard.wording import date_text, plural

LOOKED_BACK = timedelta(days=90)
CHUNK = 400
ROWS_NAMED = 20
NOT_STARTED = (ItemState.INVALID, ItemState.LEFT_OUT, ItemState.SKIPPED, ItemState.NOT_SENT, ItemState.REJECTED)
NO_KEYS = "No inputs were chosen to tell duplicates, so only rows that are exactly alike were compared."
OWN_VIEW = "Only instances and bulk runs that you may see were compared."


def warn(rows: Sequence[Row], *, batch: Batch, membership: Membership, key_names: Sequence[str]) -> list[str]:
    """Warn of each row that looks like an earlier start; what was found and what could not be compared, in sentences."""
    good = [row for row in rows if not row.problems]
    workflow = batch.workflow
    if workflow is None:
        return []
    since = timezone.now() - LOOKED_BACK
    notes: list[str] = []
    if key_names:
        notes += _by_instances(good, workflow, membership, key_names, since)
        _by_runs([row for row in good if not row.warnings], batch, membership, key_names, since)
    else:
        notes.append(NO_KEYS)
    _by_own_deeds([row for row in good if not row.warnings], workflow, membership, since)
    if not membership.is_manager_now:
        notes.append(OWN_VIEW)
    return _told(good) + notes


def _told(rows: Iterable[Row]) -> list[str]:
    """The first rows by their numbers; how many more there are."""
    warned = [row for row in rows if row.warnings]
    told = [f"Row {row.number:,}: {row.warnings[0]}" for row in warned[:ROWS_NAMED]]
    rest = len(warned) - ROWS_NAMED
    return [*told, f"{plural(rest, 'more row')} of this kind."] if rest > 0 else told


def _by_instances(
    rows: Sequence[Row], workflow: Workflow, membership: Membership, names: Sequence[str], since: datetime
) -> list[str]:
    marked = key_inputs.marked(workflow)
    compared = [name for name in names if name in marked]
    notes = [
        f"{quoted(name)} is not a key input, so instances started elsewhere could not be compared by it."
        for name in names
        if name not in marked
    ]
    notes += [
        f"Earlier instances are still being taken in for {quoted(name)}, so some could not be compared."
        for name in compared
        if marked[name].filled_at is None
    ]
    if compared:
        _look_up(rows, _visible(workflow, membership, since), [marked[name] for name in compared])
    return notes


def _visible(workflow: Workflow, membership: Membership, since: datetime) -> Any:
    is_recent = Q(status__in=RUNNING_STATES) | Q(started_at__gte=since)
    return visible_instances(membership).filter(is_recent, workflow=workflow).order_by()


def _look_up(rows: Sequence[Row], instances: Any, keys: Sequence[KeyInput]) -> None:
    """Ask for the input with the most different values first: it leaves the fewest instances to look at."""
    ordered = sorted(keys, key=lambda key: -len({row.digests.get(key.name) for row in rows}))
    by_digests: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        digests = tuple(row.digests.get(key.name, "") for key in ordered)
        if all(digests):
            by_digests.setdefault(digests, []).append(row)
    columns = [f"key_{place}__digest" for place in range(len(ordered))]
    for place, key in enumerate(ordered):
        own = FilteredRelation("keys", condition=Q(keys__key_input=key.pk))
        instances = instances.alias(**{f"key_{place}": own})
    named = " and ".join(quoted(key.name) for key in ordered)
    for chunk in _chunks(sorted({digests[0] for digests in by_digests})):
        found = instances.filter(key_0__digest__in=chunk).values_list(*columns)
        for *digests, number, latest in found.annotate(number=Count("pk"), latest=Max("started_at")):
            for row in by_digests.get(tuple(digests), ()):
                row.warnings.append(_instances_sentence(number, named, latest))


def _instances_sentence(number: int, named: str, latest: datetime | None) -> str:
    last = f", the latest on {date_text(timezone.localtime(latest).date())}" if latest else ""
    does = "runs or was" if number == 1 else "run or were"
    return f"{plural(number, 'instance')} with the same {named} {does} started in the last 90 days{last}."


def _by_runs(rows: Sequence[Row], batch: Batch, membership: Membership, names: Sequence[str], since: datetime) -> None:
    """Rows of bulk runs that were confirmed, with the same key columns."""
    by_digest: dict[str, list[Row]] = {}
    for row in rows:
        if row.key_digest:
            by_digest.setdefault(row.key_digest, []).append(row)
    runs = visible_batches(membership).filter(confirmed_at__gte=since).exclude(pk=batch.pk)
    items = BatchItem.objects.filter(batch__in=runs, workflow=batch.workflow_id).exclude(state__in=NOT_STARTED)
    named = " and ".join(quoted(name) for name in names)
    for chunk in _chunks(sorted(by_digest)):
        found = items.filter(key_digest__in=chunk).order_by().values_list("key_digest")
        for digest, latest in found.annotate(latest=Max("batch__confirmed_at")):
            for row in by_digest[digest]:
                day = date_text(timezone.localtime(latest).date())
                row.warnings.append(f"A bulk run of {day} has a row with the same {named}.")


def _by_own_deeds(rows: Sequence[Row], workflow: Workflow, membership: Membership, since: datetime) -> None:
    """The very same name and inputs, triggered by this person through the console."""
    by_digest = {row.exact_digest: row for row in rows}
    mine = Operation.objects.filter(
        workflow=workflow, planned_at__gte=since, kind=OperationKind.TRIGGER, actor_id=membership.user_id
    ).exclude(state__in=(OperationState.REJECTED, OperationState.WITHDRAWN))
    for digest, at in mine.values_list("payload_digest", "planned_at").iterator(chunk_size=2000):
        if digest in by_digest and not by_digest[digest].warnings:
            day = date_text(timezone.localtime(at).date())
            by_digest[digest].warnings.append(f"You triggered the same name and inputs on {day}.")


def _chunks(digests: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(digests), CHUNK):
        yield digests[start : start + CHUNK]
