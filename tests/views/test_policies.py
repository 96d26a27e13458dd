"""The page of policies: admins only, every change in the audit."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.models import AuditEntry, Membership, Policy
from tests.factories import WorkflowFactory, lists

SignIn = Callable[..., Client]
FORM = {"key": "0" * 32, "kind": "cancel", "workflow": "", "least_count": "25"}


def test_an_admin_adds_and_removes_a_policy(admin: Membership, signed_in: SignIn) -> None:
    """A-1: both are in the audit with what they say."""
    workflow = WorkflowFactory(account=admin.account, name="Supplier NDA")
    lists(admin, workflow)
    client = signed_in(admin)
    assert client.post(reverse("policy-add"), FORM | {"workflow": str(workflow.pk)}).status_code == 302
    policy = Policy.objects.get()
    assert (policy.workflow, policy.kind, policy.least_count) == (workflow, "cancel", 25)
    assert "Supplier NDA" in client.get(reverse("policies")).content.decode()
    assert client.post(reverse("policy-remove", args=[policy.pk]), {"key": "1" * 32}).status_code == 302
    deeds = AuditEntry.objects.order_by("seq").values_list("action", "detail__least_count")
    assert list(deeds) == [("policy.added", 25), ("policy.removed", 25)]


@pytest.mark.parametrize(
    "change", [{"least_count": "0"}, {"least_count": "many"}, {"kind": "delete"}, {"account": "1"}]
)
def test_what_is_no_policy_is_refused(admin: Membership, signed_in: SignIn, change: dict[str, str]) -> None:
    """S-12: nor anything that the form does not ask for."""
    assert signed_in(admin).post(reverse("policy-add"), FORM | change).status_code == 422
    assert not Policy.objects.exists()


def test_a_workflow_that_the_admin_does_not_see_cannot_be_named(admin: Membership, signed_in: SignIn) -> None:
    """S-11: neither of the account nor of another one."""
    for workflow in (WorkflowFactory(account=admin.account), WorkflowFactory()):
        assert signed_in(admin).post(reverse("policy-add"), FORM | {"workflow": str(workflow.pk)}).status_code == 422
    assert not Policy.objects.exists()


def test_the_same_policy_twice_is_refused(admin: Membership, signed_in: SignIn) -> None:
    client = signed_in(admin)
    assert client.post(reverse("policy-add"), FORM).status_code == 302
    assert client.post(reverse("policy-add"), FORM | {"key": "2" * 32, "least_count": "5"}).status_code == 422
    assert Policy.objects.get().least_count == 25


def test_operators_see_no_policies(operator: Membership, signed_in: SignIn) -> None:
    client = signed_in(operator)
    assert client.get(reverse("policies")).status_code == 403
    assert client.post(reverse("policy-add"), FORM).status_code == 403
    assert reverse("policies") not in client.get(reverse("team")).content.decode()
