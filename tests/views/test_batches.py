"""Bulk runs as pages: the list, one run with its items, what can be done with it, and its results."""

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
    Approval,
    Batch,
    BatchItem,
    Connection,
    Membership,
    Operation,
    Rights,
    Role,
    Workflow,
)
from tests.bulk_runs import HOSTILE, body, filled, page_of
from tests.factories import BatchFactory, BatchItemFactory, InstanceFactory, WorkflowFactory, lists, person

SignedIn = Callable[..., Client]
LIST = reverse("batches")


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


@pytest.fixture
def preparer(account: Account) -> Membership:
    return person(account, Role.OPERATOR, rights=Rights.OWN, name="Pia Preparer")


# --- The list -----------------------------------------------------------------------------------------------------------
def test_the_list_names_each_run_with_its_state_and_how_far_it_is(
    visitor: Client, batch: Batch, workflow: Workflow
) -> None:
    filled(batch, workflow, confirmed=2, rejected=1, waiting=3)
    answer = visitor.get(LIST)
    said = answer.content.decode()
    assert answer.status_code == 200
    assert "batches/index.html" in {template.name for template in answer.templates}
    assert 'aria-current="page"' in said
    for words in ("Cancel 1,240 instances", "Running", "3 of 6", "1 refused", "Oskar Operator"):
        assert words in said


def test_htmx_gets_the_fragment_alone(operator: Membership, signed_in: SignedIn, batch: Batch) -> None:
    for url in (LIST, page_of(batch)):
        answer = signed_in(operator, htmx=True).get(url)
        assert answer.content.decode().lstrip().startswith('<div id="_batch')
        assert "HX-Request" in answer.headers["Vary"]
        assert answer.headers["Cache-Control"] == "no-store"


def test_the_newest_run_comes_first_and_pages_neither_repeat_nor_lose_one(
    visitor: Client, operator: Membership
) -> None:
    made = [BatchFactory(account=operator.account, actor=operator.user) for _ in range(60)]
    same = timezone.now()
    Batch.objects.filter(pk__in=[each.pk for each in made[:30]]).update(created_at=same)
    seen, url = [], LIST
    while url:
        answer = visitor.get(url)
        seen += [row["batch"].pk for row in answer.context["rows"]]
        url = LIST + answer.context["older_url"] if answer.context["older_url"] else ""
    assert len(seen) == len(set(seen)) == 60
    times = dict(Batch.objects.values_list("pk", "created_at"))
    assert [times[pk] for pk in seen] == sorted(times.values(), reverse=True)


def test_the_list_is_narrowed_by_state_and_by_person(
    visitor: Client, operator: Membership, admin: Membership, batch: Batch
) -> None:
    BatchFactory(account=operator.account, actor=operator.user, name="Over", state="done")
    BatchFactory(account=operator.account, actor=admin.user, name="Of Alma")

    def names(**query: str) -> set[str]:
        return {row["batch"].name for row in visitor.get(LIST, query).context["rows"]}

    assert names() == {"Cancel 1,240 instances", "Over", "Of Alma"}
    assert names(state="done") == {"Over"}
    assert names(who="me") == {"Cancel 1,240 instances", "Over"}
    assert names(state="nonsense", who="<b>") == names()


def test_the_three_kinds_of_nothing(visitor: Client, viewer: Membership, signed_in: SignedIn) -> None:
    assert "No bulk runs yet" in body(visitor, LIST)
    assert "No bulk run matches" in body(visitor, LIST, state="done")
    Membership.objects.filter(pk=viewer.pk).update(rights=Rights.OWN)
    assert "you need the role operator" in body(signed_in(viewer), LIST)


def test_the_rail_counts_what_runs(visitor: Client, operator: Membership, batch: Batch) -> None:
    BatchFactory(account=operator.account, actor=operator.user, state="done")
    BatchFactory(account=operator.account, actor=operator.user, state="paused")
    assert '<span class="count" data-tone="running">1<span class="vh"> running</span></span>' in body(visitor, LIST)


@pytest.mark.parametrize("number", [1, 50])
def test_the_list_takes_as_many_queries_for_many_runs_as_for_one(
    number: int, operator: Membership, signed_in: SignedIn, workflow: Workflow, django_assert_max_num_queries: Any
) -> None:
    for _ in range(number):
        BatchItemFactory(
            batch=BatchFactory(account=operator.account, actor=operator.user, workflow=workflow), workflow=workflow
        )
    client = signed_in(operator)
    client.get(LIST)
    with django_assert_max_num_queries(22):
        assert len(client.get(LIST, {"size": "50"}).context["rows"]) == number


# --- One run ------------------------------------------------------------------------------------------------------------
def test_a_run_says_how_far_it_is_and_what_became_of_its_items(
    visitor: Client, batch: Batch, workflow: Workflow, settings: Any
) -> None:
    """U-11: an unknown outcome is neither settled nor done."""
    settings.BATCH_RATE_PER_SECOND = 0.5
    filled(batch, workflow, confirmed=3, skipped=1, rejected=2, unknown=1, waiting=4, sent=1)
    said = body(visitor, page_of(batch))
    for words in (
        "6 of 12 settled",
        "left at one every 2 seconds",
        "1 being sent",
        "being read back",
        "Template recalled",
    ):
        assert words in said
    figures = {each.outcome.key: each.number for each in visitor.get(page_of(batch)).context["progress"].figures}
    assert figures == {"done": 3, "skipped": 1, "refused": 2, "unknown": 1, "waiting": 5}


@pytest.mark.parametrize(
    ("outcome", "number"),
    [("done", 3), ("skipped", 1), ("refused", 2), ("unknown", 0), ("waiting", 4), ("", 10), ("nonsense", 10)],
)
def test_a_tab_shows_the_items_of_its_outcome(
    outcome: str, number: int, visitor: Client, batch: Batch, workflow: Workflow
) -> None:
    filled(batch, workflow, confirmed=3, skipped=1, rejected=2, waiting=4)
    assert len(visitor.get(page_of(batch), {"outcome": outcome}).context["rows"]) == number


def test_items_are_found_by_a_part_of_their_name(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    filled(batch, workflow, confirmed=2, rejected=1)
    found = visitor.get(page_of(batch), {"q": "nda REJ", "outcome": "refused"}).context["rows"]
    assert [each.item.label for each, _, _ in found] == ["NDA rejected 3"]
    assert "No item has this in its name" in body(visitor, page_of(batch), q="%")
    assert visitor.get(page_of(batch), {"q": "a\0b"}).status_code == 200


def test_items_come_in_the_order_of_the_list_page_by_page(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    BatchItem.objects.bulk_create(
        BatchItem(batch=batch, position=number, label=f"Item {number}", workflow=workflow) for number in range(1, 131)
    )
    seen, query = [], "?size=25"
    while query:
        answer = visitor.get(page_of(batch) + query)
        seen += [each.item.position for each, _, _ in answer.context["rows"]]
        query = answer.context["older_url"]
    assert seen == list(range(1, 131))


@pytest.mark.parametrize("number", [1, 50])
def test_a_run_takes_as_many_queries_for_many_items_as_for_one(
    number: int,
    operator: Membership,
    signed_in: SignedIn,
    batch: Batch,
    workflow: Workflow,
    django_assert_max_num_queries: Any,
) -> None:
    filled(batch, workflow, rejected=number)
    client = signed_in(operator)
    client.get(page_of(batch))
    with django_assert_max_num_queries(32):
        assert len(client.get(page_of(batch)).context["rows"]) == number


def test_a_row_with_errors_shows_all_of_them_and_its_place_in_the_file(
    visitor: Client, batch: Batch, workflow: Workflow
) -> None:
    problems = [["Amount", "“12.500 EUR” is not a number. Write 12500"], ["", "The row is empty"]]
    BatchItemFactory(batch=batch, workflow=workflow, state="invalid", problems=problems, row_number=17)
    said = body(visitor, page_of(batch))
    for words in ("<b>Amount:</b>", "“12.500 EUR” is not a number", "The row is empty", "row 17", "With errors"):
        assert words in said


def test_the_values_in_errors_are_shown_to_the_person_who_brought_them_only(
    batch: Batch, workflow: Workflow, admin: Membership, signed_in: SignedIn
) -> None:
    """V-4: others read which columns are wrong, on the page and in the file."""
    problems = [["Amount", "“canary” is not a number. Write 12500"]]
    said = {"state": "invalid", "problems": problems, "message": "Errors in: Amount."}
    BatchItemFactory(batch=batch, workflow=workflow, **said)
    client = signed_in(admin)
    page, file = body(client, page_of(batch)), client.get(page_of(batch, "batch-results"))
    content = b"".join(file.streaming_content).decode()
    for text in (page, content):
        assert "Errors in: Amount." in text
        assert "canary" not in text


def test_an_item_leads_to_what_was_sent_and_to_its_instance(
    visitor: Client, batch: Batch, workflow: Workflow, operator: Membership
) -> None:
    instance = InstanceFactory(workflow=workflow, name="NDA Calder")
    operation = Operation.objects.create(
        key=uuid.uuid4().hex, kind="cancel", state="rejected", account=operator.account, actor=operator.user,
        workflow=workflow, instance=instance,
    )  # fmt: skip
    BatchItemFactory(
        batch=batch, workflow=workflow, instance=instance, operation=operation, state="rejected", label="NDA Calder",
        message="Docusign: “No.”",
    )  # fmt: skip
    said = body(visitor, page_of(batch))
    assert reverse("instance", args=[instance.pk]) in said
    assert reverse("operation", args=[operation.pk]) in said
    assert "Docusign: “No.”" in said


def test_an_instance_that_may_not_be_seen_is_neither_named_nor_found(
    preparer: Membership, signed_in: SignedIn, workflow: Workflow
) -> None:
    """V-3: an own list does not open somebody else's instance, neither on the page nor in the search nor in the file."""
    mine = BatchFactory(account=preparer.account, actor=preparer.user)
    instance = InstanceFactory(workflow=workflow, name="Canary")
    BatchItemFactory(batch=mine, workflow=workflow, instance=instance, label="Canary", state="confirmed")
    client = signed_in(preparer)
    said = body(client, page_of(mine))
    assert "not visible to you" in said
    assert "Canary" not in said
    assert str(instance.pk) not in said
    assert client.get(page_of(mine), {"q": "Canary"}).context["rows"] == []
    Connection.objects.filter(user=preparer.user).update(state="reconnect_needed")
    assert client.get(page_of(mine), {"q": "Canary"}).context["rows"] == []
    content = b"".join(client.get(page_of(mine, "batch-results")).streaming_content)
    assert b"Canary" not in content
    assert str(instance.pk).encode() not in content


@pytest.mark.parametrize("name", ["batch", "batch-results", "batch-stop", "batch-retry"])
def test_a_run_of_somebody_else_is_hidden_from_those_who_see_only_their_own(
    name: str, batch: Batch, preparer: Membership, outsider: Membership, signed_in: SignedIn
) -> None:
    """V-1: the same rule for bulk runs; another account has none of them."""
    for membership in (preparer, outsider):
        client = signed_in(membership)
        assert client.get(page_of(batch, name)).status_code == 404
        assert [row["batch"] for row in client.get(LIST).context["rows"]] == []


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_a_text(name: str, visitor: Client, batch: Batch, workflow: Workflow) -> None:
    """S-4: as the run's name, reason, message and as an item's name."""
    Batch.objects.filter(pk=batch.pk).update(
        name=name, reason=name, described=name, message=name, state="paused", drift=[name]
    )
    BatchItemFactory(batch=batch, workflow=workflow, state="invalid", label=name, message=name, problems=[[name, name]])
    for url in (LIST, page_of(batch), page_of(batch, "batch-stop")):
        said = body(visitor, url)
        assert "<script>alert" not in said
        assert "<img src=x" not in said
        assert "\u202e" not in said


@pytest.mark.parametrize(
    ("hold", "words"),
    [
        ("person", "Paused by Oskar Operator."),
        ("reconnect", "Sign in again"),
        ("drift", "Amount became required"),
        ("workflow", "Open workflow"),
        ("restored", "The database was restored"),
    ],
)
def test_a_paused_run_says_why_it_stands_and_the_way_on(
    hold: str, words: str, visitor: Client, batch: Batch, workflow: Workflow
) -> None:
    columns = {"message": "Paused by Oskar Operator.", "drift": ["Amount became required"] if hold == "drift" else []}
    Batch.objects.filter(pk=batch.pk).update(state="paused", hold=hold, workflow=workflow, **columns)
    said = body(visitor, page_of(batch))
    assert words in said
    assert "nothing is sent until it goes on" in said


def test_only_its_own_person_is_asked_to_sign_in_again(batch: Batch, admin: Membership, signed_in: SignedIn) -> None:
    Batch.objects.filter(pk=batch.pk).update(state="paused", hold="reconnect")
    said = body(signed_in(admin), page_of(batch))
    assert "by signing in again" in said
    assert "/signin/?next=/batches/" not in said.replace("%2F", "/")


def test_a_run_that_waits_for_a_second_person_says_so(visitor: Client, batch: Batch) -> None:
    Batch.objects.filter(pk=batch.pk).update(state="planned", confirmed_at=None)
    Approval.objects.create(batch=batch, expires_at=timezone.now() + timedelta(days=1))
    said = body(visitor, page_of(batch))
    assert "It waits for a second person" in said
    assert "Needs a second person" in said
    assert 'id="go-on"' not in said


def test_a_planned_run_leads_to_its_confirm(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    Batch.objects.filter(pk=batch.pk).update(state="planned", confirmed_at=None)
    filled(batch, workflow, waiting=2)
    said = body(visitor, page_of(batch))
    assert "2 items, nothing sent yet" in said
    assert reverse("batch-confirm", args=[batch.pk]) in said


# --- Polls --------------------------------------------------------------------------------------------------------------
def test_an_open_page_is_told_nothing_until_something_moves(
    operator: Membership, signed_in: SignedIn, batch: Batch, workflow: Workflow
) -> None:
    """V-6: by the stamp of the account, which each move of a run changes."""
    filled(batch, workflow, waiting=2)
    client = signed_in(operator, htmx=True)
    for url in (LIST, page_of(batch)):
        client.get(url)
        poll = client.get(url).context["poll_url"]
        assert client.get(poll).status_code == 204
        client.post(page_of(batch, "batch-pause" if url == LIST else "batch-resume"))
        assert client.get(poll).status_code == 200


def test_a_page_on_which_nothing_will_change_stops_asking(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    filled(batch, workflow, confirmed=2)
    assert "data-poll-final" not in body(visitor, page_of(batch))
    Batch.objects.filter(pk=batch.pk).update(state="done", ended_at=timezone.now())
    assert "data-poll-final" in body(visitor, page_of(batch))


def test_a_row_that_changed_carries_another_mark(visitor: Client, batch: Batch, workflow: Workflow) -> None:
    filled(batch, workflow, waiting=2)
    first = [mark for _, _, mark in visitor.get(page_of(batch)).context["rows"]]
    batch.items.filter(position=2).update(message="Sent")
    second = [mark for _, _, mark in visitor.get(page_of(batch)).context["rows"]]
    assert (first[0] == second[0], first[1] == second[1]) == (True, False)
