"""The tables of the console: one module per noun."""

from dashboard.models.account import PROOF_LIFETIME, Account, ApiBudget, Connection, Membership, Rights, Role
from dashboard.models.audit import AuditEntry, AuditHead
from dashboard.models.instance import (
    EXPIRES_SOON,
    RUNNING_STATES,
    TERMINAL_STATES,
    Instance,
    InstanceChange,
    InstanceDenial,
    InstanceState,
)
from dashboard.models.looks import Look, unknown_look
from dashboard.models.operation import OPEN_STATES, Operation, OperationKind, OperationState
from dashboard.models.schedule import Heartbeat, Schedule
from dashboard.models.setup import SetupCode
from dashboard.models.user import User
from dashboard.models.workflow import Contract, Workflow, WorkflowAccess, WorkflowState

__all__ = [
    "EXPIRES_SOON",
    "OPEN_STATES",
    "PROOF_LIFETIME",
    "RUNNING_STATES",
    "TERMINAL_STATES",
    "Account",
    "ApiBudget",
    "AuditEntry",
    "AuditHead",
    "Connection",
    "Contract",
    "Heartbeat",
    "Instance",
    "InstanceChange",
    "InstanceDenial",
    "InstanceState",
    "Look",
    "Membership",
    "Operation",
    "OperationKind",
    "OperationState",
    "Rights",
    "Role",
    "Schedule",
    "SetupCode",
    "User",
    "Workflow",
    "WorkflowAccess",
    "WorkflowState",
    "unknown_look",
]
