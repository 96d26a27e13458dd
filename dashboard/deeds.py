"""How audit codes read. Its one rule: a code without words here is shown as it is, never hidden."""

WORDS = {
    "account.claimed": "Claimed the account",
    "account.resend_switched_off": "Switched sending again off",
    "connection.disconnected": "Disconnected from Docusign",
    "connection.reconnect_needed": "Lost the connection to Docusign",
    "instance.canceled": "Canceled instance",
    "instance.cancel_asked": "Asked to cancel instance",
    "instance.cancel_rejected": "Tried to cancel instance",
    "instance.cancel_unknown": "Canceled instance, no answer",
    "instance.link_revealed": "Revealed participant link",
    "instance.triggered": "Triggered workflow",
    "instance.trigger_asked": "Asked to trigger workflow",
    "instance.trigger_rejected": "Tried to trigger workflow",
    "instance.trigger_unknown": "Triggered workflow, no answer",
    "instances.export_asked": "Asked for an export of instances",
    "instances.export_broken_off": "Exported instances, broken off",
    "instances.exported": "Exported instances",
    "membership.reading_changed": "Changed who may read for everybody",
    "membership.role_changed": "Changed a role",
    "membership.role_rejected": "Tried to change a role",
    "operation.settled_by_hand": "Settled an outcome by hand",
    "session.ended": "Signed out",
    "session.refused": "Was refused at sign-in",
    "session.started": "Signed in",
    "view.changed": "Changed a shared view",
    "view.deleted": "Deleted a shared view",
    "view.shared": "Shared a view",
    "view.unshared": "Stopped sharing a view",
    "workflow.key_marked": "Made an input a key",
    "workflow.key_unmarked": "Stopped using an input as a key",
    "workflow.paused": "Paused workflow",
    "workflow.pause_asked": "Asked to pause workflow",
    "workflow.pause_rejected": "Tried to pause workflow",
    "workflow.pause_unknown": "Paused workflow, no answer",
    "workflow.resumed": "Resumed workflow",
    "workflow.resume_asked": "Asked to resume workflow",
    "workflow.resume_rejected": "Tried to resume workflow",
    "workflow.resume_unknown": "Resumed workflow, no answer",
}


def words_for(code: str) -> str:
    """The deed in the past tense."""
    return WORDS.get(code, code)
