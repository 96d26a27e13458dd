"""Reading one object again, because a person asked or because something was just done to it.

The one rule (V-6): when Docusign refuses an object to a person, it is hidden from that person at once.
"""

import logging
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dashboard.models import Instance, InstanceChange, InstanceDenial, Membership, Workflow, WorkflowAccess
from dashboard.services.calls import calling, explained, is_denial
from dashboard.services.contracts import read_contract
from dashboard.services.errors import Refused
from dashboard.services.instances import apply_instance, apply_instances, bump, uuid_of
from dashboard.services.timings import CLICK_DEADLINE_SECONDS
from dashboard.services.visibility import own_id
from dashboard.services.workflows import apply_workflows, remove_access
from maestro_api import Instance as ApiInstance
from maestro_api import MaestroError

log = logging.getLogger(__name__)
HIDDEN = "Docusign does not show you this any more, so it is hidden here as well."


def refresh_instance(
    instance: Instance, membership: Membership, *, deadline: float = CLICK_DEADLINE_SECONDS
) -> Instance:
    """Read one instance (one call). Raises Refused when it is refused to this person, DocusignUnavailable otherwise."""
    return read_instance(instance, membership, deadline=deadline)[0]


def read_instance(
    instance: Instance, membership: Membership, *, deadline: float = CLICK_DEADLINE_SECONDS
) -> tuple[Instance, ApiInstance]:
    """The same, with Docusign's own answer."""
    try:
        with calling(membership, deadline=deadline) as client:
            answer = client.get_instance(str(instance.workflow_id), str(instance.pk))
    except MaestroError as error:
        if is_denial(error):
            deny(instance, membership)
            raise Refused(HIDDEN) from error
        raise explained(error) from error
    if uuid_of(answer.id) != instance.pk:
        raise Refused("Docusign answered with another instance; nothing was changed here.")
    InstanceDenial.objects.filter(user_id=membership.user_id, instance=instance).delete()
    applied, _ = apply_instance(membership.account, answer, source=InstanceChange.Source.READ)
    return applied or instance, answer


def deny(instance: Instance, membership: Membership) -> None:
    """Hide the instance from this person, and trust no older proof of what they may see."""
    with transaction.atomic():
        InstanceDenial.objects.update_or_create(
            user_id=membership.user_id, instance=instance, defaults={"denied_at": timezone.now()}
        )
        distrust(membership)
        WorkflowAccess.objects.filter(user_id=membership.user_id, workflow_id=instance.workflow_id).update(
            others_proven_at=None
        )
        bump(membership.account_id)


def distrust(membership: Membership) -> None:
    """The proof of rights counts no more; the next sync has to renew it."""
    Membership.objects.filter(pk=membership.pk).update(
        rights_proven_at=None, rights_version=F("rights_version") + 1, sync_queued_at=None
    )
    membership.rights_proven_at = None


def refresh_workflow(
    workflow: Workflow, membership: Membership, *, deadline: float = CLICK_DEADLINE_SECONDS
) -> Workflow:
    """Read one workflow, its instances and its contract (three calls: Docusign has no read of a single workflow)."""
    try:
        with calling(membership, deadline=deadline) as client:
            listing = client.list_workflows()
            answers = [item for item in listing if uuid_of(item.id) == workflow.pk]
            instances = client.list_instances(str(workflow.pk)) if answers else None
    except MaestroError as error:
        if is_denial(error):
            remove_access(membership, workflow)
            distrust(membership)
            raise Refused(HIDDEN) from error
        raise explained(error) from error
    if instances is None:
        remove_access(membership, workflow)
        raise Refused(HIDDEN)
    apply_workflows(membership.account, answers)
    apply_instances(membership.account, instances, source=InstanceChange.Source.LIST, workflow_id=workflow.pk)
    note_others(membership, workflow.pk, [item.started_by for item in instances])
    try:
        read_contract(workflow, membership=membership, deadline=deadline)
    except Refused as refusal:  # a workflow that cannot be started by API may have no contract to read
        log.info("No contract: %s", refusal.message, extra={"workflow": str(workflow.pk)})
    workflow.refresh_from_db()
    return workflow


def note_others(membership: Membership, workflow_id: UUID, starters: list[str | None]) -> None:
    """Whether this workflow's own list showed this person somebody else's instances; if not, the proof is gone."""
    shows_others = any(starter and starter != own_id(membership) for starter in starters)
    WorkflowAccess.objects.filter(user_id=membership.user_id, workflow_id=workflow_id).update(
        others_proven_at=timezone.now() if shows_others else None
    )
