"""Workflows: the list, one of them, refresh, pause and resume."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import AccountSync, AuditEntry, InstanceState, Membership, Operation, Workflow, WorkflowState
from maestro_api.simulator import Simulator
from tests.factories import ContractFactory, InstanceFactory, WorkflowFactory, lists
from tests.forms.test_trigger import named

LIST = reverse("workflows")
CEILING = 20


def rows_of(answer: Any) -> dict[str, Any]:
    return {row["workflow"].name: row for row in answer.context["rows"]}


def listed(membership: Membership, name: str, **details: Any) -> Workflow:
    workflow = WorkflowFactory(account=membership.account, name=name, **details)
    lists(membership, workflow)
    return workflow


def test_the_list_counts_instances_by_state(operator: Membership, signed_in: Callable[..., Client]) -> None:
    workflow = listed(operator, "Supplier NDA")
    InstanceFactory.create_batch(2, workflow=workflow, expires_at=timezone.now())
    InstanceFactory(workflow=workflow, status=InstanceState.FAILED, started_by_name="Ana Lopes")
    figures = rows_of(signed_in(operator).get(LIST))["Supplier NDA"]["figures"]
    assert (figures.running, figures.failed, figures.expiring, figures.total) == (2, 1, 2, 3)
    assert figures.last_trigger_by == "Ana Lopes"


@pytest.mark.parametrize("rows", [1, 50])
def test_the_list_costs_the_same_number_of_queries_for_any_number_of_rows(
    rows: int,
    operator: Membership,
    signed_in: Callable[..., Client],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for number in range(rows):
        InstanceFactory(workflow=listed(operator, f"Workflow {number}"))
    client = signed_in(operator)
    client.get(LIST)
    with django_assert_max_num_queries(CEILING):
        answer = client.get(LIST)
    assert len(answer.context["rows"]) == rows


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?sort=name", ["Alpha", "beta", "Gamma"]),
        ("?sort=-name", ["Gamma", "beta", "Alpha"]),
        ("?sort=-running", ["beta", "Alpha", "Gamma"]),
        ("?q=BET", ["beta"]),
        ("?state=paused", ["Gamma"]),
        ("?state=nonsense&sort=x&size=3&page=-1", ["beta", "Alpha", "Gamma"]),
    ],
)
def test_search_state_and_sort_come_from_the_address(
    query: str, names: list[str], operator: Membership, signed_in: Callable[..., Client]
) -> None:
    listed(operator, "Alpha")
    InstanceFactory(workflow=listed(operator, "beta"))
    listed(operator, "Gamma", asked_state=WorkflowState.PAUSED, asked_at=timezone.now())
    assert list(rows_of(signed_in(operator).get(f"{LIST}{query}"))) == names


def test_a_workflow_that_others_were_shown_is_not_in_the_list(
    operator: Membership, viewer: Membership, signed_in: Callable[..., Client]
) -> None:
    """V-1: only what this person's own token listed."""
    foreign = listed(viewer, "Canary")
    client = signed_in(operator)
    assert "Canary" not in client.get(LIST).content.decode()
    assert client.get(reverse("workflow", args=[foreign.pk])).status_code == 404


def test_our_pause_and_docusigns_word_are_both_shown(operator: Membership, signed_in: Callable[..., Client]) -> None:
    workflow = listed(
        operator, "Supplier NDA", asked_state=WorkflowState.PAUSED, asked_at=timezone.now(), asked_by=operator.user
    )
    client = signed_in(operator)
    row = rows_of(client.get(LIST))["Supplier NDA"]
    assert row["no_trigger"] == "It is paused, so it takes no new instances. Resume it first."
    assert row["why_not"] == "Resume first"
    body = client.get(reverse("workflow", args=[workflow.pk])).content.decode()
    assert "Paused from this console" in body
    assert "its list still says" in body


def test_the_contract_shows_types_defaults_and_what_changed(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    workflow, now = listed(operator, "Supplier NDA"), timezone.now()
    earlier = now - timezone.timedelta(days=3)
    ContractFactory(workflow=workflow, fields=[named("Email")], first_seen_at=earlier, last_seen_at=earlier)
    fields = [named("Email"), named("Law", default="Germany", has_default=True)]
    ContractFactory(workflow=workflow, fields=fields, notes=["It names another host."], first_seen_at=now)
    body = signed_in(operator).get(reverse("workflow", args=[workflow.pk])).content.decode()
    assert "“Law” is new" in body
    assert "&quot;Germany&quot;" in body
    assert "none, so it is required" in body
    assert "It names another host." in body
    assert "Earlier versions (1)" in body


@pytest.mark.parametrize(
    ("status", "words"), [("inactive", "Docusign says it is inactive"), ("archived", "Docusign says it is archived")]
)
def test_a_workflow_that_cannot_be_triggered_says_why(
    status: str, words: str, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    listed(operator, "Supplier NDA", status=status, raw_status=status)
    assert words in signed_in(operator).get(LIST).content.decode()


def test_pages_ask_docusign_nothing(browser_of_ada: Client, workflow: Workflow, simulator: Simulator) -> None:
    for url in (
        LIST,
        reverse("workflow", args=[workflow.pk]),
        reverse("workflow-pause", args=[workflow.pk]),
        reverse("instances"),
    ):
        assert browser_of_ada.get(url).status_code == 200
    assert simulator.ledger() == []


def test_refresh_of_everything_is_queued_and_returns_at_once(browser_of_ada: Client, simulator: Simulator) -> None:
    simulator.clear_ledger()
    url = f"{reverse('workflows-refresh')}?next=/instances/"
    answer = browser_of_ada.post(url, follow=True)
    assert answer.redirect_chain == [("/instances/", 302)]
    assert simulator.ledger() == []
    assert "read only moments ago" in answer.content.decode()
    Membership.objects.update(synced_at=timezone.now() - timedelta(minutes=1))
    AccountSync.objects.update(recent_at=timezone.now() - timedelta(minutes=1), full_at=None)
    assert "Docusign is being read" in browser_of_ada.post(url, follow=True).content.decode()


def test_refresh_of_one_workflow_reads_it_now(browser_of_ada: Client, workflow: Workflow, simulator: Simulator) -> None:
    answer = browser_of_ada.post(reverse("workflow-refresh", args=[workflow.pk]))
    assert answer.status_code == 302
    assert {entry["method"] for entry in simulator.ledger()} == {"GET"}


def form_of(browser: Client, url: str) -> dict[str, str]:
    return {"key": browser.get(url).context["form"]["key"].value()}


def test_a_pause_is_asked_for_then_sent_once(browser_of_ada: Client, workflow: Workflow, simulator: Simulator) -> None:
    """U-7: the second submit gives the first result."""
    url = reverse("workflow-pause", args=[workflow.pk])
    question = browser_of_ada.get(url)
    assert "Running instances go on" in question.content.decode()
    form = form_of(browser_of_ada, url)
    first, second = browser_of_ada.post(url, form), browser_of_ada.post(url, form)
    assert first.headers["Location"] == second.headers["Location"] == reverse("workflow", args=[workflow.pk])
    assert sum(entry["method"] == "POST" for entry in simulator.ledger()) == 1
    workflow.refresh_from_db()
    assert workflow.is_paused
    assert AuditEntry.objects.filter(action="workflow.paused").count() == 1


def test_a_paused_workflow_can_be_resumed(browser_of_ada: Client, workflow: Workflow) -> None:
    for name in ("workflow-pause", "workflow-resume"):
        url = reverse(name, args=[workflow.pk])
        assert browser_of_ada.post(url, form_of(browser_of_ada, url)).status_code == 302
    workflow.refresh_from_db()
    assert not workflow.is_paused


def test_pausing_twice_is_refused_in_the_dialog(
    browser_of_ada: Client, workflow: Workflow, simulator: Simulator
) -> None:
    url = reverse("workflow-pause", args=[workflow.pk])
    form = form_of(browser_of_ada, url)
    Workflow.objects.filter(pk=workflow.pk).update(status=WorkflowState.PAUSED, raw_status="paused")
    answer = browser_of_ada.post(url, form)
    assert answer.status_code == 422
    assert "This workflow is already paused." in answer.content.decode()
    assert simulator.ledger() == []


def test_a_refusal_of_docusign_is_quoted(browser_of_ada: Client, workflow: Workflow, simulator: Simulator) -> None:
    url = reverse("workflow-pause", args=[workflow.pk])
    form = form_of(browser_of_ada, url)
    body = {"title": "Forbidden", "status": 403, "detail": "Level manage is required.", "type": "about:blank"}
    simulator.set_faults([{"match": {"method": "POST"}, "do": {"status": 403, "body": body}}])
    answer = browser_of_ada.post(url, form)
    assert answer.status_code == 422
    assert "Level manage is required." in answer.content.decode()
    assert answer.context["form"]["key"].value() != form["key"]


def test_while_the_grant_is_gone_the_question_stays(
    browser_of_ada: Client, ada: Membership, workflow: Workflow
) -> None:
    """V-6: without a grant nothing is visible, so the address does not exist."""
    url = reverse("workflow-pause", args=[workflow.pk])
    form = form_of(browser_of_ada, url)
    ada.user.connection.state = "reconnect_needed"
    ada.user.connection.save()
    assert browser_of_ada.post(url, form).status_code == 404
    assert not Operation.objects.exists()


def test_a_form_with_anything_else_in_it_is_refused(browser_of_ada: Client, workflow: Workflow) -> None:
    """S-12: no member can be slipped in."""
    url = reverse("workflow-pause", args=[workflow.pk])
    assert browser_of_ada.post(url, {**form_of(browser_of_ada, url), "state": "confirmed"}).status_code == 422
    assert not Operation.objects.exists()
