"""Why a deed is not possible now, in a sentence. Its one rule: it judges by what the mirror says; Docusign still has the last word.

An empty text means that nothing known stands in the way. Roles are judged elsewhere, in `permissions.py`.
"""

from dashboard.models import Instance, InstanceState, Membership, Workflow, WorkflowState
from dashboard.services.visibility import is_connected

NOT_CONNECTED = "You are not connected to Docusign. Reconnect on the page Connections."


def trigger_obstacle(workflow: Workflow, membership: Membership) -> str:
    """Why the workflow cannot be triggered."""
    return _against_trigger(workflow, membership)[1]


def trigger_obstacle_word(workflow: Workflow, membership: Membership) -> str:
    """The same in a word or two, for lists where the sentence has no room."""
    return _against_trigger(workflow, membership)[0]


def _against_trigger(workflow: Workflow, membership: Membership) -> tuple[str, str]:
    if not is_connected(membership):
        return "Reconnect first", NOT_CONNECTED
    if workflow.is_paused:
        return "Resume first", "It is paused, so it takes no new instances. Resume it first."
    if workflow.status in (WorkflowState.ACTIVE, WorkflowState.UNKNOWN):
        return "", ""
    word = workflow.docusign_look.label
    return word, f"Docusign says it is {word.lower()}; only an active workflow takes new instances."


def pause_obstacle(workflow: Workflow, membership: Membership) -> str:
    """Why the workflow cannot be paused."""
    if not is_connected(membership):
        return NOT_CONNECTED
    if workflow.is_paused:
        return "It is paused already."
    if workflow.status in (WorkflowState.ACTIVE, WorkflowState.UNKNOWN):
        return ""
    return f"Docusign says it is {workflow.docusign_look.label.lower()}; only an active workflow can be paused."


def resume_obstacle(workflow: Workflow, membership: Membership) -> str:
    """Why the workflow cannot be resumed."""
    if not is_connected(membership):
        return NOT_CONNECTED
    if workflow.is_paused or workflow.status == WorkflowState.INACTIVE:
        return ""
    return "It is not paused."


def cancel_obstacle(instance: Instance, membership: Membership) -> str:
    """Why the instance cannot be canceled."""
    if not is_connected(membership):
        return NOT_CONNECTED
    if instance.is_terminal:
        return f"It has ended: {InstanceState(instance.status).label}. Only an instance in progress can be canceled."
    return ""
