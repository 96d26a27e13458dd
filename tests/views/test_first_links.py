"""Somebody who comes in for the first time by a link, before Docusign said what they may see."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.models import Account, Membership, Rights, Role, Workflow
from dashboard.services import due
from tests.factories import WorkflowFactory, person

NOWHERE = "0d3c5b6a-1111-4222-8333-444455556666"
NOT_YET = "Docusign has not yet said what you may see"
NOTHING = "There is nothing here"


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs that pages asked for."""
    found: list[str] = []
    monkeypatch.setattr(due.jobs, "enqueue", lambda name, *_, **__: found.append(name))
    return found


@pytest.fixture
def newcomer(account: Account) -> Membership:
    membership = person(account, Role.OPERATOR, rights=Rights.UNPROVEN)
    Membership.objects.filter(pk=membership.pk).update(synced_at=None, rights_proven_at=None)
    return membership


@pytest.fixture
def workflow(account: Account) -> Workflow:
    return WorkflowFactory(account=account)


@pytest.mark.parametrize("name", ["workflow", "workflow-pause", "workflow-resume"])
def test_a_first_link_says_that_docusign_is_being_read_and_has_it_read(
    name: str, newcomer: Membership, workflow: Workflow, signed_in: Callable[..., Client], queued: list[str]
) -> None:
    address = reverse(name, args=[workflow.pk])
    answer = signed_in(newcomer).get(address)
    shown = answer.content.decode()
    assert answer.status_code == 404
    assert NOT_YET in shown
    assert f'href="{address}"' in shown
    assert queued == ["sync_membership"]
    newcomer.refresh_from_db()
    assert newcomer.looked_at is not None


def test_a_first_link_does_not_tell_what_exists(
    newcomer: Membership, workflow: Workflow, signed_in: Callable[..., Client], queued: list[str]
) -> None:
    """V-1: until the proof came, what is there and what is not look the same."""
    browser = signed_in(newcomer)
    answers = [browser.get(reverse("workflow-pause", args=[pk])) for pk in (workflow.pk, NOWHERE)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert [NOT_YET in answer.content.decode() for answer in answers] == [True, True]


def test_a_first_look_that_failed_is_not_said_to_be_on_its_way(
    newcomer: Membership, workflow: Workflow, signed_in: Callable[..., Client], queued: list[str]
) -> None:
    said = "Docusign is not answering <just now>."
    Membership.objects.filter(pk=newcomer.pk).update(sync_failed_at=timezone.now(), sync_error=said)
    shown = signed_in(newcomer).get(reverse("workflow-pause", args=[workflow.pk])).content.decode()
    assert "Docusign could not be read" in shown
    assert "Docusign is not answering &lt;just now&gt;." in shown
    assert "Docusign is being read" not in shown
    assert "on its way" not in shown
    assert queued == []


@pytest.mark.parametrize("rights", [Rights.NONE, Rights.OWN, Rights.MANAGE])
def test_who_is_proven_reads_that_nothing_is_there(
    rights: Rights, account: Account, workflow: Workflow, signed_in: Callable[..., Client], queued: list[str]
) -> None:
    answer = signed_in(person(account, Role.OPERATOR, rights=rights)).get(reverse("workflow-pause", args=[workflow.pk]))
    assert NOTHING in answer.content.decode()
    assert NOT_YET not in answer.content.decode()
    assert queued == []


def test_an_address_that_no_page_has_is_not_on_its_way(
    newcomer: Membership, signed_in: Callable[..., Client], queued: list[str]
) -> None:
    assert NOTHING in signed_in(newcomer).get("/nowhere/").content.decode()
    assert queued == []


def test_a_page_that_read_the_person_before_the_job_ended_does_not_queue_it_again(
    newcomer: Membership, queued: list[str]
) -> None:
    """Many open tabs ask within the moment in which a look ends."""
    early = Membership.objects.select_related("user__connection", "account").get(pk=newcomer.pk)
    Membership.objects.filter(pk=newcomer.pk).update(rights_proven_at=timezone.now(), synced_at=timezone.now())
    due.look(early)
    assert queued == []
    due.look(Membership.objects.select_related("user__connection", "account").get(pk=newcomer.pk))
    assert queued == []
