"""Who sees what: never more than Docusign would show to this person's own token.

The one rule: it fails closed. A proof that is old, missing or refused narrows the view; nothing widens it but Docusign's answer
to this very person (V-1, V-2, V-5, V-6).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.lookups import Exact
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
from dashboard.services.conditions import Loose
from dashboard.services.marker import without_marker

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


def may_still_act(membership: Membership) -> bool:
    """Whether the person may do more than look, as the database has it now: asked after a call that took its time."""
    return Membership.objects.filter(pk=membership.pk, is_active=True).exclude(role=Role.VIEWER).exists()


def sees_anything(membership: Membership) -> bool:
    return is_connected(membership) and membership.rights in (Rights.OWN, Rights.MANAGE)


def sees_all(membership: Membership) -> bool:
    """Whether Docusign showed, recently enough, that this person manages the account."""
    return is_connected(membership) and membership.is_manager_now


def own_id(membership: Membership) -> str:
    """The person's Docusign id as instances name it."""
    return membership.user.sub.strip("{}").lower()


def visible_workflows(membership: Membership) -> QuerySet[Workflow]:
    """Workflows that this person's own token listed."""
    if not sees_anything(membership):
        return Workflow.objects.none()
    listed = WorkflowAccess.objects.filter(user_id=membership.user_id, workflow=OuterRef("pk"))
    return Workflow.objects.filter(Exists(listed), account_id=membership.account_id)


@dataclass(frozen=True)
class Reach:
    """Which instances of the account a person sees, apart from those denied to them: all, or their own and those of some workflows."""

    is_any: bool
    is_all: bool
    own_id: str
    open_ids: list[UUID]
    user_id: UUID

    @cached_property
    def has_denials(self) -> bool:
        """Whether anything was denied to this person, asked once."""
        return InstanceDenial.objects.filter(user_id=self.user_id).exists()


def reach_of(membership: Membership) -> Reach:
    """The rule behind `visible_instances`, for what is counted without reading rows."""
    is_any, is_all = sees_anything(membership), sees_all(membership)
    open_ids = _open_workflow_ids(membership) if is_any and not is_all else []
    return Reach(is_any, is_all, own_id(membership), open_ids, membership.user_id)


def visible_instances(
    membership: Membership, reach: Reach | None = None, *, ids: Collection[UUID] | None = None
) -> QuerySet[Instance]:
    """Instances that Docusign would show to this person now; `reach` where the same page has just asked for it.

    Where some `ids` are asked for, these are looked up: SQLite would rather read the whole account while it has no statistics.
    """
    are_few = ids is not None and reach is None
    reach = reach or reach_of(membership)
    if not reach.is_any:
        return Instance.objects.none()
    rows = Instance.objects.all()
    if ids is None:
        rows = rows.filter(account_id=membership.account_id)
    else:
        rows = rows.filter(Exact(Loose("account_id"), membership.account_id), pk__in=ids)
    if not reach.is_all:
        rows = rows.filter(Q(started_by=reach.own_id) | Q(workflow_id__in=reach.open_ids))
    if not are_few and not reach.has_denials:  # they are rare; without one the lists stay within their indexes
        return rows
    denials = InstanceDenial.objects.filter(user_id=membership.user_id, instance=OuterRef("pk"))
    return rows.filter(~Exists(denials))


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
    if sees_all(membership):
        return rows
    return rows.filter(actor_id=membership.user_id) if membership.is_active else rows.none()


def visible_among(operations: Iterable[Operation], membership: Membership) -> list[Operation]:
    """`visible_operations` of this account's operations that are read already."""
    if sees_all(membership):
        return list(operations)
    return [row for row in operations if membership.is_active and row.actor_id == membership.user_id]


def names_of(operations: Collection[Operation], membership: Membership) -> dict[UUID, str]:
    """What each of these visible operations is about, by its id: an instance by its name, or what somebody asked to start.

    Empty where it is no instance or one that this person may not see, unless the name is the person's own.
    """
    ids = [row.instance_id for row in operations if row.instance_id]
    seen: dict[UUID | None, str] = (
        {row.pk: row.name for row in visible_instances(membership, ids=ids).only("name")} if ids else {}
    )
    given = {
        row.pk: without_marker(row.instance_name)
        for row in operations
        if row.instance_id is None or row.actor_id == membership.user_id
    }
    return {row.pk: seen.get(row.instance_id, "") or given.get(row.pk, "") for row in operations}


def visible_batches(membership: Membership) -> QuerySet[Batch]:
    """Bulk runs of this person, and for a proven manager those of everybody in the account."""
    rows = Batch.objects.filter(account_id=membership.account_id)
    if sees_all(membership):
        return rows
    return rows.filter(actor_id=membership.user_id) if membership.is_active else rows.none()


def visible_audit(membership: Membership) -> tuple[QuerySet[AuditEntry], list[Q]]:
    """Entries of the account, and which of them the person may see: those that meet one of the conditions.

    Own deeds, own instances; for admins also people and rights. Apart, since each condition has an index and all of them have none.
    """
    rows = AuditEntry.objects.filter(account_id=str(membership.account_id))
    if not membership.is_active:
        return rows.none(), [Q()]
    if sees_all(membership):
        return rows, [Q()]
    seen = [Q(actor_sub=membership.user.sub)]
    if sees_anything(membership):
        seen.append(Q(started_by=own_id(membership)))
    if membership.role == Role.ADMIN:
        seen += [Q(object_type=kind) for kind in _NOT_ABOUT_INSTANCES]
    return rows, seen


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
