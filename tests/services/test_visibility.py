"""Who sees what, by rows: it fails closed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard.models import (
    Account,
    Connection,
    InstanceDenial,
    Membership,
    Operation,
    OperationKind,
    Rights,
    Role,
    WorkflowAccess,
)
from dashboard.services import audit, visibility
from dashboard.services.instance_counts import kept_for
from tests.factories import InstanceFactory, WorkflowFactory, lists, person
from tests.services.conftest import new_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def pia(account: Account) -> Membership:
    """A preparer: sees her own instances only."""
    return person(account, Role.OPERATOR, rights=Rights.OWN, name="Pia Preparer")


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
    assert not visibility.visible_audit(pia).exists()


def test_a_denial_hides_the_row_even_from_a_manager(account: Account, operator: Membership) -> None:
    """V-6: what Docusign refused to this person is hidden from this person only."""
    instance = InstanceFactory(workflow=WorkflowFactory(account=account))
    other = person(account, Role.VIEWER)
    InstanceDenial.objects.create(user=operator.user, instance=instance, denied_at=timezone.now())
    assert not visibility.visible_instances(operator).exists()
    assert visibility.visible_instances(other).exists()


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
    assert set(visibility.visible_audit(pia).values_list("actor_name", "action")) == {
        (pia.user.name, "workflow.paused"),
        (operator.user.name, "instance.canceled"),
    }
    assert visibility.visible_audit(operator).count() == 3
