"""Every write to Docusign goes through here. Its one rule: one engine, so "never twice, never lost" is written once.

`edges` moves an operation from state to state, `triggers` and `actions` send, `reconcile` settles what stayed open.
"""

from dashboard.services.actions import cancel_instance, pause_workflow, resume_workflow
from dashboard.services.reconcile import due, settle_by_hand, settle_due, settle_unknown, sweep
from dashboard.services.triggers import trigger_workflow

__all__ = [
    "cancel_instance",
    "due",
    "pause_workflow",
    "resume_workflow",
    "settle_by_hand",
    "settle_due",
    "settle_unknown",
    "sweep",
    "trigger_workflow",
]
