"""The policies of an account: from how many deeds on a second person is needed. Its one rule: every change is in the audit."""

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from dashboard.models import Account, Membership, OperationKind, Policy, Workflow
from dashboard.services import audit
from dashboard.services.errors import Refused
from dashboard.services.instances import bump, lock_mirror


def policies_of(account: Account) -> QuerySet[Policy]:
    """Those for all workflows first."""
    rows = Policy.objects.filter(account=account).select_related("workflow", "created_by", "account")
    return rows.order_by(F("workflow__name").asc(nulls_first=True), "kind", "pk")


def add_policy(
    account: Account, *, membership: Membership, workflow: Workflow | None, kind: OperationKind, least_count: int
) -> Policy:
    """One policy for each deed of a workflow, and one for all workflows."""
    try:
        with transaction.atomic():
            lock_mirror(account.pk)
            policy = Policy.objects.create(
                account=account, workflow=workflow, kind=kind, least_count=least_count, created_by=membership.user
            )
            _record("policy.added", policy, membership)
    except IntegrityError as error:
        raise Refused("There is a policy for this already. Remove it first, then add the new one.") from error
    return policy


def remove_policy(policy: Policy, *, membership: Membership) -> bool:
    """What waits for a second person under it may then start without one; False when it is gone already."""
    with transaction.atomic():
        lock_mirror(policy.account_id)
        _record("policy.removed", policy, membership)
        if not Policy.objects.filter(pk=policy.pk).delete()[0]:
            transaction.set_rollback(True)
            return False
    return True


def _record(action: str, policy: Policy, membership: Membership) -> None:
    bump(policy.account_id)
    detail = {"kind": str(policy.kind), "least_count": policy.least_count, "workflow": str(policy.workflow or "any")}
    audit.record(action, actor=membership.user, account=policy.account, subject=policy, detail=detail)
