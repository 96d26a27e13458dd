"""How far a pass reaches: what it reads one by one, what waits for the next one, and what it says about that."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from dashboard.models import Account, AccountSync, Instance, Membership
from dashboard.services import account_lists, due, passes
from dashboard.services.passes import Outcome
from maestro_api.simulator import Simulator
from tests.services.test_passes import LIST, _small_pages, ada, at_page, everything, fail, read

__all__ = ["_small_pages", "ada", "read"]  # fixtures


def test_one_by_one_only_so_many_are_read_and_the_longest_unseen_first(
    read: AccountSync, ada: Membership, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass stays small; what waits keeps its own time, and has its turn next."""
    monkeypatch.setattr(account_lists, "SINGLE_READS", 2)
    running = list(Instance.objects.running())
    Instance.objects.filter(pk=running[0].pk).update(synced_at=timezone.now() - timedelta(days=1))
    simulator.set_faults([{"match": LIST, "do": {"body": {"instances": []}}}])
    simulator.clear_ledger()
    assert passes.read_account(ada.account) is Outcome.WHOLE
    singles = [entry["path"].rsplit("/", 1)[1] for entry in simulator.ledger() if "/instances/" in entry["path"]]
    assert len(singles) == 2
    assert str(running[0].pk) in singles
    row = AccountSync.objects.get()
    waiting = Instance.objects.running().filter(synced_at__lt=row.recent_at)
    assert row.left_as_of == min(waiting.values_list("synced_at", flat=True))
    assert due.freshness_of(Membership.objects.get(pk=ada.pk)) == row.left_as_of


def test_one_instance_that_is_never_answered_for_holds_no_pass_up(
    read: AccountSync, ada: Membership, simulator: Simulator
) -> None:
    bad, *others = Instance.objects.running()
    Instance.objects.filter(pk=bad.pk).update(synced_at=timezone.now() - timedelta(days=1))
    broken = {"match": {"method": "GET", "path": f"/instances/{bad.pk}"}, "do": {"status": 500}}
    simulator.set_faults([{"match": LIST, "do": {"body": {"instances": []}}}, broken])
    assert passes.read_account(ada.account) is Outcome.WHOLE
    row = AccountSync.objects.get()
    assert (row.left_as_of, row.failed_at) == (None, None)
    fresh = Instance.objects.filter(pk__in=[other.pk for other in others], synced_at__gte=row.recent_at)
    assert fresh.count() == len(others)


def test_while_the_first_pass_is_under_way_its_person_is_not_proven_again_and_again(
    ada: Membership, simulator: Simulator
) -> None:
    """R-7: a first pass takes minutes, and each proof costs calls."""

    def is_due() -> bool:
        return due._is_person_due(Membership.objects.get(pk=ada.pk), timezone.now())

    Membership.objects.filter(pk=ada.pk).update(synced_at=None)
    assert is_due()
    Membership.objects.filter(pk=ada.pk).update(rights_proven_at=timezone.now())
    Account.objects.update(has_account_list=True)
    in_a_minute = timezone.now() + timedelta(minutes=1)
    AccountSync.objects.update_or_create(account=ada.account, defaults={"lease_until": in_a_minute})
    assert is_due()  # it is read by somebody who may not see this person's rows
    AccountSync.objects.update(saw_all=True)
    assert not is_due()
    AccountSync.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert is_due()


def test_a_pass_that_does_not_reach_all_that_runs_makes_a_full_one_due_sooner(read: AccountSync) -> None:
    """R-7: no more than a quarter of the hourly calls go into full passes."""
    read.calls, read.full_at = 150, timezone.now() - timedelta(minutes=13)
    assert not due.is_full_due(read)
    read.left_as_of = timezone.now() - timedelta(hours=1)
    assert due.is_full_due(read)
    read.full_at = timezone.now() - timedelta(minutes=11)
    assert not due.is_full_due(read)


def test_a_full_pass_that_began_with_less_sight_begins_anew_with_more(ada: Membership, simulator: Simulator) -> None:
    """R-10: what the first pages did not show to a person of few rights is not missing."""
    simulator.set_level("Ada Admin", "prepare")
    stop = at_page(1, fail(simulator, status=503))
    assert passes.read_account(ada.account, heard=stop) is not Outcome.WHOLE
    simulator.set_faults([])
    simulator.set_level("Ada Admin", "manage")
    with time_machine.travel(timezone.now() + timedelta(minutes=2)):
        assert passes.read_account(Account.objects.get()) is Outcome.WHOLE
    row = AccountSync.objects.get()
    assert (row.shows_all, row.rows) == (True, everything(simulator))
