"""What the worker does with stored events: each is a hint to read again, and nothing more."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from dashboard.models import AccountSync, ApiBudget, Delivery, Hook, HookRefusal, Instance, InstanceChange, Membership
from dashboard.services import deliveries, schedules, sync
from dashboard.services.timings import DELIVERY_BACKOFF, DELIVERY_LOOKS, DELIVERY_TRIES
from maestro_api.simulator import Simulator
from tests.connect_events import KEY, body_of, event, hook_for, send
from tests.factories import AccountFactory, WorkflowFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(ada: Membership) -> Hook:
    return hook_for(ada.account)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """One turn of the worker: what is due is claimed and applied; how many messages that were."""

    def turn() -> int:
        queued: list[tuple[Any, int]] = []
        monkeypatch.setattr(
            deliveries.jobs, "enqueue", lambda name, account, lease, priority: queued.append((account, lease))
        )
        count = deliveries.run_due()
        for account_id, lease in queued:
            deliveries.apply_claimed(deliveries.Account.objects.get(pk=account_id), lease)
        return count

    return turn


@pytest.fixture
def running(ada: Membership, simulator: Simulator) -> Instance:
    """An instance that runs; the ledger is empty."""
    found = Instance.objects.filter(status="in_progress").order_by("pk").first()
    assert found is not None
    simulator.clear_ledger()
    return found


def about(instance: Instance, name: str = "workflow-completed", **changes: Any) -> dict[str, Any]:
    data = {"instanceId": str(instance.pk), "workflowId": str(instance.workflow_id)}
    return event(instance.account, event=name, data=data, **changes)


def reads(simulator: Simulator) -> list[str]:
    return [entry["path"] for entry in simulator.ledger() if "/instances/" in entry["path"]]


def finish(simulator: Simulator, instance: Instance, status: str = "Completed") -> None:
    simulator.set_instance(str(instance.pk), workflow_status=status)


def test_an_event_makes_its_instance_be_read_again(
    hook: Hook, running: Instance, work: Callable[[], int], simulator: Simulator
) -> None:
    """W-8: one call, and what Docusign answers is what the mirror holds."""
    finish(simulator, running)
    send(hook, about(running))
    assert work() == 1
    running.refresh_from_db()
    assert (running.status, len(reads(simulator))) == ("completed", 1)
    assert Delivery.objects.get().state == "applied"
    assert InstanceChange.objects.filter(instance=running).latest("pk").status_after == running.raw_status
    assert work() == 0


def test_an_event_that_lies_changes_nothing(
    hook: Hook, running: Instance, work: Callable[[], int], simulator: Simulator
) -> None:
    """W-8: "completed" of an instance that runs; it is looked at a few times more, then left."""
    send(hook, about(running))
    for turn in range(1, DELIVERY_LOOKS + 1):
        assert work() == 1
        assert len(reads(simulator)) == turn
        Delivery.objects.filter(state="waiting").update(next_try_at=timezone.now())
    running.refresh_from_db()
    delivery = Delivery.objects.get()
    assert running.status == "in_progress"
    assert (delivery.state, delivery.message) == ("applied", "Docusign still shows the instance as running.")


def test_events_out_of_order_and_old_ones_end_where_docusign_is(
    hook: Hook, running: Instance, work: Callable[[], int], simulator: Simulator
) -> None:
    """W-8, R-11: completed, started, completed, and a copy that is 20 days old."""
    finish(simulator, running)
    old = (timezone.now() - timedelta(days=20)).isoformat()
    for name, made in (
        ("workflow-completed", "2026-11-01T10:00:03Z"),
        ("workflow-started", "2026-11-01T10:00:01Z"),
        ("workflow-completed", "2026-11-01T10:00:02Z"),
        ("workflow-started", old),
    ):
        send(hook, about(running, name, generatedDateTime=made))
        work()
    running.refresh_from_db()
    assert running.status == "completed"
    assert set(Delivery.objects.values_list("state", flat=True)) == {"applied"}
    assert len(reads(simulator)) == 1, "an instance that has ended is not read again"


def test_many_events_of_one_instance_cost_one_call(
    hook: Hook, running: Instance, work: Callable[[], int], simulator: Simulator
) -> None:
    """R-1: the budget is not for sale to whoever sends events."""
    for number in range(30):
        send(hook, about(running, "workflow-started", generatedDateTime=f"2026-11-01T10:00:{number:02}Z"))
    assert work() == 30
    assert len(reads(simulator)) == 1
    assert Delivery.objects.filter(state="applied").count() == 30


def test_an_instance_that_is_new_here_is_read_into_the_mirror(
    hook: Hook, work: Callable[[], int], simulator: Simulator
) -> None:
    """W-8: an instance that no list has shown yet, of a workflow that is known."""
    before = set(Instance.objects.values_list("pk", flat=True))
    simulator.add_data(instances=1)
    newest = simulator.world.instances.id_of(len(simulator.world.instances) - 1)
    workflow_id = simulator.world.workflow_of(len(simulator.world.instances) - 1).id
    assert uuid.UUID(newest) not in before
    simulator.clear_ledger()
    send(hook, event(hook.account, data={"instanceId": newest, "workflowId": workflow_id}))
    assert work() == 1
    assert str(Instance.objects.get(pk=newest).workflow_id) == workflow_id
    assert len(reads(simulator)) == 1


def test_what_names_nothing_known_is_left_to_the_sync(
    hook: Hook, work: Callable[[], int], simulator: Simulator
) -> None:
    """W-8, docusign facts 4.2: no id, an unknown one, or one of another account."""
    other = WorkflowFactory(account=AccountFactory())
    simulator.clear_ledger()
    no_ids = {"accountId": str(hook.pk)}
    send(hook, {"event": "workflow-started", "data": no_ids})
    send(hook, {"event": "workflow-started", "data": no_ids | {"instanceId": str(uuid.uuid4())}})
    send(hook, event(hook.account, data={"workflowId": str(other.pk)}))
    assert work() == 3
    assert set(Delivery.objects.values_list("state", flat=True)) == {"unmatched"}
    assert reads(simulator) == []
    assert AccountSync.objects.get(account_id=hook.pk).wanted_at is not None


def test_an_instance_that_docusign_refuses_is_tried_a_few_times(
    hook: Hook, work: Callable[[], int], simulator: Simulator
) -> None:
    """It may not be listed yet; then the account's own reading is asked."""
    known = str(Instance.objects.filter(account=hook.account).first().workflow_id)  # type: ignore[union-attr]  # the mirror is filled
    send(hook, event(hook.account, data={"workflowId": known}))
    for _ in range(DELIVERY_LOOKS):
        assert work() == 1
        Delivery.objects.filter(state="waiting").update(next_try_at=timezone.now())
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("unmatched", DELIVERY_LOOKS)
    assert "does not show this instance" in delivery.message


def test_a_failure_is_tried_again_more_and_more_rarely_and_then_left_to_the_sync(
    hook: Hook, running: Instance, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """W-4: Docusign down, or nobody connected."""
    Membership.objects.update(may_sync=False)
    send(hook, about(running))
    pauses = []
    for _ in range(DELIVERY_TRIES):
        before = timezone.now()
        assert work() == 1
        delivery = Delivery.objects.get()
        if delivery.next_try_at:
            pauses.append(round((delivery.next_try_at - before).total_seconds()))
        Delivery.objects.filter(state="waiting").update(next_try_at=timezone.now())
    assert pauses[:5] == [pause.total_seconds() for pause in DELIVERY_BACKOFF]
    assert set(pauses[5:]) == {300}
    assert delivery.state == "unmatched"
    assert "Nobody whose connection works" in delivery.message


def test_a_budget_that_is_spent_costs_no_try(
    hook: Hook, running: Instance, work: Callable[[], int], simulator: Simulator
) -> None:
    """R-3, R-5: the event waits until calls are allowed again."""
    until = timezone.now() + timedelta(minutes=10)
    ApiBudget.objects.update_or_create(account_id=hook.pk, defaults={"blocked_until": until})
    send(hook, about(running))
    assert work() == 1
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("waiting", 0)
    assert delivery.next_try_at == until
    assert reads(simulator) == []


def test_poison_does_not_stop_the_queue(
    hook: Hook, running: Instance, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    """W-7: an unreadable message, one that breaks the reading, and a thousand good ones."""
    broken = Instance.objects.filter(status="in_progress").exclude(pk=running.pk).first()
    assert broken is not None
    original = deliveries.apply_instance

    def apply(account: Any, answer: Any, **rest: Any) -> Any:
        if answer.id == str(broken.pk):
            raise KeyError("a bug")
        return original(account, answer, **rest)

    monkeypatch.setattr(deliveries, "apply_instance", apply)
    assert send(hook, b'{"event": "poison"') == 204
    assert send(hook, about(broken, "workflow-started")) == 204
    good = [
        Delivery(
            account=hook.account,
            dedupe_key=f"{number:064}",
            body=b"{}",
            received_at=timezone.now(),
            next_try_at=timezone.now(),
            event="workflow-started",
            instance_id=running.pk,
            workflow_id=running.workflow_id,
        )
        for number in range(1000)
    ]
    Delivery.objects.bulk_create(good)
    while work():
        pass
    assert deliveries.counts(hook.account) == {"waiting": 0, "applied": 1000, "unmatched": 0, "dead": 2}
    assert Delivery.objects.get(event="workflow-started", state="dead").message.endswith("KeyError.")


def test_two_workers_never_claim_the_same_event(hook: Hook, monkeypatch: pytest.MonkeyPatch, running: Instance) -> None:
    """Lease by conditional update; a worker that dies gives it back when the lease ends."""
    queued: list[int] = []
    monkeypatch.setattr(deliveries.jobs, "enqueue", lambda name, account, lease, priority: queued.append(lease))
    send(hook, about(running))
    assert (deliveries.run_due(), deliveries.run_due()) == (1, 0)
    later = timezone.now() + deliveries.DELIVERY_LEASE + timedelta(seconds=2)
    monkeypatch.setattr(deliveries.timezone, "now", lambda: later)
    assert deliveries.run_due() == 1
    assert len(set(queued)) == 2


def test_a_worker_whose_lease_was_lost_settles_nothing(
    hook: Hook, running: Instance, monkeypatch: pytest.MonkeyPatch, simulator: Simulator
) -> None:
    """U-9: the one who came after it decides."""
    queued: list[int] = []
    monkeypatch.setattr(deliveries.jobs, "enqueue", lambda name, account, lease, priority: queued.append(lease))
    send(hook, about(running))
    deliveries.run_due()
    Delivery.objects.update(next_try_at=timezone.now() + timedelta(days=1))
    deliveries.apply_claimed(hook.account, queued[0])
    assert Delivery.objects.get().state == "waiting"
    assert reads(simulator) == []


def test_the_worker_looks_for_events_all_the_time_and_purges_now_and_then() -> None:
    every = {regular.name: regular.every for regular in schedules.REGULARS}
    assert every["deliveries"] <= timedelta(seconds=1)
    assert every["purge"] <= timedelta(days=1)


def test_messages_are_kept_for_thirty_days_and_then_forgotten(hook: Hook) -> None:
    """W-5: a redelivery within 30 days is still known."""
    now = timezone.now()
    for days, state in ((29, "applied"), (30, "dead"), (32, "applied"), (33, "unmatched"), (40, "waiting")):
        Delivery.objects.create(
            account=hook.account, dedupe_key=str(days), body=b"", received_at=now - timedelta(days=days), state=state
        )
    HookRefusal.objects.create(address="x", minute=now - timedelta(hours=2))
    HookRefusal.objects.create(address="x", minute=now)
    deliveries.purge()
    assert set(Delivery.objects.values_list("dedupe_key", flat=True)) == {"29", "30", "40"}
    assert HookRefusal.objects.count() == 1


def test_without_any_event_the_regular_reading_finds_the_change(
    hook: Hook, ada: Membership, running: Instance, simulator: Simulator
) -> None:
    """W-10: every event is lost, and nothing is missed."""
    finish(simulator, running)
    assert sync.sync_membership(ada), ada.sync_error
    running.refresh_from_db()
    assert running.status == "completed"
    assert not Delivery.objects.exists()


def test_the_simulator_signs_what_this_receiver_takes(hook: Hook, running: Instance, simulator: Simulator) -> None:
    """W-1: two programs that share no code agree about the signature."""
    message = simulator.connect.message("workflow-started", simulator.world.instances.row_of(str(running.pk)), 0.0)
    body = body_of(message.payload)
    headers = simulator.connect.sign(body, str(hook.pk), [KEY])
    outcome = deliveries.hooks.receive(hook, body, headers, address="127.0.0.1")
    assert outcome == deliveries.hooks.Outcome.TAKEN
    assert Delivery.objects.get().instance_id == running.pk


def test_messages_that_need_no_call_are_settled_together(hook: Hook, work: Callable[[], int]) -> None:
    """W-4: each write waits for the disk, and a burst of events must leave it to those that come in."""
    foreign = WorkflowFactory(account=AccountFactory())
    for number in range(20):
        data = {"instanceId": str(uuid.uuid4()), "workflowId": str(foreign.pk) if number % 2 else ""}
        send(hook, event(hook.account, data=data))
    with CaptureQueriesContext(connection) as found:
        assert work() == 20
    assert Delivery.objects.filter(state="unmatched").count() == 20
    writes = [query["sql"] for query in found if query["sql"].startswith(("INSERT", "UPDATE"))]
    assert len(writes) <= 4, writes  # the claim, the outcome, and one wish for a look
