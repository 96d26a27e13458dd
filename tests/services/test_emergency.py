"""The emergency stop: nothing is frozen before the workflow surely takes no new instances."""

from collections.abc import Callable
from typing import Any

import pytest

from dashboard.models import (
    Approval,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Instance,
    Membership,
    Operation,
    Policy,
    Role,
    Workflow,
)
from dashboard.services import approvals, batches, emergency, operations
from dashboard.services.errors import NeedsSecondPerson, Refused
from maestro_api.simulator import Simulator
from tests.factories import person
from tests.services.conftest import new_key

Posts = Callable[[], list[dict[str, Any]]]
PAUSE = {"method": "POST", "path": "/actions/pause"}


@pytest.fixture(autouse=True)
def still(simulator: Simulator) -> None:
    """Instances stay as they are."""
    simulator.world.settings.moving = False


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What was handed to the worker, instead of its queue."""
    found: list[tuple[Any, ...]] = []
    monkeypatch.setattr(emergency.jobs, "enqueue", lambda *job, **_: found.append(job))
    return found


def begin(workflow: Workflow, by: Membership) -> Batch:
    return emergency.begin(workflow, membership=by, reason="Wrong template", key=new_key())


def fresh(batch: Batch) -> Batch:
    return Batch.objects.select_related("workflow", "account", "actor", "pause_operation").get(pk=batch.pk)


def running(workflow: Workflow) -> int:
    return Instance.objects.filter(workflow=workflow, status="in_progress").count()


def test_it_pauses_then_freezes_what_runs_and_cancels_nothing_by_itself(
    ada: Membership, workflow: Workflow, posts: Posts, queued: list[Any]
) -> None:
    batch = begin(workflow, ada)
    workflow.refresh_from_db()
    assert workflow.is_paused
    assert [job[0] for job in queued] == ["freeze_stop"]
    assert emergency.freeze(fresh(batch))
    assert fresh(batch).total == running(workflow) > 0
    assert fresh(batch).state == BatchState.PLANNED
    assert [entry["path"].rpartition("/")[2] for entry in posts()] == ["pause"]
    deeds = AuditEntry.objects.filter(action__startswith="workflow.").order_by("seq").values_list("action", flat=True)
    assert list(deeds) == ["workflow.stop_begun", "workflow.pause_asked", "workflow.paused", "workflow.stop_frozen"]


def test_an_unclear_pause_freezes_nothing_until_it_is_settled(
    ada: Membership, workflow: Workflow, simulator: Simulator, queued: list[Any]
) -> None:
    """U-6: the outcome is read back; the stop waits for it and says so."""
    simulator.set_faults(
        [{"match": PAUSE, "do": {"reset": "after"}}, {"match": {"method": "GET"}, "do": {"status": 503}}]
    )
    batch = begin(workflow, ada)
    assert emergency.pause_of(fresh(batch)) == "waiting"
    assert emergency.run_due() == 0
    assert queued == []
    simulator.set_faults([])
    operation = fresh(batch).pause_operation
    Operation.objects.filter(pk=operation.pk).update(next_check_at=None)
    operations.settle_unknown(Operation.objects.get(pk=operation.pk))
    assert emergency.pause_of(fresh(batch)) == "paused"
    assert emergency.run_due() == 1
    assert emergency.run_due() == 0


def test_a_refused_pause_is_told_and_can_be_tried_again(
    ada: Membership, workflow: Workflow, simulator: Simulator, queued: list[Any]
) -> None:
    simulator.set_faults([{"match": PAUSE, "do": {"status": 403}}])
    batch = begin(workflow, ada)
    assert emergency.pause_of(fresh(batch)) == "refused"
    assert queued == []
    simulator.set_faults([])
    emergency.go_on(fresh(batch), membership=ada)
    assert emergency.pause_of(fresh(batch)) == "paused"
    assert len(queued) == 1


def test_a_workflow_that_is_paused_already_is_not_paused_again(
    ada: Membership, workflow: Workflow, posts: Posts, queued: list[Any]
) -> None:
    operations.pause_workflow(workflow, actor=ada.user, membership=ada, key=new_key())
    workflow.refresh_from_db()
    batch = begin(workflow, ada)
    assert emergency.freeze(fresh(batch))
    assert len(posts()) == 1


def test_somebody_who_resumed_it_meanwhile_keeps_it_from_being_frozen(
    ada: Membership, workflow: Workflow, queued: list[Any]
) -> None:
    batch = begin(workflow, ada)
    workflow.refresh_from_db()
    operations.resume_workflow(workflow, actor=ada.user, membership=ada, key=new_key())
    assert not emergency.freeze(fresh(batch))
    assert fresh(batch).frozen_at is None
    assert "active again" in fresh(batch).message
    emergency.go_on(fresh(batch), membership=ada)
    assert emergency.pause_of(fresh(batch)) == "paused"


def test_a_second_stop_of_the_same_workflow_shows_the_first(
    ada: Membership, workflow: Workflow, posts: Posts, queued: list[Any]
) -> None:
    """U-7: also for another person, and with another form."""
    other = person(ada.account, Role.OPERATOR)
    first = begin(workflow, ada)
    assert begin(workflow, other) == first
    assert begin(workflow, ada) == first
    assert Batch.objects.count() == 1
    assert len(posts()) == 1


def test_only_its_own_person_goes_on_with_it(ada: Membership, workflow: Workflow, queued: list[Any]) -> None:
    """V-5: it runs with that person's token."""
    batch = begin(workflow, ada)
    other = person(ada.account, Role.ADMIN)
    emergency.freeze(fresh(batch))
    for deed in (
        lambda: emergency.go_on(fresh(batch), membership=other),
        lambda: emergency.look_again(fresh(batch), membership=other),
        lambda: emergency.choose_all(fresh(batch), membership=other, is_taken=False),
    ):
        with pytest.raises(Refused, match="Ada Admin"):
            deed()


def test_rows_are_left_out_and_taken_page_by_page(ada: Membership, workflow: Workflow, queued: list[Any]) -> None:
    batch = begin(workflow, ada)
    emergency.freeze(fresh(batch))
    total = fresh(batch).total
    assert emergency.choose(fresh(batch), membership=ada, shown=[1, 2], taken=[2]) == total - 1
    emergency.choose_all(fresh(batch), membership=ada, is_taken=False)
    assert emergency.choose(fresh(batch), membership=ada, shown=[1, 2], taken=[1]) == 1
    left_out = BatchItem.objects.filter(batch=batch, state="left_out")
    assert left_out.count() == total - 1


def test_a_list_that_a_second_person_looks_at_or_that_runs_cannot_be_changed(
    ada: Membership, workflow: Workflow, queued: list[Any]
) -> None:
    batch = begin(workflow, ada)
    emergency.freeze(fresh(batch))
    Policy.objects.create(account=ada.account, kind="cancel", least_count=1, created_by=ada.user)
    approval = approvals.ask(fresh(batch), membership=ada, reason="Wrong template", key=new_key())
    with pytest.raises(Refused, match="second person"):
        emergency.choose_all(fresh(batch), membership=ada, is_taken=False)
    approvals.withdraw(Approval.objects.select_related("batch").get(pk=approval.pk), membership=ada)
    Policy.objects.all().delete()
    mine = Membership.objects.select_related("user", "account").get(pk=ada.pk)
    batches.confirm(fresh(batch), membership=mine, key=new_key(), reason="Wrong template")
    with pytest.raises(Refused, match="any more"):
        emergency.choose_all(fresh(batch), membership=ada, is_taken=False)


def test_looking_again_freezes_anew(ada: Membership, workflow: Workflow, queued: list[Any]) -> None:
    batch = begin(workflow, ada)
    emergency.freeze(fresh(batch))
    emergency.choose_all(fresh(batch), membership=ada, is_taken=False)
    emergency.look_again(fresh(batch), membership=ada)
    assert fresh(batch).frozen_at is None
    assert emergency.freeze(fresh(batch))
    assert BatchItem.objects.filter(batch=batch, state="waiting").count() == fresh(batch).total == running(workflow)


def test_a_policy_for_every_pause_holds_for_the_stop_too(ada: Membership, workflow: Workflow, posts: Posts) -> None:
    Policy.objects.create(account=ada.account, kind="pause", least_count=1, created_by=ada.user)
    with pytest.raises(NeedsSecondPerson):
        begin(workflow, ada)
    assert not Batch.objects.exists()
    assert posts() == []


def test_a_policy_for_cancels_holds_for_the_frozen_list(ada: Membership, workflow: Workflow, queued: list[Any]) -> None:
    Policy.objects.create(account=ada.account, kind="cancel", least_count=1, created_by=ada.user)
    batch = begin(workflow, ada)
    emergency.freeze(fresh(batch))
    mine = Membership.objects.select_related("user", "account").get(pk=ada.pk)
    with pytest.raises(NeedsSecondPerson):
        batches.confirm(fresh(batch), membership=mine, key=new_key(), reason="Wrong template")


def test_docusign_out_of_reach_is_told_and_tried_again(
    ada: Membership, workflow: Workflow, simulator: Simulator, queued: list[Any]
) -> None:
    batch = begin(workflow, ada)
    simulator.set_faults([{"match": {"method": "GET"}, "do": {"status": 503}}])
    assert not emergency.freeze(fresh(batch))
    assert fresh(batch).message
    assert emergency.run_due() == 0
    Batch.objects.filter(pk=batch.pk).update(lease_until=None)
    simulator.set_faults([])
    assert emergency.run_due() == 1
    assert emergency.freeze(fresh(batch))
