"""The first page: what needs a person, counts, what changed."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import (
    Connection,
    Hook,
    Instance,
    InstanceChange,
    InstanceState,
    Membership,
    Operation,
    Rights,
    Workflow,
)
from tests.connect_events import hook_for
from tests.factories import ContractFactory, InstanceFactory, WorkflowFactory, lists

PAGE = reverse("overview")
CEILING = 24


def test_what_needs_a_person_comes_with_unknown_outcomes_first(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    workflow = WorkflowFactory(account=operator.account)
    InstanceFactory(workflow=workflow, name="Broken", status=InstanceState.FAILED)
    InstanceFactory(workflow=workflow, name="Ending", expires_at=timezone.now() + timedelta(hours=5))
    InstanceFactory(workflow=workflow, name="Fine")
    Operation.objects.create(
        key=uuid.uuid4().hex, kind="trigger", state="unknown", account=operator.account, actor=operator.user,
        workflow=workflow, instance_name="Lost ·0123456789a",
    )  # fmt: skip
    overview = signed_in(operator).get(PAGE).context["overview"]
    assert [need.name for need in overview.needs.rows] == ["Lost", "Broken", "Ending"]
    assert (overview.counts["unknown"], overview.needs.total) == (1, 3)


def test_neither_failures_nor_endings_push_the_others_away(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    workflow = WorkflowFactory(account=operator.account)
    InstanceFactory.create_batch(20, workflow=workflow, expires_at=timezone.now() - timedelta(hours=5))
    InstanceFactory.create_batch(20, workflow=workflow, status=InstanceState.FAILED)
    needs = signed_in(operator).get(PAGE).context["overview"].needs.rows
    assert [need.look.label for need in needs] == ["Failed"] * 5 + ["Expires soon"] * 5
    assert needs[5].story == "Its time is over, but Docusign still shows it as running."


def test_others_instances_are_in_no_figure_and_no_change(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """V-3: counts and changes obey the same rule as rows."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN)
    foreign = InstanceFactory(workflow=WorkflowFactory(account=operator.account), name="Canary", status="failed")
    InstanceChange.objects.create(
        instance=foreign, account=foreign.account, observed_at=timezone.now(), source="list", status_after="Failed"
    )
    answer = signed_in(operator).get(PAGE)
    assert "Canary" not in answer.content.decode()
    assert answer.context["overview"].counts["failed"] == 0


@pytest.mark.parametrize("rows", [1, 50])
def test_the_page_costs_a_fixed_number_of_queries(
    rows: int,
    operator: Membership,
    signed_in: Callable[..., Client],
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    workflow = WorkflowFactory(account=operator.account)
    lists(operator, workflow)
    for instance in InstanceFactory.create_batch(rows, workflow=workflow, status=InstanceState.FAILED):
        InstanceChange.objects.create(
            instance=instance, account=instance.account, observed_at=timezone.now(), source="list"
        )
    client = signed_in(operator)
    client.get(PAGE)
    with django_assert_max_num_queries(CEILING):
        assert client.get(PAGE).status_code == 200


def test_a_first_visit_shows_that_data_is_on_its_way(operator: Membership, signed_in: Callable[..., Client]) -> None:
    Membership.objects.filter(pk=operator.pk).update(synced_at=None, rights=Rights.UNPROVEN)
    assert "Docusign is being read" in signed_in(operator).get(PAGE).content.decode()


def test_a_look_that_failed_is_said(operator: Membership, signed_in: Callable[..., Client]) -> None:
    Membership.objects.filter(pk=operator.pk).update(
        sync_error="Docusign did not answer.", sync_failed_at=timezone.now()
    )
    body = signed_in(operator).get(PAGE).content.decode()
    assert "The last look at Docusign did not end" in body


def test_whom_docusign_shows_nothing_sees_no_figures_of_nothing(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """V-6: a nought would say that there is nothing; the page says that nothing is shown."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.NONE, synced_at=timezone.now())
    body = signed_in(operator).get(PAGE).content.decode()
    assert "Nothing is shown to you here" in body
    assert "Nothing waits for a person" not in body
    assert "Trigger a workflow" not in body


def test_an_unknown_outcome_stays_visible_to_whom_docusign_shows_nothing(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """U-11: what a person sent and nobody knows about is theirs to settle, whatever their rights are now."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.NONE, synced_at=timezone.now())
    Operation.objects.create(
        key=uuid.uuid4().hex, kind="trigger", state="unknown", account=operator.account, actor=operator.user,
        workflow=WorkflowFactory(account=operator.account), instance_name="Lost ·0123456789a",
    )  # fmt: skip
    assert "Needs a person" in signed_in(operator).get(PAGE).content.decode()


# --- What changed since this person took note


def change(instance: Instance, *, hours: float, **members: object) -> InstanceChange:
    at = timezone.now() - timedelta(hours=hours)
    return InstanceChange.objects.create(
        instance=instance, account=instance.account, observed_at=at, source="list", **members
    )


def test_the_first_visit_shows_the_last_24_hours_and_says_so(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    instance = InstanceFactory(workflow=WorkflowFactory(account=operator.account))
    change(instance, hours=30, status_after="Long ago")
    change(instance, hours=3, status_after="Lately")
    body = signed_in(operator).get(PAGE).content.decode()
    assert "The last 24 hours" in body
    assert "Lately" in body
    assert "Long ago" not in body


def test_marking_as_seen_reaches_as_far_as_the_page_showed(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """What came after the page was made is still new."""
    instance = InstanceFactory(workflow=WorkflowFactory(account=operator.account))
    change(instance, hours=3, status_after="Shown")
    client = signed_in(operator)
    until = client.get(PAGE).context["overview"].news.until
    change(instance, hours=0, status_after="Came later")
    answer = client.post(reverse("overview-seen"), {"until": until.isoformat()}, follow=True)
    body = answer.content.decode()
    assert Membership.objects.get(pk=operator.pk).seen_at == until
    assert "Since you last looked" in body
    assert "Came later" in body
    assert "<em>Shown</em>" not in body


def test_the_mark_never_goes_back_nor_beyond_now(operator: Membership, signed_in: Callable[..., Client]) -> None:
    client, now = signed_in(operator), timezone.now()
    for until in (now + timedelta(days=9), now - timedelta(days=9)):
        assert client.post(reverse("overview-seen"), {"until": until.isoformat()}).status_code == 302
    assert now <= Membership.objects.get(pk=operator.pk).seen_at <= timezone.now()


@pytest.mark.parametrize("data", [{}, {"until": "soon"}, {"until": "2026-05-01T00:00:00+00:00", "seen_at": "x"}])
def test_a_mark_without_a_time_is_refused(
    data: dict[str, str], operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """S-12: explicit fields only."""
    assert signed_in(operator).post(reverse("overview-seen"), data).status_code == 422
    assert Membership.objects.get(pk=operator.pk).seen_at is None


def test_an_htmx_mark_makes_the_region_reload(operator: Membership, signed_in: Callable[..., Client]) -> None:
    until = timezone.now().isoformat()
    answer = signed_in(operator, htmx=True).post(reverse("overview-seen"), {"until": until})
    assert (answer.status_code, "changesSeen" in answer.headers["HX-Trigger"]) == (204, True)


def test_more_changes_than_are_listed_are_counted(operator: Membership, signed_in: Callable[..., Client]) -> None:
    instance = InstanceFactory(workflow=WorkflowFactory(account=operator.account))
    for place in range(13):
        change(instance, hours=1 + place / 10, status_after=f"State {place}")
    body = signed_in(operator).get(PAGE).content.decode()
    assert "and 3 more" in body
    assert "State 12" not in body


def test_a_failure_is_news_until_it_was_seen(operator: Membership, signed_in: Callable[..., Client]) -> None:
    workflow = WorkflowFactory(account=operator.account)
    ago = timezone.now() - timedelta(days=2)
    InstanceFactory(workflow=workflow, name="Old", status=InstanceState.FAILED, last_modified_at=ago)
    late = InstanceFactory(workflow=workflow, name="Found late", status=InstanceState.FAILED, last_modified_at=ago)
    InstanceFactory(workflow=workflow, name="New", status=InstanceState.FAILED)
    change(late, hours=1, status_after="Failed")
    client = signed_in(operator)
    overview = client.get(PAGE).context["overview"]
    assert {need.name for need in overview.needs.rows} == {"New", "Found late"}
    assert overview.counts["failed"] == 3
    client.post(reverse("overview-seen"), {"until": timezone.now().isoformat()})
    assert client.get(PAGE).context["overview"].needs.rows == []


# --- Contracts, connections, standstill


def named(name: str) -> dict[str, object]:
    return {"name": name, "data_type": "String", "kind": "string", "default": None, "has_default": False}


def drifted(membership: Membership) -> Workflow:
    """A listed workflow whose contract changed an hour ago."""
    Membership.objects.filter(pk=membership.pk).update(created_at=timezone.now() - timedelta(days=30))
    workflow = WorkflowFactory(account=membership.account, name="Lease")
    lists(membership, workflow)
    earlier, lately = timezone.now() - timedelta(days=3), timezone.now() - timedelta(hours=1)
    old = {**named("Fax"), "is_system": False}
    new = {**named("Governing law"), "is_system": False}
    ContractFactory(workflow=workflow, fields=[old], first_seen_at=earlier, last_seen_at=lately)
    ContractFactory(workflow=workflow, fields=[new], first_seen_at=lately)
    return workflow


def stories(client: Client) -> list[str]:
    return [need.story for need in client.get(PAGE).context["overview"].needs.rows]


def test_a_changed_contract_is_announced_until_the_person_has_looked(
    operator: Membership, admin: Membership, signed_in: Callable[..., Client]
) -> None:
    workflow = drifted(operator)
    client = signed_in(operator)
    assert stories(client) == ["“Fax” is no longer asked for. And 1 other change."]
    body = client.get(reverse("workflow", args=[workflow.pk])).content.decode()
    assert "“Governing law” is new (string, required)." in body
    assert stories(client) == []
    ContractFactory(workflow=workflow, fields=[], first_seen_at=timezone.now())
    assert len(stories(client)) == 1


def test_what_one_person_looked_at_is_still_news_to_another(
    operator: Membership, viewer: Membership, signed_in: Callable[..., Client]
) -> None:
    workflow = drifted(operator)
    Membership.objects.update(created_at=timezone.now() - timedelta(days=30))
    lists(viewer, workflow)
    signed_in(operator).get(reverse("workflow", args=[workflow.pk]))
    assert len(stories(signed_in(viewer))) == 1


def test_taking_note_of_everything_covers_contracts(operator: Membership, signed_in: Callable[..., Client]) -> None:
    drifted(operator)
    client = signed_in(operator)
    client.post(reverse("overview-seen"), {"until": timezone.now().isoformat()})
    assert stories(client) == []


def test_the_first_version_of_a_contract_is_no_change(operator: Membership, signed_in: Callable[..., Client]) -> None:
    workflow = WorkflowFactory(account=operator.account)
    lists(operator, workflow)
    ContractFactory(workflow=workflow, first_seen_at=timezone.now())
    assert stories(signed_in(operator)) == []


def test_a_contract_of_a_workflow_that_is_not_listed_is_not_told(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """V-2: what this person's own token did not list stays unknown to them."""
    workflow = drifted(operator)
    workflow.access.all().delete()
    assert stories(signed_in(operator)) == []


def test_only_admins_are_told_how_many_of_the_team_must_sign_in_again(
    operator: Membership, admin: Membership, viewer: Membership, signed_in: Callable[..., Client]
) -> None:
    Connection.objects.filter(user=viewer.user).update(state=Connection.State.RECONNECT_NEEDED)
    ago = timezone.now() - timedelta(days=29)
    Connection.objects.filter(user=operator.user).update(first_granted_at=ago)
    names = [need.name for need in signed_in(admin).get(PAGE).context["overview"].needs.rows]
    assert names == ["2 connections of the team"]
    own = signed_in(operator).get(PAGE).context["overview"].needs.rows
    assert [need.name for need in own] == ["Your connection"]


def test_what_stands_still_is_told_with_its_numbers(operator: Membership, signed_in: Callable[..., Client]) -> None:
    workflow = WorkflowFactory(account=operator.account, usual_step_seconds=103_680, pace_sample=180)
    ago = timezone.now() - timedelta(days=9, hours=1)
    InstanceFactory(workflow=workflow, name="Still", started_at=ago, last_modified_at=ago)
    body = signed_in(operator).get(PAGE).content.decode()
    assert "No step for 9 days; a step here usually takes 1.2 days (median of 180 completed)." in body
    assert "1 stuck" in body


def test_the_rail_shows_how_much_needs_this_person(operator: Membership, signed_in: Callable[..., Client]) -> None:
    workflow = WorkflowFactory(account=operator.account)
    InstanceFactory.create_batch(3, workflow=workflow, status=InstanceState.FAILED)
    client = signed_in(operator)
    assert '3<span class="vh"> need a person</span>' in client.get("/preferences/").content.decode()
    client.post(reverse("overview-seen"), {"until": timezone.now().isoformat()})
    assert "need a person</span>" not in client.get("/preferences/").content.decode()


def test_an_admin_is_told_when_instances_end_and_no_event_comes(
    admin: Membership, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """W-10: the console never depends on Connect alone, and says when it is silent."""
    hook = hook_for(admin.account)
    ago = timezone.now() - timedelta(days=3)
    Hook.objects.filter(pk=hook.pk).update(created_at=ago, last_event_at=ago)
    assert "No events" not in signed_in(admin).get(PAGE).content.decode()
    ended = timezone.now() - timedelta(days=1)
    InstanceFactory(
        workflow=WorkflowFactory(account=admin.account),
        status=InstanceState.COMPLETED,
        last_modified_at=ended,
        sort_at=ended,
    )
    assert "Instances ended since the last event" in signed_in(admin).get(PAGE).content.decode()
    assert "Instances ended since the last event" not in signed_in(operator).get(PAGE).content.decode()


HOSTILE = "<b>x</b>\u202e\"'{{ 7|add:7 }}"


def test_hostile_names_are_shown_and_never_run(operator: Membership, signed_in: Callable[..., Client]) -> None:
    """S-4: names of instances, workflows, states and inputs are text."""
    workflow = drifted(operator)
    Workflow.objects.filter(pk=workflow.pk).update(name=HOSTILE)
    workflow.contracts.update(fields=[{**named(HOSTILE), "is_system": False}])
    instance = InstanceFactory(workflow=workflow, name=HOSTILE, status=InstanceState.FAILED)
    change(instance, hours=1, status_after=HOSTILE)
    ContractFactory(workflow=workflow, fields=[], first_seen_at=timezone.now())
    client = signed_in(operator)
    for page in (PAGE, reverse("workflow", args=[workflow.pk])):
        body = client.get(page).content.decode()
        assert "<b>x</b>" not in body
        assert "\u202e" not in body
        assert "{{ 7|add:7 }}" in body


def test_the_chart_has_a_table_twin_and_no_inline_style(operator: Membership, signed_in: Callable[..., Client]) -> None:
    InstanceFactory(workflow=WorkflowFactory(account=operator.account))
    body = signed_in(operator).get(PAGE).content.decode()
    assert body.count('<rect data-tone="running"') == 1
    assert '<title id="days-t">Instances per day</title>' in body
    assert "Show the numbers" in body
    assert 'style="' not in body
