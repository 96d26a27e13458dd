"""What an approval holds to: the list and the reason that were judged, through a rotation of keys and up to the start or a stop."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.utils import timezone

from dashboard import crypto
from dashboard.models import (
    Approval,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Connection,
    Contract,
    Membership,
    Policy,
    Role,
)
from dashboard.services import approvals, batches, rotation, second_person
from dashboard.services.errors import NeedsSecondPerson, NotStarted, Refused
from dashboard.services.instances import lock_mirror
from tests.factories import InstanceFactory, person
from tests.services.bulk import sheet_batch
from tests.services.conftest import Meanwhile, new_key

NEW = base64.b64encode(b"a newer key of thirty-two bytes!").decode()


@pytest.fixture
def batch(ada: Membership, contract: Contract) -> Batch:
    """Two triggers with sealed inputs that need a second person."""
    Policy.objects.create(account=ada.account, kind="trigger", least_count=2, created_by=ada.user)
    return sheet_batch(ada, contract, ["Bulk 1", "Bulk 2"])


@pytest.fixture
def asked(batch: Batch, ada: Membership) -> Approval:
    return approvals.ask(batch, membership=ada, reason="New suppliers", key=new_key())


@pytest.fixture
def colleague(ada: Membership) -> Membership:
    found = person(ada.account, Role.OPERATOR, name="Cora Colleague")
    return Membership.objects.select_related("user__connection", "account").get(pk=found.pk)


def approve(approval: Approval, by: Membership) -> Approval:
    fresh = Approval.objects.select_related("batch__actor").get(pk=approval.pk)
    return approvals.approve(fresh, membership=by, seen=approval.list_digest)


def rotated(settings: Any) -> None:
    settings.TOKEN_KEYS = [NEW, *settings.TOKEN_KEYS]
    rotation.rotate()
    settings.TOKEN_KEYS = [NEW]


def test_a_rotation_of_keys_voids_no_request(
    asked: Approval, batch: Batch, colleague: Membership, settings: Any
) -> None:
    """O-11: what is judged are the inputs, however they are sealed."""
    before = set(BatchItem.objects.filter(batch=batch).values_list("sealed_inputs", flat=True))
    rotated(settings)
    assert before.isdisjoint(BatchItem.objects.filter(batch=batch).values_list("sealed_inputs", flat=True))
    approve(asked, colleague)
    assert Batch.objects.get().state == BatchState.RUNNING


@pytest.mark.parametrize("change", ["another value", "the other row's seal", "no key opens it", "erased"])
def test_any_change_of_an_input_voids_the_request(
    asked: Approval, batch: Batch, colleague: Membership, change: str
) -> None:
    first, second = BatchItem.objects.filter(batch=batch).order_by("position")
    sealed = {
        "another value": crypto.seal(json.dumps({"Supplier": "Other"}), *batches.inputs_place(batch, 1)),
        "the other row's seal": second.sealed_inputs,
        "no key opens it": first.sealed_inputs[:-4] + "AAAA",
        "erased": "",
    }
    BatchItem.objects.filter(pk=first.pk).update(sealed_inputs=sealed[change])
    with pytest.raises(Refused, match="was changed"):
        approve(asked, colleague)
    assert Batch.objects.get().state == BatchState.PLANNED


def test_the_digest_of_a_list_is_one_on_every_database_and_in_every_version(
    batch: Batch, contract: Contract, ada: Membership
) -> None:
    """A request waits for days, through updates. A row is the JSON of its position, ids, label and opened inputs, as text."""
    label = 'Ünïted "Traders" \\ </script>'
    BatchItem.objects.filter(batch=batch, position=1).update(label=label)
    instance = InstanceFactory(workflow=contract.workflow)
    BatchItem.objects.filter(batch=batch, position=2).update(sealed_inputs="", instance=instance)
    first, second = BatchItem.objects.filter(batch=batch).order_by("position")
    opened = crypto.unseal(first.sealed_inputs, *batches.inputs_place(batch, 1))
    rows = (
        ["trigger", str(batch.workflow_id), str(batch.contract_id), batch.reason],
        ["1", str(first.workflow_id), "None", label, f"inputs {opened}"],
        ["2", str(second.workflow_id), str(instance.pk), second.label, ""],
    )
    plain = hashlib.sha256("".join(json.dumps(row) for row in rows).encode()).digest()
    assert second_person.digest_of(batch) == crypto.keyed_digest("list", plain)


def test_the_digest_in_the_address_cannot_be_made_from_the_list_alone(
    asked: Approval, batch: Batch, settings: Any
) -> None:
    """V-4: it stands in addresses and logs, and inputs are easily guessed."""
    settings.SECRET_KEY = "another secret of fifty characters, for this test only"
    assert second_person.digest_of(batch) != asked.list_digest


def test_the_reason_that_was_approved_stays(asked: Approval, batch: Batch, ada: Membership) -> None:
    """A-1: nobody starts under a reason that the second person did not see."""
    Approval.objects.update(state="approved")
    started = batches.confirm(batch, membership=ada, key=new_key(), reason="Something else")
    assert started.reason == "New suppliers"
    assert AuditEntry.objects.get(action="batch.confirmed").reason == "New suppliers"


def test_a_planned_run_that_is_stopped_ends_its_request(
    asked: Approval, batch: Batch, ada: Membership, colleague: Membership
) -> None:
    """A-1: nobody is asked any more, and the audit says since when."""
    assert approvals.waiting_for(colleague).exists()
    batches.stop(batch, membership=ada, reason="Wrong file")
    asked.refresh_from_db()
    assert (asked.state, asked.decided_by, asked.note) == ("withdrawn", ada.user, second_person.STOPPED)
    assert AuditEntry.objects.filter(action="approval.withdrawn").count() == 1
    assert not approvals.waiting_for(colleague).exists()
    with pytest.raises(Refused):
        approve(asked, colleague)


def test_what_a_stop_left_unsent_is_not_let_go_by_the_ended_request(
    asked: Approval, batch: Batch, ada: Membership
) -> None:
    batches.stop(batch, membership=ada)
    with pytest.raises(NeedsSecondPerson):
        batches.retry(batch, membership=ada, key=new_key())


def test_a_list_that_somebody_else_let_go_meanwhile_is_not_called_void(
    asked: Approval, ada: Membership, colleague: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the third person's click was weighed, it was approved, and inputs were erased as they were sent."""
    third = person(ada.account, Role.OPERATOR, name="Tom Third")

    def late(batch: Batch) -> str:
        monkeypatch.setattr(approvals, "digest_of", second_person.digest_of)
        approve(asked, colleague)
        BatchItem.objects.filter(batch=batch, position=1).update(sealed_inputs="")
        return second_person.digest_of(batch)

    monkeypatch.setattr(approvals, "digest_of", late)
    with pytest.raises(Refused, match="already decided"):
        approve(asked, third)
    assert Approval.objects.get().state == "approved"
    assert not AuditEntry.objects.filter(action="approval.voided").exists()


def test_what_starts_as_its_time_ends_is_not_called_expired(
    asked: Approval, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its start was committed between the look for what is over and the update."""
    Approval.objects.update(state="approved", expires_at=timezone.now())

    def late(account_id: UUID) -> None:
        Batch.objects.filter(pk=batch.pk).update(state=BatchState.RUNNING)
        lock_mirror(account_id)

    monkeypatch.setattr(approvals, "lock_mirror", late)
    assert approvals.expire_due() == 0
    assert Approval.objects.get().state == "approved"
    assert not AuditEntry.objects.filter(action="approval.expired").exists()


def test_an_approval_whose_requester_is_away_starts_by_the_same_form_once_they_are_back(
    asked: Approval, ada: Membership, colleague: Membership
) -> None:
    """U-7, V-5: it is no second decision, and what did not start is not called started."""
    Approval.objects.update(state="approved", decided_by=colleague.user)
    Connection.objects.filter(user=ada.user).update(state="reconnect_needed")
    with pytest.raises(NotStarted, match=r"^Approved, but it could not start\. .* is not connected to Docusign"):
        approve(asked, colleague)
    assert Batch.objects.get().state == BatchState.PLANNED
    Connection.objects.filter(user=ada.user).update(state="active")
    approve(asked, colleague)
    assert Batch.objects.get().state == BatchState.RUNNING
    assert not AuditEntry.objects.filter(action="approval.approved").exists()


def test_an_approval_of_what_its_requester_just_started_is_no_failure(
    asked: Approval, batch: Batch, colleague: Membership, meanwhile: Meanwhile
) -> None:
    """U-7: approved, and started by its own person's click a moment before this start."""
    mine = Batch.objects.filter(pk=batch.pk)
    meanwhile(batches, "before_sending", lambda: mine.update(state=BatchState.RUNNING))
    assert approve(asked, colleague).state == "approved"


@pytest.mark.parametrize(
    ("since", "why"),
    [
        (lambda batch: batch.items.filter(position=2).update(state="left_out"), "list was changed"),
        (lambda batch: Approval.objects.update(expires_at=timezone.now()), "time is over"),
    ],
)
def test_what_was_approved_starts_later_only_as_it_was_and_in_time(
    since: Callable[[Batch], object], why: str, asked: Approval, batch: Batch, colleague: Membership
) -> None:
    """U-7, V-5: the same form once more, after the list was changed, its time was over, and even without a policy by now."""
    Approval.objects.update(state="approved", decided_by=colleague.user)
    since(batch)
    Policy.objects.all().delete()
    with pytest.raises(NotStarted, match=why):
        approve(asked, colleague)
    assert Batch.objects.get().state == BatchState.PLANNED


def test_a_request_that_is_made_anew_as_the_old_one_ends_does_not_end_with_it(
    asked: Approval, monkeypatch: pytest.MonkeyPatch
) -> None:
    Approval.objects.update(expires_at=timezone.now())

    def late(account_id: UUID) -> None:
        Approval.objects.update(expires_at=timezone.now() + timedelta(hours=1))
        lock_mirror(account_id)

    monkeypatch.setattr(approvals, "lock_mirror", late)
    assert approvals.expire_due() == 0
    assert Approval.objects.get().state == "waiting"
