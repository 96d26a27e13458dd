"""Inputs are kept for the days that their workflow says, counted from the end, and do not come back (V-4)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from dashboard import checks, crypto
from dashboard.models import (
    LONGEST_KEPT_DAYS,
    Approval,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Instance,
    InstanceKey,
    InstanceState,
    ItemState,
    KeyInput,
    Membership,
    Preset,
    Workflow,
)
from dashboard.services import batches, findable, input_erasure, input_retention, refreshes, sheet_purge
from dashboard.services.errors import Refused
from maestro_api.simulator import Simulator
from tests.factories import (
    BatchFactory,
    BatchItemFactory,
    ContractFactory,
    InstanceFactory,
    WorkflowFactory,
    preset_of,
)

pytestmark = pytest.mark.django_db
INPUTS = {"Email": "jo@example.com"}
Ended = Callable[..., Instance]


@pytest.fixture
def workflow(operator: Membership) -> Workflow:
    return WorkflowFactory(account=operator.account)


@pytest.fixture
def ended(workflow: Workflow) -> Ended:
    def make(days_ago: float, status: str = InstanceState.COMPLETED) -> Instance:
        at = timezone.now() - timedelta(days=days_ago)
        return InstanceFactory(
            workflow=workflow, account=workflow.account, status=status, sort_at=at, trigger_inputs=INPUTS
        )

    return make


def has_inputs(*rows: Instance) -> list[bool]:
    stored = dict(Instance.objects.values_list("pk", "trigger_inputs"))
    return [stored[row.pk] == INPUTS for row in rows]


def test_inputs_go_ninety_days_after_the_end_and_never_before(ended: Ended) -> None:
    """V-4: what still runs keeps them, however old it is."""
    old, recent, running = ended(91), ended(89), ended(300, InstanceState.IN_PROGRESS)
    assert input_retention.purge() == 1
    assert has_inputs(old, recent, running) == [False, True, True]
    old.refresh_from_db()
    assert old.inputs_erased_at is not None
    assert input_retention.purge() == 0


def test_a_workflow_may_have_a_number_of_its_own(ended: Ended, workflow: Workflow, admin: Membership) -> None:
    row = ended(8)
    assert input_retention.set_days(workflow, 7, membership=admin)
    assert not input_retention.set_days(workflow, 7, membership=admin)
    input_retention.purge()
    assert has_inputs(row) == [False]
    entry = AuditEntry.objects.get(action="workflow.input_retention_set")
    assert (entry.actor_name, entry.detail) == ("Alma Admin", {"days": 7, "before": None})


@pytest.mark.parametrize("days", [0, 3651])
def test_a_number_out_of_bounds_is_refused(workflow: Workflow, admin: Membership, days: int) -> None:
    with pytest.raises(Refused):
        input_retention.set_days(workflow, days, membership=admin)
    assert not AuditEntry.objects.exists()


def test_what_comes_into_reach_later_goes_later(ended: Ended, workflow: Workflow, admin: Membership) -> None:
    """Each turn goes on from where the last one was, also when the number gets smaller."""
    first, second = ended(100), ended(50)
    input_retention.purge()
    input_retention.set_days(workflow, 30, membership=admin)
    input_retention.purge()
    assert has_inputs(first, second) == [False, False]


def test_a_turn_does_not_take_too_much_and_the_next_goes_on(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [ended(100 + number) for number in range(5)]
    monkeypatch.setattr(input_retention, "MOST_AT_ONCE", 3)
    assert [input_retention.purge() for _ in range(3)] == [3, 2, 0]
    assert has_inputs(*rows) == [False] * 5


def test_the_digests_of_key_inputs_go_with_the_inputs(ended: Ended, workflow: Workflow) -> None:
    old = ended(91)
    KeyInput.objects.create(workflow=workflow, name="Email", made_with=findable.made_with())
    findable.store_keys([old])
    assert InstanceKey.objects.count() == 1
    input_retention.purge()
    assert not InstanceKey.objects.exists()


def test_an_erased_input_does_not_come_back_when_docusign_is_asked_again(ada: Membership, simulator: Simulator) -> None:
    """V-4: Docusign still holds them; the next reading leaves them there."""
    simulator.world.settings.moving = False
    row = Instance.objects.filter(account=ada.account, status=InstanceState.COMPLETED).latest("sort_at")
    refreshes.read_instance(row, ada)
    row.refresh_from_db()
    assert row.trigger_inputs != {}
    Instance.objects.filter(pk=row.pk).update(sort_at=timezone.now() - timedelta(days=91))
    Workflow.objects.filter(pk=row.workflow_id).update(inputs_kept_days=1)
    input_retention.purge()
    for _ in range(2):
        refreshes.read_instance(row, ada)
        row.refresh_from_db()
        assert row.trigger_inputs == {}


def test_rows_of_a_run_that_is_over_go_and_those_that_may_be_sent_stay(workflow: Workflow, admin: Membership) -> None:
    input_retention.set_days(workflow, 2, membership=admin)
    long_ago = timezone.now() - timedelta(days=3)
    for state in (BatchState.DONE, BatchState.PAUSED):
        batch = BatchFactory(account=workflow.account, actor=admin.user, workflow=workflow, state=state)
        Batch.objects.filter(pk=batch.pk).update(ended_at=long_ago if state == BatchState.DONE else None)
        sealed = crypto.seal("{}", *batches.inputs_place(batch, 1))
        BatchItemFactory(batch=batch, workflow=workflow, position=1, sealed_inputs=sealed)
    assert input_retention.purge() == 1
    left = BatchItem.objects.exclude(sealed_inputs="")
    assert [item.batch.state for item in left] == [BatchState.PAUSED]


@pytest.fixture
def refused(workflow: Workflow, admin: Membership) -> BatchItem:
    """A row of a run that ended ten days ago, of a workflow that keeps inputs for two."""
    input_retention.set_days(workflow, 2, membership=admin)
    batch = BatchFactory(account=workflow.account, actor=admin.user, workflow=workflow, state=BatchState.DONE)
    long_ago = timezone.now() - timedelta(days=10)
    Batch.objects.filter(pk=batch.pk).update(ended_at=long_ago, kind="trigger")
    sealed = crypto.seal("{}", *batches.inputs_place(batch, 1))
    row = {"position": 1, "sealed_inputs": sealed, "state": ItemState.REJECTED, "settled_at": long_ago}
    return BatchItemFactory(batch=batch, workflow=workflow, **row)


def kept() -> int:
    input_retention.purge()
    sheet_purge.purge()
    return BatchItem.objects.exclude(sealed_inputs="").count()


def test_a_row_that_needs_a_person_keeps_its_inputs_and_then_time_to_be_sent_again(refused: BatchItem) -> None:
    """U-4: whoever finds that it did not happen can send it again."""
    row = BatchItem.objects.filter(pk=refused.pk)
    row.update(state=ItemState.NEEDS_PERSON, settled_at=None)
    assert kept() == 1
    row.update(state=ItemState.REJECTED, settled_at=timezone.now())
    assert kept() == 1
    row.update(settled_at=refused.settled_at)
    assert kept() == 0


def test_a_retry_that_waits_for_a_second_person_keeps_its_inputs_until_its_time_is_over(refused: BatchItem) -> None:
    """U-9: the list that was asked for is the list that is approved."""
    soon = timezone.now() + timedelta(hours=1)
    asked = Approval.objects.create(batch=refused.batch, expires_at=soon, list_digest="x")
    assert kept() == 1
    Approval.objects.filter(pk=asked.pk).update(expires_at=timezone.now())
    assert kept() == 0


def test_days_that_are_made_longer_during_a_turn_hold_from_then_on(
    ended: Ended, workflow: Workflow, admin: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V-4: what was erased cannot be brought back, so the turn goes by what the person was just told."""
    rows = [ended(days_ago) for days_ago in (20, 10)]
    input_retention.set_days(workflow, 1, membership=admin)
    monkeypatch.setattr(input_retention, "AT_ONCE", 1)

    def erase(ids: list[Any], at: Any) -> int:
        input_retention.set_days(workflow, 365, membership=admin)
        return input_erasure.erase(ids, at)

    monkeypatch.setattr(input_retention, "erase", erase)
    assert input_retention.purge() == 1
    monkeypatch.undo()
    assert sorted(has_inputs(*rows)) == [False, True]
    input_retention.set_days(workflow, 5, membership=admin)
    input_retention.purge()
    assert has_inputs(*rows) == [False, False]


def test_presets_go_only_where_the_workflow_has_a_time_of_its_own(workflow: Workflow, admin: Membership) -> None:
    ContractFactory(workflow=workflow)
    preset = preset_of(admin, workflow, {})
    Preset.objects.filter(pk=preset.pk).update(changed_at=timezone.now() - timedelta(days=500))
    input_retention.purge()
    assert Preset.objects.exists()
    input_retention.set_days(workflow, 400, membership=admin)
    input_retention.purge()
    assert not Preset.objects.exists()


def test_the_usual_time_is_a_setting(ended: Ended, settings: Any) -> None:
    settings.INPUT_RETENTION_DAYS = 30
    row = ended(31)
    input_retention.purge()
    assert has_inputs(row) == [False]


def test_a_workflow_and_the_settings_have_the_same_bound() -> None:
    assert checks.LONGEST_INPUT_DAYS == LONGEST_KEPT_DAYS
