"""Making a person's mirror true: their own proofs first, then whichever reading covers them.

The one rule: rights are proven with the person's own token only; rows may come from the reading that all share. When somebody is
due is said in `due`; the shared reading is in `passes`; reading a single object is in `refreshes`.
"""

import logging
import secrets
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.db.models import Q
from django.utils import timezone

from dashboard.models import Account, Membership, Rights, Workflow
from dashboard.services import account_lists, identities, passes, proofs, service_user, workflow_passes
from dashboard.services.budget import Lane
from dashboard.services.calls import calling, explained
from dashboard.services.due import (
    due,
    freshness_of,
    is_account_due,
    is_covered,
    look,
    next_look_at,
    refresh_now,
    run_due,
    sync_of,
    want_account,
    want_contract,
)
from dashboard.services.errors import ServiceError
from dashboard.services.listings import NotWhole, OwnProgress, Reading
from dashboard.services.passes import Outcome
from dashboard.services.refreshes import refresh_instance, refresh_workflow
from dashboard.services.timings import READ_DEADLINE_SECONDS, SYNC_LEASE
from maestro_api import MaestroClient, MaestroError, NotFound

__all__ = [
    "due",
    "freshness_of",
    "look",
    "next_look_at",
    "refresh_instance",
    "refresh_now",
    "refresh_workflow",
    "run_due",
    "sync_membership",
    "want_account",
    "want_contract",
]

log = logging.getLogger(__name__)


class LeaseLost(Exception):
    """Another worker took over; this one writes no more."""


def sync_membership(membership: Membership, *, is_background: bool = False) -> bool:
    """Make everything true for this person. False when another worker does so, or when it could not end.

    `is_background`: nobody asked, so a proof of rights that is minutes old is kept, and a fresh shared reading is enough.
    """
    lease = _take_lease(membership)
    if lease is None:
        return False
    try:
        return _sync(membership, lease, is_background=is_background)
    except LeaseLost:
        return False
    except NotWhole as doubt:
        return _failed(membership, lease, doubt.message)
    except MaestroError as error:
        return _failed(membership, lease, explained(error).message)
    except ServiceError as error:
        return _failed(membership, lease, error.message)


def _take_lease(membership: Membership) -> str | None:
    now, lease = timezone.now(), secrets.token_hex(16)
    free = Membership.objects.filter(Q(sync_lease_until=None) | Q(sync_lease_until__lt=now), pk=membership.pk)
    return lease if free.update(sync_lease=lease, sync_lease_until=now + SYNC_LEASE) else None


def _keep_lease(membership: Membership, lease: str) -> None:
    mine = Membership.objects.filter(pk=membership.pk, sync_lease=lease)
    if not mine.update(sync_lease_until=timezone.now() + SYNC_LEASE):
        raise LeaseLost


def _end(membership: Membership, lease: str, **columns: Any) -> None:
    mine = Membership.objects.filter(pk=membership.pk, sync_lease=lease)
    mine.update(sync_lease="", sync_lease_until=None, sync_queued_at=None, **columns)
    membership.refresh_from_db()


def _failed(membership: Membership, lease: str, message: str) -> bool:
    log.warning("A sync did not end", extra={"membership": membership.pk})
    _end(membership, lease, sync_error=message, sync_failed_at=timezone.now())
    return False


def _done(membership: Membership, lease: str, began: datetime) -> bool:
    seconds = max((timezone.now() - began).total_seconds(), 0.0)
    _end(membership, lease, synced_at=began, sync_seconds=seconds, sync_error="", sync_failed_at=None)
    return True


def _sync(membership: Membership, lease: str, *, is_background: bool) -> bool:
    began, lane = timezone.now(), Lane.BACKGROUND if is_background else Lane.PEOPLE
    with calling(membership, deadline=READ_DEADLINE_SECONDS, lane=lane) as client:
        listed = proofs.prove_person(client, membership, keeps_proof=is_background)
    if listed is None:
        return _done(membership, lease, began)
    _keep_lease(membership, lease)
    account = _renew_account(membership)
    if is_background and account.has_account_list and is_covered(membership) and not is_account_due(account, began):
        _end(membership, lease, sync_error="", sync_failed_at=None)
        return True
    if _would_be_covered(membership):
        is_reader = identities.reader_of(account) == membership and not service_user.works_for(account)
        # Without the account-level list each list is a proof of what it shows of others, so the reader needs them all.
        wants_full = not account.has_account_list
        outcome = passes.read_account(account, lane=lane, wants_full=wants_full, known=listed, known_to=membership)
        account = _renew_account(membership)
        if outcome is Outcome.WHOLE and is_covered(membership):
            return _done(membership, lease, began)
        if outcome is Outcome.BUSY or is_reader:
            return _without_a_pass(membership, lease, outcome)
    with calling(membership, deadline=READ_DEADLINE_SECONDS, lane=lane) as client:
        _read_own(client, membership, lease, listed, began, lane)
    return _done(membership, lease, began)


def _renew_account(membership: Membership) -> Account:
    """The account with its shared reading and budget as they are now."""
    membership.account = Account.objects.select_related("sync", "budget").get(pk=membership.account_id)
    return membership.account


def _would_be_covered(membership: Membership) -> bool:
    """Whether a pass of the account will show all that this person may see: it reads with their token, or a manager's."""
    account = membership.account
    if service_user.works_for(account):
        row = sync_of(account)
        return bool(account.has_account_list) and (row is None or row.identity_id is not None or row.shows_all)
    reader = identities.reader_of(account)
    if reader is None:
        return False
    return reader == membership or bool(account.has_account_list and reader.rights == Rights.MANAGE)


def _without_a_pass(membership: Membership, lease: str, outcome: Outcome) -> bool:
    """Somebody else reads, the budget waits, or Docusign did not answer: the person's proof stands, their rows are older."""
    row = sync_of(membership.account)
    if outcome is Outcome.FAILED and row is not None:
        return _failed(membership, lease, row.error)
    if outcome is Outcome.BUSY:
        want_account(membership.account)
    _end(membership, lease)
    return False


def _read_own(
    client: MaestroClient, membership: Membership, lease: str, listed: Sequence[Workflow], began: datetime, lane: Lane
) -> None:
    """All that Docusign shows to this person's own token, for those whom the shared reading does not cover."""
    account, reader = membership.account, identities.as_reader(membership)
    progress = OwnProgress(partial(_keep_lease, membership, lease))
    made = Reading(account, client, reader, progress, began, lane, membership.rights == Rights.MANAGE)
    made.prove_again = partial(proofs.prove_rights, client, membership)
    if account.has_account_list:
        try:
            account_lists.read_all(made)
        except NotFound:
            if proofs.has_account_list(client, account, asks_again=True):
                raise
        else:
            return
    workflow_passes.read_each(made, listed, marks_progress=False)
