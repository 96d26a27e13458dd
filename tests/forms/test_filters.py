"""The filter of the list of instances: what an address means, and what is said about one that cannot be understood."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.http import QueryDict

from dashboard.forms.instance_filter import COLUMNS, DEFAULT_COLUMNS, InstanceFilter
from dashboard.models import Membership, Workflow
from tests.factories import InstanceFactory, WorkflowFactory, lists


@pytest.fixture
def nda(operator: Membership) -> Workflow:
    workflow = WorkflowFactory(account=operator.account, name="Supplier NDA")
    lists(operator, workflow)
    return workflow


@pytest.fixture
def offer(operator: Membership) -> Workflow:
    workflow = WorkflowFactory(account=operator.account, name="Supplier offer")
    lists(operator, workflow)
    return workflow


def read(membership: Membership, query: str, **kwargs: Any) -> InstanceFilter:
    return InstanceFilter(QueryDict(query), membership=membership, **kwargs)


def search(membership: Membership, query: str, **kwargs: Any) -> Any:
    return read(membership, query, **kwargs).search(QueryDict(query))


def test_an_empty_address_asks_for_everything_with_the_latest_change_first(operator: Membership) -> None:
    found = search(operator, "")
    assert (found.state, found.sort, found.size, found.name, found.workflows) == ("all", "-changed", 25, "", ())
    assert read(operator, "").problems == []
    assert read(operator, "").chips == []


def test_until_includes_the_whole_day_in_the_zone_of_the_person(operator: Membership) -> None:
    operator.user.time_zone = "Europe/Berlin"
    found = search(operator, "started_from=2026-03-28&started_until=2026-03-29")
    assert found.started_from == datetime(2026, 3, 27, 23, tzinfo=UTC)
    assert found.started_until == datetime(2026, 3, 29, 22, tzinfo=UTC)  # the night in which the clocks went forward


def test_every_filter_of_the_address_reaches_the_search(operator: Membership, nda: Workflow) -> None:
    digest = "a" * 64
    found = search(
        operator,
        f"name=acme&workflow={nda.pk}&by=me&expires=7&steps=3&origin=here&key=PO:No:{digest}&state=failed&sort=name&size=100"
        "&changed_from=2026-05-01&after=x",
    )
    assert found.workflows == (nda.pk,)
    assert found.started_by == operator.user.sub
    assert found.expires_within == timedelta(days=7)
    assert (found.name, found.steps_done, found.origin, found.state) == ("acme", 3, "here", "failed")
    assert found.key == ("PO:No", digest)
    assert (found.sort, found.size, found.after) == ("name", 100, "x")
    assert found.changed_from == datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("name=ab", "name", "three characters"),
        ("started_from=tomorrow", "started_from", "2026-05-31"),
        ("changed_until=0001-01-01", "changed_until", "between"),
        ("started_from=2026-05-02&started_until=2026-05-01", "started_until", "not before 2 May 2026"),
        ("expires=soon", "expires", "whole number"),
        ("expires=0", "expires", "from 1 to"),
        ("steps=-1", "steps", "whole number"),
        (f"steps={'9' * 5000}", "steps", "whole number"),
        ("key=broken", "key", "broken"),
        ("origin=mars", "origin", "Choose one of those offered"),
        ("state=mars", "state", "There is no such state"),
        ("sort=mars", "sort", "no such column"),
        ("size=7", "size", "25, 50 or 100"),
        ("cols=mars", "cols", "no column “mars”"),
        ("workflow=mars", "workflow", "No workflow that you see"),
        ("workflow=8d5bb263-0217-4ef7-b38d-0ed98c278cc6", "workflow", "You see no workflow"),
        ("by=mars%00", "by", "No person that you see"),
    ],
)
def test_a_value_that_cannot_be_understood_is_told_and_the_rest_applies(
    query: str, name: str, words: str, operator: Membership
) -> None:
    chosen = read(operator, f"{query}&name=acme" if name != "name" else f"{query}&size=50")
    [problem] = chosen.problems
    assert problem.name == name
    assert words in problem.text
    found = chosen.search(QueryDict())
    assert found.size == 50 if name == "name" else found.name == "acme"


@pytest.mark.parametrize(
    ("query", "is_withheld"),
    [
        ("name=ab", True),
        ("workflow=mars", True),
        ("by=mars", True),
        ("key=x", True),
        ("steps=x", False),
        ("size=7", False),
    ],
)
def test_rows_are_withheld_where_others_than_those_asked_for_would_come(
    query: str, is_withheld: bool, operator: Membership
) -> None:
    assert read(operator, query).is_withheld is is_withheld


def test_a_short_name_is_refused_but_an_instance_id_is_a_name(operator: Membership) -> None:
    number = str(uuid4())
    assert search(operator, f"name={number}").name == number
    assert read(operator, f"name={number}").chips[0].text == f"Instance ID: {number}"


def test_a_workflow_is_found_by_a_text_that_only_it_has(operator: Membership, nda: Workflow, offer: Workflow) -> None:
    assert search(operator, "workflow=nda").workflows == (nda.pk,)
    assert [chip.text for chip in read(operator, "workflow=nda").chips] == ["Workflow: Supplier NDA"]


def test_a_text_that_several_workflows_have_asks_which(operator: Membership, nda: Workflow, offer: Workflow) -> None:
    chosen = read(operator, "workflow=supplier")
    assert [choice.label for choice in chosen.choices["workflow"]] == ["Supplier NDA", "Supplier offer"]
    assert chosen.typed_workflow == "supplier"
    assert chosen.search(QueryDict()).workflows == ()
    assert chosen.is_withheld


def test_a_foreign_workflow_is_named_to_nobody(operator: Membership, outsider: Membership) -> None:
    """V-3: neither by its ID nor by its name."""
    foreign = WorkflowFactory(account=outsider.account, name="Canary of another account")
    lists(outsider, foreign)
    for query in (f"workflow={foreign.pk}", "workflow=canary"):
        chosen = read(operator, query)
        assert chosen.is_withheld
        assert "Canary" not in str(chosen.choices) + str(chosen.problems) + str(chosen.chips)


def test_each_of_several_workflows_has_a_chip_of_its_own(operator: Membership, nda: Workflow, offer: Workflow) -> None:
    chips = read(operator, f"workflow={nda.pk}&workflow={offer.pk}").chips
    assert {(chip.text, chip.value) for chip in chips} == {
        ("Workflow: Supplier NDA", str(nda.pk)),
        ("Workflow: Supplier offer", str(offer.pk)),
    }


def test_a_person_is_found_by_name_and_named_in_the_chip(operator: Membership, nda: Workflow) -> None:
    starter = str(uuid4())
    InstanceFactory(workflow=nda, started_by=starter, started_by_name="Emma Berg")
    assert search(operator, "by=emma").started_by == starter
    assert [chip.text for chip in read(operator, f"by={starter}").chips] == ["Started by: Emma Berg"]
    assert [chip.text for chip in read(operator, "by=me").chips] == ["Started by: me"]


def test_the_last_person_that_was_named_counts(operator: Membership) -> None:
    """The field for somebody else stands beside the one who is chosen."""
    first, last = str(uuid4()), str(uuid4())
    assert search(operator, f"by={first}&by=").started_by == first
    assert search(operator, f"by={first}&by={last}").started_by == last


def test_on_the_page_of_a_workflow_the_address_cannot_choose_another(
    operator: Membership, nda: Workflow, offer: Workflow
) -> None:
    assert search(operator, f"workflow={offer.pk}", workflow=nda).workflows == (nda.pk,)
    assert "workflow" not in read(operator, "", workflow=nda).columns


def test_columns_come_in_one_order_and_always_with_the_name(operator: Membership) -> None:
    assert read(operator, "").columns == list(DEFAULT_COLUMNS)
    assert read(operator, "cols=ended,state").columns == ["name", "state", "ended"]
    assert read(operator, "cols=ended&cols=state").columns == ["name", "state", "ended"]
    assert read(operator, f"cols={','.join(reversed(COLUMNS))}").columns == list(COLUMNS)


def test_more_filters_are_open_when_one_of_them_is_on_or_wrong(operator: Membership) -> None:
    assert not read(operator, "name=acme").is_advanced
    assert read(operator, "steps=2").is_advanced
    assert read(operator, "steps=x").is_advanced


def test_what_was_wrongly_typed_into_a_date_stays_to_be_seen(operator: Membership) -> None:
    field = read(operator, "started_from=31.05.2026")["started_from"]
    assert 'type="text"' in str(field)
    assert 'value="31.05.2026"' in str(field)
    assert 'aria-describedby="filter-started_from_error"' in str(field)
