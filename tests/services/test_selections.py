"""What is picked from a list is frozen under the rights of that moment, and a filter that narrows nothing selects nothing."""

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import (
    Batch,
    BatchItem,
    BatchState,
    Connection,
    InstanceState,
    ItemState,
    Membership,
    Rights,
    Workflow,
    WorkflowState,
)
from dashboard.services import selections
from dashboard.services.errors import Refused
from dashboard.services.instance_search import Search
from tests.factories import InstanceFactory, WorkflowFactory, lists


@pytest.fixture
def operator(operator: Membership) -> Membership:
    """As a request loads it, with ids as the database gives them."""
    return Membership.objects.select_related("user__connection", "account").get(pk=operator.pk)


@pytest.fixture
def seen(operator: Membership) -> Workflow:
    workflow = WorkflowFactory(account=operator.account, name="Supplier NDA")
    lists(operator, workflow)
    return workflow


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


def labels(batch: Batch) -> list[str]:
    return list(batch.items.order_by("position").values_list("label", flat=True))


def test_ticked_instances_are_frozen_in_the_order_of_the_latest_change(
    operator: Membership, seen: Workflow, key: str
) -> None:
    now = timezone.now()
    rows = [
        InstanceFactory(workflow=seen, name=f"NDA {n}", last_modified_at=now - timedelta(hours=n)) for n in range(3)
    ]
    InstanceFactory(workflow=seen, name="Not ticked")
    batch = selections.freeze(operator, ids=[row.pk for row in reversed(rows)], key=key)
    assert labels(batch) == ["NDA 0", "NDA 1", "NDA 2"]
    assert (batch.state, batch.kind, batch.source, batch.total) == (BatchState.PLANNED, "cancel", "selection", 3)
    assert batch.name == "Cancel 3 instances"
    assert set(batch.items.values_list("status_then", "state")) == {(InstanceState.IN_PROGRESS, ItemState.WAITING)}


def test_what_ended_before_the_click_arrived_is_listed_as_skipped(
    operator: Membership, seen: Workflow, key: str
) -> None:
    ended = InstanceFactory(workflow=seen, status=InstanceState.COMPLETED)
    batch = selections.freeze(operator, ids=[ended.pk, InstanceFactory(workflow=seen).pk], key=key)
    assert batch.name == "Cancel 1 instance"
    assert batch.items.get(instance=ended).state == ItemState.SKIPPED


def test_only_ended_instances_make_no_bulk_run(operator: Membership, seen: Workflow, key: str) -> None:
    ended = InstanceFactory(workflow=seen, status=InstanceState.FAILED)
    with pytest.raises(Refused, match="None of what you selected can be canceled"):
        selections.freeze(operator, ids=[ended.pk], key=key)
    assert not Batch.objects.exists()


def test_instances_of_another_account_are_never_frozen(
    operator: Membership, outsider: Membership, seen: Workflow, key: str
) -> None:
    """V-5: an id alone gives no right."""
    foreign = InstanceFactory(workflow=WorkflowFactory(account=outsider.account))
    mine = InstanceFactory(workflow=seen)
    batch = selections.freeze(operator, ids=[foreign.pk, mine.pk], key=key)
    assert list(batch.items.values_list("instance_id", flat=True)) == [mine.pk]
    with pytest.raises(Refused):
        selections.freeze(operator, ids=[foreign.pk], key=uuid.uuid4().hex)


@pytest.mark.parametrize("way", ["ids", "search"])
def test_a_preparer_freezes_own_instances_only(way: str, operator: Membership, seen: Workflow, key: str) -> None:
    """V-1: the bulk run reaches no further than the list."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN)
    operator.refresh_from_db()
    others = InstanceFactory(workflow=seen)
    mine = InstanceFactory(workflow=seen, started_by=operator.user.sub)
    if way == "ids":
        batch = selections.freeze(operator, ids=[others.pk, mine.pk], key=key)
    else:
        batch = selections.freeze(operator, search=Search(workflows=(seen.pk,)), key=key)
    assert list(batch.items.values_list("instance_id", flat=True)) == [mine.pk]


def test_somebody_who_is_not_connected_selects_nothing(operator: Membership, seen: Workflow, key: str) -> None:
    row = InstanceFactory(workflow=seen)
    Connection.objects.update(state=Connection.State.RECONNECT_NEEDED)
    operator = Membership.objects.get(pk=operator.pk)
    with pytest.raises(Refused, match="not connected"):
        selections.freeze(operator, ids=[row.pk], key=key)


@pytest.mark.parametrize(
    "search",
    [
        Search(),
        Search(state="running"),
        Search(sort="name", size=100, after="x", before="y"),
        Search(state="running", sort="-started"),
    ],
)
def test_a_filter_that_narrows_nothing_is_refused(
    search: Search, operator: Membership, seen: Workflow, key: str
) -> None:
    InstanceFactory(workflow=seen)
    with pytest.raises(Refused, match="Choose at least one filter first"):
        selections.freeze(operator, search=search, key=key)
    assert not Batch.objects.exists()


@pytest.mark.parametrize(
    "search",
    [
        Search(name="alp"),
        Search(state="expiring"),
        Search(started_from=timezone.now() - timedelta(days=2)),
        Search(steps_done=5),
        Search(origin="here"),
        Search(expires_within=timedelta(days=3)),
    ],
)
def test_all_matching_are_exactly_the_rows_in_progress_that_the_filter_leaves(
    search: Search, operator: Membership, seen: Workflow, key: str
) -> None:
    now = timezone.now()
    details = {"last_completed_step": 6, "is_from_here": True, "expires_at": now + timedelta(days=1)}
    wanted = InstanceFactory(workflow=seen, name="Alpha", **details)
    InstanceFactory(workflow=seen, name="Alpha ended", status=InstanceState.COMPLETED, **details)
    InstanceFactory(workflow=seen, name="Beta", started_at=now - timedelta(days=9), last_completed_step=1)
    batch = selections.freeze(operator, search=search, described="in progress", key=key)
    assert list(batch.items.values_list("instance_id", flat=True)) == [wanted.pk]
    assert batch.described == "in progress"


def test_all_matching_goes_beyond_the_page_and_ignores_where_it_stands(
    operator: Membership, seen: Workflow, key: str
) -> None:
    InstanceFactory.create_batch(60, workflow=seen)
    InstanceFactory(workflow=WorkflowFactory(account=operator.account))
    search = Search(workflows=(seen.pk,), size=25, after="W10", sort="name")
    assert selections.freeze(operator, search=search, key=key).total == 60


def test_one_row_more_than_a_bulk_run_takes_is_refused(
    operator: Membership, seen: Workflow, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "MOST_ROWS", 5)
    InstanceFactory.create_batch(5, workflow=seen)
    search = Search(workflows=(seen.pk,))
    assert selections.freeze(operator, search=search, key=key).total == 5
    InstanceFactory(workflow=seen)
    with pytest.raises(Refused, match="Narrow the filter"):
        selections.freeze(operator, search=search, key=uuid.uuid4().hex)
    assert Batch.objects.count() == 1


def test_the_same_form_again_gives_the_first_list(operator: Membership, seen: Workflow, key: str) -> None:
    """U-7: a list is made once a key."""
    row = InstanceFactory(workflow=seen)
    first = selections.freeze(operator, ids=[row.pk], key=key)
    assert selections.freeze(operator, ids=[row.pk], key=key) == first
    assert BatchItem.objects.count() == 1


def test_freezing_costs_the_same_number_of_queries_for_any_number_of_rows(
    operator: Membership, seen: Workflow, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    InstanceFactory.create_batch(200, workflow=seen)
    with django_assert_max_num_queries(30):
        batch = selections.freeze(operator, search=Search(workflows=(seen.pk,)), key=uuid.uuid4().hex)
    assert batch.total == 200


def test_ticked_workflows_are_frozen_as_far_as_the_deed_is_possible(operator: Membership, key: str) -> None:
    active, paused = (WorkflowFactory(account=operator.account, name=name) for name in ("Alpha", "Beta"))
    Workflow.objects.filter(pk=paused.pk).update(status=WorkflowState.PAUSED, raw_status="paused")
    lists(operator, active, paused)
    batch = selections.freeze_workflows(operator, kind="pause", ids=[active.pk, paused.pk], key=key)
    assert list(batch.items.values_list("workflow_id", "instance_id", "label")) == [(active.pk, None, "Alpha")]
    assert batch.name == "Pause 1 workflow"
    assert "1 of them left out" in batch.described


def test_workflows_that_a_person_does_not_see_are_not_frozen(
    operator: Membership, outsider: Membership, key: str
) -> None:
    unseen = [WorkflowFactory(account=operator.account).pk, WorkflowFactory(account=outsider.account).pk]
    with pytest.raises(Refused, match="None of the selected workflows can be paused"):
        selections.freeze_workflows(operator, kind="pause", ids=unseen, key=key)


@pytest.mark.parametrize(
    "change", [{"name": "abc"}, {"steps_done": 1}, {"key": ("Email", "0" * 64)}, {"started_by": "x"}]
)
def test_every_part_of_a_search_counts_as_a_filter(change: dict[str, object]) -> None:
    assert selections.narrows(replace(Search(), **change))  # type: ignore[arg-type]  # members of Search by name
