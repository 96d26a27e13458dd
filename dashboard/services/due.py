"""When a person's mirror is due, and who is due now.

The one rule: a page that is opened or polled costs Docusign nothing; at most it queues one job for the worker.
"""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import OperationalError
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from dashboard.models import Connection, Membership, Rights, Workflow, WorkflowAccess
from dashboard.services import budget, jobs
from dashboard.services.errors import ReconnectNeeded
from dashboard.services.timings import (
    CONTRACT_PATIENCE,
    LOOK_NOTE_EVERY,
    LOOKED_RECENTLY,
    PROOF_RENEWED_AFTER,
    REFRESH_DEBOUNCE,
    SYNC_QUEUE_PATIENCE,
    SYNC_RETRY_AFTER,
    SYNC_SHARE,
)
from dashboard.services.visibility import is_connected

log = logging.getLogger(__name__)


def interval() -> timedelta:
    """How old a mirror may get before it is read again (R-7)."""
    return timedelta(seconds=settings.SYNC_INTERVAL_SECONDS)


def next_look_at(membership: Membership) -> datetime | None:
    """When the worker looks again, for the line that says how old a list is."""
    if membership.synced_at is None:
        return None
    planned, saved = membership.synced_at + patience_with(membership), budget.saved_until(membership.account)
    return max(planned, saved) if saved else planned


def patience_with(membership: Membership) -> timedelta:
    """The time between two syncs; a large account must not keep the worker busy for more than a tenth of it."""
    return max(interval(), timedelta(seconds=membership.sync_seconds * SYNC_SHARE))


def look(membership: Membership) -> bool:
    """A page was opened: note it, and queue this person's sync if it is due. Never calls Docusign."""
    try:
        return _note_look(membership)
    except OperationalError:  # a page can be read while nothing can be written (D-3); its next poll notes the look
        log.warning("look.not_noted", extra={"user_id": str(membership.user_id)})
        return False


def _note_look(membership: Membership) -> bool:
    now = timezone.now()
    mine = Membership.objects.filter(pk=membership.pk)
    if membership.looked_at is None or membership.looked_at <= now - LOOK_NOTE_EVERY:
        mine.update(looked_at=now)
    return is_connected(membership) and _is_due(membership, now) and _queue(membership, now)


def refresh_now(membership: Membership) -> bool:
    """A person asked for fresh data; False when the last look, or the last press, was only moments ago."""
    if not is_connected(membership):
        raise ReconnectNeeded("Connect to Docusign again to refresh.")
    now = timezone.now()
    recent = now - REFRESH_DEBOUNCE
    rows = Membership.objects.filter(
        Q(sync_queued_at=None) | Q(sync_queued_at__lt=recent),
        Q(synced_at=None) | Q(synced_at__lt=recent),
        pk=membership.pk,
    )
    if not rows.update(sync_queued_at=now, sync_failed_at=None):
        return False
    jobs.enqueue("sync_membership", membership.pk, priority=jobs.PEOPLE_FIRST)
    return True


def want_contract(workflow: Workflow, membership: Membership) -> bool:
    """A form needs the contract and there is none: queue one reading, however often the page asks."""
    now = timezone.now()
    mine = WorkflowAccess.objects.filter(
        Q(contract_wanted_at=None) | Q(contract_wanted_at__lt=now - CONTRACT_PATIENCE),
        user_id=membership.user_id,
        workflow=workflow,
    )
    if not mine.update(contract_wanted_at=now, contract_error=""):
        return False
    jobs.enqueue("read_contract", workflow.pk, membership.pk, priority=jobs.PEOPLE_FIRST)
    return True


def _is_due(membership: Membership, now: datetime) -> bool:
    if membership.sync_failed_at and membership.sync_failed_at > now - SYNC_RETRY_AFTER:
        return False
    if membership.synced_at is None:
        return True
    if budget.saved_until(membership.account):
        return False
    if membership.synced_at <= now - patience_with(membership):
        return True
    proven = membership.rights_proven_at
    return proven is None or proven <= now - PROOF_RENEWED_AFTER


def _queue(membership: Membership, now: datetime) -> bool:
    """Queue the job unless one is waiting; one update decides among processes."""
    lost = now - SYNC_QUEUE_PATIENCE
    rows = Membership.objects.filter(Q(sync_queued_at=None) | Q(sync_queued_at__lt=lost), pk=membership.pk)
    rows = rows.filter(Q(sync_lease_until=None) | Q(sync_lease_until__lt=now))
    if not rows.update(sync_queued_at=now):
        return False
    jobs.enqueue("sync_membership", membership.pk, True)
    return True


def connected() -> QuerySet[Membership]:
    """Everybody whose grant works, those who looked last first."""
    return (
        Membership.objects.select_related("user", "user__connection", "account__budget")
        .filter(
            is_active=True,
            user__is_active=True,
            user__connection__state=Connection.State.ACTIVE,
            account__environment=settings.DOCUSIGN_ENVIRONMENT,
        )
        .order_by(F("looked_at").desc(nulls_last=True))
    )


def due(now: datetime | None = None) -> list[Membership]:
    """Those who looked lately, and for accounts that nobody looks at the person who sees most."""
    now = now or timezone.now()
    people = list(connected())
    lookers = [row for row in people if row.looked_at and row.looked_at >= now - LOOKED_RECENTLY]
    watched = {row.account_id for row in lookers}
    quiet: dict[object, list[Membership]] = {}
    for row in people:
        if row.account_id not in watched:
            quiet.setdefault(row.account_id, []).append(row)
    return [row for row in [*lookers, *map(_widest, quiet.values())] if _is_due(row, now)]


def _widest(rows: list[Membership]) -> Membership:
    order = {Rights.MANAGE: 0, Rights.UNPROVEN: 1, Rights.OWN: 2, Rights.NONE: 3}
    return min(rows, key=lambda row: order[Rights(row.rights)])


def run_due() -> int:
    """Queue a sync for everybody who is due."""
    now = timezone.now()
    return sum(_queue(row, now) for row in due(now))
