"""The budget: one bucket for all, lanes with floors, and the time that Docusign names."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from dashboard.models import Account, ApiBudget, Membership
from dashboard.services import budget, sync
from dashboard.services.calls import calling
from dashboard.services.errors import DocusignUnavailable
from dashboard.services.quota import Lane, quota_of
from maestro_api import LimitState, MaestroClient, RateLimited
from maestro_api.simulator import Simulator
from tests.factories import AccountFactory

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


@pytest.fixture
def one(db: None) -> Account:
    return AccountFactory()


def may_claim(account: Account, lane: Lane = Lane.PEOPLE) -> bool:
    try:
        budget.claim(account, lane)
    except DocusignUnavailable:
        return False
    return True


def told(account: Account, left: int, *, burst_left: int | None = None) -> None:
    """What Docusign's headers say now."""
    burst_limit = None if burst_left is None else 200
    budget.note_limits(account, LimitState(3000, left, None, burst_limit, burst_left))


def row_of(account: Account) -> ApiBudget:
    return ApiBudget.objects.get(account=account)


def test_limits_are_remembered_and_gaps_erase_nothing(one: Account) -> None:
    """R-2: headers win where they come."""
    budget.note_limits(one, LimitState(hourly_limit=3000, hourly_remaining=2999))
    budget.note_limits(one, LimitState(burst_limit=200, burst_remaining=150))
    row = row_of(one)
    assert (row.hourly_limit, row.hourly_remaining, row.burst_limit, row.burst_used) == (3000, 2999, 200, 50)


def test_a_limit_of_nothing_is_nonsense(one: Account) -> None:
    """R-2: nonsense is ignored."""
    budget.note_limits(one, LimitState(hourly_limit=0, burst_limit=0))
    assert may_claim(one, Lane.BACKGROUND)


@pytest.mark.parametrize(
    ("lane", "last"), [(Lane.PEOPLE, 1), (Lane.BATCH, 601), (Lane.BACKGROUND, 1201)], ids=lambda value: str(value)
)
def test_each_lane_stops_at_its_floor(one: Account, lane: Lane, last: int) -> None:
    """R-3: people to nothing left, batches to a fifth, looking by itself to two fifths."""
    told(one, last)
    assert [may_claim(one, lane), may_claim(one, lane)] == [True, False]


@pytest.mark.parametrize(
    ("lane", "last"), [(Lane.PEOPLE, 1), (Lane.BATCH, 41), (Lane.BACKGROUND, 101)], ids=lambda value: str(value)
)
def test_each_lane_has_its_share_of_the_thirty_seconds(one: Account, lane: Lane, last: int) -> None:
    """R-1: a burst is never filled by what can wait."""
    with time_machine.travel(NOON, tick=False) as clock:
        told(one, 2900, burst_left=last)
        assert [may_claim(one, lane), may_claim(one, lane)] == [True, False]
        clock.shift(30)
        assert may_claim(one, lane)


def test_the_refusal_says_who_used_the_calls_and_when_there_are_more(one: Account) -> None:
    """R-3: a person is told the time, and that it was another app."""
    with time_machine.travel(NOON + timedelta(minutes=20), tick=False):
        for _ in range(3):
            budget.claim(one, Lane.PEOPLE)
        told(one, 0)
        with pytest.raises(
            DocusignUnavailable, match=r"2,997 of them by other apps\. .* 13:00:00 UTC\. Nothing was sent"
        ) as no:
            budget.claim(one, Lane.PEOPLE)
        assert no.value.retry_at is not None
        assert NOON + timedelta(hours=1) <= no.value.retry_at <= NOON + timedelta(hours=1, seconds=2)


def test_the_full_hour_fills_the_bucket_again(one: Account) -> None:
    """R-1: the hour of the clock, for us and for the others."""
    with time_machine.travel(NOON + timedelta(minutes=59), tick=False) as clock:
        told(one, 0)
        assert not may_claim(one)
        clock.shift(61)
        assert may_claim(one, Lane.BACKGROUND)
        assert (row_of(one).hour_used, row_of(one).hour_others) == (1, 0)


def test_the_reset_that_docusign_names_wins_over_the_clock(one: Account) -> None:
    """R-2: the window ends when the header says, with a second to spare for its rounding."""
    with time_machine.travel(NOON, tick=False) as clock:
        budget.note_limits(one, LimitState(3000, 0, NOON + timedelta(minutes=37)))
        clock.shift(37 * 60)
        assert not may_claim(one)
        clock.shift(1)
        assert may_claim(one)


def test_calls_of_others_are_what_docusign_counts_beyond_ours(one: Account) -> None:
    for _ in range(10):
        budget.claim(one, Lane.PEOPLE)
    told(one, 2950)
    quota = quota_of(row_of(one), datetime.now(UTC))
    assert (quota.used, quota.others, quota.left) == (10, 40, 2950)


def test_answers_in_the_wrong_order_give_no_call_back(one: Account) -> None:
    """R-1: the smallest remainder of an hour counts."""
    told(one, 100)
    told(one, 2000)
    assert quota_of(row_of(one), datetime.now(UTC)).left == 100


def test_an_answer_from_the_hour_before_says_nothing_about_this_one(one: Account) -> None:
    with time_machine.travel(NOON - timedelta(seconds=1), tick=False) as clock:
        claimed_at = datetime.now(UTC)
        budget.claim(one, Lane.PEOPLE)
        clock.shift(2)
        budget.claim(one, Lane.PEOPLE)
        budget.note_limits(one, LimitState(3000, 0, None, 200, 0), claimed_at)
        assert may_claim(one, Lane.BACKGROUND)


def test_a_named_time_is_honoured_to_its_end(one: Account) -> None:
    """R-5: not before it, and at most a tenth later."""
    with time_machine.travel(NOON, tick=False) as clock:
        budget.note_refusal(one, 90.0)
        clock.shift(90)
        assert not may_claim(one)
        clock.shift(10)
        assert may_claim(one)


def test_one_accounts_limit_does_not_stop_another(one: Account) -> None:
    budget.note_refusal(one, 90.0)
    assert may_claim(AccountFactory())


def test_a_block_only_grows(one: Account) -> None:
    """R-5: a shorter time that is named later does not shorten the longer one."""
    budget.note_refusal(one, 90.0)
    until = row_of(one).blocked_until
    budget.note_refusal(one, 1.0)
    assert row_of(one).blocked_until == until


def test_the_headers_of_real_answers_arrive_here(ada: Membership, simulator: Simulator) -> None:
    """R-1, R-2: after a sync our own count is the simulator's, and nobody else's."""
    row = row_of(ada.account)
    calls = [entry for entry in simulator.ledger() if "/v1/" in entry["path"]]
    assert (row.hour_used, row.hour_others) == (len(calls), 0)
    assert row.hourly_remaining == 3000 - len(calls)


def test_while_blocked_the_sync_asks_nothing(ada: Membership, simulator: Simulator) -> None:
    """R-5: no request before the time."""
    budget.note_refusal(ada.account, 90.0)
    simulator.clear_ledger()
    assert not sync.sync_membership(ada)
    assert simulator.ledger() == []
    assert "no more calls" in ada.sync_error


def test_repeated_attempts_are_claimed_too(ada: Membership, simulator: Simulator) -> None:
    """R-1: every request counts, the retries as well."""
    before = row_of(ada.account).hour_used
    simulator.clear_ledger()
    simulator.set_faults([{"match": {"path": "/v1/", "times": 1}, "do": {"status": 503}}])
    with calling(ada) as client:
        client.list_workflows()
    assert len(simulator.ledger()) == 2
    assert row_of(ada.account).hour_used == before + 2


def refuse(simulator: Simulator, **limits: object) -> None:
    """Make the next call draw a refusal that nobody could foresee: its quota is used up and no header tells."""
    simulator.set_limits(**({"spent_hourly": 3000, "headers": False} | limits))


@pytest.mark.parametrize(
    ("limits", "shortest", "longest"),
    [
        ({"retry_after": 30}, 30, 33),
        ({"retry_after": 86_400}, 86_400, 95_040),
        ({"status": 400}, 0, 3_960),
        ({"spent_hourly": 0, "spent_burst": 200}, 29, 33),
        ({"headers": True, "reset_form": "seconds"}, 0, 3_960),
    ],
    ids=["seconds", "a-day", "400-with-a-code", "burst", "reset-header"],
)
def test_after_a_refusal_nothing_is_sent_before_the_time(
    ada: Membership, simulator: Simulator, limits: dict[str, object], shortest: int, longest: int
) -> None:
    """R-5: Retry-After, else the reset, else the next hour or 30 seconds, plus up to a tenth; no thread sleeps on it."""
    simulator.clock.freeze()  # the call meets the window that is used up here, not the next one
    refuse(simulator, **limits)
    simulator.clear_ledger()
    began = datetime.now(UTC)
    with pytest.raises(RateLimited), calling(ada) as client:
        client.list_workflows()
    assert len(simulator.ledger()) == 1
    ended = datetime.now(UTC)
    assert ended - began < timedelta(seconds=20)
    until = row_of(ada.account).blocked_until
    assert until is not None
    assert began + timedelta(seconds=shortest) <= until <= ended + timedelta(seconds=longest + 2)
    for lane in Lane:
        with pytest.raises(DocusignUnavailable) as held, calling(ada, lane=lane) as client:
            client.list_workflows()
        assert held.value.retry_at == until
    assert len(simulator.ledger()) == 1


def test_a_call_that_is_held_back_in_the_middle_was_surely_not_sent(ada: Membership, simulator: Simulator) -> None:
    """R-3: the second page of a pass meets the floor; the service hears a plain sentence with the time."""

    def two(client: MaestroClient) -> None:
        client.list_workflows()
        client.list_workflows()

    ApiBudget.objects.filter(account=ada.account).update(hour_used=1799, hour_others=0)
    simulator.clear_ledger()
    with (
        pytest.raises(DocusignUnavailable, match="kept for people") as held,
        calling(ada, lane=Lane.BACKGROUND) as client,
    ):
        two(client)
    assert held.value.retry_at is not None
    assert len(simulator.ledger()) == 1
