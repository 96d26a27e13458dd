"""Instances: the list, one of them, refresh, cancel, participant link."""

import gzip
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard import crypto
from dashboard.models import (
    ApiBudget,
    AuditEntry,
    Instance,
    InstanceChange,
    InstanceState,
    Membership,
    Operation,
    Rights,
    Role,
    Workflow,
)
from dashboard.services.triggers import url_place
from maestro_api.simulator import Simulator
from tests.factories import InstanceFactory, WorkflowFactory, lists, person

LIST = reverse("instances")
LINK = "http://127.0.0.1:9000/api/maestro/execution?mtid=1&mtsec=canary-of-the-link"
CEILING = 11


@pytest.fixture
def seen(operator: Membership) -> Workflow:
    """A workflow that the operator may see."""
    workflow = WorkflowFactory(account=operator.account, name="Supplier NDA")
    lists(operator, workflow)
    return workflow


def names_in(answer: Any) -> list[str]:
    return [row.name for row, *_ in answer.context["rows"]]


def test_the_list_shows_the_latest_change_first(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    now = timezone.now()
    for age in (3, 1, 2):
        InstanceFactory(workflow=seen, name=f"NDA {age}", last_modified_at=now - timedelta(hours=age))
    answer = signed_in(operator).get(LIST)
    assert answer.status_code == 200
    assert names_in(answer) == ["NDA 1", "NDA 2", "NDA 3"]


@pytest.mark.parametrize("rows", [1, 50])
def test_the_list_costs_the_same_number_of_queries_for_any_number_of_rows(
    rows: int,
    operator: Membership,
    seen: Workflow,
    signed_in: Callable[..., Client],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    InstanceFactory.create_batch(rows, workflow=seen)
    client = signed_in(operator)
    client.get(LIST)
    with django_assert_max_num_queries(CEILING):
        answer = client.get(f"{LIST}?size=50")
    assert len(answer.context["rows"]) == rows


def test_fifty_rows_as_a_fragment_stay_small(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    for number in range(50):
        InstanceFactory(workflow=seen, name=f"NDA {uuid.uuid4()} {number}", started_by_name=f"Person {number}")
    answer = signed_in(operator, htmx=True).get(f"{LIST}?size=50")
    assert len(answer.context["rows"]) == 50
    assert b"<html" not in answer.content
    assert len(gzip.compress(answer.content)) <= 15_000


def test_every_row_comes_once_when_paging_through_equal_times(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    moment = timezone.now()
    made = InstanceFactory.create_batch(60, workflow=seen, last_modified_at=moment)
    client, found, url = signed_in(operator), [], LIST
    while url:
        answer = client.get(url)
        found += [row.pk for row, *_ in answer.context["rows"]]
        url = f"{LIST}{answer.context['older_url']}" if answer.context["older_url"] else ""
    assert len(found) == 60
    assert set(found) == {row.pk for row in made}


@pytest.mark.parametrize("sort", ["name", "-name", "expires", "-expires", "started", "-started", "by", "changed"])
def test_every_sort_pages_forth_and_back_over_missing_values(
    sort: str, operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    now = timezone.now()
    for number in range(55):
        day = None if number % 3 == 0 else now + timedelta(days=number % 5)
        InstanceFactory(workflow=seen, name=f"NDA {number % 7}", expires_at=day, started_at=day)
    client = signed_in(operator)
    first = client.get(f"{LIST}?sort={sort}")
    second = client.get(f"{LIST}{first.context['older_url']}")
    third = client.get(f"{LIST}{second.context['older_url']}")
    pages = [[row.pk for row, *_ in answer.context["rows"]] for answer in (first, second, third)]
    assert [len(page) for page in pages] == [25, 25, 5]
    assert len({pk for page in pages for pk in page}) == 55
    back = client.get(f"{LIST}{third.context['newer_url']}")
    assert [row.pk for row, *_ in back.context["rows"]] == pages[1]


@pytest.mark.parametrize("cursor", ["x", "W10", "bnVsbA", "W3siaXMiOiAxfSwgIngiXQ", "a" * 5000])
def test_a_cursor_that_somebody_wrote_gives_the_first_page(
    cursor: str, operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    InstanceFactory(workflow=seen)
    answer = signed_in(operator).get(f"{LIST}?after={cursor}&size=7&sort=nonsense&state=y")
    assert answer.status_code == 200
    assert len(answer.context["rows"]) == 1


def test_tabs_count_under_the_same_filters(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    InstanceFactory(workflow=seen, name="Alpha", expires_at=timezone.now() + timedelta(days=1))
    InstanceFactory(workflow=seen, name="Alpha two", status=InstanceState.FAILED)
    InstanceFactory(workflow=seen, name="Beta", status=InstanceState.UNKNOWN, raw_status="Awaiting Sync")
    client = signed_in(operator)
    everything = {tab.key: tab.count for tab in client.get(LIST).context["tabs"]}
    assert everything == {"running": 1, "failed": 1, "expiring": 1, "completed": 0, "canceled": 0, "other": 1, "all": 3}
    alphas = {tab.key: tab.count for tab in client.get(f"{LIST}?name=alpha").context["tabs"]}
    assert alphas == {"running": 1, "failed": 1, "expiring": 1, "completed": 0, "canceled": 0, "all": 2}
    assert names_in(client.get(f"{LIST}?state=other")) == ["Beta"]


def test_an_unknown_state_is_shown_as_it_came(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    InstanceFactory(workflow=seen, status=InstanceState.UNKNOWN, raw_status="Awaiting <Sync>")
    body = signed_in(operator).get(LIST).content.decode()
    assert "Awaiting &lt;Sync&gt;" in body


@pytest.mark.parametrize(
    ("query", "words"),
    [("", "No instances yet"), ("?name=zzz", "No instance matches"), ("?state=failed", "No instance in this state")],
)
def test_an_empty_list_says_which_kind_of_empty_it_is(
    query: str, words: str, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    assert words in signed_in(operator).get(f"{LIST}{query}").content.decode()


def test_the_first_visit_shows_that_data_is_on_its_way(operator: Membership, signed_in: Callable[..., Client]) -> None:
    Membership.objects.filter(pk=operator.pk).update(synced_at=None, rights=Rights.UNPROVEN)
    assert "Docusign is being read" in signed_in(operator).get(LIST).content.decode()


def test_a_person_without_rights_reads_what_docusign_said(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.NONE, rights_message="Ask your admin.")
    assert "Ask your admin." in signed_in(operator).get(LIST).content.decode()


def test_a_poll_gets_204_until_something_moved(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    client = signed_in(operator, htmx=True)
    client.get(LIST)
    poll = client.get(LIST).context["poll_url"]
    assert client.get(poll).status_code == 204
    InstanceFactory(workflow=seen)
    operator.account.version += 1
    operator.account.save()
    answer = client.get(poll)
    assert answer.status_code == 200
    assert "stamp=" not in re.sub(r'data-poll="[^"]*"', "", answer.content.decode())


def test_others_rows_are_in_no_list_count_or_page(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client], account: Any
) -> None:
    """V-1, V-3: a preparer sees own instances only, in rows, counts, search and pages."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN)
    foreign = InstanceFactory(workflow=seen, name="Canary of somebody", started_by_name="Canary Person")
    InstanceFactory(workflow=seen, name="Mine", started_by=operator.user.sub)
    client = signed_in(operator)
    for url in (
        LIST,
        f"{LIST}?name=canary",
        reverse("workflows"),
        reverse("workflow", args=[seen.pk]),
        reverse("overview"),
    ):
        assert "Canary" not in client.get(url).content.decode().replace("canary", "")
    assert {tab.key: tab.count for tab in client.get(LIST).context["tabs"]}["all"] == 1
    assert client.get(reverse("instance", args=[foreign.pk])).status_code == 404


def test_inputs_are_on_the_detail_page_only(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    """V-4: inputs may hold personal data."""
    inputs = {"Email": "canary@example.com", "startDate": "2026-05-12T06:12:06Z", "Address": {"city": "Hamburg"}}
    instance = InstanceFactory(workflow=seen, trigger_inputs=inputs)
    client = signed_in(operator)
    assert "canary@example.com" not in client.get(LIST).content.decode()
    answer = client.get(reverse("instance", args=[instance.pk]))
    assert "canary@example.com" in answer.content.decode()
    assert [row.name for row in answer.context["inputs"]] == ["Email", "Address"]
    assert [row.name for row in answer.context["system"]] == ["startDate"]


def test_the_timeline_names_changes_and_their_lateness(
    operator: Membership, seen: Workflow, signed_in: Callable[..., Client]
) -> None:
    instance, now = InstanceFactory(workflow=seen), timezone.now()
    InstanceChange.objects.create(
        instance=instance,
        account=instance.account,
        observed_at=now,
        happened_at=now - timedelta(minutes=9),
        source="list",
        status_before="In Progress",
        status_after="In Progress",
        step_before=1,
        step_after=3,
        step_name="Manager review",
    )
    body = signed_in(operator).get(reverse("instance", args=[instance.pk])).content.decode()
    assert "Steps 2 to 3 done, the last one:" in body
    assert "Seen 9 min after it happened." in body


def test_refresh_reads_the_instance_once(browser_of_ada: Client, running: Instance, simulator: Simulator) -> None:
    answer = browser_of_ada.post(reverse("instance-refresh", args=[running.pk]))
    assert answer.headers["Location"] == reverse("instance", args=[running.pk])
    assert [entry["method"] for entry in simulator.ledger()] == ["GET"]


def test_an_instance_that_docusign_now_refuses_disappears(
    browser_of_ada: Client, running: Instance, simulator: Simulator
) -> None:
    """V-6: a 404 at Docusign hides the row at once."""
    simulator.set_faults([{"match": {"path": f"/instances/{running.pk}"}, "do": {"status": 404}}])
    browser_of_ada.post(reverse("instance-refresh", args=[running.pk]))
    assert browser_of_ada.get(reverse("instance", args=[running.pk])).status_code == 404


def cancel_form(browser: Client, url: str) -> dict[str, str]:
    return {"key": browser.get(url).context["form"]["key"].value(), "reason": "Duplicate of INV-20391"}


def test_the_cancel_question_names_the_instance_and_changes_nothing(browser_of_ada: Client, running: Instance) -> None:
    answer = browser_of_ada.get(reverse("instance-cancel", args=[running.pk]))
    body = answer.content.decode()
    assert "Cancel this instance?" in body
    assert "Docusign cannot undo this." in body
    assert "Cancel 1 instance" in body
    assert not Operation.objects.exists()


def cancel_now(browser: Client) -> Any:
    return browser.post(reverse("operation-now", args=[Operation.objects.get().pk]), follow=True)


def test_a_cancel_is_planned_once_sent_once_and_recorded(
    browser_of_ada: Client, running: Instance, simulator: Simulator
) -> None:
    """U-7: the second submit gives the first result."""
    url = reverse("instance-cancel", args=[running.pk])
    form = cancel_form(browser_of_ada, url)
    first, second = browser_of_ada.post(url, form), browser_of_ada.post(url, form)
    assert first.headers["Location"] == second.headers["Location"] == reverse("instance", args=[running.pk])
    assert simulator.ledger() == []
    cancel_now(browser_of_ada)
    assert sum(entry["method"] == "POST" for entry in simulator.ledger()) == 1
    running.refresh_from_db()
    assert running.status == InstanceState.CANCELED
    assert AuditEntry.objects.filter(action="instance.canceled", object_id=str(running.pk)).count() == 1


def test_a_cancel_without_reason_comes_back(browser_of_ada: Client, running: Instance, simulator: Simulator) -> None:
    url = reverse("instance-cancel", args=[running.pk])
    answer = browser_of_ada.post(url, {**cancel_form(browser_of_ada, url), "reason": " "})
    assert answer.status_code == 422
    assert "Write why." in answer.content.decode()
    assert simulator.ledger() == []


def test_a_cancel_that_comes_too_late_says_so(browser_of_ada: Client, running: Instance, simulator: Simulator) -> None:
    url = reverse("instance-cancel", args=[running.pk])
    form = cancel_form(browser_of_ada, url)
    Instance.objects.filter(pk=running.pk).update(status=InstanceState.COMPLETED, raw_status="Completed")
    answer = browser_of_ada.post(url, form)
    assert answer.status_code == 422
    assert "too late" in answer.content.decode()
    assert simulator.ledger() == []


def test_a_cancel_whose_answer_is_lost_leads_to_the_truth(
    browser_of_ada: Client, running: Instance, simulator: Simulator
) -> None:
    url = reverse("instance-cancel", args=[running.pk])
    browser_of_ada.post(url, cancel_form(browser_of_ada, url))
    simulator.set_faults([{"match": {"path": "/actions/cancel"}, "do": {"reset": "before"}}])
    cancel_now(browser_of_ada)
    operation = Operation.objects.get()
    assert operation.state == "unknown"
    page = browser_of_ada.get(reverse("operation", args=[operation.pk])).content.decode()
    assert "We do not know whether it was canceled." in page


def test_while_docusign_is_away_nothing_is_sent_and_the_page_says_that_it_waits(
    browser_of_ada: Client, ada: Membership, running: Instance, simulator: Simulator
) -> None:
    url = reverse("instance-cancel", args=[running.pk])
    browser_of_ada.post(url, cancel_form(browser_of_ada, url))
    ApiBudget.objects.update_or_create(
        account=ada.account, defaults={"blocked_until": timezone.now() + timedelta(minutes=5)}
    )
    answer = cancel_now(browser_of_ada)
    assert "could not be asked for the present state" in answer.content.decode()
    assert simulator.ledger() == []


def test_viewers_see_why_they_cannot_cancel(viewer: Membership, signed_in: Callable[..., Client]) -> None:
    instance = InstanceFactory(workflow=WorkflowFactory(account=viewer.account))
    body = signed_in(viewer).get(reverse("instance", args=[instance.pk])).content.decode()
    assert "to cancel instances you need the role operator" in body
    assert signed_in(viewer).post(reverse("instance-cancel", args=[instance.pk]), {}).status_code == 403


def with_link(membership: Membership, link: str = LINK) -> Instance:
    instance = InstanceFactory(workflow=WorkflowFactory(account=membership.account), started_by=membership.user.sub)
    instance.sealed_url = crypto.seal(link, *url_place(instance.pk))
    instance.url_owner = membership.user
    instance.save()
    return instance


def test_the_starter_reveals_the_link_and_it_is_recorded(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """O-16: shown on a click, with an audit entry, and nowhere else."""
    instance, client = with_link(operator), signed_in(operator)
    answer = client.post(reverse("instance-reveal", args=[instance.pk]))
    body = answer.content.decode()
    assert "canary-of-the-link" in body
    assert 'rel="noreferrer noopener"' in body
    entry = AuditEntry.objects.get(action="instance.link_revealed")
    assert "canary" not in str(entry.detail) + entry.reason + entry.object_name
    for url in (LIST, reverse("instance", args=[instance.pk]), reverse("audit")):
        assert "canary-of-the-link" not in client.get(url).content.decode()


def test_nobody_else_can_reveal_the_link(operator: Membership, account: Any, signed_in: Callable[..., Client]) -> None:
    """O-16: for another person the link does not exist."""
    instance = with_link(operator)
    other = person(account, Role.ADMIN)
    url = reverse("instance-reveal", args=[instance.pk])
    assert signed_in(other).post(url).status_code == 404
    assert signed_in(operator).get(url).status_code == 405
    assert not AuditEntry.objects.exists()


def test_a_link_that_leads_elsewhere_is_not_shown(operator: Membership, signed_in: Callable[..., Client]) -> None:
    """O-16: only links to Docusign itself."""
    instance = with_link(operator, "https://evil.example/?mtsec=canary")
    answer = signed_in(operator).post(reverse("instance-reveal", args=[instance.pk]))
    assert answer.status_code == 422
    assert "evil.example" not in answer.content.decode()


def test_a_link_that_never_came_is_said_to_be_missing(operator: Membership, signed_in: Callable[..., Client]) -> None:
    instance = InstanceFactory(workflow=WorkflowFactory(account=operator.account), started_by=operator.user.sub)
    body = signed_in(operator).get(reverse("instance", args=[instance.pk])).content.decode()
    assert "that answer did not reach this console" in body
