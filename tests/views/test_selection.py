"""Ticked rows: what the lists offer, and the way from the ticks to the question."""

import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import AuditEntry, Batch, InstanceState, KeyInput, Membership, Rights, Workflow, WorkflowState
from dashboard.services import findable, selections
from tests.factories import InstanceFactory, WorkflowFactory, lists

LIST = reverse("instances")
SELECT = reverse("instance-selection")
SELECT_WORKFLOWS = reverse("workflow-selection")


@pytest.fixture
def seen(operator: Membership) -> Workflow:
    workflow = WorkflowFactory(account=operator.account, name="Supplier NDA")
    lists(operator, workflow)
    return workflow


@pytest.fixture
def console(operator: Membership, signed_in: Callable[..., Client]) -> Client:
    return signed_in(operator)


def body(answer: Any) -> str:
    return str(answer.content.decode())


def box_of(page: str, pk: object) -> str:
    found = re.search(rf'<input type="checkbox" name="pick" value="{pk}"[^>]*>', page)
    assert found is not None
    return found[0]


def test_rows_can_be_ticked_and_ended_ones_cannot(console: Client, seen: Workflow) -> None:
    running, ended = InstanceFactory(workflow=seen), InstanceFactory(workflow=seen, status=InstanceState.COMPLETED)
    for url in (LIST, reverse("workflow", args=[seen.pk])):
        page = body(console.get(url))
        assert "disabled" not in box_of(page, running.pk)
        assert "disabled" in box_of(page, ended.pk)
        assert f"Select {running.name}" in page


def test_a_viewer_gets_no_ticks(viewer: Membership, signed_in: Callable[..., Client]) -> None:
    workflow = WorkflowFactory(account=viewer.account)
    lists(viewer, workflow)
    InstanceFactory(workflow=workflow)
    for url in (LIST, reverse("workflows")):
        assert 'name="pick"' not in body(signed_in(viewer).get(url))


def test_all_matching_is_offered_only_where_a_filter_narrows_and_more_than_the_page_match(
    console: Client, seen: Workflow
) -> None:
    InstanceFactory.create_batch(26, workflow=seen, name="Alpha")
    InstanceFactory.create_batch(2, workflow=seen, name="Beta", status=InstanceState.COMPLETED)
    assert "data-select-all" not in body(console.get(LIST))
    assert "data-select-all" not in body(console.get(f"{LIST}?state=running"))
    assert "data-select-all" not in body(console.get(f"{LIST}?name=alpha&size=50"))
    assert 'data-select-all="26"' in body(console.get(f"{LIST}?name=alpha"))
    assert 'data-select-all="26"' in body(console.get(f"{LIST}?workflow={seen.pk}"))
    assert 'data-select-all="26"' in body(console.get(reverse("workflow", args=[seen.pk])))


def test_ticked_rows_lead_to_the_question_of_their_bulk_run(console: Client, seen: Workflow) -> None:
    rows = InstanceFactory.create_batch(3, workflow=seen)
    answer = console.post(SELECT, {"pick": [str(row.pk) for row in rows[:2]]})
    batch = Batch.objects.get()
    assert answer.headers["Location"] == reverse("batch-confirm", args=[batch.pk])
    assert set(batch.items.values_list("instance_id", flat=True)) == {row.pk for row in rows[:2]}


def test_all_matching_takes_the_filter_from_the_address_and_says_it_in_words(console: Client, seen: Workflow) -> None:
    InstanceFactory.create_batch(30, workflow=seen, name="Alpha")
    InstanceFactory(workflow=seen, name="Beta")
    page = console.get(f"{LIST}?name=alpha&started_from=2020-01-01&sort=name&after=W10")
    answer = console.post(page.context["selection_url"], {"all": "1", "pick": [str(uuid.uuid4())]})
    batch = Batch.objects.get()
    assert answer.status_code == 302
    assert batch.total == 30
    assert batch.described == "in progress, name has: alpha, started from: 1 Jan 2020"


def test_a_selection_by_a_key_input_keeps_neither_its_value_nor_its_digest(console: Client, seen: Workflow) -> None:
    """V-4: what somebody searched for is personal data; the list that was frozen is what counts."""
    row = InstanceFactory(workflow=seen, trigger_inputs={"Supplier": "Amara Okafor"})
    key_input = KeyInput.objects.create(
        workflow=seen, name="Supplier", made_with=findable.made_with(), filled_at=timezone.now()
    )
    findable.store_keys([row], only=key_input)
    digest = findable.digest_of(seen.account_id, "Supplier", "Amara Okafor")
    assert console.post(f"{SELECT}?key=Supplier:{digest}", {"all": "1"}).status_code == 302
    batch = Batch.objects.get()
    assert batch.total == 1
    kept = f"{Batch.objects.values().get()} {list(AuditEntry.objects.values())}"
    assert "equals a value you searched for" in kept
    assert "Amara" not in kept
    assert digest not in kept


def test_all_matching_on_the_page_of_a_workflow_stays_in_that_workflow(console: Client, seen: Workflow) -> None:
    InstanceFactory.create_batch(26, workflow=seen)
    InstanceFactory(workflow=WorkflowFactory(account=seen.account))
    page = console.get(reverse("workflow", args=[seen.pk]))
    console.post(page.context["selection_url"], {"all": "1"})
    assert set(Batch.objects.get().items.values_list("workflow_id", flat=True)) == {seen.pk}


@pytest.mark.parametrize(
    ("query", "data", "words"),
    [
        ("", {"all": "1"}, "Choose at least one filter first"),
        ("?state=running", {"all": "1"}, "Choose at least one filter first"),
        ("?steps=nonsense", {"all": "1"}, "is not understood"),
        ("?workflow=00000000-0000-0000-0000-000000000000", {"all": "1"}, "is not understood"),
        ("?state=everything", {"all": "1"}, "is not understood"),
        ("?name=al", {"all": "1"}, "is not understood"),
        ("", {}, "Tick at least one instance first"),
        ("?name=alpha", {"all": "yes"}, "valid choice"),
        ("", {"pick": "1; DROP TABLE"}, "did not arrive whole"),
        ("", {"pick": ["x"] * 3}, "did not arrive whole"),
        ("", {"pick": [str(uuid.uuid4()) for _ in range(201)]}, "did not arrive whole"),
        ("", {"pick": str(uuid.uuid4()), "kind": "trigger"}, "does not have"),
        ("", {"pick": str(uuid.uuid4())}, "None of what you selected"),
    ],
)
def test_a_selection_that_is_not_sound_freezes_nothing(
    query: str, data: dict[str, Any], words: str, console: Client, seen: Workflow
) -> None:
    """S-12: what was tampered with selects nothing, and the page says why."""
    InstanceFactory(workflow=seen, name="Alpha")
    answer = console.post(f"{SELECT}{query}", data)
    assert answer.status_code == 422
    assert words in body(answer)
    assert not Batch.objects.exists()


def test_more_rows_than_a_bulk_run_takes_are_refused_in_one_line(
    console: Client, seen: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selections, "MOST_ROWS", 2)
    InstanceFactory.create_batch(3, workflow=seen)
    answer = console.post(f"{SELECT}?workflow={seen.pk}", {"all": "1"})
    assert answer.status_code == 422
    assert "Narrow the filter" in body(answer)


def test_ids_that_a_preparer_may_not_see_are_not_in_the_list(
    console: Client, operator: Membership, seen: Workflow
) -> None:
    """V-1: neither by tick nor by filter."""
    others = InstanceFactory(workflow=seen)
    mine = InstanceFactory(workflow=seen, started_by=operator.user.sub)
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN)
    console.post(SELECT, {"pick": [str(others.pk), str(mine.pk)]})
    console.post(f"{SELECT}?workflow={seen.pk}", {"all": "1"})
    for batch in Batch.objects.all():
        assert list(batch.items.values_list("instance_id", flat=True)) == [mine.pk]
    assert Batch.objects.count() == 2


@pytest.mark.parametrize("rows", [1, 100])
def test_freezing_ticks_costs_the_same_number_of_queries(
    rows: int, console: Client, seen: Workflow, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    made = InstanceFactory.create_batch(rows, workflow=seen)
    with django_assert_max_num_queries(32):
        answer = console.post(SELECT, {"pick": [str(row.pk) for row in made]})
    assert answer.status_code == 302
    assert Batch.objects.get().total == rows


@pytest.mark.parametrize("deed", ["pause", "resume"])
def test_ticked_workflows_lead_to_the_question_of_a_pause_or_resume(
    deed: str, console: Client, operator: Membership, seen: Workflow
) -> None:
    paused = WorkflowFactory(account=seen.account, status=WorkflowState.PAUSED, raw_status="paused")
    lists(operator, paused)
    answer = console.post(SELECT_WORKFLOWS, {"pick": [str(seen.pk), str(paused.pk)], "deed": deed})
    batch = Batch.objects.get(kind=deed)
    assert answer.headers["Location"] == reverse("batch-confirm", args=[batch.pk])
    assert list(batch.items.values_list("workflow_id", flat=True)) == [{"pause": seen, "resume": paused}[deed].pk]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"deed": "pause"}, "Tick at least one workflow first"),
        ({"deed": "cancel", "pick": str(uuid.uuid4())}, "did not arrive whole"),
        ({"pick": str(uuid.uuid4())}, "did not arrive whole"),
        ({"deed": "resume", "pick": str(uuid.uuid4())}, "None of the selected workflows can be resumed"),
    ],
)
def test_workflows_that_are_not_soundly_selected_are_left_alone(
    data: dict[str, str], words: str, console: Client
) -> None:
    answer = console.post(SELECT_WORKFLOWS, data)
    assert answer.status_code == 422
    assert words in body(answer)
    assert not Batch.objects.exists()


def test_workflows_can_be_ticked_as_far_as_something_can_be_done(
    console: Client, operator: Membership, seen: Workflow
) -> None:
    draft = WorkflowFactory(account=seen.account, status=WorkflowState.ARCHIVED, raw_status="archived")
    lists(operator, draft)
    page = body(console.get(reverse("workflows")))
    assert "disabled" not in box_of(page, seen.pk)
    assert "disabled" in box_of(page, draft.pk)
