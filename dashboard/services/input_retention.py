"""How long inputs are kept: the number of days of each workflow, and the erasing of what is older (V-4).

The one rule: only what has ended is touched; nothing that may still be sent loses its inputs.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from dashboard.models import LONGEST_KEPT_DAYS, TERMINAL_STATES, Instance, Membership, Preset, Workflow
from dashboard.services import audit
from dashboard.services.errors import Refused
from dashboard.services.input_erasure import erase, finished_rows, kept_days
from dashboard.services.instances import bump, lock_mirror

AT_ONCE, MOST_AT_ONCE = 500, 10_000  # in one transaction, in one turn of the schedule


def set_days(workflow: Workflow, days: int | None, *, membership: Membership) -> bool:
    """Keep the inputs of its instances for so many days after their end, or for the usual time; whether that is new."""
    if days is not None and not 1 <= days <= LONGEST_KEPT_DAYS:
        raise Refused(f"Give a whole number of days from 1 to {LONGEST_KEPT_DAYS:,}.", field="days")
    with transaction.atomic():
        lock_mirror(workflow.account_id)
        before = Workflow.objects.values_list("inputs_kept_days", flat=True).get(pk=workflow.pk)
        if before == days:
            return False
        Workflow.objects.filter(pk=workflow.pk).update(inputs_kept_days=days)
        audit.record(
            "workflow.input_retention_set",
            actor=membership.user,
            account=membership.account,
            subject=workflow,
            detail={"days": days, "before": before},
        )
        bump(workflow.account_id)
    return True


def purge() -> int:
    """Erase what is older than its workflow says, some at a time; how many instances, rows of files and presets that were."""
    now, left = timezone.now(), MOST_AT_ONCE
    for workflow in Workflow.objects.only("pk", "account_id", "inputs_kept_days", "inputs_erased_to").order_by("pk"):
        oldest = now - timedelta(days=kept_days(workflow.inputs_kept_days))
        left -= _of_instances(workflow, oldest, left)
        left -= _of_files(workflow, oldest, left)
        if workflow.inputs_kept_days is not None:
            left -= _of_presets(workflow, oldest, left)
        if left <= 0:
            break
    return MOST_AT_ONCE - left


def _of_instances(workflow: Workflow, oldest: datetime, most: int) -> int:
    """Only what came into reach since the last time is gone through."""
    rows = Instance.objects.filter(workflow=workflow, status__in=TERMINAL_STATES, sort_at__lt=oldest)
    if workflow.inputs_erased_to:
        rows = rows.filter(sort_at__gte=workflow.inputs_erased_to)
    rows = rows.exclude(trigger_inputs={})
    number = _in_turns(workflow, rows, lambda ids: erase(ids, timezone.now()), most)
    if number < most and (workflow.inputs_erased_to is None or workflow.inputs_erased_to < oldest):
        _still_so(workflow).update(inputs_erased_to=oldest)
    return number


def _of_files(workflow: Workflow, oldest: datetime, most: int) -> int:
    """Rows of runs that are done: refused ones keep their inputs for a week, or for less where the workflow says so."""
    done = finished_rows(oldest).filter(workflow=workflow)
    rows = done.exclude(sealed_inputs="")
    return _in_turns(workflow, rows, lambda ids: done.filter(pk__in=ids).update(sealed_inputs=""), most)


def _of_presets(workflow: Workflow, oldest: datetime, most: int) -> int:
    """Presets have no end; where a workflow has a time of its own, it counts from their last change."""
    rows = Preset.objects.filter(workflow=workflow, changed_at__lt=oldest)
    return _in_turns(workflow, rows, lambda ids: rows.filter(pk__in=ids).delete()[0], most)


def _in_turns(workflow: Workflow, rows: QuerySet[Any], deed: Callable[[list[Any]], int], most: int) -> int:
    number = 0
    while number < most:
        with transaction.atomic():
            lock_mirror(workflow.account_id)
            ids = list(rows.values_list("pk", flat=True)[: min(AT_ONCE, most - number)])
            if not ids or not _still_so(workflow).exists():
                break
            number += deed(ids)
    return number


def _still_so(workflow: Workflow) -> QuerySet[Workflow]:
    """The workflow, unless somebody has changed its days since they were read: then the next turn goes by the new ones."""
    return Workflow.objects.filter(pk=workflow.pk, inputs_kept_days=workflow.inputs_kept_days)
