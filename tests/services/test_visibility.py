"""Who sees what, by rows: it fails closed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.models import (
    PROOF_LIFETIME,
    Account,
    Connection,
    InstanceDenial,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Rights,
    Role,
    WorkflowAccess,
)
from dashboard.services import audit, visibility
from dashboard.services.audit_lists import AuditSearch, choices_of, find_entries, hidden_among
from dashboard.services.instance_counts import kept_for
from tests.factories import InstanceFactory, WorkflowFactory, lists, person
from tests.services.conftest import new_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def pia(account: Account) -> Membership:
    """A preparer: sees her own instances only."""
    return person(account, Role.OPERATOR, rights=Rights.OWN, name="Pia Preparer")


def seen_by(membership: Membership) -> list[tuple[str, str]]:
    """Who did what, of the entries that a person sees, newest first."""
    return [(entry.actor_name, entry.action) for entry in find_entries(membership, AuditSearch()).rows]


def test_own_rights_show_own_instances_whatever_the_case_of_the_id(account: Account, pia: Membership) -> None:
    """V-1: started by this very person."""
    workflow = WorkflowFactory(account=account)
    mine = InstanceFactory(workflow=workflow, started_by=pia.user.sub.lower())
    InstanceFactory(workflow=workflow)
    pia.user.sub = "{" + pia.user.sub.upper() + "}"
    assert list(visibility.visible_instances(pia)) == [mine]


def test_a_workflows_own_list_opens_that_workflow_for_fifteen_minutes(account: Account, pia: Membership) -> None:
    """V-2: proven per workflow where there is no account-level list."""
    opened, other = WorkflowFactory(account=account), WorkflowFactory(account=account)
    shown = InstanceFactory(workflow=opened)
    InstanceFactory(workflow=other)
    lists(pia, opened, other)
    WorkflowAccess.objects.filter(workflow=opened).update(others_proven_at=timezone.now() - timedelta(minutes=14))
    assert list(visibility.visible_instances(pia)) == [shown]
    WorkflowAccess.objects.filter(workflow=opened).update(others_proven_at=timezone.now() - timedelta(minutes=16))
    assert not visibility.visible_instances(pia).exists()


@pytest.mark.parametrize("rights", [Rights.NONE, Rights.UNPROVEN])
def test_without_proven_rights_nothing_is_shown(rights: Rights, account: Account, pia: Membership) -> None:
    """V-2: it fails closed."""
    instance = InstanceFactory(workflow=WorkflowFactory(account=account), started_by=pia.user.sub)
    lists(pia, instance.workflow)
    pia.rights = rights
    assert not visibility.visible_instances(pia).exists()
    assert not visibility.visible_workflows(pia).exists()
    assert visibility.view_of(pia).scope in ("nothing", "unknown")


@pytest.mark.parametrize("state", [Connection.State.RECONNECT_NEEDED, Connection.State.DISCONNECTED])
def test_without_a_grant_nothing_is_shown(state: str, account: Account, pia: Membership) -> None:
    """V-6: disconnecting hides everything at once."""
    InstanceFactory(workflow=WorkflowFactory(account=account), started_by=pia.user.sub)
    pia.user.connection.state = state
    assert not visibility.visible_instances(pia).exists()
    assert visibility.view_of(pia).scope == "nothing"


def test_a_person_who_left_the_account_sees_nothing(account: Account, pia: Membership) -> None:
    """V-6: an account that userinfo no longer names."""
    InstanceFactory(workflow=WorkflowFactory(account=account), started_by=pia.user.sub)
    pia.is_active = False
    assert not visibility.visible_instances(pia).exists()
    assert not visibility.visible_operations(pia).exists()
    assert seen_by(pia) == []


def test_a_denial_hides_the_row_even_from_a_manager(account: Account, operator: Membership) -> None:
    """V-6: what Docusign refused to this person is hidden from this person only."""
    instance = InstanceFactory(workflow=WorkflowFactory(account=account))
    other = person(account, Role.VIEWER)
    InstanceDenial.objects.create(user=operator.user, instance=instance, denied_at=timezone.now())
    assert not visibility.visible_instances(operator).exists()
    operator.refresh_from_db()
    assert not visibility.visible_instances(operator, ids=[instance.pk]).exists()
    assert visibility.visible_instances(other).exists()
    other.refresh_from_db()
    assert visibility.visible_instances(other, ids=[instance.pk]).exists()


def test_another_account_shows_nothing_of_this_one(account: Account, outsider: Membership) -> None:
    """V-1: a manager there is a stranger here."""
    instance = InstanceFactory(workflow=WorkflowFactory(account=account), started_by=outsider.user.sub)
    lists(outsider, instance.workflow)
    assert not visibility.visible_instances(outsider).exists()
    assert not visibility.visible_workflows(outsider).exists()


def test_counts_are_counted_over_visible_rows_only(account: Account, pia: Membership, operator: Membership) -> None:
    """V-3: totals leak nothing."""
    workflow = WorkflowFactory(account=account)
    InstanceFactory(workflow=workflow, started_by=pia.user.sub.lower())
    InstanceFactory.create_batch(3, workflow=workflow, status="failed")
    pia.refresh_from_db()
    operator.refresh_from_db()
    assert kept_for(pia, ()).rows == {(workflow.pk, "in_progress"): 1}
    assert kept_for(operator, [workflow.pk]).rows == {(workflow.pk, "in_progress"): 1, (workflow.pk, "failed"): 3}


def test_operations_and_audit_follow_the_same_rule(account: Account, pia: Membership, operator: Membership) -> None:
    """V-1: own deeds for all, everybody's deeds for a proven manager."""
    workflow = WorkflowFactory(account=account)
    for someone, kind in ((pia, OperationKind.PAUSE), (operator, OperationKind.RESUME)):
        Operation.objects.create(key=new_key(), kind=kind, account=account, actor=someone.user, workflow=workflow)
        audit.record("workflow.paused", actor=someone.user, account=account, subject=workflow)
    theirs = InstanceFactory(workflow=workflow, started_by=pia.user.sub)
    audit.record("instance.canceled", actor=operator.user, account=account, subject=theirs)
    assert [row.actor for row in visibility.visible_operations(pia)] == [pia.user]
    assert visibility.visible_operations(operator).count() == 2
    assert seen_by(pia) == [(operator.user.name, "instance.canceled"), (pia.user.name, "workflow.paused")]
    assert len(seen_by(operator)) == 3


def test_the_name_of_an_instance_denied_to_a_manager_is_hidden(account: Account, operator: Membership) -> None:
    """V-3, V-6: the deed stays, since who did it must answer for it; what cannot be read cannot be searched either."""
    other = person(account, Role.OPERATOR, name="Olga Other")
    flow = WorkflowFactory(account=account, name="Supplier")
    denied, open_ = (InstanceFactory(workflow=flow, name=f"Merger {name}") for name in ("secret", "open"))
    InstanceDenial.objects.create(user=operator.user, instance=denied, denied_at=timezone.now())
    for someone, instance in ((other, denied), (operator, denied), (other, open_)):
        audit.record("instance.canceled", actor=someone.user, account=account, subject=instance)
    for someone in (operator, other):
        rows = find_entries(someone, AuditSearch()).rows
        hidden = hidden_among(someone, rows)
        named = [(row.actor_name, row.object_name) for row in rows if row.seq not in hidden]
        everything = [
            ("Olga Other", "Merger open"),
            (operator.user.name, "Merger secret"),
            ("Olga Other", "Merger secret"),
        ]
        assert named == everything[: 2 if someone == operator else 3]
        assert len(rows) == 3
        found = find_entries(someone, AuditSearch(q="merger")).rows
        assert [row.seq for row in found] == [row.seq for row in rows if row.seq not in hidden]
    assert [name for _, name in choices_of(operator).people] == sorted(["Olga Other", operator.user.name])


def test_an_operation_is_named_as_far_as_the_person_may_see(account: Account, operator: Membership) -> None:
    """V-6: what others sent to a denied instance has no name, and what one sent oneself only the name one gave it."""
    other = person(account, Role.OPERATOR)
    flow = WorkflowFactory(account=account)
    denied, open_ = (InstanceFactory(workflow=flow, name=name) for name in ("Secret", "Open"))
    InstanceDenial.objects.create(user=operator.user, instance=denied, denied_at=timezone.now())
    sent = [
        Operation.objects.create(
            key=new_key(), kind=kind, state=OperationState.REJECTED, account=account, actor=someone.user, workflow=flow,
            instance=instance, instance_name=name,
        )
        for someone, kind, instance, name in (
            (other, OperationKind.CANCEL, denied, ""), (other, OperationKind.TRIGGER, denied, "Secret at first"),
            (operator, OperationKind.CANCEL, denied, ""), (operator, OperationKind.TRIGGER, denied, "Mine at first"),
            (other, OperationKind.CANCEL, open_, ""), (other, OperationKind.TRIGGER, None, "Not seen yet"),
            (other, OperationKind.PAUSE, None, ""),
        )
    ]  # fmt: skip
    operator.refresh_from_db()
    assert set(visibility.visible_operations(operator)) == set(sent)
    names = visibility.names_of(sent, operator)
    assert [names[row.pk] for row in sent] == ["", "", "", "Mine at first", "Open", "Not seen yet", ""]


def test_an_entry_seen_for_two_reasons_is_listed_once(account: Account, pia: Membership, operator: Membership) -> None:
    """V-3: own deeds on own instances, and for an admin the account's as well; a page of each is a page of all."""
    pia.role = Role.ADMIN
    theirs = InstanceFactory(workflow=WorkflowFactory(account=account), started_by=pia.user.sub)
    for number in range(20):
        audit.record(f"both.{number:02}", actor=pia.user, account=account, subject=theirs)
        audit.record(f"people.{number:02}", actor=operator.user, account=account, subject=account)
        audit.record(f"foreign.{number:02}", actor=operator.user, account=account, subject=theirs.workflow)
    seen, after = [], ""
    while True:
        page = find_entries(pia, AuditSearch(after=after))
        seen += [entry.action for entry in page.rows]
        if not page.older:
            break
        after = page.older
    back = find_entries(pia, AuditSearch(before=page.newer or ""))
    assert seen == [f"{kind}.{number:02}" for number in reversed(range(20)) for kind in ("people", "both")]
    assert [entry.action for entry in back.rows] == seen[:25]
    assert choices_of(pia).deeds == sorted(seen)
    assert [row.action for row in find_entries(pia, AuditSearch(about=str(theirs.pk))).rows] == seen[1::2][:25]
    assert (
        find_entries(pia, AuditSearch(about=str(theirs.workflow_id))).rows
        == find_entries(pia, AuditSearch(about=str(theirs.pk))).rows
    )
    for row in choices_of(operator).people:  # who sees all is told the same of the same people
        assert row in [(str(each.user_id), each.user.name) for each in (pia, operator)]
    assert [name for _, name in choices_of(pia).people] == sorted([operator.user.name, pia.user.name])


@pytest.mark.parametrize("change", ["nothing", "proof lapsed", "disconnected", "left"])
def test_operations_that_are_read_already_follow_the_very_same_rule(
    change: str, account: Account, pia: Membership, operator: Membership
) -> None:
    """V-1, V-6: whatever a query would have found."""
    for someone in (pia, operator):
        workflow = WorkflowFactory(account=account)
        Operation.objects.create(
            key=new_key(), kind=OperationKind.PAUSE, account=account, actor=someone.user, workflow=workflow
        )
    for mine, usual in ((pia, 1), (operator, 2)):
        if change == "proof lapsed":
            mine.rights_proven_at = timezone.now() - PROOF_LIFETIME - timedelta(seconds=1)
        mine.is_active = change != "left"
        if change == "disconnected":
            mine.user.connection.state = Connection.State.DISCONNECTED
        seen = visibility.visible_among(Operation.objects.order_by("pk"), mine)
        assert seen == list(visibility.visible_operations(mine).order_by("pk"))
        assert len(seen) == usual or change != "nothing"
        assert all(row.actor_id == mine.user_id for row in seen) or change == "nothing" or change == "left"
