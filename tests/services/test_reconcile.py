"""Unknown outcomes: found, waited for, sent again, or handed to a person."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db.models import F

from dashboard.models import Account, AuditEntry, Connection, Instance, Membership, Operation, Rights, Role
from dashboard.services import operations, reconcile, worker_jobs
from dashboard.services.errors import Refused
from maestro_api.simulator import Simulator
from tests.services.conftest import Meanwhile, new_key

Trigger = Callable[..., Operation]
Posts = Callable[[], list[dict[str, Any]]]
POST = {"method": "POST", "path": "/actions/trigger"}
LISTS = {"method": "GET", "path": "instances"}


class Hours:
    """A clock that tests move, for the console and the simulator alike, and a worker that looks whenever it is due."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock

    def work(self, operation: Operation, *, seconds: float, step: float = 1.0) -> str:
        """Let the worker run for a while; the state at the end."""
        for _ in range(int(seconds / step)):
            self.clock.shift(timedelta(seconds=step))
            operations.sweep()
            for row in operations.due():
                operations.settle_unknown(row)
        operation.refresh_from_db()
        return operation.state


@pytest.fixture
def hours(ada: Membership) -> Iterator[Hours]:
    with time_machine.travel(datetime.now(UTC), tick=False) as clock:
        yield Hours(clock)


@pytest.fixture
def proven(ada: Membership) -> None:
    """A name came back byte for byte before."""
    Account.objects.filter(pk=ada.account_id).update(resend_allowed=True)


@pytest.fixture
def lost(hours: Hours, trigger: Trigger, simulator: Simulator, proven: None) -> Callable[..., Operation]:
    """A trigger whose answer was lost; `happened` says whether Docusign ran it."""

    def made(*, happened: bool, times: int | None = 1, **changes: Any) -> Operation:
        match = POST if times is None else POST | {"times": times}
        simulator.set_faults([{"match": match, "do": {"reset": "after" if happened else "before"}}])
        operation = trigger(**changes)
        assert operation.state == "unknown"
        return operation

    return made


def names_at(simulator: Simulator, operation: Operation) -> int:
    """How many instances Docusign really has of an operation."""
    return list(simulator.world.instances.names.values()).count(operation.instance_name)


@pytest.mark.parametrize("account_list", [True, False])
def test_what_happened_is_found_by_its_marker(
    account_list: bool,
    lost: Callable[..., Operation],
    hours: Hours,
    simulator: Simulator,
    posts: Posts,
    ada: Membership,
) -> None:
    """U-4: found means confirmed, without a link, and is said so; nothing is sent again."""
    Account.objects.filter(pk=ada.account_id).update(has_account_list=account_list)
    simulator.set_profile(account_list=account_list)
    operation = lost(happened=True)
    assert hours.work(operation, seconds=10) == "confirmed"
    assert operation.instance is not None
    assert operation.instance.sealed_url == ""
    assert "participant link came only with that answer" in operation.message
    assert (len(posts()), names_at(simulator, operation)) == (1, 1)


def test_what_did_not_happen_is_sent_again_after_two_late_looks(
    lost: Callable[..., Operation], hours: Hours, simulator: Simulator, posts: Posts
) -> None:
    """U-4: two complete lists at least 15 s apart, at least 60 s after sending; then once more, with the same marker."""
    operation = lost(happened=False)
    sent_at = operation.sent_at
    assert hours.work(operation, seconds=59) == "unknown"
    assert len(posts()) == 1
    assert hours.work(operation, seconds=60) == "confirmed"
    assert (len(posts()), names_at(simulator, operation), operation.resends) == (2, 1, 1)
    assert operation.sent_at - sent_at >= timedelta(seconds=75)
    assert operation.instance.marker == operation.marker


@pytest.mark.parametrize("lag", [1, 20, 50])
def test_a_list_that_lags_never_makes_a_second_instance(
    lag: int, lost: Callable[..., Operation], hours: Hours, simulator: Simulator, posts: Posts
) -> None:
    """U-4, L2: the settle time is longer than the lag of the list."""
    operation = lost(happened=True)
    simulator.set_faults([{"match": LISTS, "do": {"list_lag_seconds": lag}}])
    assert hours.work(operation, seconds=150) == "confirmed"
    assert (len(posts()), names_at(simulator, operation)) == (1, 1)


def test_two_resends_are_the_most(
    lost: Callable[..., Operation], hours: Hours, simulator: Simulator, posts: Posts
) -> None:
    """U-4: then a person has to look."""
    operation = lost(happened=False, times=None)
    assert hours.work(operation, seconds=900, step=3) == "needs_person"
    assert (len(posts()), names_at(simulator, operation)) == (3, 0)
    assert operation.message.startswith("It was sent 3 times")


@pytest.mark.parametrize("fault", [{"status": 503}, {"reset": "before"}, {"body": '{"instances": ['}])
def test_while_the_list_is_down_it_stays_unknown_and_is_looked_for(
    fault: dict[str, Any], lost: Callable[..., Operation], hours: Hours, simulator: Simulator, posts: Posts
) -> None:
    """U-11: ten minutes without a list: unknown with rising age, nothing is sent; then it is found."""
    operation = lost(happened=True)
    simulator.set_faults([{"match": LISTS, "do": fault}])
    assert hours.work(operation, seconds=600, step=5) == "unknown"
    assert "could not be read completely" in operation.message
    assert (operation.absent_looks, len(posts())) == (0, 1)
    simulator.set_faults([])
    assert hours.work(operation, seconds=300, step=5) == "confirmed"


def test_half_a_list_proves_no_absence(lost: Callable[..., Operation], hours: Hours, simulator: Simulator) -> None:
    """U-4: a list with a row that cannot be read is not complete."""
    operation = lost(happened=False)
    half = {"instances": [{"name": "a row without an id"}], "total_set_size": 1, "result_set_size": 1}
    simulator.set_faults([{"match": LISTS, "do": {"body": half}}])
    assert hours.work(operation, seconds=300, step=5) == "unknown"
    assert operation.absent_looks == 0


def test_a_list_that_never_ends_proves_no_absence(
    lost: Callable[..., Operation], hours: Hours, simulator: Simulator
) -> None:
    """U-4: a repeated page token means that the rest is not known."""
    operation = lost(happened=False)
    simulator.set_faults([{"match": LISTS, "do": {"repeat_ctoken": True}}])
    assert hours.work(operation, seconds=200, step=5) == "unknown"


@pytest.mark.parametrize("allowed", [None, False])
def test_where_names_are_not_proven_a_person_decides(
    allowed: bool | None, lost: Callable[..., Operation], hours: Hours, ada: Membership, posts: Posts
) -> None:
    """U-5: absence of a marker proves nothing where names may be changed."""
    Account.objects.filter(pk=ada.account_id).update(resend_allowed=allowed)
    operation = lost(happened=False)
    assert hours.work(operation, seconds=200, step=5) == "needs_person"
    assert len(posts()) == 1


@pytest.mark.parametrize(("settings", "allowed"), [({}, True), ({"name_limit": 12}, False)])
def test_the_first_confirmed_trigger_shows_whether_names_come_back(
    settings: dict[str, Any], allowed: bool, trigger: Trigger, simulator: Simulator, ada: Membership
) -> None:
    """U-5: read back once; byte for byte or not."""
    simulator.set_profile(**settings)
    operation = trigger()
    worker_jobs.read_triggered(str(operation.pk), str(operation.instance_id))
    assert Account.objects.get(pk=ada.account_id).resend_allowed is allowed
    assert AuditEntry.objects.filter(action="account.resend_switched_off").exists() is not allowed


def test_a_name_that_is_normalised_switches_resending_off(
    trigger: Trigger, simulator: Simulator, ada: Membership, proven: None
) -> None:
    """U-5: also later, when it was allowed before."""
    simulator.set_profile(name_form="NFC")
    operation = trigger(name="Cafe\u0301")
    worker_jobs.read_triggered(str(operation.pk), str(operation.instance_id))
    assert Account.objects.get(pk=ada.account_id).resend_allowed is False


def test_without_the_persons_grant_a_person_has_to_look(
    lost: Callable[..., Operation], hours: Hours, ada: Membership, simulator: Simulator
) -> None:
    """U-4, V-5: nobody else's token looks for it."""
    operation = lost(happened=True)
    Connection.objects.filter(user=ada.user).update(state=Connection.State.DISCONNECTED)
    simulator.clear_ledger()
    assert hours.work(operation, seconds=10) == "needs_person"
    assert simulator.ledger() == []


def test_when_rights_are_lost_a_person_has_to_look(
    lost: Callable[..., Operation], hours: Hours, simulator: Simulator
) -> None:
    """U-4: a refused list is no absence."""
    operation = lost(happened=True)
    simulator.set_level("Ada Admin", "none")
    assert hours.work(operation, seconds=10) == "needs_person"


def test_a_resend_that_meets_a_limit_keeps_its_place(
    lost: Callable[..., Operation], hours: Hours, simulator: Simulator, posts: Posts
) -> None:
    """Fault matrix 429: the row waits, one effect at most."""
    operation = lost(happened=False)
    simulator.set_faults([{"match": POST | {"times": 1}, "do": {"status": 429, "headers": {"Retry-After": "60"}}}])
    assert hours.work(operation, seconds=100) == "planned"
    assert hours.work(operation, seconds=100) == "confirmed"
    assert names_at(simulator, operation) == 1


def test_the_row_of_a_dead_sender_becomes_unknown_and_is_found(
    trigger: Trigger, hours: Hours, simulator: Simulator, proven: None
) -> None:
    """U-9: after the lease, never back to the queue, and a stale writer changes nothing."""
    operation = trigger()
    fields = {"state": "sent", "settled_at": None, "lease_until": operation.sent_at + timedelta(seconds=30)}
    Operation.objects.filter(pk=operation.pk).update(**fields)
    assert hours.work(operation, seconds=29) == "sent"
    operations.sweep()
    hours.clock.shift(timedelta(seconds=2))
    assert operations.sweep() == 1
    assert hours.work(operation, seconds=10) == "confirmed"
    assert names_at(simulator, operation) == 1


@pytest.mark.parametrize(("launched", "state"), [(True, "confirmed"), (False, "rejected")])
def test_a_person_settles_by_hand(
    launched: bool, state: str, lost: Callable[..., Operation], ada: Membership, posts: Posts
) -> None:
    """U-11: with who, what was found and why, in the audit; repeated submits change nothing."""
    operation = lost(happened=True)
    key = new_key()
    for _ in range(2):
        operations.settle_by_hand(operation, actor=ada.user, launched=launched, note="Looked in Docusign", key=key)
    assert operation.state == state
    entries = AuditEntry.objects.filter(action="operation.settled_by_hand")
    assert [(entry.reason, entry.actor_name) for entry in entries] == [("Looked in Docusign", "Ada Admin")]
    with pytest.raises(Refused, match="already settled"):
        operations.settle_by_hand(operation, actor=ada.user, launched=not launched, note="", key=new_key())
    assert len(posts()) == 1


def test_a_finding_holds_though_the_worker_looks_at_the_same_moment(
    lost: Callable[..., Operation], ada: Membership, meanwhile: Meanwhile
) -> None:
    """U-11: who looked in Docusign is not told that somebody else settled it while nobody did."""
    operation = lost(happened=True)
    looks = Operation.objects.filter(pk=operation.pk)
    meanwhile(reconcile, "before_sending", lambda: looks.update(fence=F("fence") + 1))
    operations.settle_by_hand(operation, actor=ada.user, launched=True, note="Looked in Docusign", key=new_key())
    assert operation.state == "confirmed"


def test_what_another_trigger_shows_about_names_during_the_look_counts(
    lost: Callable[..., Operation], hours: Hours, ada: Membership, posts: Posts, meanwhile: Meanwhile
) -> None:
    """U-4: a list without the name proves nothing any more, so nothing is sent again."""
    operation = lost(happened=False)
    assert hours.work(operation, seconds=62) == "unknown"
    accounts = Account.objects.filter(pk=ada.account_id)
    meanwhile(reconcile, "look_for_marker", lambda: accounts.update(resend_allowed=False))
    assert hours.work(operation, seconds=60) == "needs_person"
    assert len(posts()) == 1


def test_who_may_only_look_by_now_sends_nothing_again(
    lost: Callable[..., Operation], hours: Hours, ada: Membership, posts: Posts
) -> None:
    operation = lost(happened=False)
    Membership.objects.filter(pk=ada.pk).update(role=Role.VIEWER)
    assert hours.work(operation, seconds=120) == "rejected"
    assert (operation.message, len(posts())) == (reconcile.ROLE_TAKEN, 1)


def test_a_lost_cancel_is_settled_by_the_worker(
    ada: Membership, hours: Hours, simulator: Simulator, posts: Posts
) -> None:
    """U-6: the state is read back until Docusign answers."""
    simulator.world.settings.moving = False
    instance = Instance.objects.filter(status="in_progress").first()
    simulator.set_faults(
        [
            {"match": {"method": "POST", "path": "/actions/cancel"}, "do": {"reset": "after"}},
            {"match": {"method": "GET"}, "do": {"status": 503}},
        ]
    )
    operation = operations.cancel_instance(instance, actor=ada.user, membership=ada, reason="", key=new_key())
    assert operation.state == "unknown"
    assert hours.work(operation, seconds=20) == "unknown"
    simulator.set_faults([])
    assert hours.work(operation, seconds=120) == "confirmed"
    instance.refresh_from_db()
    assert instance.status == "canceled"
    assert len([entry for entry in posts() if entry["path"].endswith("cancel")]) <= 3


def test_a_cancel_without_effect_is_given_up_after_three_calls(
    ada: Membership, hours: Hours, simulator: Simulator, posts: Posts
) -> None:
    """U-6: then it says that nothing was changed."""
    simulator.world.settings.moving = False
    instance = Instance.objects.filter(status="in_progress").first()
    simulator.set_faults([{"match": {"method": "POST"}, "do": {"status": 500}}])
    operation = operations.cancel_instance(instance, actor=ada.user, membership=ada, reason="", key=new_key())
    assert hours.work(operation, seconds=200, step=2) == "rejected"
    assert "still shows it as in progress" in operation.message
    assert len(posts()) == 3


def test_rights_proven_as_none_stop_the_search(lost: Callable[..., Operation], hours: Hours, ada: Membership) -> None:
    """U-4: rights lost, as the last sync found, goes to a person at once."""
    operation = lost(happened=True)
    Membership.objects.filter(pk=ada.pk).update(rights=Rights.NONE)
    assert hours.work(operation, seconds=10) == "needs_person"
