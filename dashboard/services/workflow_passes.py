"""Without the account-level list: the list of each workflow, a few at a time.

The one rule: each list that came whole is noted on its workflow, so a reading that is broken off goes on with the others.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from dashboard.models import RUNNING_STATES, InstanceCount, Operation, Workflow, WorkflowAccess, WorkflowState
from dashboard.services.calls import is_denial, sentence_of
from dashboard.services.fan_out import fan_out
from dashboard.services.instances import mark_missing
from dashboard.services.listings import EMPTY, LEFT_OUT, NotWhole, Reading
from dashboard.services.refreshes import note_others
from dashboard.services.timings import LOOKED_RECENTLY, READ_DEADLINE_SECONDS
from maestro_api import Instance, Listing, MaestroClient

log = logging.getLogger(__name__)
EACH = "each"


def read_each(reading: Reading, workflows: Sequence[Workflow], *, marks_progress: bool) -> None:
    """The lists of these workflows. `marks_progress`: it is the account's own pass, which goes on where it was.

    Raises NotWhole at the end when one of them cannot be believed; what it lacks is then not noted as missing.
    """
    doubt = ""
    token = reading.reader.token
    for outcome in fan_out(reading.account, reading.client, token, workflows, _list, lane=reading.lane):
        workflow = outcome.item
        if outcome.error is not None and is_denial(outcome.error):
            _note_refused(reading, workflow, sentence_of(outcome.error))
            listing = None
        else:
            listing = outcome.get()
            said = _take(reading, workflow, listing)
            if said:
                doubt = said
                reading.progress.note_left_out()
        if marks_progress:
            Workflow.objects.filter(pk=workflow.pk).update(instances_read_at=timezone.now())
        rows = len(listing) if listing is not None else 0
        reading.progress.note_page(cursor=reading.progress.cursor_at(EACH), rows=rows)
    if reading.progress.is_partial:
        raise NotWhole(doubt or LEFT_OUT)


def _list(client: MaestroClient, workflow: Workflow) -> Listing[Instance]:
    return client.list_instances(str(workflow.pk), deadline=READ_DEADLINE_SECONDS)


def _take(reading: Reading, workflow: Workflow, listing: Listing[Instance]) -> str:
    """Take the list in; why it cannot be believed, if so."""
    reading.take(listing.items, workflow_id=workflow.pk)
    member = reading.reader.membership
    if member is not None:
        note_others(member, workflow.pk, [item.started_by for item in listing])
    if listing.warnings or any("was skipped" in oddity for oddity in listing.oddities):
        return LEFT_OUT
    if not len(listing) and reading.is_known(workflow_id=workflow.pk):
        return EMPTY
    mark_missing(reading.account, since=reading.began, started_by=reading.reader.own_id, workflow_id=workflow.pk)
    return ""


def _note_refused(reading: Reading, workflow: Workflow, said: str) -> None:
    member = reading.reader.membership
    if member is not None:
        mine = WorkflowAccess.objects.filter(user_id=member.user_id, workflow=workflow)
        mine.update(others_proven_at=None)
    log.info("A workflow's list was refused: %s", said, extra={"workflow": str(workflow.pk)})


def in_order(listed: Sequence[Workflow], *, began: datetime, quiet: timedelta | None) -> list[Workflow]:
    """Which lists the account's pass still has to read: where something runs or was triggered lately first.

    `quiet`: how old the list of a workflow may get in which nothing runs; None to read all of them. Archived and inactive ones
    in which nothing runs are left to a full pass.
    """
    fresh = {row.pk: row for row in Workflow.objects.filter(pk__in=[row.pk for row in listed])}
    open_ = [row for row in fresh.values() if row.instances_read_at is None or row.instances_read_at < began]
    busy = _busy_ids(open_)
    first = [row for row in open_ if row.pk in busy]
    rest = [row for row in open_ if row.pk not in busy]
    if quiet is not None:
        rest = [row for row in rest if _is_stale(row, began - quiet)]
    return first + sorted(rest, key=lambda row: (row.instances_read_at is not None, row.name, str(row.pk)))


def _is_stale(row: Workflow, before: datetime) -> bool:
    if row.instances_read_at is None:
        return True
    return row.status == WorkflowState.ACTIVE and row.instances_read_at < before


def _busy_ids(workflows: Sequence[Workflow]) -> set[object]:
    ids = [row.pk for row in workflows]
    running = InstanceCount.objects.filter(
        workflow_id__in=ids, started_by=InstanceCount.ANYBODY, status__in=RUNNING_STATES, rows__gt=0
    )
    lately = Operation.objects.filter(workflow_id__in=ids, planned_at__gt=timezone.now() - LOOKED_RECENTLY)
    return {*running.values_list("workflow_id", flat=True), *lately.values_list("workflow_id", flat=True)}
