"""When an account's mirror and a person's proofs are due, who is due now, and how fresh a person's lists are.

The one rule: a page that is opened or polled costs Docusign nothing; at most it queues one job for the worker.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import OperationalError
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from dashboard.models import Account, AccountSync, Connection, Membership, Rights, Workflow, WorkflowAccess
from dashboard.services import budget, jobs, service_user
from dashboard.services.accounts import served_accounts
from dashboard.services.errors import ReconnectNeeded
from dashboard.services.timings import (
    CHEAP_PASS_CALLS,
    CONTRACT_PATIENCE,
    FULL_SHARE,
    HOURLY_CALLS,
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
PATIENCE = timedelta(seconds=60)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the last look did not end, and when that was."""

    message: str
    at: datetime


def interval() -> timedelta:
    """How old a mirror may get before it is read again (R-7)."""
    return timedelta(seconds=settings.SYNC_INTERVAL_SECONDS)


def sync_of(account: Account) -> AccountSync | None:
    """How far the account's shared reading is; None before the first."""
    return getattr(account, "sync", None)


def is_full_due(row: AccountSync) -> bool:
    """Whether everything is read again: at first, once a day, each time where that costs next to nothing, and as often as a share
    of the quota allows where recent passes do not reach all that runs.
    """
    if row.full_at is None or row.calls <= CHEAP_PASS_CALLS:
        return True
    patience = timedelta(seconds=settings.FULL_SYNC_INTERVAL_SECONDS)
    if row.left_as_of is not None:
        by_quota = HOUR * (row.calls / (HOURLY_CALLS * FULL_SHARE))
        patience = min(patience, max(interval(), by_quota))
    return row.full_at <= timezone.now() - patience


def calls_of_next(account: Account) -> int:
    """About how many calls the next pass takes, from what the last of its kind took."""
    row = sync_of(account)
    if row is None:
        return 2
    return max(2, row.calls if is_full_due(row) else row.recent_calls)


def is_covered(membership: Membership) -> bool:
    """Whether the account's shared reading brings all that this person may see: it is theirs, or a proven manager's."""
    row = sync_of(membership.account)
    if row is None or row.recent_at is None:
        return False
    return row.identity_id == membership.pk or bool(row.shows_all and membership.account.has_account_list)


def freshness_of(membership: Membership) -> datetime | None:
    """As of when this person's lists are true; None before the first reading that covers them."""
    row = sync_of(membership.account)
    shared = None
    if row is not None and is_covered(membership):
        shared = min(filter(None, (row.recent_at, row.left_as_of)))
    if membership.rights == Rights.UNPROVEN and membership.synced_at is None:
        return None
    return max(filter(None, (membership.synced_at, shared)), default=None)


def trouble_of(membership: Membership) -> Trouble | None:
    """The last look that failed for this person, unless one has ended well since."""
    row, fresh = sync_of(membership.account), freshness_of(membership)
    found = []
    if membership.sync_failed_at is not None:
        found.append(Trouble(membership.sync_error, membership.sync_failed_at))
    if row is not None and row.failed_at is not None and (is_covered(membership) or fresh is None):
        found.append(Trouble(row.error, row.failed_at))
    found = [trouble for trouble in found if fresh is None or trouble.at > fresh]
    return max(found, key=lambda trouble: trouble.at, default=None)


def is_being_read(membership: Membership) -> bool:
    """Whether a look that this person asked for, or that brings their rows, is queued or under way."""
    row, recent = sync_of(membership.account), timezone.now() - PATIENCE
    queued = [membership.sync_queued_at]
    if row is not None and (is_covered(membership) or row.recent_at is None):
        queued.append(row.queued_at)
    return any(moment is not None and moment > recent for moment in queued)


def next_look_at(membership: Membership) -> datetime | None:
    """When the worker looks again, for the line that says how old a list is."""
    row, fresh = sync_of(membership.account), freshness_of(membership)
    if fresh is None:
        return None
    is_shared = row is not None and is_covered(membership)
    planned = fresh + (account_patience(row) if is_shared and row else patience_with(membership))
    moments = [planned, budget.saved_until(membership.account), row.not_before if row and is_shared else None]
    return max(moment for moment in moments if moment is not None)


def patience_with(membership: Membership) -> timedelta:
    """The time between two own readings; a large one must not keep the worker busy for more than a tenth of it."""
    return max(interval(), timedelta(seconds=membership.sync_seconds * SYNC_SHARE))


def account_patience(row: AccountSync) -> timedelta:
    """The time between two passes of an account, by the same rule."""
    return max(interval(), timedelta(seconds=row.seconds * SYNC_SHARE))


def look(membership: Membership) -> bool:
    """A page was opened: note it, and queue what is due for this person. Never calls Docusign."""
    try:
        return _note_look(membership)
    except OperationalError:  # a page can be read while nothing can be written (D-3); its next poll notes the look
        log.warning("look.not_noted", extra={"user_id": str(membership.user_id)})
        return False


def _note_look(membership: Membership) -> bool:
    now = timezone.now()
    if membership.looked_at is None or membership.looked_at <= now - LOOK_NOTE_EVERY:
        Membership.objects.filter(pk=membership.pk).update(looked_at=now)
    return is_connected(membership) and _is_person_due(membership, now) and _queue(membership, now)


def refresh_now(membership: Membership) -> bool:
    """A person asked for fresh data: queued, once however often it is pressed. False when the last look was only moments ago."""
    if not is_connected(membership):
        raise ReconnectNeeded("Connect to Docusign again to refresh.")
    now = timezone.now()
    recent, fresh = now - REFRESH_DEBOUNCE, freshness_of(membership)
    if fresh is not None and fresh >= recent:
        return False
    rows = Membership.objects.filter(Q(sync_queued_at=None) | Q(sync_queued_at__lt=recent), pk=membership.pk)
    if rows.update(sync_queued_at=now, sync_failed_at=None):
        jobs.enqueue("sync_membership", membership.pk, priority=jobs.PEOPLE_FIRST)
    return True


def want_account(account: Account) -> None:
    """An event or a deed says that something moved: the next pass comes at once, however often it is said."""
    AccountSync.objects.get_or_create(account=account)
    AccountSync.objects.filter(account=account).update(wanted_at=timezone.now())


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


def _is_person_due(membership: Membership, now: datetime) -> bool:
    """Whether this person's proof has to be renewed, or their own reading made, since no shared one covers them."""
    if membership.sync_failed_at and membership.sync_failed_at > now - SYNC_RETRY_AFTER:
        return False
    fresh = freshness_of(membership)
    if fresh is None:
        return not _waits_for_first_pass(membership, now)
    if budget.saved_until(membership.account):
        return False
    proven = membership.rights_proven_at
    if proven is None or proven <= now - PROOF_RENEWED_AFTER:
        return True
    return not is_covered(membership) and fresh <= now - patience_with(membership)


def _waits_for_first_pass(membership: Membership, now: datetime) -> bool:
    """Whether their rights are proven and the account's first reading, which will cover them, is under way: nothing to ask for."""
    row, proven = sync_of(membership.account), membership.rights_proven_at
    if row is None or row.lease_until is None or row.lease_until <= now or proven is None:
        return False
    will_cover = row.identity_id == membership.pk or bool(row.saw_all and membership.account.has_account_list)
    return will_cover and proven > now - PROOF_RENEWED_AFTER


def is_account_due(account: Account, now: datetime) -> bool:
    """Whether the account's shared reading has to be made, or has to go on."""
    row = sync_of(account)
    if row is None:
        return True
    if any(moment is not None and moment > now for moment in (row.lease_until, row.not_before)):
        return False
    if row.failed_at is not None and row.failed_at > now - SYNC_RETRY_AFTER:
        return False
    if row.recent_at is None:
        return True
    if budget.saved_until(account):
        return False
    began = max(filter(None, (row.began_at, row.recent_at)))
    calm = max(REFRESH_DEBOUNCE, timedelta(seconds=row.seconds * SYNC_SHARE))
    is_wanted = row.wanted_at is not None and row.wanted_at > began and began <= now - calm
    return bool(row.kind) or is_wanted or row.recent_at <= now - account_patience(row)


def _queue(membership: Membership, now: datetime) -> bool:
    """Queue the job unless one is waiting, or was done since this request read the person; one update decides among processes."""
    lost = now - SYNC_QUEUE_PATIENCE
    rows = Membership.objects.filter(Q(sync_queued_at=None) | Q(sync_queued_at__lt=lost), pk=membership.pk)
    rows = rows.filter(rights_proven_at=membership.rights_proven_at, synced_at=membership.synced_at)
    rows = rows.filter(Q(sync_lease_until=None) | Q(sync_lease_until__lt=now))
    if not rows.update(sync_queued_at=now):
        return False
    jobs.enqueue("sync_membership", membership.pk, True)
    return True


def _queue_account(account: Account, now: datetime) -> bool:
    """The same for the shared reading."""
    AccountSync.objects.get_or_create(account=account)
    lost = now - SYNC_QUEUE_PATIENCE
    rows = AccountSync.objects.filter(Q(queued_at=None) | Q(queued_at__lt=lost), account=account)
    rows = rows.filter(Q(lease_until=None) | Q(lease_until__lt=now))
    if not rows.update(queued_at=now):
        return False
    jobs.enqueue("sync_account", account.pk)
    return True


def connected() -> QuerySet[Membership]:
    """Everybody whose grant works, those who looked last first."""
    return (
        Membership.objects.select_related("user", "user__connection", "account__budget", "account__sync")
        .filter(
            is_active=True,
            user__is_active=True,
            user__connection__state=Connection.State.ACTIVE,
            account__environment=settings.DOCUSIGN_ENVIRONMENT,
        )
        .order_by(F("looked_at").desc(nulls_last=True))
    )


def due(now: datetime | None = None) -> list[Membership]:
    """The people who looked lately and whose proof or own reading is due."""
    now = now or timezone.now()
    lookers = connected().filter(looked_at__gte=now - LOOKED_RECENTLY)
    return [row for row in lookers if _is_person_due(row, now)]


def readable_accounts() -> list[Account]:
    """The accounts that somebody can read for everybody."""
    accounts = served_accounts().select_related("sync", "budget").order_by("name", "pk")
    if not service_user.is_configured():
        allowed = connected().filter(may_sync=True).exclude(rights=Rights.NONE)
        accounts = accounts.filter(pk__in=allowed.order_by().values("account"))
    return list(accounts)


def due_accounts(now: datetime | None = None) -> list[Account]:
    """Those whose shared reading is due."""
    now = now or timezone.now()
    return [account for account in readable_accounts() if is_account_due(account, now)]


def run_due() -> int:
    """Queue what is due: people first, since their syncs read the account as well."""
    now = timezone.now()
    people = due(now)
    number = sum(_queue(row, now) for row in people)
    busy = {row.account_id for row in people}
    return number + sum(_queue_account(account, now) for account in due_accounts(now) if account.pk not in busy)
