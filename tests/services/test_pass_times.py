"""When an account is read: as rarely as was agreed with Docusign, and at once when something happened."""

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from dashboard.models import AccountSync, Membership, Rights
from dashboard.services import due, passes
from dashboard.services.passes import Outcome
from maestro_api.simulator import Simulator
from tests.services.test_sync import age

Connect = Callable[..., Membership]


@pytest.fixture
def ada(connect: Connect) -> Membership:
    """A manager whose account was never read."""
    return connect("Ada Admin", rights=Rights.MANAGE)


@pytest.fixture
def read(ada: Membership) -> AccountSync:
    """The account read whole, and large enough that not every pass is a full one."""
    assert passes.read_account(ada.account) is Outcome.WHOLE
    AccountSync.objects.update(calls=100, seconds=0)
    return AccountSync.objects.get()


def test_an_event_brings_a_pass_at_once_but_not_every_second(read: AccountSync, ada: Membership) -> None:
    """R-7: a debounce of ten seconds, however many events come."""
    for _ in range(5):
        due.want_account(ada.account)
    assert due.due_accounts() == []
    age(ada, timedelta(seconds=11))
    assert due.due_accounts() == [ada.account]
    AccountSync.objects.update(seconds=1.5)
    assert due.due_accounts() == []  # what takes long is not wanted more often than it can be had
    AccountSync.objects.update(seconds=0)
    assert passes.read_account(ada.account) is Outcome.WHOLE
    age(ada, timedelta(seconds=-1))
    assert due.due_accounts() == []


def test_everything_is_read_once_a_day_or_whenever_it_is_cheap(read: AccountSync, settings: Any) -> None:
    settings.FULL_SYNC_INTERVAL_SECONDS = 3600
    assert not due.is_full_due(read)
    read.full_at = timezone.now() - timedelta(seconds=3601)
    assert due.is_full_due(read)
    read.full_at, read.calls = timezone.now(), 5
    assert due.is_full_due(read)


def test_in_six_hours_the_same_lists_are_read_no_more_often_than_agreed(
    ada: Membership, simulator: Simulator, settings: Any
) -> None:
    """R-7: at least 900 seconds between background reads of the same thing, and few of the hour's calls."""
    settings.SYNC_INTERVAL_SECONDS = 900
    start, times = timezone.now(), []
    simulator.clear_ledger()
    with time_machine.travel(start) as clock:
        for _ in range(6 * 12):
            clock.shift(300)
            for account in due.due_accounts():
                times.append(timezone.now())
                assert passes.read_account(account) is Outcome.WHOLE
    gaps = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
    assert min(gaps) >= 900
    assert len(times) >= 20
    assert len(simulator.ledger()) / 6 <= 1200
