"""The meter: who used the calls of the hour, what is left, what the next reading costs, and who may call."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.models import Account, ApiBudget, Membership, Operation
from dashboard.services import due, meter, passes
from dashboard.services.errors import DocusignUnavailable
from maestro_api.simulator import Simulator

SignedIn = Callable[..., Client]
PAGES = ("/", "/workflows/", "/instances/", "/connections/")


def again(membership: Membership) -> Membership:
    """The person as a page loads them."""
    return due.connected().select_related("account__sync", "account__budget").get(pk=membership.pk)


def lanes(membership: Membership) -> dict[str, bool]:
    """Which lanes may call now."""
    return {lane.label: lane.waits_until is None for lane in meter.meter_of(again(membership)).lanes}


def test_before_the_first_answer_the_page_says_what_is_not_known(viewer: Membership, signed_in: SignedIn) -> None:
    page = signed_in(viewer).get("/connections/").content.decode()
    assert (
        "Docusign has not said yet how many calls are left; by its documentation an account has 3,000 an hour" in page
    )
    assert "of 3,000 left" not in page


def test_the_page_tells_ours_others_left_and_the_next_cost(
    ada: Membership, simulator: Simulator, signed_in: SignedIn
) -> None:
    simulator.set_limits(spent_hourly=500)
    assert passes.read_account(ada.account) == passes.Outcome.WHOLE
    used = ApiBudget.objects.get(account=ada.account).hour_used
    page = " ".join(signed_in(ada).get("/connections/").content.decode().split())
    assert f"{2500 - used:,} of 3,000 left" in page
    assert "<dt>By other apps</dt><dd>500</dd>" in page
    assert f"<dt>By this console</dt><dd>{used}</dd>" in page
    assert f"about {due.calls_of_next(again(ada).account)} calls; reading everything took" in page


def test_the_size_of_the_account_is_told_only_to_those_who_see_all_of_it(
    ada: Membership, connect: Callable[..., Membership]
) -> None:
    """V-3: what a reading costs grows with the instances of everybody."""
    pia = connect("Pia Preparer")
    assert meter.meter_of(again(ada)).full_cost is not None
    assert meter.meter_of(again(pia)).full_cost is None
    assert meter.meter_of(again(pia)).next_cost is None


@pytest.mark.parametrize(("has_list", "calls"), [(True, 2), (False, 13)])
def test_without_a_measured_reading_the_cost_is_reckoned(ada: Membership, has_list: bool, calls: int) -> None:
    """A page of a thousand instances is a call; without the account's list it is a call for each workflow."""
    Account.objects.update(has_account_list=has_list)
    account = Account.objects.get(pk=ada.account_id)
    account.sync.full_at = None
    cost = meter.full_cost(account)
    assert (cost.calls, cost.is_measured) == (calls, False)


def test_with_five_hundred_left_a_trigger_works_and_everything_else_waits(
    ada: Membership, simulator: Simulator, trigger: Callable[..., Operation]
) -> None:
    """R-3: a single trigger works, batches are told when, the worker is silent."""
    ApiBudget.objects.filter(account=ada.account).update(hour_used=0, hour_others=2500)
    simulator.clear_ledger()
    assert lanes(ada) == {"What people do": True, "Batches": False, "Looking by itself": False}
    assert due.due_accounts() == []
    assert passes.read_account(again(ada).account) == passes.Outcome.WAITS
    assert simulator.ledger() == []
    assert trigger().state == "confirmed"


def test_with_the_hour_spent_by_another_app_pages_are_up_and_nothing_is_sent(
    ada: Membership, simulator: Simulator, trigger: Callable[..., Operation], signed_in: SignedIn
) -> None:
    """3,000 calls already spent: nobody can know before the first refusal; from then on people are told until when."""
    simulator.set_limits(spent_hourly=3000)
    with pytest.raises(DocusignUnavailable):
        trigger()
    simulator.clear_ledger()
    ApiBudget.objects.update(blocked_until=None)
    with pytest.raises(DocusignUnavailable, match=r"by other apps\. The next are free at \d\d:\d\d:\d\d UTC") as told:
        trigger()
    assert told.value.retry_at is not None
    assert told.value.retry_at > timezone.now()
    ApiBudget.objects.update(blocked_until=timezone.now() - timedelta(seconds=1))
    client = signed_in(ada)
    for path in PAGES:
        answer = client.get(path)
        assert answer.status_code == 200
        assert "The next are free at" in answer.content.decode()
    assert due.due_accounts() == []
    assert passes.read_account(again(ada).account) == passes.Outcome.WAITS
    assert simulator.ledger() == []
