"""The budget: what Docusign said about limits holds for every process, and a dead Docusign is asked rarely."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from dashboard.models import Account, ApiBudget, Membership
from dashboard.services import budget, sync
from dashboard.services.errors import DocusignUnavailable
from maestro_api import ConnectFailed, Facts, Forbidden, LimitState, MaestroError, RateLimited, ServerError
from maestro_api.simulator import Simulator
from tests.factories import AccountFactory

LIMITED = RateLimited(facts=Facts(status=429, retry_after=90.0))


@pytest.fixture
def one(db: None) -> Account:
    return AccountFactory()


def is_blocked(account: Account) -> bool:
    try:
        budget.check(account)
    except DocusignUnavailable:
        return True
    return False


def test_limits_are_remembered_and_gaps_erase_nothing(one: Account) -> None:
    """R-2: headers win where they come."""
    budget.note_limits(one, LimitState(hourly_limit=3000, hourly_remaining=2999))
    budget.note_limits(one, LimitState(burst_limit=200, burst_remaining=150))
    row = ApiBudget.objects.get(account=one)
    assert (row.hourly_limit, row.hourly_remaining, row.burst_limit, row.burst_remaining) == (3000, 2999, 200, 150)


def test_a_named_time_is_honoured_to_its_end(one: Account) -> None:
    """R-5: not before, and not longer."""
    with time_machine.travel(datetime(2026, 5, 1, tzinfo=UTC), tick=False) as clock:
        budget.note_failure(one, LIMITED)
        clock.shift(89)
        with pytest.raises(DocusignUnavailable, match="00:01:30 UTC") as blocked:
            budget.check(one)
        assert blocked.value.retry_at == datetime(2026, 5, 1, 0, 1, 30, tzinfo=UTC)
        clock.shift(2)
        assert not is_blocked(one)


def test_one_accounts_limit_does_not_stop_another(one: Account) -> None:
    budget.note_failure(one, LIMITED)
    assert not is_blocked(AccountFactory())


@pytest.mark.parametrize("error", [ServerError(facts=Facts(status=503)), ConnectFailed("no")], ids=["503", "connect"])
def test_five_straight_failures_open_the_breaker_for_thirty_seconds(one: Account, error: MaestroError) -> None:
    """R-8: then one probe, and the rest waits for its result."""
    with time_machine.travel(datetime(2026, 5, 1, tzinfo=UTC), tick=False) as clock:
        for _ in range(4):
            budget.note_failure(one, error)
        assert not is_blocked(one)
        budget.note_failure(one, error)
        assert is_blocked(one)
        clock.shift(31)
        assert [is_blocked(one), is_blocked(one)] == [False, True]
        budget.note_success(one)
        assert not is_blocked(one)


def test_a_refusal_says_nothing_about_docusigns_health(one: Account) -> None:
    """R-8: 4xx does not count."""
    for _ in range(10):
        budget.note_failure(one, Forbidden(facts=Facts(status=403)))
    assert not is_blocked(one)


def test_an_answer_ends_the_count(one: Account) -> None:
    """R-8: five in a row, not five in all."""
    for _ in range(4):
        budget.note_failure(one, ConnectFailed("no"))
    budget.note_success(one)
    budget.note_failure(one, ConnectFailed("no"))
    assert not is_blocked(one)


def test_the_headers_of_real_answers_arrive_here(ada: Membership, simulator: Simulator) -> None:
    """R-2: a sync leaves behind what the last answer said."""
    row = ApiBudget.objects.get(account=ada.account)
    assert row.hourly_limit == 3000
    assert row.hourly_remaining is not None
    assert row.hourly_remaining < 3000


def test_while_blocked_the_sync_asks_nothing(ada: Membership, simulator: Simulator) -> None:
    """R-5: no request before the time."""
    budget.note_failure(ada.account, LIMITED)
    simulator.clear_ledger()
    assert not sync.sync_membership(ada)
    assert simulator.ledger() == []
    assert "no more calls" in ada.sync_error


def test_a_block_only_grows(one: Account) -> None:
    """R-5: a shorter time that is named later does not shorten the longer one."""
    budget.note_failure(one, LIMITED)
    until = ApiBudget.objects.get(account=one).blocked_until
    budget.note_failure(one, RateLimited(facts=Facts(status=429, retry_after=1.0)))
    assert ApiBudget.objects.get(account=one).blocked_until >= until - timedelta(seconds=1)
