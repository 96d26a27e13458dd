"""Rows of files are forgotten in time (V-4)."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.models import Approval, Batch, BatchItem, BatchState, ItemState, Membership, Sheet
from dashboard.services import sheet_purge, sheet_rows
from dashboard.services.errors import Refused
from tests.factories import ContractFactory, WorkflowFactory
from tests.services.test_sheet_rows import FIELDS, check, planned


@pytest.fixture
def batch(operator: Membership) -> Batch:
    workflow = WorkflowFactory(account=operator.account)
    ContractFactory(workflow=workflow, fields=FIELDS)
    batch = planned(operator, workflow)
    check(batch, operator, ["A", "1", ""], ["B", "secret 12,5", ""])
    return batch


def end(batch: Batch, *, days: int) -> None:
    BatchItem.objects.filter(batch=batch, state=ItemState.WAITING).update(state=ItemState.REJECTED)
    at = timezone.now() - timedelta(days=days)
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.DONE, confirmed_at=at, ended_at=at)


def test_the_file_of_a_run_that_is_done_is_forgotten_and_a_refused_row_can_be_retried(batch: Batch) -> None:
    """V-4: what errors quoted from cells goes, too; which columns were wrong stays."""
    end(batch, days=0)
    assert sheet_purge.forget(batch)
    assert not Sheet.objects.filter(batch=batch).exists()
    refused, wrong = BatchItem.objects.filter(batch=batch).order_by("position")
    assert refused.sealed_inputs
    assert (wrong.problems, wrong.message) == ([], "Errors in: Amount.")
    with pytest.raises(Refused, match="no longer kept"):
        sheet_rows.table_of(batch)


def test_a_run_that_is_not_done_keeps_its_file(batch: Batch) -> None:
    assert not sheet_purge.forget(batch)
    assert sheet_purge.purge() == 0
    assert sheet_rows.table_of(batch).rows[0] == ["A", "1", ""]


def test_inputs_of_refused_rows_are_kept_a_week(batch: Batch) -> None:
    """V-4: no input outlives its use."""
    end(batch, days=6)
    sheet_purge.purge()
    assert BatchItem.objects.filter(batch=batch).exclude(sealed_inputs="").count() == 1
    end(batch, days=8)
    sheet_purge.purge()
    assert BatchItem.objects.filter(batch=batch).exclude(sealed_inputs="").count() == 0


def test_what_nobody_confirmed_for_a_week_is_dropped(batch: Batch) -> None:
    Batch.objects.update(created_at=timezone.now() - timedelta(days=6))
    sheet_purge.purge()
    assert Batch.objects.filter(pk=batch.pk).exists()
    Batch.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert sheet_purge.purge() == 1
    assert not Batch.objects.filter(pk=batch.pk).exists()
    assert not BatchItem.objects.exists()


def test_a_single_deed_whose_request_was_declined_is_dropped_with_its_inputs(batch: Batch) -> None:
    """V-4: nobody sends it any more."""
    Batch.objects.update(source=Batch.Source.SINGLE, created_at=timezone.now() - timedelta(days=8))
    Approval.objects.create(batch=batch, state="declined", expires_at=timezone.now(), list_digest="0" * 64)
    assert sheet_purge.purge() == 1
    assert not BatchItem.objects.exists()


def test_what_waits_for_a_second_person_is_not_dropped(batch: Batch) -> None:
    Batch.objects.update(created_at=timezone.now() - timedelta(days=8))
    Approval.objects.create(batch=batch, expires_at=timezone.now() + timedelta(hours=1), list_digest="0" * 64)
    sheet_purge.purge()
    assert Batch.objects.filter(pk=batch.pk).exists()


def test_a_list_that_somebody_was_asked_to_approve_does_not_change(batch: Batch, operator: Membership) -> None:
    """U-8: what is approved is what was shown."""
    Approval.objects.create(batch=batch, expires_at=timezone.now() + timedelta(hours=1), list_digest="0" * 64)
    with pytest.raises(Refused, match="asked to approve"):
        check(batch, operator)
