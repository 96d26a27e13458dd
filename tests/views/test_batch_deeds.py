"""What can be done with a bulk run, and its results as a file."""

import csv
import io
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.models import (
    Account,
    AuditEntry,
    Batch,
    Connection,
    Instance,
    Membership,
    Policy,
    Role,
    Workflow,
)
from dashboard.services import batch_results, batch_states
from dashboard.services.exports import BrokenOff
from tests.bulk_runs import HOSTILE, body, filled, page_of
from tests.factories import BatchFactory, BatchItemFactory, WorkflowFactory, lists, person

SignedIn = Callable[..., Client]


@pytest.fixture
def workflow(operator: Membership) -> Workflow:
    found = WorkflowFactory(account=operator.account, name="Supplier NDA")
    lists(operator, found)
    return found


@pytest.fixture
def batch(operator: Membership) -> Batch:
    """A cancel of instances that goes on, of the operator."""
    return BatchFactory(account=operator.account, actor=operator.user, name="Cancel 1,240 instances")


@pytest.fixture
def visitor(operator: Membership, signed_in: SignedIn) -> Client:
    return signed_in(operator)


def deed(client: Client, url: str, **values: str) -> Any:
    """The question's key, and the answer."""
    key = client.get(url).context["form"]["key"].value()
    return client.post(url, {"key": key, **values})


# --- Deeds --------------------------------------------------------------------------------------------------------------
def test_pausing_and_resuming_answer_with_an_event_or_a_redirect(
    operator: Membership, signed_in: SignedIn, batch: Batch
) -> None:
    answer = signed_in(operator, htmx=True).post(page_of(batch, "batch-pause"))
    assert answer.status_code == 204
    assert "batchAdvanced" in answer.headers["HX-Trigger"]
    batch.refresh_from_db()
    assert batch.state == "paused"
    answer = signed_in(operator).post(page_of(batch, "batch-resume"))
    assert answer.headers["Location"] == page_of(batch)
    batch.refresh_from_db()
    assert batch.state == "running"
    assert [entry.action for entry in AuditEntry.objects.order_by("seq")] == ["batch.paused", "batch.resumed"]


def test_a_deed_that_the_state_forbids_is_refused_in_plain_words(
    operator: Membership, signed_in: SignedIn, batch: Batch
) -> None:
    Batch.objects.filter(pk=batch.pk).update(state="done")
    answer = signed_in(operator).post(page_of(batch, "batch-pause"))
    assert answer.status_code == 422
    assert "This bulk run is done" in answer.content.decode()
    answer = signed_in(operator, htmx=True).post(page_of(batch, "batch-pause"))
    assert answer.status_code == 409
    assert "This bulk run is done" in answer.headers["HX-Trigger"]


@pytest.mark.parametrize("name", ["batch-pause", "batch-resume", "batch-undo", "batch-now"])
def test_a_get_changes_nothing(name: str, visitor: Client, batch: Batch) -> None:
    assert visitor.get(page_of(batch, name)).status_code == 405


def test_stopping_asks_first_and_then_sends_nothing_more(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    filled(batch, workflow, confirmed=1, waiting=3)
    url = page_of(batch, "batch-stop")
    assert "3 items that wait will not be sent." in body(visitor, url)
    batch.refresh_from_db()
    assert batch.state == "running"
    answer = deed(visitor, url, reason="Wrong list")
    assert answer.headers["Location"] == page_of(batch)
    batch.refresh_from_db()
    assert batch.state == "done"
    assert batch.items.filter(state="not_sent").count() == 3
    assert AuditEntry.objects.get(action="batch.stopped").reason == "Wrong list"


def test_stopping_twice_is_as_good_as_once(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    """U-7: the double submit."""
    filled(batch, workflow, waiting=3)
    url = page_of(batch, "batch-stop")
    data = {"key": visitor.get(url).context["form"]["key"].value(), "reason": ""}
    assert [visitor.post(url, data).status_code for _ in range(2)] == [302, 302]
    assert AuditEntry.objects.filter(action="batch.stopped").count() == 1


def test_a_stop_is_told_again_and_what_ended_by_itself_is_not_called_stopped(
    visitor: Client, batch: Batch, workflow: Workflow
) -> None:
    """U-7, U-8: everything was sent while the question was open; after a real stop the same form gives the first result."""
    filled(batch, workflow, confirmed=3)
    url = page_of(batch, "batch-stop")
    data = {"key": visitor.get(url).context["form"]["key"].value(), "reason": ""}
    batch_states.finish(batch)
    said = visitor.post(url, data, follow=True).content.decode()
    assert "It had ended by itself before, so nothing was stopped." in said
    assert "Stopped. Nothing more is sent." not in said
    Batch.objects.filter(pk=batch.pk).update(state="running")
    for _ in range(2):
        assert "Stopped. Nothing more is sent." in visitor.post(url, data, follow=True).content.decode()


def test_a_stop_after_an_undo_says_so(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    filled(batch, workflow, waiting=2)
    Batch.objects.filter(pk=batch.pk).update(starts_at=timezone.now() + timedelta(seconds=30))
    url = page_of(batch, "batch-stop")
    data = {"key": visitor.get(url).context["form"]["key"].value(), "reason": ""}
    visitor.post(page_of(batch, "batch-undo"))
    assert "It had been undone before" in visitor.post(url, data, follow=True).content.decode()
    assert not AuditEntry.objects.filter(action="batch.stopped").exists()


def test_a_form_without_its_key_stops_nothing(visitor: Client, batch: Batch) -> None:
    assert visitor.post(page_of(batch, "batch-stop"), {}).status_code == 422
    batch.refresh_from_db()
    assert batch.state == "running"


def test_the_undo_counts_down_and_ends_the_run_before_anything_was_sent(
    visitor: Client, batch: Batch, workflow: Workflow
) -> None:
    filled(batch, workflow, waiting=2)
    Batch.objects.filter(pk=batch.pk).update(starts_at=timezone.now() + timedelta(seconds=30))
    said = body(visitor, page_of(batch))
    assert "The first one is sent in" in said
    assert reverse("batch-undo", args=[batch.pk]) in said
    assert "Stop…" not in said
    undone = visitor.post(page_of(batch, "batch-undo"), follow=True)
    assert "Undone before anything of it was sent." in undone.content.decode()
    batch.refresh_from_db()
    assert batch.state == "done"
    assert batch.items.filter(state="not_sent").count() == 2


def test_a_cancel_of_many_can_be_sent_without_waiting(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    filled(batch, workflow, waiting=2)
    Batch.objects.filter(pk=batch.pk).update(starts_at=timezone.now() + timedelta(seconds=30))
    assert reverse("batch-now", args=[batch.pk]) in body(visitor, page_of(batch))
    assert visitor.post(page_of(batch, "batch-now")).status_code == 302
    batch.refresh_from_db()
    assert batch.state == "running"
    assert batch.starts_at is not None
    assert batch.starts_at <= timezone.now()
    assert AuditEntry.objects.filter(action="batch.started_now").count() == 1


def test_an_undo_that_comes_too_late_is_refused(visitor: Client, batch: Batch) -> None:
    Batch.objects.filter(pk=batch.pk).update(starts_at=timezone.now() - timedelta(seconds=1))
    answer = visitor.post(page_of(batch, "batch-undo"))
    assert answer.status_code == 422
    assert "stop it instead" in answer.content.decode()


def test_a_retry_names_how_many_and_sends_each_again_once(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    """U-7: the second submit of the same question sends nothing more; what is unknown is left alone."""
    filled(batch, workflow, confirmed=1, rejected=4, unknown=1)
    Batch.objects.filter(pk=batch.pk).update(state="done", ended_at=timezone.now())
    url = page_of(batch, "batch-retry")
    assert "Retry 4 refused" in body(visitor, page_of(batch))
    question = visitor.get(url)
    assert "Retry 4 refused?" in question.content.decode()
    data = {"key": question.context["form"]["key"].value()}
    assert [visitor.post(url, data).status_code for _ in range(2)] == [302, 302]
    assert {item.attempt for item in batch.items.filter(state="waiting")} == {2}
    assert batch.items.filter(state="waiting").count() == 4
    assert batch.items.filter(state="unknown").count() == 1
    assert AuditEntry.objects.filter(action="batch.retried").count() == 1


def test_a_retry_with_nothing_to_send_leads_back(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    filled(batch, workflow, confirmed=1)
    assert visitor.get(page_of(batch, "batch-retry")).headers["Location"] == page_of(batch)
    answer = visitor.post(page_of(batch, "batch-retry"), {"key": uuid.uuid4().hex})
    assert answer.status_code == 422
    assert "nothing to try again" in answer.content.decode()


def test_a_retry_that_needs_a_second_person_leads_to_asking_one(
    visitor: Client, operator: Membership, batch: Batch, workflow: Workflow
) -> None:
    filled(batch, workflow, rejected=2)
    Batch.objects.filter(pk=batch.pk).update(state="done", ended_at=timezone.now())
    Policy.objects.create(account=operator.account, kind=batch.kind, least_count=2, created_by=operator.user)
    assert visitor.get(page_of(batch, "batch-retry")).headers["Location"] == page_of(batch, "batch-ask")


def test_those_who_may_not_change_a_run_see_why(
    batch: Batch, viewer: Membership, account: Account, signed_in: SignedIn
) -> None:
    assert "you need the role operator" in body(signed_in(viewer), page_of(batch))
    other = signed_in(person(account, Role.OPERATOR, name="Olga Other"))
    assert "Only Oskar Operator or an admin can change this run." in body(other, page_of(batch))
    assert other.post(page_of(batch, "batch-pause")).status_code == 422
    batch.refresh_from_db()
    assert batch.state == "running"


# --- Results ------------------------------------------------------------------------------------------------------------
def rows_of(answer: Any) -> list[list[str]]:
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(content, newline="")))


def test_the_results_hold_every_item_and_no_input(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    filled(batch, workflow, confirmed=2, rejected=1)
    at = timezone.now().replace(microsecond=0)
    batch.items.update(sealed_inputs="canary", settled_at=at)
    batch.items.filter(position=3).update(message="Docusign: “No.”", row_number=18)
    answer = visitor.get(page_of(batch, "batch-results"))
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="bulk-run-')
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    head, *rows = rows_of(answer)
    assert head == list(batch_results.HEADINGS)
    assert [row[0] for row in rows] == ["1", "2", "18"]
    assert rows[2][1:4] == ["NDA rejected 3", "Supplier NDA", "Refused"]
    assert rows[2][5] == "Docusign: “No.”"
    assert rows[2][8] == at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "canary" not in str(rows)


@pytest.mark.parametrize("name", HOSTILE)
def test_no_cell_of_the_results_is_a_formula(name: str, visitor: Client, batch: Batch, workflow: Workflow) -> None:
    """S-14."""
    BatchItemFactory(batch=batch, workflow=workflow, label=name, message=name)
    for text in rows_of(visitor.get(page_of(batch, "batch-results")))[1]:
        assert not text.lstrip("\u202e").startswith(("=", "+", "-", "@"))


def test_the_results_come_as_a_workbook_too(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    filled(batch, workflow, confirmed=2)
    answer = visitor.get(page_of(batch, "batch-results"), {"format": "xlsx"})
    assert b"".join(answer.streaming_content).startswith(b"PK")
    assert visitor.get(page_of(batch, "batch-results"), {"format": "pdf"}).status_code == 422


def test_the_results_are_in_the_audit(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    """A-1: the intent before the first row, the number of rows after the last."""
    filled(batch, workflow, confirmed=3)
    rows_of(visitor.get(page_of(batch, "batch-results")))
    asked, done = AuditEntry.objects.order_by("seq")
    assert (asked.action, done.action) == ("batch.results_asked", "batch.results_exported")
    assert done.detail == {"format": "csv", "rows": 3}
    assert done.object_id == str(batch.pk)


def test_the_results_end_where_the_right_ends(
    admin: Membership, batch: Batch, workflow: Workflow, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V-6: as a failed download, never as a short file."""
    monkeypatch.setattr(batch_results, "BATCH", 1)
    filled(batch, workflow, confirmed=3)
    parts = iter(signed_in(admin).get(page_of(batch, "batch-results")).streaming_content)
    next(parts)
    next(parts)
    Connection.objects.filter(user=admin.user).update(state="reconnect_needed")
    with pytest.raises(BrokenOff):
        list(parts)
    assert AuditEntry.objects.order_by("-seq")[0].action == "batch.results_broken_off"


def test_the_results_leave_a_page_at_a_time(
    visitor: Client, batch: Batch, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_results, "BATCH", 2)
    filled(batch, workflow, confirmed=5)
    assert [row[0] for row in rows_of(visitor.get(page_of(batch, "batch-results")))[1:]] == list("12345")
    assert Instance.objects.count() == 5
