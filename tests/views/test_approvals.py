"""The pages around a second person: who sees them, what they say, what their buttons do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard import crypto
from dashboard.models import (
    Approval,
    AuditEntry,
    Batch,
    BatchState,
    Contract,
    Instance,
    Membership,
    Operation,
    Policy,
    Rights,
    Role,
    Workflow,
)
from dashboard.services import approvals, batches, second_person
from tests.factories import (
    BatchFactory,
    BatchItemFactory,
    ContractFactory,
    InstanceFactory,
    WorkflowFactory,
    person,
)
from tests.services.conftest import inputs_for

SECRET = "amara.okafor@example.com"
SignIn = Callable[..., Client]


def key() -> str:
    return "0" * 32


@pytest.fixture
def requester(operator: Membership) -> Membership:
    return Membership.objects.select_related("user__connection", "account").get(pk=operator.pk)


@pytest.fixture
def colleague(requester: Membership) -> Membership:
    return person(requester.account, Role.OPERATOR, name="Cora Colleague")


@pytest.fixture
def approval(requester: Membership) -> Approval:
    """Two triggers that wait for a second person."""
    workflow = WorkflowFactory(account=requester.account)
    batch = BatchFactory(
        account=requester.account,
        actor=requester.user,
        workflow=workflow,
        contract=ContractFactory(workflow=workflow),
        kind="trigger",
        source="sheet",
        state="planned",
        confirmed_at=None,
        total=2,
    )
    for position in (1, 2):
        sealed = crypto.seal(f'{{"email": "{SECRET}"}}', *batches.inputs_place(batch, position))
        BatchItemFactory(batch=batch, position=position, workflow=workflow, sealed_inputs=sealed)
    Policy.objects.create(account=requester.account, kind="trigger", least_count=2, created_by=requester.user)
    return approvals.ask(batch, membership=requester, reason="New suppliers", key="a" * 32)


def page(approval: Approval, name: str = "approval") -> str:
    return reverse(name, args=[approval.pk])


def posted(client: Client, approval: Approval, name: str, **fields: str) -> int:
    return client.post(page(approval, name), {"key": key(), **fields}).status_code


def test_a_colleague_sees_the_list_and_the_reason_and_starts_it(
    approval: Approval, colleague: Membership, signed_in: SignIn
) -> None:
    client = signed_in(colleague)
    assert approval.batch.name in client.get(reverse("approvals")).content.decode()
    body = client.get(page(approval)).content.decode()
    assert "New suppliers" in body
    assert f"seen={approval.list_digest}" in body
    assert posted(client, approval, "approval-approve", seen=approval.list_digest) == 302
    assert Batch.objects.get().state == BatchState.RUNNING


def test_who_asked_sees_why_they_cannot_decide(approval: Approval, requester: Membership, signed_in: SignIn) -> None:
    client = signed_in(requester)
    body = client.get(page(approval)).content.decode()
    assert "somebody else has to decide" in body
    assert page(approval, "approval-approve") not in body
    assert posted(client, approval, "approval-approve", seen=approval.list_digest) == 422
    assert posted(client, approval, "approval-decline", note="No") == 422
    assert Approval.objects.get().state == "waiting"


@pytest.mark.parametrize("name", ["approval", "approval-approve", "approval-decline", "approval-inputs"])
def test_who_may_not_see_the_list_finds_nothing(
    approval: Approval, outsider: Membership, requester: Membership, signed_in: SignIn, name: str
) -> None:
    """S-11, V-3: neither another account nor somebody to whom Docusign shows only their own instances."""
    preparer = person(requester.account, Role.ADMIN, rights=Rights.OWN)
    for somebody in (outsider, preparer):
        client = signed_in(somebody)
        assert client.post(page(approval, name), {"key": key(), "position": "1"}).status_code in (404, 405)
        assert client.get(page(approval, name)).status_code in (404, 405)
        assert approval.batch.name not in client.get(reverse("approvals")).content.decode()


def test_an_approval_without_the_list_that_was_seen_is_refused(
    approval: Approval, colleague: Membership, signed_in: SignIn
) -> None:
    client = signed_in(colleague)
    assert posted(client, approval, "approval-approve") == 422
    assert posted(client, approval, "approval-approve", seen="0" * 64) == 422
    assert posted(client, approval, "approval-approve", seen=approval.list_digest, state="approved") == 422
    assert Batch.objects.get().state == BatchState.PLANNED


def test_inputs_are_shown_row_by_row_to_who_must_judge_and_that_is_noted(
    approval: Approval, colleague: Membership, viewer: Membership, signed_in: SignIn
) -> None:
    """V-4: never with the list, never to somebody who cannot decide."""
    client = signed_in(colleague)
    assert SECRET not in client.get(page(approval)).content.decode()
    assert SECRET in client.post(page(approval, "approval-inputs"), {"position": "2"}).content.decode()
    entry = AuditEntry.objects.get(action="approval.inputs_read")
    assert (entry.actor_name, entry.detail) == ("Cora Colleague", {"position": 2})
    assert SECRET not in str(list(AuditEntry.objects.values()))
    answer = signed_in(viewer).post(page(approval, "approval-inputs"), {"position": "2"})
    assert answer.status_code == 403


def test_a_no_needs_words_and_reaches_who_asked(
    approval: Approval, colleague: Membership, requester: Membership, signed_in: SignIn
) -> None:
    client = signed_in(colleague)
    assert posted(client, approval, "approval-decline", note=" ") == 422
    assert posted(client, approval, "approval-decline", note="Which ticket?") == 302
    assert "Which ticket?" in signed_in(requester).get(page(approval)).content.decode()


def test_an_expired_request_offers_no_approval(approval: Approval, colleague: Membership, signed_in: SignIn) -> None:
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    client = signed_in(colleague)
    assert page(approval, "approval-approve") not in client.get(page(approval)).content.decode()
    assert posted(client, approval, "approval-approve", seen=approval.list_digest) == 422


def test_breaking_the_glass_is_shown_to_everybody_who_sees_the_run(
    approval: Approval, admin: Membership, colleague: Membership, signed_in: SignIn
) -> None:
    """A-1: on its pages, on the overview of others and in the audit, never as simply done."""
    glass = reverse("batch-break-glass", args=[approval.batch_id])
    seen = second_person.digest_of(approval.batch)
    assert signed_in(colleague).post(glass, {"key": key(), "reason": "x", "seen": seen}).status_code == 403
    client = signed_in(admin)
    assert client.post(glass, {"key": key(), "reason": "", "seen": seen}).status_code == 422
    assert client.post(glass, {"key": key(), "reason": "Nobody is here", "seen": seen}).status_code == 302
    reader = signed_in(colleague)
    for place in (page(approval), reverse("batch", args=[approval.batch_id]), reverse("overview"), reverse("audit")):
        body = reader.get(place).content.decode()
        assert "ithout a second person" in body
        assert "Nobody is here" in body


def test_a_trigger_under_a_policy_becomes_a_request_with_its_inputs_sealed(
    ada: Membership, browser_of_ada: Client, workflow: Workflow, contract: Contract
) -> None:
    Policy.objects.create(account=ada.account, kind="trigger", least_count=1, created_by=ada.user)
    form = {"key": "b" * 32, "contract": contract.digest, "instance_name": "NDA Brightwater"}
    inputs = json.dumps(inputs_for(contract))
    answer = browser_of_ada.post(reverse("workflow-trigger", args=[workflow.pk]), {**form, "inputs_json": inputs})
    batch = Batch.objects.get()
    assert answer.headers["Location"] == reverse("batch-confirm", args=[batch.pk])
    assert "Lindqvist" in inputs
    assert "Lindqvist" not in batch.items.get().sealed_inputs
    assert not Operation.objects.exists()
    asked = {"key": "c" * 32, "reason": "New supplier"}
    answer = browser_of_ada.post(reverse("batch-ask", args=[batch.pk]), asked)
    assert answer.headers["Location"] == reverse("approval", args=[Approval.objects.get().pk])


@pytest.mark.parametrize("kind", ["cancel", "pause"])
def test_a_click_under_a_policy_leads_to_the_question_for_a_second_person(
    ada: Membership, browser_of_ada: Client, workflow: Workflow, running: Instance, kind: str
) -> None:
    Policy.objects.create(account=ada.account, kind=kind, least_count=1, created_by=ada.user)
    place = (
        reverse("instance-cancel", args=[running.pk])
        if kind == "cancel"
        else reverse("workflow-pause", args=[workflow.pk])
    )
    fields = {"reason": "Sent by mistake"} if kind == "cancel" else {}
    answer = browser_of_ada.post(place, {"key": "d" * 32, **fields}, follow=True)
    assert "Ask for a second person" in answer.content.decode()
    assert not Operation.objects.exists()


def test_asking_shows_the_request_that_waits_already(
    approval: Approval, requester: Membership, signed_in: SignIn
) -> None:
    answer = signed_in(requester).get(reverse("batch-ask", args=[approval.batch_id]))
    assert answer.headers["Location"] == page(approval)


def test_the_rail_tells_who_can_decide_and_nobody_else(
    approval: Approval, colleague: Membership, requester: Membership, signed_in: SignIn
) -> None:
    assert "wait for your approval" in signed_in(colleague).get(reverse("approvals")).content.decode()
    assert "wait for your approval" not in signed_in(requester).get(reverse("approvals")).content.decode()


def test_an_instance_that_its_requester_may_not_see_any_more_is_not_shown(
    requester: Membership, signed_in: SignIn
) -> None:
    """V-6: the right to see everything was taken after the list was asked for."""
    row = InstanceFactory(workflow=WorkflowFactory(account=requester.account), name="Canary")
    batch = BatchFactory(account=requester.account, actor=requester.user, kind="cancel", state="planned")
    BatchItemFactory(batch=batch, workflow=row.workflow, instance=row, label="Canary", status_then="in_progress")
    asked = Approval.objects.create(
        batch=batch, expires_at=timezone.now() + timedelta(hours=1), list_digest=second_person.digest_of(batch)
    )
    place = reverse("approval", args=[asked.pk])
    assert "Canary" in signed_in(requester).get(place).content.decode()
    Membership.objects.filter(pk=requester.pk).update(rights=Rights.OWN)
    said = signed_in(requester).get(place).content.decode()
    assert "not visible to you" in said
    assert "Canary" not in said
    assert str(row.pk) not in said


def said_after(client: Client, url: str, **fields: str) -> str:
    """What the page says that an answered question leads to."""
    return client.post(url, {"key": key(), **fields}, follow=True).content.decode()


@pytest.fixture
def unsent(approval: Approval) -> Batch:
    """The same list, started a day ago and stopped before anything was sent, as nobody asked for it."""
    batch, a_day_ago = approval.batch, timezone.now() - timedelta(days=1)
    approval.delete()
    batch.items.update(state="not_sent")
    Batch.objects.filter(pk=batch.pk).update(state=BatchState.DONE, confirmed_at=a_day_ago, ended_at=a_day_ago)
    return Batch.objects.get(pk=batch.pk)


def test_each_question_says_whether_it_starts_or_may_be_sent_again(
    approval: Approval, requester: Membership, colleague: Membership, signed_in: SignIn
) -> None:
    asking = signed_in(requester).get(reverse("batch-ask", args=[approval.batch_id]), follow=True)
    assert asking.redirect_chain == [(page(approval), 302)]
    client = signed_in(colleague)
    assert "Approve and start" in client.get(page(approval, "approval-approve")).content.decode()
    said = said_after(client, page(approval, "approval-approve"), seen=approval.list_digest)
    assert "Approved. The bulk run has started." in said
    assert "did not run" not in said


def test_an_approved_retry_is_not_called_started(
    unsent: Batch, requester: Membership, colleague: Membership, signed_in: SignIn
) -> None:
    ask = reverse("batch-ask", args=[unsent.pk])
    assert "it starts at once" not in signed_in(requester).get(ask).content.decode()
    asked = said_after(signed_in(requester), ask, reason="New suppliers")
    assert "you can send it again" in asked
    approval, client = Approval.objects.get(), signed_in(colleague)
    assert "Approve and start" not in client.get(page(approval, "approval-approve")).content.decode()
    said = said_after(client, page(approval, "approval-approve"), seen=approval.list_digest)
    assert "Approved. Oskar Operator can now send again what did not run." in said
    assert "has started" not in said
    assert reverse("batch-retry", args=[unsent.pk]) in signed_in(requester).get(page(approval)).content.decode()
    assert Batch.objects.get().state == BatchState.DONE
    Approval.objects.update(expires_at=timezone.now())
    assert reverse("batch-retry", args=[unsent.pk]) not in signed_in(requester).get(page(approval)).content.decode()
    said = said_after(client, page(approval, "approval-approve"), seen=approval.list_digest)  # the same form once more
    assert "Approved. Its time is over." in said


def test_an_approved_retry_that_sent_everything_offers_nothing_more(
    unsent: Batch, requester: Membership, colleague: Membership, signed_in: SignIn
) -> None:
    asked = approvals.ask(unsent, membership=requester, reason="New suppliers", key="b" * 32)
    approvals.approve(asked, membership=colleague, seen=asked.list_digest)
    before = signed_in(requester).get(page(asked)).content.decode()
    batches.retry(unsent, membership=requester, key="c" * 32)
    unsent.items.update(state="confirmed")
    Batch.objects.update(state=BatchState.DONE)
    after = signed_in(requester).get(page(asked)).content.decode()
    again = reverse("batch-retry", args=[unsent.pk])
    assert (again in before, again in after) == (True, False)
    assert "Nothing is left to send." not in before
    assert "Nothing is left to send." in after


def test_a_retry_without_a_second_person_is_not_called_started(
    unsent: Batch, requester: Membership, signed_in: SignIn
) -> None:
    client = signed_in(person(requester.account, Role.ADMIN, name="Alma Admin"))
    glass = reverse("batch-break-glass", args=[unsent.pk])
    assert client.get(glass).headers["Location"] == reverse("batch", args=[unsent.pk])  # nobody was asked yet
    approvals.ask(unsent, membership=requester, reason="New suppliers", key="b" * 32)
    asked = client.get(glass).content.decode()
    assert "Let it go without one" in asked
    assert "It starts" not in asked
    said = said_after(client, glass, reason="Nobody is here", seen=second_person.digest_of(unsent))
    assert "Let go without a second person." in said
    assert "Started" not in said.partition("<aside")[0].partition("<main")[2]


@contextmanager
def no_confirm_written() -> Iterator[None]:
    """As if another process held the database once the decision was written."""

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("UPDATE") and "confirmed_at" in sql:
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


def test_an_approval_that_could_not_start_says_so_and_the_same_form_starts_it(
    approval: Approval, colleague: Membership, signed_in: SignIn
) -> None:
    """U-7: the decision stays; nobody is told that nothing was changed, or that it was started."""
    client, seen = signed_in(colleague), approval.list_digest
    with no_confirm_written():
        for _ in range(2):
            said = said_after(client, page(approval, "approval-approve"), seen=seen)
            assert "Approved, but it could not start. This console cannot write to its own database" in said
            assert "has started" not in said
            assert "Nothing was changed" not in said
    assert (Approval.objects.get().state, Batch.objects.get().state) == ("approved", BatchState.PLANNED)
    assert "Approved. The bulk run has started." in said_after(client, page(approval, "approval-approve"), seen=seen)
    assert Batch.objects.get().state == BatchState.RUNNING
    assert AuditEntry.objects.filter(action="approval.approved").count() == 1


def test_a_broken_glass_that_could_not_start_says_so_and_the_same_form_starts_it(
    approval: Approval, admin: Membership, signed_in: SignIn
) -> None:
    """U-7, A-1: as for an approval."""
    client, glass = signed_in(admin), reverse("batch-break-glass", args=[approval.batch_id])
    fields = {"reason": "Nobody is here", "seen": approval.list_digest}
    with no_confirm_written():
        for _ in range(2):
            said = said_after(client, glass, **fields)
            assert "Let go without a second person, but it could not start." in said
            assert "Started without" not in said
    assert (Approval.objects.get().state, Batch.objects.get().state) == ("broken", BatchState.PLANNED)
    assert "Started without a second person." in said_after(client, glass, **fields)
    assert Batch.objects.get().state == BatchState.RUNNING
    assert AuditEntry.objects.filter(action="approval.broken").count() == 1


def test_the_same_request_after_a_no_does_not_promise_a_start(
    approval: Approval, requester: Membership, colleague: Membership, signed_in: SignIn
) -> None:
    """U-7: the first result as it stands now."""
    ask, fields = reverse("batch-ask", args=[approval.batch_id]), {"reason": "New suppliers", "key": "a" * 32}
    client = signed_in(requester)
    assert "It starts as soon as" in said_after(client, ask, **fields)
    approvals.decline(approval, membership=colleague, note="Which ticket?")
    said = said_after(client, ask, **fields)
    assert "You asked for this before. Here is what came of it." in said
    assert "It starts as soon as" not in said


def test_the_question_of_an_approved_run_shows_the_reason_and_takes_no_other(
    approval: Approval, requester: Membership, signed_in: SignIn
) -> None:
    Approval.objects.update(state="approved")
    client, confirm = signed_in(requester), reverse("batch-confirm", args=[approval.batch_id])
    question = client.get(confirm)
    form = {"key": key(), "seen": question.context["form"]["seen"].value()}
    assert "The list was let go with this reason" in question.content.decode()
    assert client.post(confirm, form | {"reason": "Another"}).status_code == 302
    assert (Batch.objects.get().state, Batch.objects.get().reason) == (BatchState.RUNNING, "New suppliers")
    assert client.post(confirm, form).status_code == 302  # the same form once more (U-7)
