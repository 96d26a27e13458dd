"""The tables of the console: one module per noun."""

from dashboard.models.account import PROOF_LIFETIME, Account, ApiBudget, Connection, Membership, Rights, Role
from dashboard.models.audit import AuditEntry, AuditHead
from dashboard.models.delivery import Delivery, Hook, HookKey, HookRefusal
from dashboard.models.instance import (
    BUCKETS,
    EXPIRES_SOON,
    RUNNING_STATES,
    TERMINAL_STATES,
    Bucket,
    Instance,
    InstanceChange,
    InstanceDenial,
    InstanceState,
    bucket_of,
)
from dashboard.models.looks import Look, unknown_look
from dashboard.models.operation import OPEN_STATES, UNDER_WAY, Operation, OperationKind, OperationState
from dashboard.models.saved_view import SavedView, ViewUse
from dashboard.models.schedule import Heartbeat, Schedule
from dashboard.models.search import InstanceKey, InstanceName, KeyInput
from dashboard.models.setup import SetupCode
from dashboard.models.sync import AccountSync
from dashboard.models.tally import HourCount, InstanceCount
from dashboard.models.user import User
from dashboard.models.workflow import Contract, Workflow, WorkflowAccess, WorkflowState

__all__ = [
    "BUCKETS",
    "EXPIRES_SOON",
    "OPEN_STATES",
    "PROOF_LIFETIME",
    "RUNNING_STATES",
    "TERMINAL_STATES",
    "UNDER_WAY",
    "Account",
    "AccountSync",
    "ApiBudget",
    "AuditEntry",
    "AuditHead",
    "Bucket",
    "Connection",
    "Contract",
    "Delivery",
    "Heartbeat",
    "Hook",
    "HookKey",
    "HookRefusal",
    "HourCount",
    "Instance",
    "InstanceChange",
    "InstanceCount",
    "InstanceDenial",
    "InstanceKey",
    "InstanceName",
    "InstanceState",
    "KeyInput",
    "Look",
    "Membership",
    "Operation",
    "OperationKind",
    "OperationState",
    "Rights",
    "Role",
    "SavedView",
    "Schedule",
    "SetupCode",
    "User",
    "ViewUse",
    "Workflow",
    "WorkflowAccess",
    "WorkflowState",
    "bucket_of",
    "unknown_look",
]
