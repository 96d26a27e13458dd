"""Asking a second person for a frozen list, and what came of it: approved, declined, withdrawn, expired, or started without one.

The one rule: who asks never decides; each deed is one conditional update with its audit entry, so that of two only one counts.
"""

import json
from datetime import timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard import crypto
from dashboard.models import Account, Approval, ApprovalState, Batch, BatchState, Membership, Role
from dashboard.services import audit, batch_states, batches
from dashboard.services.errors import NotStarted, Refused, StoreBusy
from dashboard.services.instances import bump, lock_mirror
from dashboard.services.second_person import digest_of, listed, needed_for
from dashboard.services.visibility import is_connected, own_id, sees_all, visible_batches

State = ApprovalState
ASKABLE = (BatchState.PLANNED, BatchState.DONE)  # a list that is done is asked for again before a retry
OVER = (State.DECLINED, State.EXPIRED, State.WITHDRAWN)
UNUSED = Q(state=State.WAITING) | Q(state=State.APPROVED, batch__state=BatchState.PLANNED)
CHANGED = (
    "The list was changed after a second person was asked, so the request is void. Look at the list and ask again."
)
MOVED = "This request was already decided, withdrawn or changed. Nothing was changed."
NOBODY_ASKED = (
    "No request for a second person waits here, so there is nothing to decide. Who made the list asks for one and says why "
    "it shall be done. Nothing was changed."
)
LET_GO = {State.APPROVED: "Approved", State.BROKEN: "Let go without a second person"}
NOT_WRITTEN = "This console cannot write to its own database just now. Nothing was sent."
NOT_SEEN = "This page showed an older request. Look at the list once more. Nothing was changed."


def visible_approvals(membership: Membership) -> QuerySet[Approval]:
    """Requests over bulk runs that this person may see."""
    rows = Approval.objects.filter(batch__in=visible_batches(membership))
    return rows.select_related("batch", "batch__actor", "batch__workflow", "batch__account", "decided_by")


def waiting_for(membership: Membership) -> QuerySet[Approval]:
    """Requests that this person could decide now."""
    if membership.role == Role.VIEWER or not sees_all(membership):
        return visible_approvals(membership).none()
    rows = visible_approvals(membership).filter(state=State.WAITING, expires_at__gt=timezone.now())
    return rows.exclude(batch__actor_id=membership.user_id)


def deciders_of(account: Account) -> list[Membership]:
    """Who could decide now: operators and admins to whom Docusign shows everything."""
    people = Membership.objects.filter(account=account, is_active=True).exclude(role=Role.VIEWER)
    rows = people.select_related("user", "user__connection").order_by("user__name", "pk")
    return [each for each in rows if sees_all(each)]


def is_waiting(approval: Approval) -> bool:
    """Whether it can still be decided."""
    return approval.state == State.WAITING and approval.expires_at > timezone.now()


def ask(batch: Batch, *, membership: Membership, reason: str, key: str) -> Approval:
    """Ask somebody else to look at the list as it is now. The same form again gives the first request."""
    if first := Approval.objects.filter(batch=batch, key=key).first():
        return first
    batch = Batch.objects.select_related("account", "actor").get(pk=batch.pk)
    _refuse_asking(batch, membership, reason)
    expires_at = timezone.now() + timedelta(hours=settings.APPROVAL_HOURS)
    with transaction.atomic():
        lock_mirror(batch.account_id)
        if not Batch.objects.filter(pk=batch.pk, state=batch.state).update(reason=reason.strip()):
            raise Refused("The list moved on meanwhile. Look at it once more; nothing was asked.")
        batch.reason = reason.strip()
        approval = _opened(batch, key=key, expires_at=expires_at, list_digest=digest_of(batch))
        _record("approval.asked", approval, membership, reason=batch.reason)
    return approval


def _refuse_asking(batch: Batch, membership: Membership, reason: str) -> None:
    if batch.actor_id != membership.user_id:
        raise Refused(f"Only {batch.actor} can ask, because it runs with that person's connection to Docusign.")
    if batch.state not in ASKABLE or batch.frozen_at is None or not listed(batch).exists():
        raise Refused("There is no finished list that a second person could look at.")
    if not reason.strip():
        raise Refused("Write why it shall be done, for the person who decides.", field="reason")
    if needed_for(batch) is None:
        raise Refused("It needs no second person any more; start it yourself.")


def _opened(batch: Batch, **columns: object) -> Approval:
    """The request, anew or again after an earlier one ended."""
    again = {"state": State.WAITING, "asked_at": timezone.now(), "decided_by": None, "decided_at": None, "note": ""}
    lapsed = Q(state__in=OVER) | Q(expires_at__lte=timezone.now()) | ~Q(list_digest=columns["list_digest"])
    if Approval.objects.filter(lapsed, batch=batch).update(**again, **columns):
        return Approval.objects.select_related("batch").get(batch=batch)
    try:
        with transaction.atomic():
            return Approval.objects.create(batch=batch, **columns)
    except IntegrityError as error:
        raise Refused("A second person was already asked for this list.") from error


def is_theirs_already(approval: Approval, state: ApprovalState, membership: Membership) -> bool:
    """Whether this very person decided so before: the same form once more gives the first result (U-7)."""
    approval.refresh_from_db(fields=["state", "decided_by"])
    return (approval.state, approval.decided_by_id) == (state, membership.user_id)


def decision_obstacle(approval: Approval, membership: Membership) -> str:
    """Why this person cannot decide; empty when they can. The role is judged here too: it may have been taken meanwhile."""
    batch = approval.batch
    mine, theirs = own_id(membership), batch.actor.sub.strip("{}").lower()
    if batch.actor_id == membership.user_id or (mine, membership.user.environment) == (theirs, batch.actor.environment):
        return "You asked for it, so somebody else has to decide."
    if membership.account_id != batch.account_id or membership.role == Role.VIEWER:
        return "To decide you need the role operator or admin in this account."
    if not sees_all(membership):
        return "Only somebody to whom Docusign shows every instance of the account can judge the list."
    if approval.state != State.WAITING:
        return MOVED
    return "The request has expired." if approval.expires_at <= timezone.now() else ""


def approve(approval: Approval, *, membership: Membership, seen: str, note: str = "") -> Approval:
    """Let the list go, and start it at once as its requester. `seen` is the digest of the list that the person looked at.

    Raises NotStarted when it was approved but could not start; then the same form once more, or the requester, can start it until the
    approval expires.
    """
    if not (is_theirs_already(approval, State.APPROVED, membership) and seen == approval.list_digest):
        if obstacle := decision_obstacle(approval, membership):
            raise Refused(obstacle)
        _refuse_unless_seen(approval, seen)
        is_mine = _decide(approval, State.APPROVED, membership, note, action="approval.approved")
        if not is_mine and not is_theirs_already(approval, State.APPROVED, membership):
            raise Refused(MOVED)
    start(approval)
    return approval


def decline(approval: Approval, *, membership: Membership, note: str) -> Approval:
    """Say no, and why."""
    if is_theirs_already(approval, State.DECLINED, membership):
        return approval
    if obstacle := decision_obstacle(approval, membership):
        raise Refused(obstacle)
    if not note.strip():
        raise Refused("Write why not, for the person who asked.", field="note")
    is_mine = _decide(approval, State.DECLINED, membership, note, action="approval.declined")
    if not is_mine and not is_theirs_already(approval, State.DECLINED, membership):
        raise Refused(MOVED)
    return approval


def withdraw(approval: Approval, *, membership: Membership) -> Approval:
    """Take the request back; the list stays as it was."""
    if approval.batch.actor_id != membership.user_id:
        raise Refused("Only the person who asked can withdraw it.")
    if is_theirs_already(approval, State.WITHDRAWN, membership):
        return approval
    if not _decide(approval, State.WITHDRAWN, membership, "", action="approval.withdrawn"):
        raise Refused(MOVED)
    return approval


def break_glass(batch: Batch, *, membership: Membership, reason: str, seen: str) -> Approval:
    """An admin lets a list go for which a second person was asked, and says why: told loudly. Starts it as its requester.

    Raises NotStarted as `approve` does.
    """
    batch = Batch.objects.select_related("account", "actor").get(pk=batch.pk)
    if membership.role != Role.ADMIN or not visible_batches(membership).filter(pk=batch.pk).exists():
        raise Refused("Only an admin who sees the list can start it without a second person.")
    if not reason.strip():
        raise Refused("Write why nobody else can decide. It is kept in the audit.", field="reason")
    earlier = Approval.objects.filter(batch=batch).select_related("batch").first()
    if earlier and is_theirs_already(earlier, State.BROKEN, membership) and seen == earlier.list_digest:
        start(earlier)
        return earlier
    # Who asked said why it shall be done; the admin only says why nobody else decides.
    if earlier is None or not is_waiting(earlier):
        raise Refused(NOBODY_ASKED)
    if (policy := needed_for(batch)) is None:
        raise Refused("It needs no second person any more. Nothing was changed.")
    _refuse_unless_seen(earlier, seen)
    now = timezone.now()
    columns = {
        "state": State.BROKEN, "decided_by": membership.user, "decided_at": now, "note": reason.strip(),
        "expires_at": now + timedelta(hours=settings.APPROVAL_HOURS),
    }  # fmt: skip
    with transaction.atomic():
        lock_mirror(batch.account_id)
        asked = Approval.objects.filter(batch=batch, state=State.WAITING, expires_at__gt=now, list_digest=seen)
        if not asked.update(**columns):
            raise Refused(MOVED)
        approval = Approval.objects.select_related("batch", "batch__account", "batch__actor").get(batch=batch)
        detail = {"count": listed(batch).count(), "requester": str(batch.actor), "policy": str(policy)}
        _record("approval.broken", approval, membership, reason=reason.strip(), detail=detail)
    start(approval)
    return approval


def is_started(approval: Approval) -> bool:
    """Whether the list was started since this was asked; never so for one that was asked for a retry."""
    started_at = approval.batch.confirmed_at
    return started_at is not None and started_at >= approval.asked_at


def waits_for(approval: Approval) -> str:
    """What the requester can do with what was let go: "start" or "retry", or "nothing" where all of a retry was sent since; empty
    where it was started since, or its time is over."""
    batch = approval.batch
    if is_started(approval) or approval.expires_at <= timezone.now():
        return ""
    if batch.state == BatchState.DONE:
        return "retry" if batch_states.retriable(batch).exists() else "nothing"
    return "start" if batch.state == BatchState.PLANNED else ""


def start(approval: Approval) -> None:
    """Begin exactly the list that was let go, as the person who asked for it, once; that of a retry waits for that person's own click.

    Raises NotStarted.
    """
    approval = Approval.objects.select_related("batch__account", "batch__actor").get(pk=approval.pk)
    batch, seen = approval.batch, approval.list_digest
    if batch.state != BatchState.PLANNED:
        return
    try:
        requester = _requester_of(batch)
        if approval.expires_at <= timezone.now():
            raise Refused("Its time is over. Nothing was sent.")
        batches.confirm(batch, membership=requester, key=f"approval-{approval.pk}", reason=batch.reason, seen=seen)
    except (Refused, StoreBusy) as error:
        batch.refresh_from_db(fields=["state"])
        if batch.state != BatchState.PLANNED:
            return  # its own person was quicker
        why = NOT_WRITTEN if isinstance(error, StoreBusy) else error.message
        raise NotStarted(f"{LET_GO[State(approval.state)]}, but it could not start. {why}") from error


def reveal_inputs(approval: Approval, *, position: int, membership: Membership) -> dict[str, str] | None:
    """What a row would send, for those who judge it or asked for it; that they looked is in the audit (V-4)."""
    batch = approval.batch
    if decision_obstacle(approval, membership) and batch.actor_id != membership.user_id:
        raise Refused("The inputs are shown to the person who asked and to those who can decide.")
    item = listed(batch).filter(position=position).exclude(sealed_inputs="").first()
    if item is None:
        return None
    with transaction.atomic():
        _record("approval.inputs_read", approval, membership, reason="", detail={"position": position})
    text = crypto.unseal(item.sealed_inputs, *batches.inputs_place(batch, position))
    return {
        "name": item.label,
        "position": str(position),
        "text": json.dumps(json.loads(text), ensure_ascii=False, indent=2),
    }


def expire_due() -> int:
    """End the requests whose time is over, also approved ones that never started."""
    rows = Approval.objects.filter(UNUSED, expires_at__lte=timezone.now())
    return sum(_decide(row, State.EXPIRED, None, "", action="approval.expired") for row in rows.select_related("batch"))


def _refuse_unless_seen(approval: Approval, seen: str) -> None:
    """Raise Refused where the list is not the one that was asked for and that this person saw, or nobody is there to run it as."""
    if seen != approval.list_digest:
        raise Refused(NOT_SEEN)
    if digest_of(approval.batch) != approval.list_digest:
        # A list that somebody else let go meanwhile changes while it runs.
        is_void = _decide(approval, State.WITHDRAWN, None, CHANGED, action="approval.voided")
        raise Refused(CHANGED if is_void else MOVED)
    _requester_of(approval.batch)


def _requester_of(batch: Batch) -> Membership:
    """With whose rights and token it runs; refused when these are gone meanwhile."""
    people = Membership.objects.select_related("user", "user__connection", "account")
    requester = people.filter(user_id=batch.actor_id, account_id=batch.account_id).first()
    if requester is None or not is_connected(requester):
        raise Refused(f"{batch.actor} is not connected to Docusign, and it runs with that person's connection.")
    if requester.role == Role.VIEWER:
        raise Refused(f"{batch.actor} may only look by now; only an operator or admin can have it run.")
    return requester


def _decide(approval: Approval, state: ApprovalState, by: Membership | None, note: str, *, action: str) -> bool:
    """One conditional update with its audit entry; False when somebody else was quicker, or the request is another one."""
    rows = Approval.objects.filter(pk=approval.pk, state=approval.state, list_digest=approval.list_digest)
    if state in (State.APPROVED, State.DECLINED):
        rows = rows.filter(state=State.WAITING, expires_at__gt=timezone.now())
    if state == State.WITHDRAWN:
        rows = rows.filter(state=State.WAITING)
    if state == State.EXPIRED:
        # Since it was found it may have started, or been asked for anew.
        rows = rows.filter(UNUSED, expires_at__lte=timezone.now())
    with transaction.atomic():
        lock_mirror(approval.batch.account_id)
        user = by.user if by else None
        if not rows.update(state=state, decided_by=user, decided_at=timezone.now(), note=note.strip()):
            return False
        approval.refresh_from_db(fields=["state", "decided_by", "decided_at", "note"])
        _record(action, approval, by, reason=note.strip())
    return True


def _record(
    action: str, approval: Approval, by: Membership | None, *, reason: str, detail: dict[str, object] | None = None
) -> None:
    batch = approval.batch
    if action != "approval.inputs_read":
        bump(batch.account_id)
    audit.record(
        action,
        actor=by.user if by else None,
        account=batch.account,
        subject=batch,
        reason=reason,
        detail=detail or {"count": listed(batch).count(), "requester": str(batch.actor)},
    )
