"""The one reading of an account that everybody shares: all of it rarely, what runs and what is new often.

The one rule: it is claimed by one worker at a time, every page is noted with the cursor of the next, and only a reading that came
whole counts.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils import timezone

from dashboard.models import Account, AccountSync, Membership, Rights, Workflow
from dashboard.services import account_lists, claims, proofs, service_user, workflow_passes
from dashboard.services.budget import Lane
from dashboard.services.calls import explained
from dashboard.services.due import interval, is_full_due
from dashboard.services.errors import DocusignUnavailable, ServiceError
from dashboard.services.identities import Reader, reading
from dashboard.services.listings import NotWhole, Reading
from dashboard.services.refreshes import distrust
from dashboard.services.timings import QUIET_SHARE, READ_DEADLINE_SECONDS
from dashboard.services.workflows import apply_workflows
from maestro_api import BadRequest, Forbidden, MaestroClient, MaestroError, NotFound, PagingLoop

log = logging.getLogger(__name__)
Kind = AccountSync.Kind


class Outcome(StrEnum):
    """What became of a pass; only the first one counts."""

    WHOLE = "whole"
    BUSY = "another worker is reading it"
    WAITS = "the budget lets it go on later"
    FAILED = "failed"


def read_account(
    account: Account,
    *,
    lane: Lane = Lane.BACKGROUND,
    wants_full: bool = False,
    known: Sequence[Workflow] | None = None,
    known_to: Membership | None = None,
    heard: Callable[[AccountSync], None] | None = None,
) -> Outcome:
    """Go on with the account's pass, or begin one. `known` are the workflows that were just listed to `known_to`."""
    claim = claims.take(account)
    if claim is None:
        return Outcome.BUSY
    claim.heard = heard
    try:
        try:
            _read(account, claim, lane, wants_full, known, known_to)
        except service_user.ServiceUserRefused as refusal:
            log.warning("The service user cannot read: %s", refusal.message, extra={"account": str(account.pk)})
            _read(account, claim, lane, wants_full, known, known_to)
    except claims.LeaseLost:
        return Outcome.BUSY
    except NotWhole as doubt:
        return _abandoned(claim, doubt.message)
    except PagingLoop as error:
        return _abandoned(claim, f"{error.user_message} What is known stays as it was.")
    except MaestroError as error:
        return _stopped(claim, explained(error))
    except ServiceError as error:
        return _stopped(claim, error)
    return Outcome.WHOLE


def _abandoned(claim: claims.Claim, message: str) -> Outcome:
    """The lists cannot be believed: the next pass begins anew."""
    log.warning("A pass did not come whole", extra={"account": str(claim.row.pk)})
    now = timezone.now()
    claim.abandon(error=message, failed_at=now, not_before=now + interval())
    return Outcome.FAILED


def _stopped(claim: claims.Claim, error: ServiceError) -> Outcome:
    """The pass goes on later where it is; that the budget ends is no failure."""
    if isinstance(error, DocusignUnavailable) and error.retry_at is not None:
        claim.end(not_before=error.retry_at)
        return Outcome.WAITS
    log.warning("A pass did not end", extra={"account": str(claim.row.pk)})
    claim.end(error=error.message, failed_at=timezone.now())
    return Outcome.FAILED


def _read(
    account: Account,
    claim: claims.Claim,
    lane: Lane,
    wants_full: bool,
    known: Sequence[Workflow] | None,
    known_to: Membership | None,
) -> None:
    with reading(account, lane=lane, deadline=READ_DEADLINE_SECONDS) as (reader, client):
        member = reader.membership
        if known is None or member is None or known_to is None or member.pk != known_to.pk:
            known = _workflows(client, account, reader)
        kind = Kind.FULL if wants_full or is_full_due(claim.row) else Kind.RECENT
        claim.begin(kind, identity=member, label=reader.label)
        try:
            _read_lists(account, claim, reader, client, lane, known)
        except Forbidden:
            if member is not None:  # V-6: what was proven before counts no more; the next look asks anew
                distrust(member)
            raise


def _workflows(client: MaestroClient, account: Account, reader: Reader) -> list[Workflow]:
    """The workflows as they are listed to the reader; to a person that is a proof of what they see as well."""
    if reader.membership is None:
        return apply_workflows(account, client.list_workflows())
    listed = proofs.prove_person(client, reader.membership, keeps_proof=True)
    if listed is None:
        raise ServiceError(f"Docusign shows nothing of this account to {reader.label}, who reads it for everybody.")
    return listed


def _read_lists(
    account: Account, claim: claims.Claim, reader: Reader, client: MaestroClient, lane: Lane, listed: Sequence[Workflow]
) -> None:
    has_list = proofs.has_account_list(client, account)
    if has_list:
        try:
            _read_account_list(account, claim, reader, client, lane)
        except BadRequest as error:
            if not claim.token:
                raise
            log.info("A page token was refused: %s", error.detail, extra={"account": str(account.pk)})
            claim.restart(claim.row.kind)
            _read_account_list(account, claim, reader, client, lane)
        except NotFound:
            # It may have gone away since it was probed; only then the lists of the workflows are asked instead.
            has_list = proofs.has_account_list(client, account, asks_again=True)
            claim.restart(claim.row.kind)
            if has_list:
                _read_account_list(account, claim, reader, client, lane)
    if not has_list:
        _read_each(account, claim, reader, client, lane, listed)


def _made(
    account: Account, claim: claims.Claim, reader: Reader, client: MaestroClient, lane: Lane, *, shows_all: bool
) -> Reading:
    def prove_again() -> bool:
        member = reader.membership
        return proofs.prove_rights(client, member) if member else client.manages_account(reader.own_id) is True

    began = claim.row.began_at or timezone.now()
    return Reading(account, client, reader, claim, began, lane, shows_all, prove_again)


def _read_account_list(
    account: Account, claim: claims.Claim, reader: Reader, client: MaestroClient, lane: Lane
) -> None:
    member = reader.membership
    shows_all = member.rights == Rights.MANAGE if member else client.manages_account(reader.own_id) is True
    if not claim.row.cursor:
        claim.note(saw_all=shows_all)
    elif shows_all and not claim.row.saw_all:
        # Its first pages showed less than the next ones will: together they would make others' instances look missing.
        claim.restart(claim.row.kind, saw_all=True)
    made = _made(account, claim, reader, client, lane, shows_all=shows_all)
    if claim.row.kind == Kind.FULL:
        account_lists.read_all(made)
    else:
        account_lists.read_recent(made)
    _ended(claim, shows_all=made.shows_all, left_as_of=made.left_as_of)


def _read_each(
    account: Account,
    claim: claims.Claim,
    reader: Reader,
    client: MaestroClient,
    lane: Lane,
    listed: Sequence[Workflow],
) -> None:
    made = _made(account, claim, reader, client, lane, shows_all=False)
    quiet = None if claim.row.kind == Kind.FULL else max(interval() * QUIET_SHARE, timedelta(0))
    wanted = workflow_passes.in_order(listed, began=made.began, quiet=quiet)
    workflow_passes.read_each(made, wanted, marks_progress=True)
    _ended(claim, shows_all=False)


def _ended(claim: claims.Claim, *, shows_all: bool, left_as_of: datetime | None = None) -> None:
    """The pass came whole; `left_as_of` where running instances wait for the next one."""
    row, now = claim.row, timezone.now()
    calls = row.pages + 1
    columns: dict[str, object] = {"recent_calls": calls, "left_as_of": left_as_of}
    if row.kind == Kind.FULL:
        columns = {"calls": calls, "full_at": row.began_at, "left_as_of": None}
    seconds = max((now - claim.taken_at).total_seconds(), 0.0)  # of this worker; time spent waiting is no work
    claim.abandon(
        **columns, recent_at=row.began_at, ended_at=now, seconds=seconds, shows_all=shows_all, error="", failed_at=None
    )
