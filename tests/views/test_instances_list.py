"""The list of instances as a page: filters beside their messages, chips, columns, what typeahead fields offer."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.models import Instance, Membership, Rights, Workflow
from dashboard.services.instance_lists import Tab
from tests.factories import InstanceFactory, WorkflowFactory, lists

LIST, WORKFLOWS, PEOPLE = reverse("instances"), reverse("instance-workflows"), reverse("instance-people")
ALL_COLUMNS = "name,workflow,state,steps,by,started,changed,expires,ended,origin,id,last_step"


@pytest.fixture
def nda(operator: Membership) -> Workflow:
    workflow = WorkflowFactory(account=operator.account, name="Supplier NDA")
    lists(operator, workflow)
    return workflow


@pytest.fixture
def visitor(operator: Membership, signed_in: Callable[..., Client]) -> Client:
    return signed_in(operator)


def names_in(visitor: Client, url: str) -> list[str]:
    return [line.instance.name for line in visitor.get(url).context["rows"]]


def test_a_short_name_lists_nothing_and_says_why_beside_the_field(visitor: Client, nda: Workflow) -> None:
    InstanceFactory(workflow=nda, name="Abacus")
    answer = visitor.get(f"{LIST}?name=ab&steps=2")
    body = answer.content.decode()
    assert answer.context["rows"] == []
    assert "Nothing is listed yet" in body
    assert 'value="ab"' in body
    assert 'aria-describedby="filter-name_error"' in body
    assert '<p class="error" id="filter-name_error">' in body


def test_a_list_under_a_filter_that_was_left_out_says_so(visitor: Client, nda: Workflow) -> None:
    InstanceFactory(workflow=nda, name="Abacus")
    answer = visitor.get(f"{LIST}?name=abacus&steps=many&started_from=2020-01-01")
    body = answer.content.decode()
    assert [line.instance.name for line in answer.context["rows"]] == ["Abacus"]
    assert "The list shows more than was asked for." in body
    assert 'href="?name=abacus&amp;started_from=2020-01-01">Leave it out' in body
    assert "Name has: abacus" in body


def test_the_name_in_a_chip_is_asked_for_once(visitor: Client, nda: Workflow, operator: Membership) -> None:
    InstanceFactory(workflow=nda, started_by=operator.user.sub)
    with CaptureQueriesContext(connection) as captured:
        body = visitor.get(f"{LIST}?by={operator.user.sub}").content.decode()
    assert "Started by: Oskar Operator" in body
    assert sum('"sub" IN' in query["sql"] for query in captured.captured_queries) == 1


def test_a_chip_takes_only_its_own_filter_away(visitor: Client, nda: Workflow) -> None:
    offer = WorkflowFactory(account=nda.account, name="Offer letter")
    lists(Membership.objects.get(user__name="Oskar Operator"), offer)
    body = visitor.get(f"{LIST}?workflow={nda.pk}&workflow={offer.pk}&steps=1&size=50").content.decode()
    assert f'href="?workflow={offer.pk}&amp;steps=1&amp;size=50">Workflow: Supplier NDA' in body
    assert f'href="?workflow={nda.pk}&amp;workflow={offer.pk}&amp;size=50">At least 1 step done' in body
    assert 'href="?size=50">Clear all' in body


def test_days_are_days_of_the_person(visitor: Client, nda: Workflow, operator: Membership) -> None:
    operator.user.time_zone = "Pacific/Auckland"
    operator.user.save()
    InstanceFactory(
        workflow=nda, name="Late", started_at=datetime(2026, 5, 11, 12, 30, tzinfo=UTC)
    )  # the 12th in Auckland
    InstanceFactory(workflow=nda, name="Early", started_at=datetime(2026, 5, 11, 11, 30, tzinfo=UTC))  # still the 11th
    assert names_in(visitor, f"{LIST}?started_from=2026-05-12&started_until=2026-05-12") == ["Late"]
    assert names_in(visitor, f"{LIST}?started_until=2026-05-11") == ["Early"]


def test_filters_narrow_the_list_together(visitor: Client, nda: Workflow, operator: Membership) -> None:
    soon = timezone.now() + timedelta(days=2)
    mine = {"workflow": nda, "started_by": operator.user.sub, "expires_at": soon, "last_completed_step": 4}
    InstanceFactory(name="Wanted", **mine, is_from_here=True)
    InstanceFactory(name="Elsewhere", **mine)
    InstanceFactory(name="Early", **(mine | {"last_completed_step": 1}), is_from_here=True)
    InstanceFactory(name="Somebody's", **(mine | {"started_by": str(uuid4())}), is_from_here=True)
    InstanceFactory(name="Long", **(mine | {"expires_at": soon + timedelta(days=30)}), is_from_here=True)
    assert names_in(visitor, f"{LIST}?by=me&expires=3&steps=4&origin=here") == ["Wanted"]


def test_every_column_can_be_shown_and_every_sortable_one_is_a_link(visitor: Client, nda: Workflow) -> None:
    instance = InstanceFactory(workflow=nda)
    body = visitor.get(f"{LIST}?cols={ALL_COLUMNS}&sort=workflow").content.decode()
    assert body.count('<th scope="col"') == 14  # and those of the tick and of the row's menu
    assert 'aria-sort="ascending"><a href="?cols=' in body
    assert f'data-label="Instance ID">{instance.pk}' in body
    for key in ("name", "workflow", "state", "steps", "by", "started", "changed", "expires"):
        assert visitor.get(f"{LIST}?sort={key}").content.decode().count("aria-sort=") == 1
        assert visitor.get(f"{LIST}?sort=-{key}").content.decode().count('aria-sort="descending"') == 1


def test_the_choice_of_columns_keeps_the_rest_of_the_address(visitor: Client, nda: Workflow) -> None:
    InstanceFactory(workflow=nda)
    body = visitor.get(f"{LIST}?steps=1&cols=state&after=x").content.decode()
    chooser = body[body.index('id="columns"') : body.index("Show these columns")]
    assert '<input type="hidden" name="steps" value="1">' in chooser
    assert 'name="after"' not in chooser
    assert chooser.count(" checked") == 1
    assert 'href="?steps=1">' in body[body.index("Show these columns") :]


def test_a_tab_that_was_not_counted_has_only_its_word() -> None:
    """A count that takes too long is left out, never guessed."""
    tabs = [Tab("running", "In progress", None), Tab("failed", "Failed", 10_001, "danger")]
    body = render_to_string("instances/_list.html", {"tabs": tabs}, RequestFactory().get(LIST))
    assert "In progress</a>" in body
    assert "10,000+</span></a>" in body


def test_a_row_has_a_mark_that_changes_with_what_it_shows(visitor: Client, nda: Workflow) -> None:
    instance = InstanceFactory(workflow=nda)
    [first] = visitor.get(LIST).context["rows"]
    [again] = visitor.get(LIST).context["rows"]
    Instance.objects.filter(pk=instance.pk).update(last_completed_step=5)
    [later] = visitor.get(LIST).context["rows"]
    assert first.mark == again.mark != later.mark
    assert f'data-id="{instance.pk}" data-mark="{later.mark}"' in visitor.get(LIST).content.decode()


def test_the_page_of_a_workflow_has_the_same_filters_within_it(visitor: Client, nda: Workflow) -> None:
    InstanceFactory(workflow=nda, name="Acme")
    InstanceFactory(workflow=nda, name="Brightwater")
    InstanceFactory(workflow=WorkflowFactory(account=nda.account), name="Acme elsewhere")
    url = reverse("workflow", args=[nda.pk])
    assert names_in(visitor, f"{url}?name=acme") == ["Acme"]
    body = visitor.get(f"{url}?name=acme").content.decode()
    assert 'id="filter-workflow"' not in body
    assert f'action="{url}"' in body


def test_a_typeahead_offers_at_most_twenty_with_links_that_keep_the_filter(
    visitor: Client, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    made = [WorkflowFactory(account=operator.account, name=f"Supplier {number:02}") for number in range(25)]
    lists(operator, *made)
    answer = signed_in(operator, htmx=True).get(
        f"{WORKFLOWS}?q=supp&steps=2&workflow=supp&workflow={made[3].pk}&after=x"
    )
    body = answer.content.decode()
    assert b"<html" not in answer.content
    assert body.count('role="option"') == 20
    assert "The first 20." in body
    assert f'href="?steps=2&amp;workflow={made[3].pk}&amp;workflow={made[0].pk}"' in body


def test_without_script_the_offer_is_a_page_whose_links_lead_to_the_list(visitor: Client, nda: Workflow) -> None:
    body = visitor.get(f"{WORKFLOWS}?q=supplier&size=50").content.decode()
    assert f'href="{LIST}?size=50&amp;workflow={nda.pk}"' in body
    assert "<h1>Choose a workflow</h1>" in body


def test_oneself_is_offered_first_among_people(
    operator: Membership, nda: Workflow, signed_in: Callable[..., Client]
) -> None:
    starter = str(uuid4())
    InstanceFactory(workflow=nda, started_by=starter, started_by_name="Mette Berg")
    links = signed_in(operator, htmx=True).get(f"{PEOPLE}?q=me&by=x").context["links"]
    assert links == [("?by=me", "Me"), (f"?by={starter}", "Mette Berg")]


def test_a_typeahead_offers_only_what_the_person_may_see(
    operator: Membership, nda: Workflow, outsider: Membership, signed_in: Callable[..., Client]
) -> None:
    """V-3: a name that is offered is a name that is told."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN)
    InstanceFactory(workflow=nda, started_by_name="Canary Person")
    lists(outsider, WorkflowFactory(account=outsider.account, name="Canary workflow"))
    WorkflowFactory(account=operator.account, name="Canary that is not listed to this person")
    visitor = signed_in(operator, htmx=True)
    for url in (WORKFLOWS, PEOPLE):
        for text in ("", "canary"):
            assert "Canary" not in visitor.get(f"{url}?q={text}").content.decode()


@pytest.mark.parametrize("text", ["%00", "%F0%9F%98%80", "x" * 5000, "%25", "%5B%22"])
def test_any_text_can_be_typed(text: str, visitor: Client, nda: Workflow) -> None:
    for url in (
        f"{WORKFLOWS}?q={text}",
        f"{PEOPLE}?q={text}",
        f"{LIST}?name={text}&by={text}&workflow={text}&key={text}",
    ):
        assert visitor.get(url).status_code == 200
