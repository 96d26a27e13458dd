"""The question before a bulk run: what it says, who can answer it, and that one answer starts it once."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import (
    ApiBudget,
    Approval,
    AuditEntry,
    Batch,
    BatchState,
    Instance,
    InstanceState,
    ItemState,
    Membership,
    OperationKind,
    Policy,
    Workflow,
)
from dashboard.services import batches, second_person
from tests.factories import BatchFactory, BatchItemFactory, InstanceFactory, WorkflowFactory, lists

CEILING = 34


@pytest.fixture
def seen(operator: Membership) -> Workflow:
    workflow = WorkflowFactory(account=operator.account, name="Supplier NDA")
    lists(operator, workflow)
    return workflow


@pytest.fixture
def console(operator: Membership, signed_in: Callable[..., Client]) -> Client:
    return signed_in(operator)


def planned(seen: Workflow, membership: Membership, rows: int = 7, **details: Any) -> Batch:
    """A frozen cancel that waits for its answer."""
    unanswered = {"state": BatchState.PLANNED, "confirmed_at": None, "starts_at": None, "reason": ""}
    batch = BatchFactory(account=seen.account, actor=membership.user, total=rows, **(unanswered | details))
    for position in range(1, rows + 1):
        instance = InstanceFactory(workflow=seen, name=f"NDA {position}")
        BatchItemFactory(
            batch=batch, position=position, workflow=seen, instance=instance, label=instance.name,
            status_then=instance.status,
        )  # fmt: skip
    return batch


def url_of(batch: Batch) -> str:
    return reverse("batch-confirm", args=[batch.pk])


def form_of(batch: Batch, **values: str) -> dict[str, str]:
    """As the question about the list, as it is now, is answered."""
    seen = second_person.digest_of(batch)
    return {"key": uuid.uuid4().hex, "seen": seen, "reason": "Template recalled by Legal", **values}


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_the_question_names_number_environment_first_five_effects_price_and_time(
    console: Client, operator: Membership, seen: Workflow
) -> None:
    batch = planned(seen, operator)
    answer = console.get(url_of(batch))
    text = text_of(answer)
    assert "Cancel 7 instances?" in text
    assert 'data-env="simulator"' in text
    assert [item["name"] for item in answer.context["names"]] == [f"NDA {n}" for n in range(1, 6)]
    assert "and 2 more" in text
    assert "In progress, Supplier NDA" in text
    assert "Remaining steps stop at once." in text
    assert "not voided from here" in text
    assert f"You have {settings.UNDO_SECONDS} seconds" in text
    assert "Uses about 21 API calls of the 2,400" in text
    assert "Takes about" in text
    assert "autofocus>Keep them running</a>" in text
    assert Batch.objects.get().state == BatchState.PLANNED


def test_rows_that_ended_or_changed_since_are_counted(console: Client, operator: Membership, seen: Workflow) -> None:
    batch = planned(seen, operator)
    Instance.objects.filter(name__in=["NDA 1", "NDA 2"]).update(status=InstanceState.COMPLETED)
    Instance.objects.filter(name="NDA 3").update(status=InstanceState.PAUSED)
    text = text_of(console.get(url_of(batch)))
    assert "2 of them have ended since" in text
    assert "1 of them has changed the state since" in text


def test_a_price_beyond_this_hour_says_that_it_goes_on_later(
    console: Client, operator: Membership, seen: Workflow
) -> None:
    now = timezone.now()
    ApiBudget.objects.update_or_create(
        account=operator.account, defaults={"hour_began_at": now - timedelta(minutes=1), "hour_used": 2395}
    )
    text = text_of(console.get(url_of(planned(seen, operator))))
    assert "Uses about 21 API calls; bulk runs may make 5 until" in text


def test_an_answer_starts_it_once_with_reason_and_audit(console: Client, operator: Membership, seen: Workflow) -> None:
    """A-1, U-7: the second submit of the same form gives the first result."""
    batch = planned(seen, operator)
    form = form_of(batch)
    answers = [console.post(url_of(batch), form) for _ in range(2)]
    batch.refresh_from_db()
    assert [answer.headers["Location"] for answer in answers] == [reverse("batch", args=[batch.pk])] * 2
    assert (batch.state, batch.reason) == (BatchState.RUNNING, "Template recalled by Legal")
    assert batch.starts_at is not None
    assert batch.confirmed_at is not None
    assert (batch.starts_at - batch.confirmed_at).total_seconds() == settings.UNDO_SECONDS
    assert AuditEntry.objects.filter(action="batch.confirmed").count() == 1


def test_another_form_after_the_start_changes_nothing(console: Client, operator: Membership, seen: Workflow) -> None:
    batch = planned(seen, operator)
    console.post(url_of(batch), form_of(batch))
    answer = console.post(url_of(batch), form_of(batch, reason="Once more"))
    assert answer.status_code == 422
    assert "already running" in text_of(answer)
    assert AuditEntry.objects.filter(action="batch.confirmed").count() == 1


@pytest.mark.parametrize("is_htmx", [True, False])
def test_another_list_than_the_question_showed_is_not_started(
    is_htmx: bool, operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    """U-8: rows came in by another window since; the question comes back about the list as it is now, and can be answered."""
    batch, browser = planned(seen, operator), signed_in(operator, htmx=is_htmx)
    stale = form_of(batch)
    BatchItemFactory(batch=batch, position=8, workflow=seen, instance=InstanceFactory(workflow=seen))
    answer = browser.post(url_of(batch), stale)
    text, again = text_of(answer), answer.context["form"]
    assert answer.status_code == 422
    assert "The list was changed after you were asked." in text
    assert "Cancel 8 instances?" in text
    assert f'name="seen" value="{second_person.digest_of(batch)}"' in text
    assert Batch.objects.get().state == BatchState.PLANNED
    fields = {name: again[name].value() for name in ("key", "seen", "reason")}
    assert browser.post(url_of(batch), fields).status_code == (204 if is_htmx else 302)
    assert Batch.objects.get().state == BatchState.RUNNING
    assert AuditEntry.objects.get(action="batch.confirmed").detail["count"] == 8


def test_the_same_form_after_the_end_does_not_promise_an_undo(
    console: Client, operator: Membership, seen: Workflow
) -> None:
    """U-7: the first result as it stands now."""
    batch = planned(seen, operator)
    form = form_of(batch)
    assert "Until then you can undo it." in text_of(console.post(url_of(batch), form, follow=True))
    batches.undo(batch, membership=operator)
    text = text_of(console.post(url_of(batch), form, follow=True))
    assert "started before. Here is what came of it." in text
    assert "Until then you can undo it." not in text


def test_once_started_the_question_leads_to_the_run(console: Client, operator: Membership, seen: Workflow) -> None:
    batch = planned(seen, operator, state=BatchState.RUNNING)
    assert console.get(url_of(batch)).headers["Location"] == reverse("batch", args=[batch.pk])


@pytest.mark.parametrize("form", [{"reason": " "}, {"key": "short"}, {"seen": ""}, {"extra": "1"}])
def test_an_answer_that_is_not_whole_comes_back(
    form: dict[str, str], console: Client, operator: Membership, seen: Workflow
) -> None:
    batch = planned(seen, operator)
    answer = console.post(url_of(batch), form_of(batch, **form))
    batch.refresh_from_db()
    assert answer.status_code == 422
    assert "Nothing was changed" in text_of(answer)
    assert batch.state == BatchState.PLANNED


def test_in_the_dialog_the_answer_leaves_for_the_page_of_the_run(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    batch, browser = planned(seen, operator), signed_in(operator, htmx=True)
    question = browser.get(url_of(batch), headers={"HX-Target": "dialog"})
    assert b"<html" not in question.content
    assert b'hx-target="#dialog"' in question.content
    answer = browser.post(url_of(batch), form_of(batch))
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, reverse("batch", args=[batch.pk]))


def test_nobody_else_can_answer(
    admin: Membership, outsider: Membership, operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    """V-5: it would run with the connection of the person who picked the list."""
    batch = planned(seen, operator)
    for membership in (admin, outsider):
        browser = signed_in(membership)
        assert browser.get(url_of(batch)).status_code == 404
        assert browser.post(url_of(batch), form_of(batch)).status_code == 404
    batch.refresh_from_db()
    assert batch.state == BatchState.PLANNED


def test_a_list_that_is_not_complete_cannot_be_started(console: Client, operator: Membership, seen: Workflow) -> None:
    batch = planned(seen, operator, frozen_at=None)
    assert console.post(url_of(batch), form_of(batch)).status_code == 404


def test_a_trigger_names_count_and_workflow_and_needs_no_reason(
    console: Client, operator: Membership, seen: Workflow
) -> None:
    batch = planned(seen, operator, rows=0, kind=OperationKind.TRIGGER, source=Batch.Source.SHEET, workflow=seen)
    for number in (1, 2, 3):
        state = ItemState.INVALID if number == 3 else ItemState.WAITING
        BatchItemFactory(
            batch=batch, position=number, workflow=seen, label=f"NDA {number}", row_number=number + 1, state=state
        )
    text = text_of(console.get(url_of(batch)))
    assert "Trigger 2 instances of Supplier NDA?" in text
    assert "1 more on the list is not sent" in text
    assert "seconds before the first" not in text
    assert console.post(url_of(batch), form_of(batch, reason="")).status_code == 302
    batch.refresh_from_db()
    assert batch.state == BatchState.RUNNING


def test_what_needs_a_second_person_asks_for_one_and_does_not_start(
    console: Client, operator: Membership, admin: Membership, seen: Workflow
) -> None:
    Policy.objects.create(account=seen.account, kind=OperationKind.CANCEL, least_count=5, created_by=admin.user)
    batch = planned(seen, operator)
    text = text_of(console.get(url_of(batch)))
    assert "Ask for a second person" in text
    assert reverse("batch-ask", args=[batch.pk]) in text
    answer = console.post(url_of(batch), form_of(batch))
    batch.refresh_from_db()
    assert answer.status_code == 422
    assert "needs a second person" in text_of(answer)
    assert batch.state == BatchState.PLANNED


def test_the_question_posts_what_asking_for_a_second_person_takes(
    console: Client, operator: Membership, admin: Membership, seen: Workflow
) -> None:
    Policy.objects.create(account=seen.account, kind=OperationKind.CANCEL, least_count=5, created_by=admin.user)
    batch = planned(seen, operator)
    asked = console.get(url_of(batch)).context["form"]
    hidden = {field.name: field.value() for field in asked.hidden_fields()}
    answer = console.post(reverse("batch-ask", args=[batch.pk]), hidden | {"reason": "Template recalled by Legal"})
    approval = Approval.objects.get(batch=batch)
    assert answer.status_code == 302
    assert console.get(url_of(batch)).headers["Location"] == reverse("approval", args=[approval.pk])


@pytest.mark.parametrize("rows", [1, 60])
def test_the_question_costs_the_same_number_of_queries_for_any_number_of_rows(
    rows: int,
    console: Client,
    operator: Membership,
    seen: Workflow,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    batch = planned(seen, operator, rows=rows)
    with django_assert_max_num_queries(CEILING):
        assert console.get(url_of(batch)).status_code == 200
