"""The undo window of a single cancel."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from dashboard.models import (
    AuditEntry,
    Connection,
    Instance,
    InstanceState,
    Membership,
    Operation,
    OperationState,
    Role,
)
from dashboard.services import operations, undo
from dashboard.services.errors import Refused
from maestro_api.simulator import Simulator
from tests.factories import person
from tests.services.conftest import Meanwhile, new_key

State = OperationState
Posts = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def clock(ada: Membership) -> Iterator[Any]:
    with time_machine.travel(datetime.now(UTC), tick=False) as moved:
        yield moved


@pytest.fixture
def instance(ada: Membership, clock: Any) -> Instance:
    return Instance.objects.filter(account=ada.account, status=InstanceState.IN_PROGRESS).latest("sort_at")


@pytest.fixture
def planned(ada: Membership, instance: Instance) -> Operation:
    return undo.plan_cancel(instance, actor=ada.user, membership=ada, reason="Wrong party", key="form")


def work(clock: Any, *, seconds: int) -> None:
    """The worker's turns of some seconds."""
    for _ in range(seconds):
        clock.shift(timedelta(seconds=1))
        for row in operations.due():
            operations.settle_unknown(row)


def test_a_cancel_waits_and_is_sent_when_the_window_is_over(planned: Operation, clock: Any, posts: Posts) -> None:
    work(clock, seconds=9)
    assert len(posts()) == 0
    work(clock, seconds=2)
    planned.refresh_from_db()
    assert (planned.state, len(posts())) == (State.CONFIRMED, 1)
    actions = AuditEntry.objects.filter(operation_id=str(planned.pk)).order_by("seq")
    assert list(actions.values_list("action", flat=True)) == [
        "instance.cancel_planned",
        "instance.cancel_asked",
        "instance.canceled",
    ]


def test_the_schedule_queues_each_cancel_once(planned: Operation, clock: Any) -> None:
    clock.shift(timedelta(seconds=11))
    assert (undo.run_due(), undo.run_due()) == (1, 0)


def test_a_cancel_that_is_undone_is_never_sent(
    planned: Operation, ada: Membership, clock: Any, posts: Posts, instance: Instance
) -> None:
    undo.undo_cancel(planned, membership=ada)
    work(clock, seconds=20)
    planned.refresh_from_db()
    assert (planned.state, len(posts())) == (State.WITHDRAWN, 0)
    assert AuditEntry.objects.get(action="instance.cancel_undone").reason == ""
    instance.refresh_from_db()
    assert instance.status == InstanceState.IN_PROGRESS


def test_undoing_twice_changes_nothing_more(planned: Operation, ada: Membership) -> None:
    undo.undo_cancel(planned, membership=ada)
    undo.undo_cancel(planned, membership=ada)
    assert AuditEntry.objects.filter(action="instance.cancel_undone").count() == 1


def test_what_was_sent_is_not_undone(planned: Operation, ada: Membership) -> None:
    undo.send_now(planned, membership=ada)
    assert planned.state == State.CONFIRMED
    with pytest.raises(Refused, match="too late to undo"):
        undo.undo_cancel(planned, membership=ada)


def test_sending_now_does_not_wait_and_sends_once(
    planned: Operation, ada: Membership, clock: Any, posts: Posts
) -> None:
    undo.send_now(planned, membership=ada)
    undo.send_now(planned, membership=ada)
    work(clock, seconds=20)
    assert len(posts()) == 1


def test_who_sends_it_now_is_told_what_the_quicker_one_found(
    planned: Operation, instance: Instance, ada: Membership, simulator: Simulator, meanwhile: Meanwhile, posts: Posts
) -> None:
    """U-6: not "sent" where the worker found that it has ended."""
    simulator.set_instance(str(instance.pk), status="completed")
    meanwhile(undo, "read_back", lambda: operations.settle_unknown(Operation.objects.get(pk=planned.pk)))
    result = undo.send_now(planned, membership=ada)
    assert (result.state, len(posts())) == (State.REJECTED, 0)
    assert result.message == "Too late: it is completed. Nothing was changed."


def test_who_sends_it_now_is_told_that_it_was_undone_in_the_same_moment(
    planned: Operation, ada: Membership, meanwhile: Meanwhile, posts: Posts
) -> None:
    other_tab = Operation.objects.get(pk=planned.pk)
    meanwhile(undo, "read_back", lambda: undo.undo_cancel(other_tab, membership=ada))
    result = undo.send_now(planned, membership=ada)
    assert (result.state, result.message, len(posts())) == (State.WITHDRAWN, undo.UNDONE, 0)


def test_while_a_click_sends_it_the_worker_does_not_look_at_it(
    planned: Operation, ada: Membership, meanwhile: Meanwhile
) -> None:
    due: list[int] = []
    meanwhile(undo, "read_back", lambda: due.append(len(operations.due())))
    undo.send_now(planned, membership=ada)
    assert due == [0]


def test_who_sends_it_now_while_docusign_is_away_is_told_that_it_waits(
    planned: Operation, ada: Membership, simulator: Simulator, posts: Posts
) -> None:
    """R-9: nothing was sent, and nothing says so."""
    simulator.set_faults([{"match": {"method": "GET"}, "do": {"status": 503}}])
    result = undo.send_now(planned, membership=ada)
    assert (result.state, len(posts())) == (State.PLANNED, 0)
    assert "could not be asked for the present state" in result.message


def test_the_state_is_read_again_just_before_sending(
    planned: Operation, instance: Instance, clock: Any, simulator: Simulator, posts: Posts
) -> None:
    """U-6: it completed within the window, so nothing is sent and the person is told."""
    simulator.set_instance(str(instance.pk), status="completed")
    work(clock, seconds=12)
    planned.refresh_from_db()
    assert (planned.state, len(posts())) == (State.REJECTED, 0)
    assert planned.message == "Too late: it is completed. Nothing was changed."
    instance.refresh_from_db()
    assert instance.status == InstanceState.COMPLETED


def test_who_was_switched_off_during_the_look_cancels_nothing(
    planned: Operation, ada: Membership, clock: Any, posts: Posts, meanwhile: Meanwhile
) -> None:
    """V-5: whether somebody may still act is asked after the look, however long that took."""
    others = Membership.objects.filter(pk=ada.pk)
    meanwhile(undo, "read_back", lambda: others.update(is_active=False))
    work(clock, seconds=12)
    planned.refresh_from_db()
    assert (planned.state, planned.message, len(posts())) == (State.REJECTED, undo.ROLE_TAKEN, 0)


def test_undoing_in_two_tabs_at_once_is_told_as_undone_in_both(
    planned: Operation, ada: Membership, meanwhile: Meanwhile
) -> None:
    other_tab = Operation.objects.get(pk=planned.pk)
    meanwhile(undo, "before_sending", lambda: undo.undo_cancel(other_tab, membership=ada))
    assert undo.undo_cancel(planned, membership=ada).state == State.WITHDRAWN


def test_undoing_what_was_given_up_says_that_nothing_was_sent(
    planned: Operation, instance: Instance, ada: Membership, clock: Any, simulator: Simulator
) -> None:
    """The window ended on an instance that had ended by itself: there is nothing to undo, and "sent already" would be untrue."""
    simulator.set_instance(str(instance.pk), status="completed")
    work(clock, seconds=12)
    with pytest.raises(Refused, match=r"nothing to undo\. Too late: it is completed"):
        undo.undo_cancel(planned, membership=ada)


def test_what_a_cancel_waited_for_is_not_said_any_more_while_it_is_sent(
    planned: Operation, clock: Any, simulator: Simulator, meanwhile: Meanwhile
) -> None:
    simulator.set_faults([{"match": {"method": "GET"}, "do": {"status": 503}}])
    work(clock, seconds=12)
    simulator.set_faults([])
    said: list[str] = []
    meanwhile(undo, "claim_planned", lambda: said.append(Operation.objects.get(pk=planned.pk).message))
    work(clock, seconds=90)
    assert said == [""]


def test_a_second_cancel_of_the_same_instance_is_refused(
    planned: Operation, instance: Instance, ada: Membership
) -> None:
    with pytest.raises(Refused, match="has already asked for this"):
        undo.plan_cancel(instance, actor=ada.user, membership=ada, reason="", key=new_key())


def test_the_same_form_once_more_gives_the_first_window(
    planned: Operation, instance: Instance, ada: Membership
) -> None:
    """U-7."""
    again = undo.plan_cancel(instance, actor=ada.user, membership=ada, reason="", key="form")
    assert again.pk == planned.pk


def test_after_an_undo_it_can_be_canceled_again(planned: Operation, instance: Instance, ada: Membership) -> None:
    undo.undo_cancel(planned, membership=ada)
    again = undo.plan_cancel(instance, actor=ada.user, membership=ada, reason="", key=new_key())
    assert again.state == State.PLANNED


def test_an_admin_undoes_the_cancel_of_somebody_and_an_operator_does_not(planned: Operation, ada: Membership) -> None:
    with pytest.raises(Refused, match="or an admin"):
        undo.undo_cancel(planned, membership=person(ada.account, Role.OPERATOR))
    boss = person(ada.account, Role.ADMIN)
    undo.undo_cancel(planned, membership=boss)
    assert AuditEntry.objects.get(action="instance.cancel_undone").actor_name == str(boss.user)


def test_nobody_else_sends_it_at_once(planned: Operation, ada: Membership, posts: Posts) -> None:
    """V-5: it would be sent with a token that is not theirs."""
    with pytest.raises(Refused, match="own connection"):
        undo.send_now(planned, membership=person(ada.account, Role.ADMIN))
    assert len(posts()) == 0


def test_a_docusign_that_is_away_delays_the_cancel(
    planned: Operation, clock: Any, simulator: Simulator, posts: Posts
) -> None:
    simulator.set_faults([{"match": {"method": "GET"}, "do": {"status": 503}}])
    work(clock, seconds=40)
    planned.refresh_from_db()
    assert (planned.state, len(posts())) == (State.PLANNED, 0)
    simulator.set_faults([])
    work(clock, seconds=90)
    planned.refresh_from_db()
    assert (planned.state, len(posts())) == (State.CONFIRMED, 1)


def test_a_cancel_does_not_come_hours_later(planned: Operation, clock: Any, ada: Membership, posts: Posts) -> None:
    """R-9: what could not be sent within minutes is given up, and says so."""
    Connection.objects.filter(user=ada.user).update(state=Connection.State.RECONNECT_NEEDED)
    work(clock, seconds=700)
    Connection.objects.filter(user=ada.user).update(state=Connection.State.ACTIVE)
    work(clock, seconds=10)
    planned.refresh_from_db()
    assert (planned.state, planned.message, len(posts())) == (State.REJECTED, undo.NO_ANSWER, 0)


def test_a_cancel_that_no_worker_sent_in_time_is_given_up(planned: Operation, clock: Any, posts: Posts) -> None:
    """R-9: the workers were down for an hour."""
    clock.shift(timedelta(hours=1))
    work(clock, seconds=2)
    planned.refresh_from_db()
    assert (planned.state, planned.message, len(posts())) == (State.REJECTED, undo.TOO_OLD, 0)


def test_who_may_only_look_by_now_cancels_nothing(
    planned: Operation, ada: Membership, clock: Any, posts: Posts
) -> None:
    """The role was taken within the window."""
    Membership.objects.filter(pk=ada.pk).update(role=Role.VIEWER)
    work(clock, seconds=12)
    planned.refresh_from_db()
    assert (planned.state, planned.message, len(posts())) == (State.REJECTED, undo.ROLE_TAKEN, 0)
