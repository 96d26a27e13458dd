"""A person's own sync: everything that Docusign shows to their token, taken into the mirror.

The one rule: each page that came whole counts, the end of the list is believed only when it came, and rights are proven anew
each time that a person asks, and every few minutes by the worker itself. When somebody is due is said in `due`; reading a
single object is in `refreshes`.
"""

import logging
import secrets
from datetime import datetime
from typing import Any

from django.db.models import F, Q
from django.utils import timezone

from dashboard.models import Account, InstanceChange, InstanceDenial, Membership, Rights, Workflow, WorkflowAccess
from dashboard.services.calls import calling, explained, is_denial, sentence_of
from dashboard.services.due import due, look, next_look_at, refresh_now, run_due, want_contract
from dashboard.services.errors import ServiceError
from dashboard.services.instances import Applied, apply_instances, bump, mark_missing
from dashboard.services.refreshes import note_others, refresh_instance, refresh_workflow
from dashboard.services.timings import ACCOUNT_LIST_PROBE_EVERY, PROOF_KEPT, READ_DEADLINE_SECONDS, SYNC_LEASE
from dashboard.services.visibility import own_id
from dashboard.services.workflows import apply_access, apply_workflows, remove_access
from maestro_api import Forbidden, MaestroClient, MaestroError, NotFound

__all__ = [
    "due",
    "look",
    "next_look_at",
    "refresh_instance",
    "refresh_now",
    "refresh_workflow",
    "run_due",
    "sync_membership",
    "want_contract",
]

log = logging.getLogger(__name__)
PAGE_SIZE = 1000
LIST = InstanceChange.Source.LIST


class LeaseLost(Exception):
    """Another worker took over; this one writes no more."""


def sync_membership(membership: Membership, *, is_background: bool = False) -> bool:
    """Read everything that this person may see. False when another worker does so, or when it could not end.

    `is_background`: nobody asked, so a proof of rights that is minutes old is not asked for again.
    """
    lease = _take_lease(membership)
    if lease is None:
        return False
    try:
        with calling(membership, deadline=READ_DEADLINE_SECONDS) as client:
            _sync(client, membership, lease, keeps_proof=is_background)
    except LeaseLost:
        return False
    except MaestroError as error:
        return _failed(membership, lease, explained(error).message)
    except ServiceError as error:
        return _failed(membership, lease, error.message)
    return True


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


def _done(membership: Membership, lease: str, began: datetime) -> None:
    now = timezone.now()
    seconds = max((now - began).total_seconds(), 0.0)
    _end(membership, lease, synced_at=now, sync_seconds=seconds, sync_error="", sync_failed_at=None)


def _sync(client: MaestroClient, membership: Membership, lease: str, *, keeps_proof: bool) -> None:
    began = timezone.now()
    try:
        listing = client.list_workflows()
        listed = apply_workflows(membership.account, listing)
        apply_access(membership, listed)
        _keep_lease(membership, lease)
        if _has_account_list(client, membership.account):
            is_proven = keeps_proof and _is_freshly_proven(membership)
            _sync_account(client, membership, lease, began, is_proven=is_proven)
        else:
            _sync_each(client, membership, lease, began, listed)
    except Forbidden as error:
        remove_access(membership)
        prove(membership, Rights.NONE, message=error.detail)
    _done(membership, lease, began)


def prove(membership: Membership, rights: Rights, *, message: str = "") -> None:
    """Docusign just showed what this person may see (V-2)."""
    rows = Membership.objects.filter(pk=membership.pk)
    if rows.exclude(rights=rights, rights_message=message).update(
        rights=rights, rights_message=message, rights_version=F("rights_version") + 1
    ):
        bump(membership.account_id)
    rows.update(rights_proven_at=timezone.now())


def _has_account_list(client: MaestroClient, account: Account) -> bool:
    """Whether the newest operation exists here; asked once a day."""
    now = timezone.now()
    account.refresh_from_db()
    probed = account.account_list_probed_at
    if account.has_account_list is not None and probed is not None and probed > now - ACCOUNT_LIST_PROBE_EVERY:
        return account.has_account_list
    has_it = client.supports_account_list()
    Account.objects.filter(pk=account.pk).update(has_account_list=has_it, account_list_probed_at=now)
    return has_it


def _is_freshly_proven(membership: Membership) -> bool:
    fresh = timezone.now() - PROOF_KEPT
    rows = Membership.objects.filter(pk=membership.pk, rights__in=(Rights.MANAGE, Rights.OWN))
    return rows.filter(rights_proven_at__gt=fresh).exists()


def _sync_account(
    client: MaestroClient, membership: Membership, lease: str, began: datetime, *, is_proven: bool
) -> None:
    """The account-level list, page by page, after the question whether it shows everybody's instances."""
    account = membership.account
    manages = False  # who was not asked anew is believed to be shown their own instances only
    try:
        if not is_proven:
            manages = client.manages_account(own_id(membership)) is True
            prove(membership, Rights.MANAGE if manages else Rights.OWN)
        is_whole = True
        for page in client.iter_account_instances(page_size=PAGE_SIZE):
            _take(membership, apply_instances(account, page.items, source=LIST))
            is_whole = is_whole and not page.oddities
            _keep_lease(membership, lease)
    except NotFound:
        # It went away since the last probe; the next sync asks workflow by workflow.
        Account.objects.filter(pk=account.pk).update(has_account_list=False)
        raise
    if is_whole:
        mark_missing(account, since=began, started_by="" if manages else own_id(membership))


def _sync_each(
    client: MaestroClient, membership: Membership, lease: str, began: datetime, listed: list[Workflow]
) -> None:
    """Without the account-level list: the list of each workflow. What it shows of others is proven per workflow."""
    prove(membership, Rights.OWN)
    for workflow in listed:
        try:
            listing = client.list_instances(str(workflow.pk))
        except MaestroError as error:
            if not is_denial(error):
                raise
            WorkflowAccess.objects.filter(user_id=membership.user_id, workflow=workflow).update(others_proven_at=None)
            log.info("A workflow's list was refused: %s", sentence_of(error), extra={"workflow": str(workflow.pk)})
            continue
        _take(membership, apply_instances(membership.account, listing, source=LIST, workflow_id=workflow.pk))
        note_others(membership, workflow.pk, [item.started_by for item in listing])
        if not listing.oddities and not listing.warnings:
            mark_missing(membership.account, since=began, started_by=own_id(membership), workflow_id=workflow.pk)
        _keep_lease(membership, lease)


def _take(membership: Membership, applied: Applied) -> None:
    """What Docusign lists to this person is no longer denied to them."""
    if applied.seen:
        InstanceDenial.objects.filter(user_id=membership.user_id, instance_id__in=applied.seen).delete()
    for oddity in applied.oddities[:5]:
        log.warning(oddity, extra={"account": str(membership.account_id)})
