"""Whether a bulk run may go on: what it was checked against still holds at Docusign.

The one rule: what has changed pauses the run with the reason and loses no row; a person decides how to go on.
"""

from django.utils import timezone

from dashboard.models import Batch, Contract, Membership, Operation, OperationKind, OperationState, Workflow
from dashboard.services import contracts, obstacles
from dashboard.services.batch_states import hold
from dashboard.services.calls import calling
from dashboard.services.errors import ReconnectNeeded, Refused, ServiceError
from dashboard.services.quota import Lane
from dashboard.services.timings import CONTRACT_RECHECK, ITEM_READ_SECONDS
from dashboard.services.workflows import apply_workflows
from maestro_api import MaestroError

RECONNECT = "{} is not connected to Docusign any more. The run goes on by itself after a new sign-in."
ROLE_TAKEN = "{} may only look by now, so nothing more is sent with that person's connection."
DRIFTED = "The workflow asks for other inputs than those that the rows were checked against. Nothing more is sent."


def check(batch: Batch, membership: Membership) -> bool:
    """Look at workflow and contract; False when the run is held now. One call a minute at most. Raises DocusignUnavailable."""
    if batch.kind != OperationKind.TRIGGER or batch.workflow_id is None:
        return True
    workflow = Workflow.objects.get(pk=batch.workflow_id)
    if why := obstacles.trigger_obstacle(workflow, membership):
        hold(batch, Batch.Hold.WORKFLOW, why)
        return False
    if batch.contract is None:
        return True
    try:
        present = _present(workflow, membership)
    except ReconnectNeeded:
        hold(batch, Batch.Hold.RECONNECT, RECONNECT.format(batch.actor))
        return False
    except Refused as refusal:
        hold(batch, Batch.Hold.WORKFLOW, refusal.message)
        return False
    if present.digest == batch.contract.digest:
        return True
    hold(batch, Batch.Hold.DRIFT, DRIFTED, [change.sentence for change in contracts.diff(batch.contract, present)])
    return False


def _present(workflow: Workflow, membership: Membership) -> Contract:
    """The contract as it is now, or was a moment ago, whoever read it."""
    known = contracts.current_contract(workflow)
    if known is not None and known.last_seen_at > timezone.now() - CONTRACT_RECHECK:
        return known
    return contracts.read_contract(workflow, membership=membership, deadline=ITEM_READ_SECONDS, lane=Lane.BATCH)


def is_about_the_workflow(operation: Operation) -> bool:
    """Whether a refusal may be about the workflow as a whole: it names no input."""
    is_refusal = operation.kind == OperationKind.TRIGGER and operation.state == OperationState.REJECTED
    return is_refusal and not operation.field_errors


def look(batch: Batch, membership: Membership) -> bool:
    """After a refusal: whether the workflow takes instances still; when it does not, the run is held."""
    try:
        with calling(membership, deadline=ITEM_READ_SECONDS, lane=Lane.BATCH) as client:
            apply_workflows(batch.account, client.list_workflows().items)
    except (MaestroError, ServiceError):
        return True  # nothing new is known, so the refusal is that of the row
    workflow = Workflow.objects.get(batches=batch)
    why = obstacles.trigger_obstacle(workflow, membership)
    if why:
        hold(batch, Batch.Hold.WORKFLOW, why)
    return not why
