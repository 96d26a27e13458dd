"""The turnstile before Docusign: each attempt of a client goes through it, and each answer comes back through it.

The one rule: an attempt that cannot be claimed, or whose claim cannot be written, is not sent.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, TypedDict

from django.db import OperationalError
from django.utils import timezone

from dashboard.models import Account
from dashboard.services import breaker, budget
from dashboard.services.errors import DocusignUnavailable, ServiceError, StoreBusy
from dashboard.services.quota import Lane, burst_start
from dashboard.services.store import BUSY
from dashboard.services.timings import BURST, BURST_END_SECONDS
from maestro_api import (
    NO_RETRY,
    BudgetRefused,
    CallEvent,
    Facts,
    Hook,
    LimitState,
    RateLimited,
    RetryPolicy,
    UnreadableResponse,
)

log = logging.getLogger(__name__)
RETRY = RetryPolicy(
    waits_for_limits=False
)  # a refusal for too many calls concerns everybody: it is told, not slept over


class HeldBack(BudgetRefused):
    """The budget's refusal on its way through the client; `reason` is what the person is told."""

    def __init__(self, reason: ServiceError) -> None:
        until = getattr(reason, "retry_at", None)
        wait = max((until - timezone.now()).total_seconds(), 0.0) if until else None
        super().__init__(reason.message, facts=Facts(retry_after=wait))
        self.reason = reason

    @property
    def user_message(self) -> str:
        return self.reason.message


class ClientOptions(TypedDict):
    """The part of a client's arguments that ties it to a turnstile."""

    hooks: list[Hook]
    on_limits: Callable[[LimitState], None]
    gate: Callable[[], None]
    retry: RetryPolicy


class Turnstile(Hook):
    """The gate, the hooks and the limits' listener of one client, in one lane and one thread."""

    def __init__(self, account: Account, lane: Lane) -> None:
        self.account = account
        self.lane = lane
        self.claimed_at: datetime | None = None
        self._has_answer = False
        self._is_probe = False

    def gate(self) -> None:
        """Claim one call. Raises HeldBack."""
        try:
            self.settle()
            self._leave_the_end()
            self.claimed_at = timezone.now()
            if budget.claim(self.account, self.lane):
                self._is_probe = True
        except DocusignUnavailable as refusal:
            raise HeldBack(refusal) from None
        except OperationalError:
            raise HeldBack(StoreBusy(BUSY)) from None

    def after(self, event: CallEvent) -> None:
        """A good answer; whether it can be read shows only later, so it counts with the next call or at the end."""
        self._has_answer = True

    def error(self, event: CallEvent) -> None:
        """R-5 and R-8: what the failure of one attempt means for all who share the account."""
        if event.error == RateLimited.__name__:
            budget.note_refusal(self.account, event.retry_after)
        if event.error in breaker.FAILURES:
            breaker.note_failure(self.account)
            self._has_answer = self._is_probe = False
        else:
            self._has_answer = True

    def limits(self, limits: LimitState) -> None:
        """The headers of an answer (R-2)."""
        budget.note_limits(self.account, limits, self.claimed_at)

    def unreadable(self) -> None:
        """An answer that came with a good status and cannot be used: that is no sign of health."""
        if self._has_answer:
            self._has_answer = self._is_probe = False
            breaker.note_failure(self.account)

    def settle(self) -> None:
        """The last answer was good: the breaker hears of it."""
        if self._has_answer:
            self._has_answer, is_probe, self._is_probe = False, self._is_probe, False
            try:
                breaker.note_answer(self.account, is_probe=is_probe)
            except OperationalError:  # what was just sent has its answer; that must not be lost over a note
                log.warning("answer.not_noted", extra={"account": str(self.account.pk)})

    def prepaid(self) -> "Prepaid":
        """For a client whose calls are made by other threads."""
        return Prepaid(self)

    @property
    def options(self) -> "ClientOptions":
        """What a client has to be built with so that everything it sends goes through here."""
        return {"hooks": [self], "on_limits": self.limits, "gate": self.gate, "retry": RETRY}

    def _leave_the_end(self) -> None:
        """What is claimed at the very end of the 30 seconds may be counted in the next; only people go that near."""
        if self.lane == Lane.PEOPLE:
            return
        now = timezone.now()
        left = burst_start(now) + BURST - now
        if left < timedelta(seconds=BURST_END_SECONDS):
            time.sleep(left.total_seconds())


class Prepaid(Hook):
    """Claims that this thread makes and other threads use, so that those never touch the database.

    `pay` once for each call before it is handed over, and `hear` what came back from time to time, both in the thread of the
    turnstile. A call without a claim is not sent, so nothing is repeated by itself.
    """

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile
        self._claims: deque[datetime] = deque()
        self._heard: deque[tuple[Callable[[Any], None], Any, datetime | None]] = deque()
        self._of_thread = threading.local()

    @property
    def options(self) -> "ClientOptions":
        """As those of the turnstile, for a client that is used in other threads."""
        return {"hooks": [self], "on_limits": self._limits, "gate": self._gate, "retry": NO_RETRY}

    def pay(self) -> None:
        """Claim one call. Raises DocusignUnavailable or StoreBusy."""
        try:
            self._turnstile.gate()
        except HeldBack as refusal:
            raise refusal.reason from None
        self._claims.append(self._turnstile.claimed_at or timezone.now())

    def hear(self) -> None:
        """Take in what the answers said since the last time."""
        while self._heard:
            listener, value, claimed_at = self._heard.popleft()
            self._turnstile.claimed_at = claimed_at
            try:
                listener(value)
            except OperationalError:  # the answers themselves must not be lost over a note
                log.warning("answer.not_noted", extra={"account": str(self._turnstile.account.pk)})

    def after(self, event: CallEvent) -> None:
        self._heard.append((self._turnstile.after, event, self._claimed_at))

    def error(self, event: CallEvent) -> None:
        self._heard.append((self._turnstile.error, event, self._claimed_at))

    def _limits(self, limits: LimitState) -> None:
        self._heard.append((self._turnstile.limits, limits, self._claimed_at))

    def _gate(self) -> None:
        if not self._claims:
            raise BudgetRefused("no call was claimed for it")
        self._of_thread.claimed_at = self._claims.popleft()

    @property
    def _claimed_at(self) -> datetime | None:
        return getattr(self._of_thread, "claimed_at", None)


@contextmanager
def through(account: Account, lane: Lane) -> Iterator[Turnstile]:
    """Around all calls of one client. Raises DocusignUnavailable where the budget holds one back, at the start or later."""
    budget.check(account, lane)
    turnstile = Turnstile(account, lane)
    try:
        yield turnstile
    except HeldBack as refusal:
        raise refusal.reason from None
    except UnreadableResponse:
        turnstile.unreadable()
        raise
    finally:
        turnstile.settle()
