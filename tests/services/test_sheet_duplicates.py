"""Rows that look like something started before: warned of, as far as this person may see it (V-3)."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from dashboard.models import (
    Batch,
    BatchItem,
    BatchState,
    InstanceState,
    ItemState,
    KeyInput,
    Membership,
    Rights,
    Role,
    Workflow,
)
from dashboard.services import findable
from dashboard.services.sheet_duplicates import NO_KEYS, OWN_VIEW
from tests.factories import (
    ContractFactory,
    InstanceFactory,
    WorkflowFactory,
    lists,
    person,
)
from tests.services.test_sheet_rows import FIELDS, check, planned

KEYS = ["Supplier name"]


@pytest.fixture
def workflow(operator: Membership) -> Workflow:
    workflow = WorkflowFactory(account=operator.account)
    ContractFactory(workflow=workflow, fields=FIELDS)
    lists(operator, workflow)
    return workflow


@pytest.fixture
def batch(operator: Membership, workflow: Workflow) -> Batch:
    return planned(operator, workflow)


def mark(workflow: Workflow, *names: str, is_filled: bool = True) -> None:
    for name in names:
        at = timezone.now() if is_filled else None
        KeyInput.objects.create(workflow=workflow, name=name, made_with=findable.made_with(), filled_at=at)


def started(workflow: Workflow, *, days: int = 3, **details: Any) -> None:
    inputs = details.pop("inputs", {"Supplier name": "Brightwater", "Country": "DE"})
    at = timezone.now() - timedelta(days=days)
    row = InstanceFactory(workflow=workflow, trigger_inputs=inputs, started_at=at, **details)
    findable.store_keys([row])


def warnings(batch: Batch) -> list[str]:
    return list(BatchItem.objects.filter(batch=batch).order_by("position").values_list("message", flat=True))


def test_a_row_like_a_recent_instance_is_warned_of_and_may_still_go(
    batch: Batch, operator: Membership, workflow: Workflow
) -> None:
    """S-13: a duplicate outside of the file is a warning, by row."""
    mark(workflow, "Supplier name")
    started(workflow, status=InstanceState.COMPLETED)
    report = check(batch, operator, ["brightwater ", "1", "UK"], ["Other", "1", ""], key_columns=KEYS)
    assert (report.good, report.warned) == (2, 1)
    assert warnings(batch)[0].startswith(
        "1 instance with the same “Supplier name” runs or was started in the last 90 days"
    )
    assert warnings(batch)[1] == ""
    assert report.notes == [f"Row 2: {warnings(batch)[0]}"]


@pytest.mark.parametrize(("status", "is_warned"), [(InstanceState.IN_PROGRESS, True), (InstanceState.COMPLETED, False)])
def test_old_instances_count_only_while_they_run(
    batch: Batch, operator: Membership, workflow: Workflow, status: InstanceState, is_warned: bool
) -> None:
    mark(workflow, "Supplier name")
    started(workflow, days=120, status=status)
    assert check(batch, operator, ["Brightwater", "1", ""], key_columns=KEYS).warned == int(is_warned)


def test_several_keys_must_all_be_the_same(batch: Batch, operator: Membership, workflow: Workflow) -> None:
    mark(workflow, "Supplier name", "Country")
    started(workflow)
    rows = (["Brightwater", "1", "DE"], ["Brightwater", "1", "UK"], ["Brightwater", "2", ""])
    check(batch, operator, *rows, key_columns=["Supplier name", "Country"])
    assert [bool(text) for text in warnings(batch)] == [True, False, False]


def test_instances_of_another_workflow_are_not_compared(batch: Batch, operator: Membership, workflow: Workflow) -> None:
    mark(workflow, "Supplier name")
    other = WorkflowFactory(account=operator.account)
    mark(other, "Supplier name")
    started(other)
    assert check(batch, operator, ["Brightwater", "1", ""], key_columns=KEYS).warned == 0


def test_nobody_learns_of_instances_that_they_may_not_see(workflow: Workflow) -> None:
    """V-3: the check finds and counts only what this person's lists show."""
    mark(workflow, "Supplier name")
    narrow = person(workflow.account, Role.OPERATOR, rights=Rights.OWN)
    lists(narrow, workflow)
    batch = planned(narrow, workflow)
    started(workflow)
    report = check(batch, narrow, ["Brightwater", "1", ""], key_columns=KEYS)
    assert (report.warned, report.notes) == (0, [OWN_VIEW])
    started(workflow, started_by=narrow.user.sub)
    report = check(batch, narrow, key_columns=KEYS)
    assert (report.warned, warnings(batch)[0][:10]) == (1, "1 instance")


def test_a_check_by_an_admin_tells_its_own_person_no_more_than_they_may_see(
    operator: Membership, workflow: Workflow
) -> None:
    """V-3: the warnings stay with the run, so they are those of whose run it is."""
    mark(workflow, "Supplier name")
    narrow = person(workflow.account, Role.OPERATOR, rights=Rights.OWN)
    lists(narrow, workflow)
    started(workflow)
    report = check(planned(narrow, workflow), operator, ["Brightwater", "1", ""], key_columns=KEYS)
    assert (report.warned, report.notes) == (0, [OWN_VIEW])


def test_what_cannot_be_compared_is_said(batch: Batch, operator: Membership, workflow: Workflow) -> None:
    mark(workflow, "Country", is_filled=False)
    report = check(batch, operator, ["A", "1", ""], key_columns=["Supplier name", "Country"])
    assert report.notes == [
        "“Supplier name” is not a key input, so instances started elsewhere could not be compared by it.",
        "Earlier instances are still being taken in for “Country”, so some could not be compared.",
    ]
    assert check(batch, operator).notes == [NO_KEYS]


def earlier(membership: Membership, workflow: Workflow, *, days: int = 3, state: str = ItemState.CONFIRMED) -> Batch:
    """A run that was checked with the same key columns, and confirmed."""
    batch = planned(membership, workflow)
    check(batch, membership, ["Brightwater", "1", ""], key_columns=KEYS)
    at = timezone.now() - timedelta(days=days)
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.DONE, confirmed_at=at)
    BatchItem.objects.filter(batch=batch).update(state=state)
    return batch


@pytest.mark.parametrize(
    ("details", "is_warned"),
    [
        ({}, True),
        ({"state": ItemState.WAITING}, True),
        ({"state": ItemState.UNKNOWN}, True),
        ({"state": ItemState.REJECTED}, False),
        ({"state": ItemState.NOT_SENT}, False),
        ({"days": 91}, False),
    ],
)
def test_rows_of_earlier_bulk_runs_are_compared(
    batch: Batch, operator: Membership, workflow: Workflow, details: dict[str, Any], is_warned: bool
) -> None:
    earlier(operator, workflow, **details)
    report = check(batch, operator, ["BRIGHTWATER", "9", "UK"], key_columns=KEYS)
    assert report.warned == int(is_warned)


def test_a_run_that_nobody_confirmed_is_no_duplicate(batch: Batch, operator: Membership, workflow: Workflow) -> None:
    check(planned(operator, workflow), operator, ["Brightwater", "1", ""], key_columns=KEYS)
    assert check(batch, operator, ["Brightwater", "1", ""], key_columns=KEYS).warned == 0


def test_bulk_runs_of_others_stay_unknown_to_who_may_not_see_them(operator: Membership, workflow: Workflow) -> None:
    """V-3: a warning is no way around the list of bulk runs."""
    earlier(operator, workflow)
    narrow = person(workflow.account, Role.OPERATOR, rights=Rights.OWN)
    lists(narrow, workflow)
    assert check(planned(narrow, workflow), narrow, ["Brightwater", "1", ""], key_columns=KEYS).warned == 0


def test_twins_within_a_file_without_keys_are_a_warning(batch: Batch, operator: Membership) -> None:
    report = check(batch, operator, ["A", "1", ""], ["A", "1", ""], ["A", "2", ""])
    assert (report.good, report.warned) == (3, 1)
    assert warnings(batch)[1] == "Row 2 has the same name and inputs."


def test_many_warnings_are_told_by_their_number(batch: Batch, operator: Membership) -> None:
    report = check(batch, operator, *(["A", "1", ""] for _ in range(30)))
    assert report.notes[19].startswith("Row 22: ")
    assert report.notes[20] == "9 more rows of this kind."
