"""Bulk cancels, pauses and resumes, and what is tried again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from dashboard.models import (
    ApiBudget,
    Batch,
    BatchItem,
    BatchState,
    Instance,
    InstanceState,
    ItemState,
    Membership,
    Operation,
    Workflow,
)
from dashboard.services import batches, operations
from maestro_api.simulator import Simulator
from tests.services.bulk import Worker, cancel_batch, started, states
from tests.services.conftest import new_key

TRIGGERS = {"method": "POST", "path": "/actions/trigger"}
Hold = Batch.Hold
Posts = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def running(ada: Membership, workflow: Workflow) -> list[Instance]:
    rows = Instance.objects.filter(account=ada.account, status=InstanceState.IN_PROGRESS)
    # The simulator's oddities are named so; a state that is only spelled like a running one cannot be canceled.
    found = list(rows.exclude(name__startswith="Zz").order_by("pk")[:3])
    assert len(found) == 3
    return found


def test_selected_instances_are_canceled_after_the_undo_window(
    worker: Worker, ada: Membership, running: list[Instance], posts: Posts
) -> None:
    batch = started(cancel_batch(ada, running), ada)
    worker.work(batch, seconds=9)
    assert len(posts()) == 0
    worker.work(batch, seconds=20)
    assert (batch.state, states(batch), len(posts())) == (BatchState.DONE, [ItemState.CONFIRMED] * 3, 3)
    assert set(Instance.objects.filter(batch_items__batch=batch).values_list("status", flat=True)) == {"canceled"}
    assert set(Operation.objects.values_list("reason", flat=True)) == {"Template recalled by Legal"}


def test_what_ended_since_the_freezing_is_skipped_with_why(
    worker: Worker, ada: Membership, running: list[Instance], simulator: Simulator, posts: Posts
) -> None:
    """U-6: read just before; the mirror still calls it running, nothing is sent for it."""
    batch = started(cancel_batch(ada, running), ada)
    ended = BatchItem.objects.get(batch=batch, position=2)
    simulator.set_instance(str(ended.instance_id), status="completed")
    worker.work(batch, seconds=30)
    assert states(batch) == [ItemState.CONFIRMED, ItemState.SKIPPED, ItemState.CONFIRMED]
    ended.refresh_from_db()
    assert ended.message == "Too late: it is completed. Nothing was changed."
    assert (ended.operation, ended.status_then, len(posts())) == (None, "in_progress", 2)
    assert Instance.objects.get(pk=ended.instance_id).status == InstanceState.COMPLETED


def test_what_is_in_another_state_than_when_it_was_selected_is_skipped_with_why(
    worker: Worker, ada: Membership, running: list[Instance], simulator: Simulator, posts: Posts
) -> None:
    """U-6: nobody looked at it as it is now."""
    batch = started(cancel_batch(ada, running), ada)
    changed = BatchItem.objects.get(batch=batch, position=2)
    simulator.set_instance(str(changed.instance_id), status="paused")
    worker.work(batch, seconds=30)
    assert states(batch) == [ItemState.CONFIRMED, ItemState.SKIPPED, ItemState.CONFIRMED]
    changed.refresh_from_db()
    assert changed.message.startswith("It was in progress when it was selected, and is paused now.")
    assert len(posts()) == 2


def test_an_emergency_stop_takes_what_runs_in_whatever_state(
    worker: Worker, ada: Membership, running: list[Instance], simulator: Simulator
) -> None:
    batch = cancel_batch(ada, running)
    Batch.objects.filter(pk=batch.pk).update(source=Batch.Source.EMERGENCY)
    simulator.set_instance(str(running[0].pk), status="paused")
    worker.work(started(batch, ada), seconds=30)
    assert states(batch) == [ItemState.CONFIRMED] * 3


def test_what_somebody_else_is_canceling_is_skipped(
    worker: Worker, ada: Membership, running: list[Instance], simulator: Simulator, posts: Posts
) -> None:
    batch = started(cancel_batch(ada, running), ada)
    item = BatchItem.objects.select_related("instance", "workflow").get(batch=batch, position=1)
    Operation.objects.create(
        key=new_key(), kind="cancel", state="unknown", account=ada.account, actor=ada.user,
        workflow=item.workflow, instance=item.instance, next_check_at=timezone.now() + timedelta(hours=1),
        sent_at=timezone.now(),
    )  # fmt: skip
    worker.work(batch, seconds=30)
    assert states(batch)[0] == ItemState.SKIPPED
    item.refresh_from_db()
    assert "has already asked for this" in item.message


def test_an_instance_that_docusign_does_not_answer_is_left_unsent_after_three_looks(
    worker: Worker, ada: Membership, running: list[Instance], simulator: Simulator, posts: Posts
) -> None:
    batch = cancel_batch(ada, running)
    silent = BatchItem.objects.get(batch=batch, position=1)
    simulator.set_faults([{"match": {"method": "GET", "path": str(silent.instance_id)}, "do": {"status": 500}}])
    worker.work(started(batch, ada), seconds=90)
    assert states(batch) == [ItemState.NOT_SENT, ItemState.CONFIRMED, ItemState.CONFIRMED]


def test_workflows_are_paused_and_what_is_paused_already_is_skipped(
    worker: Worker, ada: Membership, workflow: Workflow, simulator: Simulator
) -> None:
    others = Workflow.objects.filter(account=ada.account, status="active").exclude(pk=workflow.pk)[:1]
    batch = batches.create_batch(
        ada.account, actor=ada.user, kind="pause", source="selection", name="Pause two", key=new_key()
    )
    batches.freeze_workflows(batch, [workflow, *others])
    started(batch, ada)
    operations.pause_workflow(workflow, actor=ada.user, membership=ada, key=new_key())
    worker.work(batch)
    assert (batch.state, states(batch)) == (BatchState.DONE, [ItemState.SKIPPED, ItemState.CONFIRMED])


def test_refused_rows_are_sent_again_by_a_retry_and_settled_ones_are_not(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, simulator: Simulator, made: Callable[[], int]
) -> None:
    simulator.set_faults([{"match": TRIGGERS | {"times": 2}, "do": {"status": 400, "body": {"message": "No"}}}])
    batch = worker.work(rows(3))
    assert batches.retry(batch, membership=ada, key="again") == 2
    assert batches.retry(batch, membership=ada, key="again") == 2
    worker.work(batch)
    assert (batch.state, states(batch), made()) == (BatchState.DONE, [ItemState.CONFIRMED] * 3, 3)
    assert sorted(BatchItem.objects.filter(batch=batch).values_list("attempt", flat=True)) == [1, 2, 2]


def test_the_first_rows_also_show_whether_names_come_back(
    worker: Worker, rows: Callable[[int], Batch], ada: Membership, simulator: Simulator
) -> None:
    """U-5: only while that is not known; each further reading would cost a call."""
    batch = worker.work(rows(3))
    assert batch.state == BatchState.DONE
    assert not [entry for entry in simulator.ledger() if entry["method"] == "GET" and "/instances/" in entry["path"]]
    assert ApiBudget.objects.get(account=ada.account).hour_used > 0
