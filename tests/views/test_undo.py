"""The time before a single cancel is sent: shown wherever the instance is, undone or sent at once by those who may."""

import json
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.models import (
    AuditEntry,
    Batch,
    Instance,
    InstanceState,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Policy,
)
from dashboard.services import undo
from maestro_api.simulator import Simulator


@pytest.fixture
def waiting(ada: Membership, running: Instance) -> Operation:
    """A cancel within its window."""
    return undo.plan_cancel(running, actor=ada.user, membership=ada, reason="Duplicate", key=uuid.uuid4().hex)


def posts(simulator: Simulator) -> int:
    return sum(entry["method"] == "POST" for entry in simulator.ledger())


def text_of(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_the_window_is_shown_on_the_page_and_in_the_row_with_both_ways(
    browser_of_ada: Client, waiting: Operation
) -> None:
    page = text_of(browser_of_ada.get(reverse("instance", args=[waiting.instance_id])))
    row = text_of(browser_of_ada.get(f"{reverse('instances')}?name={waiting.instance_id}"))
    for shown in (page, row):
        assert re.search(r"Canceling in \d+ s", shown)
        assert reverse("operation-undo", args=[waiting.pk]) in shown
        assert reverse("operation-now", args=[waiting.pk]) in shown
    assert "A cancel of it waits to be sent." in page


def test_a_row_that_waits_cannot_be_ticked_and_the_page_looks_more_often(
    browser_of_ada: Client, waiting: Operation
) -> None:
    answer = browser_of_ada.get(f"{reverse('instances')}?name={waiting.instance_id}")
    assert f'value="{waiting.instance_id}" form="selection" disabled' in text_of(answer)
    assert answer.context["poll_seconds"] == 5


def test_after_its_end_the_window_says_that_it_is_being_sent(browser_of_ada: Client, waiting: Operation) -> None:
    Operation.objects.update(planned_at=timezone.now() - timedelta(seconds=settings.UNDO_SECONDS + 1))
    page = text_of(browser_of_ada.get(reverse("instance", args=[waiting.instance_id])))
    assert "Sending…" in page
    assert "Canceling in" not in page


def test_undo_sends_nothing_and_the_instance_can_be_canceled_again(
    browser_of_ada: Client, waiting: Operation, simulator: Simulator
) -> None:
    answer = browser_of_ada.post(reverse("operation-undo", args=[waiting.pk]), follow=True)
    waiting.refresh_from_db()
    assert waiting.state == OperationState.WITHDRAWN
    assert "Undone. Nothing was sent to Docusign." in text_of(answer)
    assert reverse("instance-cancel", args=[waiting.instance_id]) in text_of(answer)
    assert posts(simulator) == 0
    assert AuditEntry.objects.filter(action="instance.cancel_undone").count() == 1


def test_cancel_now_sends_it_once_however_often_it_is_pressed(
    browser_of_ada: Client, waiting: Operation, simulator: Simulator
) -> None:
    """U-7: the second click gives the first result."""
    url = reverse("operation-now", args=[waiting.pk])
    first, second = browser_of_ada.post(url), browser_of_ada.post(url)
    assert first.headers["Location"] == second.headers["Location"] == reverse("instance", args=[waiting.instance_id])
    assert posts(simulator) == 1
    assert Instance.objects.get(pk=waiting.instance_id).status == InstanceState.CANCELED


def test_undo_comes_too_late_once_it_was_sent(browser_of_ada: Client, waiting: Operation) -> None:
    browser_of_ada.post(reverse("operation-now", args=[waiting.pk]))
    answer = browser_of_ada.post(reverse("operation-undo", args=[waiting.pk]))
    assert answer.status_code == 422
    assert "too late to undo" in text_of(answer)


def test_cancel_now_with_an_instance_that_has_ended_says_so_and_sends_nothing(
    browser_of_ada: Client, waiting: Operation, simulator: Simulator
) -> None:
    """U-6: the state is read again just before it would be sent."""
    simulator.set_instance(str(waiting.instance_id), workflow_status="Completed")
    answer = browser_of_ada.post(reverse("operation-now", args=[waiting.pk]), follow=True)
    waiting.refresh_from_db()
    assert waiting.state == OperationState.REJECTED
    assert "completed" in text_of(answer).lower()
    assert posts(simulator) == 0


def test_others_neither_undo_nor_send(
    waiting: Operation, outsider: Membership, operator: Membership, viewer: Membership, signed_in: Callable[..., Client]
) -> None:
    """S-11: only its own person, and to undo it an admin."""
    for membership, statuses in ((outsider, {404}), (operator, {422}), (viewer, {403})):
        for name in ("operation-undo", "operation-now"):
            assert signed_in(membership).post(reverse(name, args=[waiting.pk])).status_code in statuses
    waiting.refresh_from_db()
    assert waiting.state == OperationState.PLANNED


def test_an_admin_may_undo_but_is_not_offered_to_send(
    waiting: Operation, admin: Membership, signed_in: Callable[..., Client]
) -> None:
    browser = signed_in(admin)
    page = text_of(browser.get(reverse("instance", args=[waiting.instance_id])))
    assert reverse("operation-undo", args=[waiting.pk]) in page
    assert reverse("operation-now", args=[waiting.pk]) not in page
    assert browser.post(reverse("operation-undo", args=[waiting.pk])).status_code == 302


def test_only_a_post_does_either(browser_of_ada: Client, waiting: Operation) -> None:
    for name in ("operation-undo", "operation-now"):
        assert browser_of_ada.get(reverse(name, args=[waiting.pk])).status_code == 405


def test_in_the_dialog_a_cancel_answers_with_the_way_back(
    ada: Membership, running: Instance, signed_in: Callable[..., Client], simulator: Simulator
) -> None:
    browser, url = signed_in(ada, htmx=True), reverse("instance-cancel", args=[running.pk])
    answer = browser.post(url, {"key": uuid.uuid4().hex, "reason": "Duplicate"})
    events = json.loads(answer.headers["HX-Trigger"])
    operation = Operation.objects.get()
    assert answer.status_code == 204
    assert {"instanceChanged", "closeDialog"} <= set(events)
    assert events["undoable"]["undo"] == reverse("operation-undo", args=[operation.pk])
    assert events["undoable"]["seconds"] == settings.UNDO_SECONDS
    assert posts(simulator) == 0


def test_a_single_cancel_that_needs_a_second_person_becomes_a_list_of_one(
    browser_of_ada: Client, ada: Membership, running: Instance, simulator: Simulator
) -> None:
    Policy.objects.create(account=ada.account, kind=OperationKind.CANCEL, least_count=1, created_by=ada.user)
    url = reverse("instance-cancel", args=[running.pk])
    answer = browser_of_ada.post(url, {"key": uuid.uuid4().hex, "reason": "Duplicate"})
    batch = Batch.objects.get()
    assert (batch.source, batch.total, batch.reason) == (Batch.Source.SINGLE, 1, "Duplicate")
    assert answer.headers["Location"] == reverse("batch-confirm", args=[batch.pk])
    assert not Operation.objects.exists()
    assert posts(simulator) == 0
