"""Requests for a second person: who decides, once, about exactly the list that they saw."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.models import (
    Approval,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Connection,
    Membership,
    Policy,
    Rights,
    Role,
    User,
)
from dashboard.services import approvals, batches, second_person
from dashboard.services.errors import NeedsSecondPerson, NotStarted, Refused
from tests.factories import BatchFactory, BatchItemFactory, InstanceFactory, MembershipFactory, WorkflowFactory, person
from tests.services.conftest import new_key

Ask = Callable[..., Approval]


@pytest.fixture
def operator(operator: Membership) -> Membership:
    """As a request finds the person: everything read from the database."""
    return fresh(operator)


def fresh(membership: Membership) -> Membership:
    return Membership.objects.select_related("user__connection", "account").get(pk=membership.pk)


@pytest.fixture
def batch(operator: Membership) -> Batch:
    """Three cancels that need a second person."""
    workflow = WorkflowFactory(account=operator.account)
    found = BatchFactory(
        account=operator.account, actor=operator.user, workflow=workflow, state="planned", confirmed_at=None, total=3
    )
    for position in (1, 2, 3):
        instance = InstanceFactory(workflow=workflow)
        BatchItemFactory(
            batch=found, position=position, workflow=workflow, instance=instance, status_then="in_progress"
        )
    Policy.objects.create(account=operator.account, kind="cancel", least_count=2, created_by=operator.user)
    return found


@pytest.fixture
def colleague(operator: Membership) -> Membership:
    return fresh(person(operator.account, Role.OPERATOR, name="Cora Colleague"))


@pytest.fixture
def asked(batch: Batch, operator: Membership) -> Approval:
    return approvals.ask(batch, membership=operator, reason="Recalled by Legal", key=new_key())


def approve(approval: Approval, by: Membership, **changes: str) -> Approval:
    return approvals.approve(approval, membership=by, **({"seen": approval.list_digest} | changes))


def state_of(batch: Batch) -> str:
    return Batch.objects.get(pk=batch.pk).state


def audited(action: str) -> int:
    return AuditEntry.objects.filter(action=action).count()


def test_it_cannot_start_before_and_starts_at_once_when_a_second_person_approves(
    batch: Batch, operator: Membership, colleague: Membership
) -> None:
    """A-1: the deeds are in the audit, each once, by the person who did it; it starts as its requester."""
    with pytest.raises(NeedsSecondPerson):
        batches.confirm(batch, membership=operator, key=new_key(), reason="Recalled by Legal")
    approval = approvals.ask(batch, membership=operator, reason="Recalled by Legal", key=new_key())
    assert state_of(batch) == BatchState.PLANNED
    approve(approval, colleague)
    assert state_of(batch) == BatchState.RUNNING
    deeds = AuditEntry.objects.order_by("seq").values_list("action", "actor_name")
    assert list(deeds) == [
        ("approval.asked", "Oskar Operator"),
        ("approval.approved", "Cora Colleague"),
        ("batch.confirmed", "Oskar Operator"),
    ]


def test_an_approved_cancel_still_has_its_undo_window(asked: Approval, batch: Batch, colleague: Membership) -> None:
    approve(asked, colleague)
    starts_at = Batch.objects.get(pk=batch.pk).starts_at
    assert starts_at is not None
    assert starts_at > timezone.now()


def assert_refused(approval: Approval, by: Membership, because: str) -> None:
    with pytest.raises(Refused, match=because):
        approve(Approval.objects.select_related("batch__actor").get(pk=approval.pk), by)
    assert state_of(approval.batch) == BatchState.PLANNED
    assert audited("approval.approved") == 0


def test_who_asked_cannot_approve(asked: Approval, operator: Membership) -> None:
    Membership.objects.filter(pk=operator.pk).update(role=Role.ADMIN)
    assert_refused(asked, fresh(operator), "somebody else has to decide")


def test_the_same_docusign_person_cannot_approve_as_another_user_row(asked: Approval, operator: Membership) -> None:
    twin = person(operator.account, Role.ADMIN, name="Oskar again")
    User.objects.filter(pk=twin.user_id).update(sub="{" + operator.user.sub.upper() + "}")
    assert_refused(asked, fresh(twin), "somebody else has to decide")


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"role": Role.VIEWER}, "the role operator"),
        ({"rights": Rights.OWN}, "every instance"),
        ({"rights_proven_at": None}, "every instance"),
        ({"is_active": False}, "every instance"),
    ],
)
def test_who_lacks_role_or_proven_rights_cannot_approve(
    asked: Approval, colleague: Membership, changes: dict[str, object], because: str
) -> None:
    """V-2: also when the right was lost while the page was open."""
    Membership.objects.filter(pk=colleague.pk).update(**changes)
    assert_refused(asked, fresh(colleague), because)


def test_nobody_of_another_account_finds_or_approves_it(asked: Approval, outsider: Membership) -> None:
    assert not approvals.visible_approvals(outsider).exists()
    assert not approvals.waiting_for(outsider).exists()
    assert_refused(asked, fresh(outsider), "in this account")


def test_a_preparer_does_not_even_see_it(asked: Approval, operator: Membership) -> None:
    """V-3: the names on the list are those of other people's instances."""
    preparer = person(operator.account, Role.OPERATOR, rights=Rights.OWN, name="Paula Preparer")
    assert not approvals.visible_approvals(preparer).exists()
    assert_refused(asked, fresh(preparer), "every instance")


def test_an_expired_request_cannot_be_approved_and_is_ended_by_the_worker(
    asked: Approval, colleague: Membership
) -> None:
    Approval.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert_refused(asked, colleague, "expired")
    assert approvals.expire_due() == 1
    assert approvals.expire_due() == 0
    asked.refresh_from_db()
    assert asked.state == "expired"
    assert audited("approval.expired") == 1


def test_two_approvers_and_a_double_submit_start_it_once(
    asked: Approval, operator: Membership, colleague: Membership
) -> None:
    """U-7: the same person's second submit gets the first result; another person is told that it is decided."""
    stale = Approval.objects.select_related("batch__actor").get(pk=asked.pk)
    third = fresh(person(operator.account, Role.OPERATOR, name="Tom Third"))
    approve(asked, colleague)
    assert approve(stale, colleague).state == "approved"
    with pytest.raises(Refused):
        approve(Approval.objects.select_related("batch__actor").get(pk=asked.pk), third)
    with pytest.raises(Refused):
        approvals.decline(Approval.objects.get(pk=asked.pk), membership=third, note="No")
    assert (audited("approval.approved"), audited("batch.confirmed"), audited("approval.declined")) == (1, 1, 0)


def test_a_late_decision_over_an_older_reading_changes_nothing(
    asked: Approval, colleague: Membership, operator: Membership
) -> None:
    """Between reading and deciding the requester was quicker: the update is conditional on the state that was read."""
    stale = Approval.objects.select_related("batch__actor").get(pk=asked.pk)
    approvals.withdraw(asked, membership=operator)
    with pytest.raises(Refused):
        approve(stale, colleague)
    with pytest.raises(Refused):
        approvals.decline(stale, membership=colleague, note="No")
    assert Approval.objects.get().state == "withdrawn"


@pytest.mark.parametrize("change", ["add", "leave out", "rename", "reason"])
def test_a_list_that_changed_after_asking_is_void(
    asked: Approval, batch: Batch, colleague: Membership, change: str
) -> None:
    first = BatchItem.objects.filter(batch=batch, position=1)
    if change == "add":
        BatchItemFactory(batch=batch, position=4, workflow=batch.workflow)
    elif change == "leave out":
        first.update(state="left_out")
    elif change == "rename":
        first.update(label="Another name")
    else:
        Batch.objects.filter(pk=batch.pk).update(reason="Another reason")
    assert_refused(asked, colleague, "was changed")
    assert Approval.objects.get().state == "withdrawn"
    assert audited("approval.voided") == 1


def test_a_list_that_changed_after_the_approval_does_not_start(
    asked: Approval, batch: Batch, operator: Membership, colleague: Membership
) -> None:
    Connection.objects.filter(user=operator.user).update(state="active")
    Batch.objects.filter(pk=batch.pk).update(frozen_at=None)
    with pytest.raises(NotStarted, match=r"but it could not start\. This list is not complete yet"):
        approve(asked, colleague)
    Batch.objects.filter(pk=batch.pk).update(frozen_at=timezone.now())
    assert second_person.needed_for(Batch.objects.get(pk=batch.pk)) is None
    BatchItemFactory(batch=batch, position=4, workflow=batch.workflow)
    with pytest.raises(NeedsSecondPerson):
        batches.confirm(Batch.objects.get(pk=batch.pk), membership=operator, key=new_key())
    batches.stop(Batch.objects.get(pk=batch.pk), membership=operator)
    with pytest.raises(NeedsSecondPerson):
        batches.retry(Batch.objects.get(pk=batch.pk), membership=operator, key=new_key())


def test_who_approves_says_which_list_they_saw(asked: Approval, colleague: Membership) -> None:
    """A request that was asked anew, over another list, is not approved from a page that showed the older one."""
    with pytest.raises(Refused):
        approve(asked, colleague, seen="0" * 64)
    assert Approval.objects.get().state == "waiting"


@pytest.mark.parametrize(
    ("lost", "because"),
    [("role", "may only look"), ("connection", "not connected"), ("membership", "not connected")],
)
def test_it_does_not_start_for_a_requester_who_lost_the_right_meanwhile(
    asked: Approval, operator: Membership, colleague: Membership, lost: str, because: str
) -> None:
    """V-5: it runs with the requester's own rights and token, or not at all."""
    mine = Membership.objects.filter(pk=operator.pk)
    if lost == "role":
        mine.update(role=Role.VIEWER)
    elif lost == "membership":
        mine.update(is_active=False)
    else:
        Connection.objects.filter(user=operator.user).update(state="reconnect_needed")
    assert_refused(asked, colleague, because)
    assert Approval.objects.get().state == "waiting"


def test_a_policy_made_between_the_question_and_the_start_holds(operator: Membership, batch: Batch) -> None:
    Policy.objects.all().delete()
    assert second_person.needed_for(batch) is None
    Policy.objects.create(account=operator.account, kind="cancel", least_count=3, created_by=operator.user)
    with pytest.raises(NeedsSecondPerson):
        batches.confirm(batch, membership=operator, key=new_key(), reason="Recalled by Legal")
    assert state_of(batch) == BatchState.PLANNED


def test_asking_twice_gives_one_request(batch: Batch, operator: Membership) -> None:
    """U-7: the same form gives the first request; another form is refused while one waits."""
    key = new_key()
    first = approvals.ask(batch, membership=operator, reason="Recalled", key=key)
    assert approvals.ask(batch, membership=operator, reason="Recalled", key=key) == first
    with pytest.raises(Refused):
        approvals.ask(batch, membership=operator, reason="Recalled", key=new_key())
    assert audited("approval.asked") == 1


def test_after_a_no_it_can_be_asked_again(asked: Approval, operator: Membership, colleague: Membership) -> None:
    approvals.decline(asked, membership=colleague, note="Which ticket?")
    again = approvals.ask(asked.batch, membership=operator, reason="Recalled, LEG-412", key=new_key())
    assert (again.pk, again.state, again.note) == (asked.pk, "waiting", "")
    approve(again, colleague)
    assert state_of(asked.batch) == BatchState.RUNNING


def test_only_its_own_person_asks_and_withdraws(batch: Batch, operator: Membership, colleague: Membership) -> None:
    with pytest.raises(Refused):
        approvals.ask(batch, membership=colleague, reason="Recalled", key=new_key())
    approval = approvals.ask(batch, membership=operator, reason="Recalled", key=new_key())
    with pytest.raises(Refused):
        approvals.withdraw(approval, membership=colleague)


def test_breaking_the_glass_is_for_admins_with_a_reason_and_is_told(
    asked: Approval, batch: Batch, operator: Membership
) -> None:
    """A-1: who did it, why, for whom and how much."""
    admin = fresh(person(operator.account, Role.ADMIN, name="Alma Admin"))
    seen = asked.list_digest
    for by, reason in ((operator, "Nobody is here"), (admin, " ")):
        with pytest.raises(Refused):
            approvals.break_glass(batch, membership=by, reason=reason, seen=seen)
    assert state_of(batch) == BatchState.PLANNED
    approvals.break_glass(batch, membership=admin, reason="Nobody is here", seen=seen)
    assert state_of(batch) == BatchState.RUNNING
    assert Approval.objects.get().state == "broken"
    entry = AuditEntry.objects.get(action="approval.broken")
    assert (entry.actor_name, entry.reason) == ("Alma Admin", "Nobody is here")
    assert (entry.detail["count"], entry.detail["requester"]) == (3, "Oskar Operator")


def test_the_glass_of_a_list_about_which_nobody_was_asked_stays_whole(batch: Batch, operator: Membership) -> None:
    """A-1: a cancel says why it is done; an admin's reason only says why nobody else decides."""
    admin = fresh(person(operator.account, Role.ADMIN, name="Alma Admin"))
    seen = second_person.digest_of(batch)
    with pytest.raises(Refused, match="No request"):
        approvals.break_glass(batch, membership=admin, reason="Nobody is here", seen=seen)
    assert state_of(batch) == BatchState.PLANNED
    assert not Approval.objects.exists()


@pytest.mark.parametrize("end", ["declined", "withdrawn", "expired"])
def test_the_glass_of_a_request_that_is_over_stays_whole(
    asked: Approval, operator: Membership, colleague: Membership, end: str
) -> None:
    admin = fresh(person(operator.account, Role.ADMIN, name="Alma Admin"))
    if end == "declined":
        approvals.decline(asked, membership=colleague, note="Which ticket?")
    elif end == "withdrawn":
        approvals.withdraw(asked, membership=operator)
    else:
        Approval.objects.update(expires_at=timezone.now())
    with pytest.raises(Refused, match="No request"):
        approvals.break_glass(asked.batch, membership=admin, reason="Nobody is here", seen=asked.list_digest)
    assert state_of(asked.batch) == BatchState.PLANNED
    assert audited("approval.broken") == 0


def test_the_same_break_of_the_glass_counts_once(asked: Approval, operator: Membership) -> None:
    """U-7: the same form once more gives the first result."""
    admin = fresh(person(operator.account, Role.ADMIN, name="Alma Admin"))
    for _ in range(2):
        approvals.break_glass(asked.batch, membership=admin, reason="Nobody is here", seen=asked.list_digest)
    assert audited("approval.broken") == 1
    assert audited("batch.confirmed") == 1


def test_an_admin_of_another_account_breaks_no_glass(batch: Batch, outsider: Membership) -> None:
    with pytest.raises(Refused):
        approvals.break_glass(batch, membership=outsider, reason="No", seen=second_person.digest_of(batch))
    assert not Approval.objects.exists()


def test_a_failing_audit_changes_nothing(
    asked: Approval, colleague: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A-2: no decision without its entry."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("The audit cannot be written.")

    monkeypatch.setattr(approvals.audit, "record", fail)
    with pytest.raises(RuntimeError):
        approve(asked, colleague)
    assert Approval.objects.get().state == "waiting"
    assert state_of(asked.batch) == BatchState.PLANNED


def test_deciders_are_named_by_what_they_may_do(
    operator: Membership, colleague: Membership, viewer: Membership
) -> None:
    preparer = person(operator.account, Role.ADMIN, rights=Rights.OWN)
    MembershipFactory(account=operator.account, role=Role.ADMIN)
    assert preparer not in approvals.deciders_of(operator.account)
    assert approvals.deciders_of(operator.account) == [colleague, operator]
