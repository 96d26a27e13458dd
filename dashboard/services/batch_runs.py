"""Carrying out bulk runs: which are due, and a worker's slice of one of them.

The one rule (U-9, R-4): an item is sent only by whoever holds the run, at its pace: the slot is one conditional update of the run, on its
state, its fence and its time, in the transaction that stores the intent. A worker that was stopped and wakes up gets no slot.
"""

import logging
import os
import socket
import threading
import time
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from dashboard.models import (
    UNDER_WAY_ITEMS,
    Batch,
    BatchItem,
    BatchState,
    Heartbeat,
    ItemState,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Role,
)
from dashboard.services import batch_items, batch_readiness, batch_states, budget, jobs
from dashboard.services.actions import refuse_a_second
from dashboard.services.batch_items import Deed
from dashboard.services.edges import Outcome, claim_planned, insert_sent, move
from dashboard.services.errors import DocusignUnavailable, Refused
from dashboard.services.instances import bump, lock_mirror
from dashboard.services.quota import Lane
from dashboard.services.timings import IDLE_SECONDS, QUEUED_PATIENCE, READ_TRIES, RUNNER_LEASE, SLICE_SECONDS
from dashboard.services.visibility import is_connected, may_still_act

log = logging.getLogger(__name__)
State = BatchState
SLICES_A_WORKER = 2  # so that one thread of three is always left to everything else
ALIVE = timedelta(seconds=30)
LOOKING = "Every row was sent; the outcome of some is still being looked up at Docusign."
MOVING = (State.RUNNING, State.STOPPING)


class Ending:
    """Whether this worker was asked to end: then it claims nothing new (U-10)."""

    flag = threading.Event()


def end_with(flag: threading.Event) -> None:
    """The worker sets this flag when it is asked to end."""
    Ending.flag = flag


def run_due() -> int:
    """Let go on what waited for its person's connection, and queue a slice for each run that is due; how many."""
    for batch in Batch.objects.filter(state=State.PAUSED, hold=Batch.Hold.RECONNECT).select_related("actor", "account"):
        membership = membership_of(batch)
        if membership is not None and is_connected(membership):
            batch_states.resume_by_itself(batch)
    return queue_due()


def queue_due() -> int:
    """Queue slices, the longest waiting first, as many as the workers have threads for."""
    now = timezone.now()
    workers = max(Heartbeat.objects.filter(beat_at__gt=now - ALIVE).count(), 1)
    # An emergency stop that freezes its list holds a lease of its own, but no slice.
    room = workers * SLICES_A_WORKER - Batch.objects.filter(lease_until__gt=now, state__in=MOVING).count()
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    due = Batch.objects.filter(free, state__in=MOVING, next_send_at__lte=now).order_by("next_send_at")
    number = 0
    for batch_id in due.values_list("pk", flat=True)[: max(room, 0)]:
        rows = Batch.objects.filter(free, pk=batch_id, state__in=MOVING)
        if rows.update(runner="", lease_until=now + QUEUED_PATIENCE):
            jobs.enqueue("run_batch", batch_id)
            number += 1
    return number


def run_batch(batch_id: UUID | str) -> None:
    """Carry out a slice of a run, if nobody else does."""
    now = timezone.now()
    free = Q(lease_until=None) | Q(lease_until__lte=now) | Q(runner="")
    rows = Batch.objects.filter(free, pk=batch_id, state__in=MOVING)
    with transaction.atomic():
        batch = rows.select_related("account", "actor", "contract").first()
        if batch is None:
            return
        fence = batch.fence + 1
        held = Batch.objects.filter(free, pk=batch_id, state__in=MOVING, fence=batch.fence)
        if not held.update(fence=fence, runner=_name(), lease_until=now + RUNNER_LEASE):
            return
    try:
        Slice(batch, fence).run()
    finally:
        Batch.objects.filter(pk=batch_id, fence=fence).update(runner="", lease_until=None)
    if not Ending.flag.is_set():
        queue_due()


def membership_of(batch: Batch) -> Membership | None:
    """The person with whose connection it runs, as they are now."""
    rows = Membership.objects.select_related("user", "user__connection", "account", "account__budget")
    return rows.filter(user_id=batch.actor_id, account_id=batch.account_id).first()


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"[-64:]


class Slice:
    """Some seconds of one run in one thread: item after item, never two at once."""

    # How often Docusign did not tell what an item needs, while this process lives; an unlucky row ends in the list of unsent ones.
    unread: dict[int, int] = {}

    def __init__(self, batch: Batch, fence: int) -> None:
        self.batch = batch
        self.fence = fence
        self.is_ready = False
        self.may_look = True

    def run(self) -> None:
        """Until time is up, nothing is left to do for now, or another worker took over."""
        until = time.monotonic() + SLICE_SECONDS
        while time.monotonic() < until and not Ending.flag.is_set():
            if not self._is_mine() or not self._step():
                return

    def _is_mine(self) -> bool:
        self.batch.refresh_from_db(fields=["state", "fence", "starts_at", "next_send_at", "message", "reason"])
        return self.batch.fence == self.fence and self.batch.state in MOVING

    def _step(self) -> bool:
        """One item, or a short wait; whether there is more to do in this slice."""
        batch = self.batch
        if batch.state == State.STOPPING:
            if not batch_states.wind_up(batch):
                self._postpone(self._soon())
            return False
        if wait := self._seconds_to_wait():
            # The lease is longer than this wait, and the next slot is only given to its holder anyway.
            return wait <= IDLE_SECONDS and not Ending.flag.wait(wait)
        membership = membership_of(batch)
        if membership is None or not is_connected(membership):
            batch_states.hold(batch, Batch.Hold.RECONNECT, batch_readiness.RECONNECT.format(batch.actor))
            return False
        if membership.role == Role.VIEWER:
            batch_states.hold(batch, Batch.Hold.PERSON, batch_readiness.ROLE_TAKEN.format(batch.actor))
            return False
        try:
            budget.check(membership.account, Lane.BATCH)
            self.is_ready = self.is_ready or batch_readiness.check(batch, membership)
        except DocusignUnavailable as held_up:
            return self._postpone(held_up.retry_at or self._soon(), held_up.message)
        if not self.is_ready:
            return False
        item = self._next_item()
        if item is None:
            return self._idle()
        self._carry_out(item, membership)
        return True

    def _seconds_to_wait(self) -> float:
        moments = [moment for moment in (self.batch.starts_at, self.batch.next_send_at) if moment]
        return max((max(moments) - timezone.now()).total_seconds(), 0.0) if moments else 0.0

    def _next_item(self) -> BatchItem | None:
        """What is to be sent again comes first: it has waited longest."""
        rows = BatchItem.objects.filter(batch_id=self.batch.pk).order_by("position")
        whole = rows.select_related(
            "workflow", "instance", "operation__workflow", "operation__account", "operation__actor"
        )
        is_time = Q(operation__next_check_at=None) | Q(operation__next_check_at__lte=timezone.now())
        again = whole.filter(is_time, state=ItemState.PLANNED, operation__state=OperationState.PLANNED).first()
        return again or whole.filter(state=ItemState.WAITING).first()

    def _idle(self) -> bool:
        """Nothing to send now: done, or what is under way is looked at again in a moment."""
        if batch_states.finish(self.batch):
            return False
        rows = BatchItem.objects.filter(batch_id=self.batch.pk)
        is_looking = rows.filter(state__in=UNDER_WAY_ITEMS).exists()
        self._postpone(self._soon(), LOOKING if is_looking else "")
        return False

    def _soon(self) -> datetime:
        return timezone.now() + timedelta(seconds=IDLE_SECONDS)

    def _postpone(self, at: datetime, message: str = "") -> bool:
        rows = Batch.objects.filter(pk=self.batch.pk, fence=self.fence, state__in=MOVING)
        is_news = message != self.batch.message
        if rows.update(next_send_at=at, message=message) and is_news:
            bump(self.batch.account_id)
        return True

    def _carry_out(self, item: BatchItem, membership: Membership) -> None:
        try:
            deed = batch_items.prepare(self.batch, item, membership)
        except DocusignUnavailable as held_up:
            self._postpone(self._soon(), held_up.message)
            return
        if deed.is_unread:
            self.unread[item.pk] = self.unread.get(item.pk, 0) + 1
            if self.unread[item.pk] < READ_TRIES:
                self._postpone(self._soon(), batch_items.SILENT)
                return
        self.unread.pop(item.pk, None)
        try:
            operation = self._commit(item, deed, membership)
        except Refused as refusal:  # somebody else asked for the same, and its outcome is open
            operation = self._commit(item, Deed(item.operation, ItemState.SKIPPED, refusal.message), membership)
        if operation is None:
            return
        batch_items.deliver(operation, membership)
        if self.may_look and batch_readiness.is_about_the_workflow(operation):
            self.may_look = False  # one look a slice: rows with faults of their own would cost twice as many calls
            if not batch_readiness.look(self.batch, membership):
                batch_states.put_back(item, operation)

    def _commit(self, item: BatchItem, deed: Deed, membership: Membership) -> Operation | None:
        """Take the slot and store what becomes of the item, in one transaction; the operation that is to be sent now, if any."""
        with transaction.atomic():
            lock_mirror(self.batch.account_id)
            if not may_still_act(membership) or not self._take_slot():
                return None  # the next turn says why
            if deed.reading is not None:
                deed.reading.apply()
            if deed.state != ItemState.SENT:
                self._leave(item, deed)
                return None
            operation = deed.operation
            if operation is None:
                return None
            if item.operation is not None:
                return operation if claim_planned(operation) else None
            if operation.kind != OperationKind.TRIGGER:
                refuse_a_second(operation)
            return operation if insert_sent(operation, item=item) else None

    def _take_slot(self) -> bool:
        """The pace counts from the last time and not from now, so a late item is made up for; never more than one of them."""
        now, due_at = timezone.now(), self.batch.next_send_at
        step = timedelta(seconds=1 / settings.BATCH_RATE_PER_SECOND)
        rows = Batch.objects.filter(
            pk=self.batch.pk, state=State.RUNNING, fence=self.fence, next_send_at=due_at, starts_at__lte=now
        )
        is_time = due_at is not None and due_at <= now
        columns = {"next_send_at": max((due_at or now) + step, now), "lease_until": now + RUNNER_LEASE, "message": ""}
        return is_time and bool(rows.update(**columns))

    def _leave(self, item: BatchItem, deed: Deed) -> None:
        """Nothing is sent for this one."""
        if item.operation is not None:
            move(item.operation, Outcome(OperationState.REJECTED, deed.why))
            return
        rows = BatchItem.objects.filter(pk=item.pk, state=ItemState.WAITING, operation=None)
        rows.update(state=deed.state, message=deed.why, settled_at=timezone.now())
        bump(self.batch.account_id)
