"""Saved views: an address under a name, for oneself or the team, pinned, or opened by itself."""

import uuid
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import cache
from django.test import Client

from dashboard.models import (
    Account,
    AuditEntry,
    InstanceState,
    KeyInput,
    Membership,
    Rights,
    Role,
    SavedView,
    ViewUse,
    Workflow,
)
from dashboard.services import saved_views, visibility
from tests.factories import InstanceFactory, WorkflowFactory, lists, person

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]
NEW = "/instances/views/new/"


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def workflow(account: Account, viewer: Membership, operator: Membership, admin: Membership) -> Workflow:
    made = WorkflowFactory(account=account, name="Supplier NDA")
    for member in (viewer, operator, admin):
        lists(member, made)
    return made


@pytest.fixture
def console(operator: Membership, workflow: Workflow, signed_in: SignedIn) -> Client:
    return signed_in(operator)


def kept(
    owner: Membership, *, name: str = "Failed ones", query: str = "state=failed", is_shared: bool = False
) -> SavedView:
    return SavedView.objects.create(
        account_id=owner.account_id, owner=owner.user, name=name, query=query, is_shared=is_shared
    )


def deeds() -> list[str]:
    return list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))


def test_the_question_offers_to_keep_what_the_list_shows(console: Client) -> None:
    text = console.get(NEW, {"state": "failed", "name": "nda", "after": "cursor"}).content.decode()
    assert "Save this view?" in text
    assert "State: Failed" in text
    assert "Name has: nda" in text
    assert 'name="query" value="name=nda&amp;state=failed"' in text


def test_a_view_is_the_address_without_the_place_in_the_list(console: Client, operator: Membership) -> None:
    query = "size=50&state=failed&after=abc&before=x&stamp=1-1&format=csv&unknown=1&cols=name,state&name=nda"
    answer = console.post(NEW, {"name": "Failed NDAs", "query": query})
    view = SavedView.objects.get()
    assert parse_qs(view.query) == {"size": ["50"], "state": ["failed"], "cols": ["name,state"], "name": ["nda"]}
    assert (view.owner, view.account_id, view.is_shared) == (operator.user, uuid.UUID(str(operator.account_id)), False)
    assert answer.headers["Location"] == f"/instances/?{view.query}"
    assert deeds() == []


def test_by_htmx_the_dialog_closes_and_the_list_reloads(
    operator: Membership, workflow: Workflow, signed_in: SignedIn
) -> None:
    answer = signed_in(operator, htmx=True).post(NEW, {"name": "Mine", "query": ""})
    assert answer.status_code == 204
    assert {"viewsChanged", "closeDialog"} <= set(answer.headers["HX-Trigger"].replace('"', " ").split())


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"name": ""},
        {"name": "x" * 81},
        {"name": ["a", "b"]},
        {"name": "a", "owner": "1"},
        {"name": "a", "query": "name=" + "x" * 4100},
    ],
)
def test_anything_but_a_view_is_refused(console: Client, data: dict[str, object]) -> None:
    """S-12: no other field, nothing twice, nothing without end."""
    assert console.post(NEW, data).status_code == 422
    assert not SavedView.objects.exists()


def test_a_view_of_the_same_name_is_replaced_only_on_purpose(console: Client, operator: Membership) -> None:
    kept(operator, name="Mine", query="state=failed")
    answer = console.post(NEW, {"name": "Mine", "query": "state=running"})
    assert answer.status_code == 422
    assert "You have a view with this name." in answer.content.decode()
    console.post(NEW, {"name": "Mine", "query": "state=running", "is_replacing": "on"})
    assert SavedView.objects.get().query == "state=running"


def test_sharing_is_in_the_audit_and_private_views_are_not(console: Client, operator: Membership) -> None:
    console.post(NEW, {"name": "Mine", "query": "name=canary"})
    console.post(NEW, {"name": "Ours", "query": "name=canary", "is_shared": "on"})
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.object_type, entry.object_name) == ("view.shared", "savedview", "Ours")
    assert "canary" not in str(entry.detail)


def test_everybody_of_the_account_may_use_a_shared_view_and_nobody_a_private_one(
    viewer: Membership, operator: Membership, outsider: Membership, workflow: Workflow, signed_in: SignedIn
) -> None:
    kept(operator, name="Team list", is_shared=True)
    kept(operator, name="Own list")
    text = signed_in(viewer).get("/instances/views/").content.decode()
    assert "Team list" in text
    assert "Own list" not in text
    assert "Team list" not in signed_in(outsider).get("/instances/views/").content.decode()


@pytest.mark.parametrize("deed", ["change", "delete"])
def test_a_shared_view_is_changed_by_its_owner_or_an_admin_only(
    viewer: Membership, operator: Membership, admin: Membership, workflow: Workflow, signed_in: SignedIn, deed: str
) -> None:
    view = kept(operator, is_shared=True)
    url, data = f"/instances/views/{view.pk}/{deed}/", {"name": "New", "is_shared": "on"} if deed == "change" else {}
    for method in ("get", "post"):
        answer = getattr(signed_in(viewer), method)(url, data)
        assert answer.status_code == 422
        assert "Oskar Operator or an admin can change it." in answer.content.decode()
    assert SavedView.objects.get().name == "Failed ones"
    assert signed_in(admin).post(url, data).status_code == 302
    if deed == "delete":
        saved_views.delete_view(view, admin)  # from another tab: it is written down once
    assert deeds() == ["view.changed" if deed == "change" else "view.deleted"]


def test_a_private_view_of_somebody_else_is_not_there(
    viewer: Membership, operator: Membership, admin: Membership, workflow: Workflow, signed_in: SignedIn
) -> None:
    """S-11: not even for an admin."""
    view = kept(operator)
    for deed in ("change", "delete", "pin", "default"):
        assert signed_in(admin).post(f"/instances/views/{view.pk}/{deed}/", {"on": "yes"}).status_code == 404


def test_renaming_to_a_name_that_is_taken_is_refused(console: Client, operator: Membership) -> None:
    kept(operator, name="Taken")
    view = kept(operator, name="Mine")
    answer = console.post(f"/instances/views/{view.pk}/change/", {"name": "Taken"})
    assert answer.status_code == 422
    assert SavedView.objects.filter(name="Taken").count() == 1


def test_a_view_that_is_shared_no_longer_leaves_the_others(
    console: Client, operator: Membership, viewer: Membership, signed_in: SignedIn
) -> None:
    view = kept(operator, is_shared=True)
    signed_in(viewer).post(f"/instances/views/{view.pk}/pin/", {"on": "yes"})
    console.post(f"/instances/views/{view.pk}/change/", {"name": view.name})
    assert deeds() == ["view.unshared"]
    assert signed_in(viewer).get("/instances/").context["pinned"] == []


def test_the_default_view_opens_when_nothing_is_asked_for(console: Client, operator: Membership) -> None:
    view = kept(operator, query="sort=name&name=nda")
    console.post(f"/instances/views/{view.pk}/default/", {"on": "yes"})
    leads_to = console.get("/instances/").headers["Location"]
    assert parse_qs(urlsplit(leads_to).query) == {"sort": ["name"], "name": ["nda"], "state": ["all"]}
    assert console.get("/instances/?state=all").status_code == 200
    console.post(f"/instances/views/{view.pk}/default/", {"on": "no"})
    assert console.get("/instances/").status_code == 200


def test_each_way_out_of_the_filters_leads_to_all_instances_and_not_back_to_the_default(
    console: Client, operator: Membership
) -> None:
    view = kept(operator, query="")
    ViewUse.objects.create(membership=operator, view=view, is_default=True)
    text = console.get("/instances/", {"name": "nda"}).content.decode()
    assert 'href="?"' not in text
    assert 'href="?state=all"' in text


def test_there_is_one_default_view_a_person(console: Client, operator: Membership) -> None:
    first, second = kept(operator, name="A"), kept(operator, name="B")
    for view in (first, second):
        console.post(f"/instances/views/{view.pk}/default/", {"on": "yes"})
    assert ViewUse.objects.get(membership=operator, is_default=True).view == second


def test_pinned_views_stand_above_the_list_with_what_the_person_may_see(
    account: Account, workflow: Workflow, operator: Membership, signed_in: SignedIn
) -> None:
    """V-3: the same shared view counts differently for whom Docusign shows less."""
    preparer = person(account, Role.VIEWER, rights=Rights.OWN, name="Pia Preparer")
    lists(preparer, workflow)
    for number in range(3):
        mine = {"started_by": visibility.own_id(preparer)} if number == 0 else {}
        InstanceFactory(workflow=workflow, status=InstanceState.FAILED, raw_status="Failed", **mine)
    view = kept(operator, is_shared=True)
    for member, count in ((operator, 3), (preparer, 1)):
        client = signed_in(member)
        client.post(f"/instances/views/{view.pk}/pin/", {"on": "yes"})
        assert [line.count for line in client.get("/instances/?state=all").context["pinned"]] == [count]


def test_a_count_does_not_outlive_the_rights_it_was_made_under(
    console: Client, workflow: Workflow, operator: Membership
) -> None:
    """V-3: kept a few seconds, but never past a change of rights or of the mirror."""
    InstanceFactory(workflow=workflow, status=InstanceState.FAILED, raw_status="Failed")
    view = kept(operator)
    console.post(f"/instances/views/{view.pk}/pin/", {"on": "yes"})
    assert console.get("/instances/?state=all").context["pinned"][0].count == 1
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN)
    assert console.get("/instances/?state=all").context["pinned"][0].count == 0


def test_six_views_can_be_pinned_and_a_seventh_not(console: Client, operator: Membership) -> None:
    views = [kept(operator, name=f"View {number}") for number in range(7)]
    answers = [console.post(f"/instances/views/{view.pk}/pin/", {"on": "yes"}).status_code for view in views]
    assert answers == [302] * 6 + [422]
    assert ViewUse.objects.filter(is_pinned=True).count() == 6


def test_a_view_whose_filter_makes_no_sense_any_more_says_so(
    console: Client, workflow: Workflow, operator: Membership
) -> None:
    gone = kept(operator, name="Gone", query=f"workflow={uuid.uuid4()}")
    kept(operator, name="No key", query=f"key=email:{'a' * 64}")
    console.post(f"/instances/views/{gone.pk}/pin/", {"on": "yes"})
    text = console.get("/instances/views/").content.decode()
    assert text.count("Not understood any more") == 2
    assert "You see no workflow with this ID." in text
    assert "“email” is no key input any more" in text
    pinned = console.get("/instances/?state=all")
    assert pinned.context["pinned"][0].count is None
    assert "has a filter that is not understood any more" in pinned.content.decode()


def test_a_kept_search_by_a_key_input_shows_no_value(console: Client, workflow: Workflow, operator: Membership) -> None:
    """V-4: the view holds the digest only."""
    KeyInput.objects.create(workflow=workflow, name="email")
    kept(operator, query=f"key=email:{'a' * 64}")
    text = console.get("/instances/views/").content.decode()
    assert "email equals a value you searched for" in text
    assert "Not understood" not in text


def test_fifty_views_cost_few_queries(
    console: Client, operator: Membership, django_assert_max_num_queries: Callable[..., object]
) -> None:
    for number in range(50):
        kept(operator, name=f"View {number}")
    with django_assert_max_num_queries(17):  # type: ignore[attr-defined]  # a context manager
        console.get("/instances/views/")


def test_a_hostile_name_stays_text(console: Client, operator: Membership) -> None:
    """S-3, S-4: in the list of views, in the question and above the list of instances."""
    view = kept(operator, name="<img src=x onerror=alert(1)>\u202egro")
    console.post(f"/instances/views/{view.pk}/pin/", {"on": "yes"})
    for path in ("/instances/views/", f"/instances/views/{view.pk}/delete/", "/instances/?state=all"):
        text = console.get(path).content.decode()
        assert "<img" not in text
        assert "U+202E" in text
