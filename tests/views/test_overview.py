"""The first page: what needs a person, counts, what changed."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from dashboard.models import InstanceChange, InstanceState, Membership, Operation, Rights
from tests.factories import InstanceFactory, WorkflowFactory, lists

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
