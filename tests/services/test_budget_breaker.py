"""The breaker: when Docusign fails, it is left alone, and people are told the truth meanwhile."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from dashboard.models import Account, ApiBudget, Membership, Operation, OperationState
from dashboard.services import breaker, budget, due, passes, refreshes, visibility
from dashboard.services.banners import banners_for
from dashboard.services.calls import calling
from dashboard.services.errors import DocusignUnavailable
from dashboard.services.health import readiness
from dashboard.services.quota import Lane
from maestro_api import MaestroError
from maestro_api.simulator import Simulator
from tests.factories import AccountFactory

NOON = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
DOWN = [{"match": {"path": "/v1/"}, "do": {"status": 503}}]


@pytest.fixture
def one(db: None) -> Account:
    return AccountFactory()


def may_claim(account: Account) -> bool:
    try:
        budget.claim(account, Lane.BACKGROUND)
    except DocusignUnavailable:
        return False
    return True


def fail(account: Account, times: int) -> None:
    for _ in range(times):
        budget.claim(account, Lane.PEOPLE)
        breaker.note_failure(account)


def answered(membership: Membership) -> bool:
    """One read; False when it failed at Docusign or was held back."""
    try:
        with calling(membership) as client:
            client.list_workflows()
    except (MaestroError, DocusignUnavailable):
        return False
    return True


def test_five_straight_failures_open_it_for_thirty_seconds(one: Account) -> None:
    """R-8: then one probe, and the rest waits for its result."""
    with time_machine.travel(NOON, tick=False) as clock:
        fail(one, 4)
        assert may_claim(one)
        fail(one, 1)
        assert not may_claim(one)
        clock.shift(29)
        assert not may_claim(one)
        clock.shift(1)
        assert budget.claim(one, Lane.PEOPLE)
        assert not may_claim(one)
        breaker.note_answer(one, is_probe=True)
        assert may_claim(one)


def test_a_probe_that_fails_keeps_it_open_for_thirty_seconds_more(one: Account) -> None:
    """R-8: two calls a minute while Docusign is down."""
    with time_machine.travel(NOON, tick=False) as clock:
        fail(one, 5)
        probes = 0
        for _ in range(600):
            clock.shift(1)
            if may_claim(one):
                probes += 1
                breaker.note_failure(one)
        assert probes == 20


def test_every_second_failure_of_twenty_opens_it(one: Account) -> None:
    """R-8: at least half of at least twenty calls within a minute, though never five in a row."""
    with time_machine.travel(NOON, tick=False):
        for number in range(19):
            budget.claim(one, Lane.PEOPLE)
            if number % 2:
                breaker.note_answer(one)
            else:
                breaker.note_failure(one)
        assert ApiBudget.objects.get(account=one).open_until is None
        budget.claim(one, Lane.PEOPLE)
        breaker.note_failure(one)
        assert not may_claim(one)


def test_failures_that_are_spread_over_minutes_do_not_open_it(one: Account) -> None:
    """R-8: the share counts within one minute."""
    with time_machine.travel(NOON, tick=False) as clock:
        for number in range(40):
            assert may_claim(one)
            if number % 2:
                breaker.note_answer(one)
            else:
                breaker.note_failure(one)
            clock.shift(7)
        assert may_claim(one)


def test_the_answer_to_an_older_call_does_not_close_it(one: Account) -> None:
    fail(one, 5)
    breaker.note_answer(one)
    assert not may_claim(one)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422])
def test_a_refusal_is_a_sign_of_life(ada: Membership, simulator: Simulator, status: int) -> None:
    """R-8: 4xx does not count, and ends a row of failures."""
    ApiBudget.objects.filter(account=ada.account).update(failures=4)
    simulator.set_faults([{"match": {"path": "/v1/"}, "do": {"status": status}}])
    assert not answered(ada)
    assert ApiBudget.objects.get(account=ada.account).failures == 0


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 503}, {"reset": "before"}, {"content_type": "text/html"}, {"truncate_gzip": True}],
    ids=lambda fault: str(fault),
)
def test_whatever_is_no_answer_counts(ada: Membership, simulator: Simulator, fault: dict[str, object]) -> None:
    """R-8: no connection, no whole answer, an error of Docusign's own, a page of some proxy."""
    simulator.set_faults([{"match": {"path": "/v1/"}, "do": fault}])
    for _ in range(5):
        answered(ada)
    simulator.clear_ledger()
    assert not answered(ada)
    assert simulator.ledger() == []


def test_while_down_at_most_two_calls_a_minute_leave_and_an_hour_later_all_is_well(
    ada: Membership, simulator: Simulator
) -> None:
    """R-8, R-9: whoever asks, the worker or people; after the recovery the pages are green within a minute."""
    with time_machine.travel(datetime.now(UTC), tick=True) as clock:
        simulator.set_faults(DOWN)
        while ApiBudget.objects.get(account=ada.account).open_until is None:
            answered(ada)
        simulator.clear_ledger()
        for _ in range(40):
            clock.shift(3)
            answered(ada)
            passes.read_account(Account.objects.get(pk=ada.account_id))
        assert 0 < len(simulator.ledger()) <= 5
        simulator.set_faults([])
        seconds = 0
        while banners_for(due.connected().get(pk=ada.pk)):
            clock.shift(3)
            seconds += 3
            assert seconds <= 60
            for account in due.due_accounts():
                passes.read_account(account)


def test_while_down_pages_say_so_and_a_deed_is_refused_within_a_second(
    ada: Membership, simulator: Simulator, trigger: Callable[..., Operation]
) -> None:
    """R-9: honest writes: refused at once with the reason, nothing sent, nothing queued."""
    fail(ada.account, 5)
    simulator.clear_ledger()
    began = time.monotonic()
    with pytest.raises(DocusignUnavailable, match="Nothing was sent"):
        trigger()
    instance = visibility.visible_instances(ada).first()
    assert instance is not None
    with pytest.raises(DocusignUnavailable):
        refreshes.refresh_instance(instance, ada)
    assert time.monotonic() - began < 20  # not when the pause is over, after thirty
    assert simulator.ledger() == []
    assert not Operation.objects.filter(state=OperationState.SENT).exists()
    reloaded = due.connected().get(pk=ada.pk)
    assert any("Docusign is not answering" in banner.text for banner in banners_for(reloaded))
    assert readiness().docusign == "degraded"


def test_until_somebody_had_an_answer_the_banner_stays(ada: Membership) -> None:
    """R-9: that the pause is over is no news of Docusign."""
    fail(ada.account, 5)
    ApiBudget.objects.update(open_until=datetime.now(UTC) - timedelta(minutes=5))
    reloaded = due.connected().get(pk=ada.pk)
    assert any("asked again with the next call" in banner.text for banner in banners_for(reloaded))
