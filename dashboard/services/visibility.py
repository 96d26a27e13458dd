"""Who sees what: never more than Docusign would show to this person's own token.

The one rule: it fails closed. A proof that is old, missing or refused narrows the view; nothing widens it but Docusign's answer
to this very person (V-1, V-2, V-5, V-6).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from dashboard.models import (
    PROOF_LIFETIME,
    AuditEntry,
    Batch,
    Connection,
    Instance,
    InstanceDenial,
    Membership,
    Operation,
    Rights,
    Role,
    Workflow,
    WorkflowAccess,
)

Scope = Literal["all", "own", "nothing", "unknown"]
_NOT_ABOUT_INSTANCES = ("membership", "account", "user", "savedview", "policy", "")


@dataclass(frozen=True, slots=True)
class View:
    """What a person sees at the moment, since which proof, and the sentence that says so."""

    scope: Scope
    proven_at: datetime | None
    sentence: str


def is_connected(membership: Membership) -> bool:
    """Whether the person is active, still belongs to the account, and holds a working grant."""
    connection = getattr(membership.user, "connection", None)
    return (
        membership.is_active
        and membership.user.is_active
        and connection is not None
        and connection.state == Connection.State.ACTIVE
    )


def sees_anything(membership: Membership) -> bool:
    return is_connected(membership) and membership.rights in (Rights.OWN, Rights.MANAGE)


def own_id(membership: Membership) -> str:
    """The person's Docusign id as instances name it."""
    return membership.user.sub.strip("{}").lower()


def visible_workflows(membership: Membership) -> QuerySet[Workflow]:
    """Workflows that this person's own token listed."""
    if not sees_anything(membership):
        return Workflow.objects.none()
    listed = WorkflowAccess.objects.filter(user_id=membership.user_id, workflow=OuterRef("pk"))
    return Workflow.objects.filter(Exists(listed), account_id=membership.account_id)


@dataclass(frozen=True, slots=True)
class Reach:
    """Which instances of the account a person sees, apart from those denied to them: all, or their own and those of some workflows."""

    is_any: bool
    is_all: bool
    own_id: str
    open_ids: list[UUID]


def reach_of(membership: Membership) -> Reach:
    """The rule behind `visible_instances`, for what is counted without reading rows."""
    is_any = sees_anything(membership)
    is_all = is_any and membership.is_manager_now
    open_ids = _open_workflow_ids(membership) if is_any and not is_all else []
    return Reach(is_any, is_all, own_id(membership), open_ids)


def visible_instances(membership: Membership) -> QuerySet[Instance]:
    """Instances that Docusign would show to this person now."""
    reach = reach_of(membership)
    if not reach.is_any:
        return Instance.objects.none()
    rows = Instance.objects.filter(account_id=membership.account_id)
    if not reach.is_all:
        rows = rows.filter(Q(started_by=reach.own_id) | Q(workflow_id__in=reach.open_ids))
    denials = InstanceDenial.objects.filter(user_id=membership.user_id)
    # Denials are rare; without one the lists stay within their indexes.
    return rows.filter(~Exists(denials.filter(instance=OuterRef("pk")))) if denials.exists() else rows


def _open_workflow_ids(membership: Membership) -> list[UUID]:
    """Workflows whose own list showed this person other people's instances, recently enough."""
    return list(
        WorkflowAccess.objects.filter(
            user_id=membership.user_id,
            workflow__account_id=membership.account_id,
            others_proven_at__gte=timezone.now() - PROOF_LIFETIME,
        ).values_list("workflow_id", flat=True)
    )


def visible_operations(membership: Membership) -> QuerySet[Operation]:
    """What this person sent, and for a proven manager what everybody sent in the account."""
    rows = Operation.objects.filter(account_id=membership.account_id)
    if is_connected(membership) and membership.is_manager_now:
        return rows
    return rows.filter(actor_id=membership.user_id) if membership.is_active else rows.none()


def visible_batches(membership: Membership) -> QuerySet[Batch]:
    """Bulk runs of this person, and for a proven manager those of everybody in the account."""
    rows = Batch.objects.filter(account_id=membership.account_id)
    if is_connected(membership) and membership.is_manager_now:
        return rows
    return rows.filter(actor_id=membership.user_id) if membership.is_active else rows.none()


def visible_audit(membership: Membership) -> QuerySet[AuditEntry]:
    """Entries about what the person may see: own deeds, own instances; for admins also people and rights."""
    rows = AuditEntry.objects.filter(account_id=str(membership.account_id))
    if not membership.is_active:
        return rows.none()
    if is_connected(membership) and membership.is_manager_now:
        return rows
    mine = Q(actor_sub=membership.user.sub)
    if sees_anything(membership):
        mine |= Q(started_by=own_id(membership))
    if membership.role == Role.ADMIN:
        mine |= Q(object_type__in=_NOT_ABOUT_INSTANCES)
    return rows.filter(mine)


def view_of(membership: Membership) -> View:
    """The scope of this person's view and why."""
    proven = membership.rights_proven_at
    if not is_connected(membership):
        return View("nothing", proven, "Nothing is shown until you are connected to Docusign again.")
    if membership.rights == Rights.UNPROVEN:
        return View("unknown", None, "Docusign has not yet said what you may see; the first look is on its way.")
    if membership.rights == Rights.NONE:
        said = f" It said: {membership.rights_message}" if membership.rights_message else ""
        return View("nothing", proven, f"Docusign shows your user nothing of this account.{said}")
    if membership.is_manager_now:
        return View("all", proven, "You see all instances of this account, as Docusign shows them to you.")
    if membership.rights == Rights.MANAGE:
        return View("own", proven, "You see your own instances until Docusign confirms again that you may see all.")
    if _open_workflow_ids(membership):
        return View("own", proven, "You see your own instances, and those of others where Docusign lists them to you.")
    return View("own", proven, "You see the instances that you started, as Docusign shows them to you.")
