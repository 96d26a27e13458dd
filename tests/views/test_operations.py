"""An operation's page: what is known of an outcome, and settling it by hand."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.models import AuditEntry, Membership, Operation, Rights, Role
from maestro_api.simulator import Simulator
from tests.factories import InstanceFactory, WorkflowFactory, person


def made(membership: Membership, state: str = "unknown", **details: Any) -> Operation:
    workflow = WorkflowFactory(account=membership.account, name="Supplier NDA")
    wanted = {"kind": "trigger", "instance_name": "NDA Brightwater ·0123456789a", **details}
    return Operation.objects.create(
        key=uuid.uuid4().hex,
        state=state,
        account=membership.account,
        actor=membership.user,
        workflow=workflow,
        **wanted,
    )


def page_of(operation: Operation) -> str:
    return reverse("operation", args=[operation.pk])


def test_an_unknown_outcome_is_said_to_be_unknown(operator: Membership, signed_in: Callable[..., Client]) -> None:
    """U-11: unknown is a state of its own, with what happens next."""
    body = signed_in(operator).get(page_of(made(operator))).content.decode()
    assert "We do not know whether it started." in body
    assert "Checking at Docusign" in body
    assert "Settle by hand" in body
    assert "NDA Brightwater" in body
    assert 'data-tone="good"' not in body.replace('<template data-toast="good">', "").split("<dialog")[0]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("needs_person", "cannot find out by itself"),
        ("rejected", "It was not done"),
        ("confirmed", "Done"),
        ("sent", "Sending"),
    ],
)
def test_every_state_has_its_sentence(
    state: str, words: str, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    assert words in signed_in(operator).get(page_of(made(operator, state))).content.decode()


@pytest.mark.parametrize(("found", "state"), [("yes", "confirmed"), ("no", "rejected")])
def test_a_person_settles_what_is_unknown(
    found: str, state: str, operator: Membership, signed_in: Callable[..., Client], simulator: Simulator
) -> None:
    """U-11: by hand, with a note and an audit entry; Docusign is not asked."""
    operation, client = made(operator), signed_in(operator)
    url = reverse("operation-settle", args=[operation.pk])
    key = client.get(url).context["form"]["key"].value()
    data = {"key": key, "happened": found, "note": "Seen in the list at 10:42"}
    assert client.post(url, data).headers["Location"] == page_of(operation)
    assert client.post(url, data).status_code == 302
    operation.refresh_from_db()
    assert operation.state == state
    entry = AuditEntry.objects.get(action="operation.settled_by_hand")
    assert (entry.actor_name, entry.reason) == (operator.user.name, "Seen in the list at 10:42")
    assert simulator.ledger() == []


@pytest.mark.parametrize("missing", ["note", "happened", "key"])
def test_settling_needs_everything(missing: str, operator: Membership, signed_in: Callable[..., Client]) -> None:
    operation, client = made(operator), signed_in(operator)
    data = {"key": uuid.uuid4().hex, "happened": "yes", "note": "Seen"}
    answer = client.post(reverse("operation-settle", args=[operation.pk]), {**data, missing: ""})
    assert answer.status_code == 422
    operation.refresh_from_db()
    assert operation.state == "unknown"


def test_what_is_settled_already_is_not_settled_again(operator: Membership, signed_in: Callable[..., Client]) -> None:
    operation, client = made(operator, "confirmed"), signed_in(operator)
    data = {"key": uuid.uuid4().hex, "happened": "no", "note": "Seen"}
    answer = client.post(reverse("operation-settle", args=[operation.pk]), data)
    assert answer.status_code == 422
    assert "already settled" in answer.content.decode()


def test_an_operation_of_somebody_else_is_hidden_from_those_who_see_only_their_own(
    operator: Membership, account: Any, signed_in: Callable[..., Client]
) -> None:
    """V-1: the same rule for what was sent."""
    operation = made(operator)
    own_only = person(account, Role.ADMIN, rights=Rights.OWN)
    for url in (page_of(operation), reverse("operation-settle", args=[operation.pk])):
        assert signed_in(own_only).get(url).status_code == 404


def test_viewers_see_why_they_cannot_settle(viewer: Membership, signed_in: Callable[..., Client]) -> None:
    operation, client = made(viewer), signed_in(viewer)
    assert "you need the role operator" in client.get(page_of(operation)).content.decode()
    assert client.post(reverse("operation-settle", args=[operation.pk]), {}).status_code == 403


def test_an_instance_that_may_not_be_seen_is_not_named(operator: Membership, signed_in: Callable[..., Client]) -> None:
    """V-3: an own operation does not open somebody else's instance."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN)
    instance = InstanceFactory(workflow=WorkflowFactory(account=operator.account), name="Canary")
    operation = made(operator, kind="cancel", instance=instance, instance_name="")
    assert "Canary" not in signed_in(operator).get(page_of(operation)).content.decode()


def test_the_timeline_shows_a_preparer_their_own_deeds_only(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """V-1: on the page of an instance, what others did with it is for managers."""
    instance = InstanceFactory(workflow=WorkflowFactory(account=operator.account), started_by=operator.user.sub)
    other = person(operator.account, Role.OPERATOR, name="Canary Colleague")
    made(operator, "rejected", kind="cancel", instance=instance, message="Mine, refused.")
    made(other, "rejected", kind="cancel", instance=instance, message="Theirs, refused.")
    url, client = reverse("instance", args=[instance.pk]), signed_in(operator)
    assert "Theirs, refused." in client.get(url).content.decode()
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN)
    body = client.get(url).content.decode()
    assert "Mine, refused." in body
    assert "Theirs" not in body
    assert "Canary" not in body
