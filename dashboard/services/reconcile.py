"""Settling what stayed open: rows of dead senders, unknown outcomes, and what a person found out by hand.

The one rule (U-4): only complete lists of the same person's token, far enough apart and late enough, allow sending again;
everything else waits, or goes to a person; so does what is older than a restore of the database (U-12).
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from dashboard.models import (
    Account,
    BatchItem,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Rights,
    Role,
    User,
)
from dashboard.services import jobs, restores, undo
from dashboard.services.actions import carry_out, settle_action
from dashboard.services.edges import Outcome, claim_planned, move
from dashboard.services.errors import Refused
from dashboard.services.instances import lock_mirror
from dashboard.services.outcomes import next_check
from dashboard.services.readings import GOALS, Verdict, read_back
from dashboard.services.searching import Look, look_for_marker
from dashboard.services.store import before_sending
from dashboard.services.timings import (
    BETWEEN_LOOKS,
    LOOKS_NEEDED,
    MAX_ACTION_ATTEMPTS,
    MAX_RESENDS,
    READ_DEADLINE_SECONDS,
    SETTLE_AFTER,
    WORKER_DEADLINE_SECONDS,
)
from dashboard.services.triggers import resend
from dashboard.services.visibility import is_connected

log = logging.getLogger(__name__)
State = OperationState
SWEPT = (
    "The sender ended before Docusign's answer was stored. Whether it happened is not known yet; this console checks."
)
SETTLED_BY = "Settled by hand: {} looked at Docusign and found that it"
NOT_CONNECTED = "Your connection to Docusign ended, so this console cannot check whether it happened."
NOT_CONNECTED_YET = "Whether it happened is looked up as soon as its person is connected to Docusign again."
NO_RIGHTS = "Docusign no longer shows you this, so this console cannot check whether it happened."
NAME_CHANGED = (
    "It is not in Docusign's list, but Docusign does not keep instance names as they are sent, so that proves nothing."
)
NAME_UNPROVEN = (
    "It is not in Docusign's list. This console has not yet seen that Docusign keeps instance names as they are sent, "
    "so it does not send again by itself."
)
RESENDS_USED = "It was sent {} times and is still not in Docusign's list."
RESTORED = (
    "The database was restored, so this console does not send it again by itself. It is not in Docusign's list; look once more, "
    "and trigger it anew if it is still wanted."
)
ROLE_TAKEN = "You may only look by now, so it is not sent again."
FOUND = "Docusign's answer was lost, but its list shows the instance. The participant link came only with that answer."
CHECKED_AT = "Docusign's list could not be read completely at {:%H:%M:%S} UTC; this console looks again."
ABSENT = "Not in Docusign's list at {:%H:%M:%S} UTC; this console looks again before it decides."
STILL = "Docusign still shows it as {} after {} attempts; nothing was changed."


def sweep() -> int:
    """Rows whose sender's lease ended become unknown; they are never sent again from here (U-9)."""
    swept = 0
    for operation in Operation.objects.filter(state=State.SENT, lease_until__lt=timezone.now()):
        outcome = Outcome(State.UNKNOWN, SWEPT, columns={"next_check_at": timezone.now()})
        swept += move(operation, outcome)
    return swept


def due() -> list[Operation]:
    """What the worker should look at now."""
    now = timezone.now()
    ready = Q(next_check_at__lte=now) | Q(next_check_at=None)
    # What a bulk run is to send again is sent by it, in its own pace and only while it runs.
    is_ours = Q(state=State.UNKNOWN) | Q(state=State.PLANNED, item=None)
    return list(Operation.objects.filter(ready, is_ours).order_by("planned_at")[:200])


def settle_due() -> int:
    """Queue a job for each operation that is due."""
    waiting = due()
    for operation in waiting:
        jobs.enqueue("settle_operation", operation.pk)
    return len(waiting)


def settle_unknown(operation: Operation) -> None:
    """One step towards certainty with the token of the person who sent it."""
    if operation.state == State.PLANNED:
        _send_planned(operation, _membership_of(operation))
        return
    if operation.state != State.UNKNOWN or not _claim_check(operation):
        return
    membership = _membership_of(operation)
    if membership is None or not is_connected(membership):
        if _is_of_batch(operation):
            _wait(operation, NOT_CONNECTED_YET)  # as does the rest of its bulk run (O-9)
        else:
            move(operation, Outcome(State.NEEDS_PERSON, NOT_CONNECTED))
    elif membership.rights == Rights.NONE:
        move(operation, Outcome(State.NEEDS_PERSON, NO_RIGHTS))
    elif operation.kind == OperationKind.TRIGGER:
        _settle_trigger(operation, membership)
    else:
        _settle_action(operation, membership)


def settle_by_hand(operation: Operation, *, actor: User, launched: bool, note: str, key: str = "") -> Operation:
    """A person looked at Docusign and says what happened. Raises Refused when it is no longer open."""
    said = "happened" if launched else "did not happen"
    with before_sending(), transaction.atomic():
        lock_mirror(operation.account_id)  # a worker that only looks at it meanwhile does not take the finding away
        operation.refresh_from_db(from_queryset=Operation.objects.select_for_update(no_key=True))
        if key and operation.settle_key == key:
            return operation
        if operation.state not in (State.UNKNOWN, State.NEEDS_PERSON):
            raise Refused(f"This is already settled: {operation.look.label.lower()}.")
        outcome = Outcome(
            State.CONFIRMED if launched else State.REJECTED,
            f"{SETTLED_BY.format(actor)} {said}.",
            reason=note.strip(),
            columns={"settle_key": key},
            detail={"found": said, "was": operation.state},
        )
        move(operation, outcome, action="operation.settled_by_hand", actor=actor)
    return operation


def _membership_of(operation: Operation) -> Membership | None:
    rows = Membership.objects.select_related("user", "user__connection", "account")
    return rows.filter(user_id=operation.actor_id, account_id=operation.account_id).first()


def _claim_check(operation: Operation) -> bool:
    """One worker looks at a time: the next look is set before this one begins."""
    now = timezone.now()
    ready = Q(next_check_at__lte=now) | Q(next_check_at=None)
    rows = Operation.objects.filter(ready, pk=operation.pk, state=State.UNKNOWN, fence=operation.fence)
    # A worker that is killed in mid-look is followed by another one after the time that a look may take.
    until = now + timedelta(seconds=READ_DEADLINE_SECONDS * 2)
    if not rows.update(next_check_at=until, last_checked_at=now, fence=F("fence") + 1):
        return False
    operation.refresh_from_db()
    return True


def _settle_trigger(operation: Operation, membership: Membership) -> None:
    look = look_for_marker(operation, membership)
    if look.result == Look.FOUND:
        move(operation, Outcome(State.CONFIRMED, FOUND, instance=look.instance))
    elif look.result == Look.DENIED:
        move(operation, Outcome(State.NEEDS_PERSON, NO_RIGHTS))
    elif look.result == Look.INCOMPLETE:
        _wait(operation, CHECKED_AT.format(look.at))
    else:
        _absent(operation, look.at)


def _absent(operation: Operation, now: datetime) -> None:
    """A complete list that began `now` did not show it: count that, and decide once it counts enough."""
    earliest = (operation.sent_at or now) + SETTLE_AFTER
    if now < earliest:
        _wait(operation, ABSENT.format(now))
        return
    if operation.last_absent_at and now - operation.last_absent_at < BETWEEN_LOOKS:
        _wait(operation, operation.message)
        return
    looks = operation.absent_looks + 1
    columns = {"absent_looks": looks, "last_absent_at": now, "first_absent_at": operation.first_absent_at or now}
    if looks < LOOKS_NEEDED:
        _wait(operation, ABSENT.format(now), at_least=BETWEEN_LOOKS, **columns)
    elif restores.needs_a_person(operation):
        move(operation, Outcome(State.NEEDS_PERSON, RESTORED, columns=columns))
    elif (is_allowed := _resend_allowed(operation)) is None:
        move(operation, Outcome(State.NEEDS_PERSON, NAME_UNPROVEN, columns=columns))
    elif not is_allowed:
        move(operation, Outcome(State.NEEDS_PERSON, NAME_CHANGED, columns=columns))
    elif operation.resends >= MAX_RESENDS:
        sentence = RESENDS_USED.format(operation.resends + 1)
        move(operation, Outcome(State.NEEDS_PERSON, sentence, columns=columns))
    else:
        _plan_again(operation)


def _resend_allowed(operation: Operation) -> bool | None:
    """Whether a list without the name proves anything, as known now: another trigger may have shown it during the look (U-4)."""
    return Account.objects.values_list("resend_allowed", flat=True).get(pk=operation.account_id)


def _plan_again(operation: Operation) -> None:
    columns = {
        "resends": operation.resends + 1,
        "absent_looks": 0,
        "first_absent_at": None,
        "last_absent_at": None,
        "next_check_at": None,
    }
    sentence = "It is surely not at Docusign, so it is sent again."
    if move(operation, Outcome(State.PLANNED, sentence, columns=columns)):
        _send_planned(operation, _membership_of(operation))  # who may have been switched off during the look


def _is_of_batch(operation: Operation) -> bool:
    return BatchItem.objects.filter(operation=operation).exists()


def _send_planned(operation: Operation, membership: Membership | None) -> None:
    if _is_of_batch(operation):
        return
    if operation.kind == OperationKind.CANCEL and not operation.attempts:
        undo.send_waited(operation, membership)
        return
    if membership is None or not is_connected(membership):
        # Without a token nothing is sent; the row keeps its place until the person is back (O-9).
        Operation.objects.filter(pk=operation.pk, state=State.PLANNED).update(
            next_check_at=next_check(operation), message="Waits until you are connected to Docusign again."
        )
        return
    if membership.role == Role.VIEWER:
        move(operation, Outcome(State.REJECTED, ROLE_TAKEN))
        return
    if not claim_planned(operation):
        return
    if operation.kind == OperationKind.TRIGGER:
        resend(operation, membership)
    else:
        carry_out(operation, membership, deadline=WORKER_DEADLINE_SECONDS, is_worker=True)


def _settle_action(operation: Operation, membership: Membership) -> None:
    reading = read_back(operation, membership, deadline=READ_DEADLINE_SECONDS)
    age = timezone.now() - (operation.sent_at or timezone.now())
    may_repeat = operation.attempts < MAX_ACTION_ATTEMPTS and not restores.needs_a_person(operation)
    if reading.verdict == Verdict.REACHED:
        settle_action(operation, Outcome(State.CONFIRMED, reading.shown), reading)
    elif reading.verdict == Verdict.TOO_LATE:
        settle_action(operation, Outcome(State.REJECTED, reading.too_late), reading)
    elif reading.verdict == Verdict.DENIED:
        move(operation, Outcome(State.NEEDS_PERSON, NO_RIGHTS))
    elif reading.verdict == Verdict.UNREAD:
        _wait(operation, CHECKED_AT.format(timezone.now()))
    elif may_repeat and age > BETWEEN_LOOKS:
        if move(
            operation, Outcome(State.PLANNED, "It had no effect, so it is sent again.", columns={"next_check_at": None})
        ):
            _send_planned(operation, _membership_of(operation))
    elif age < SETTLE_AFTER:
        _wait(operation, operation.message)
    elif operation.kind in GOALS and reading.verdict == Verdict.SILENT:
        move(operation, Outcome(State.NEEDS_PERSON, "Docusign's list does not tell whether it had an effect."))
    else:
        sentence = STILL.format(reading.label.lower(), operation.attempts)
        settle_action(operation, Outcome(State.REJECTED, sentence), reading)


def _wait(operation: Operation, message: str, *, at_least: timedelta = timedelta(), **columns: object) -> None:
    """Still unknown: look again later (U-11)."""
    at = next_check(operation, at_least=at_least)
    earliest = (operation.sent_at or at) + SETTLE_AFTER
    if operation.kind == OperationKind.TRIGGER and timezone.now() < earliest:
        at = min(at, earliest)
    rows = Operation.objects.filter(pk=operation.pk, state=State.UNKNOWN, fence=operation.fence)
    rows.update(next_check_at=at, message=message, **columns)
