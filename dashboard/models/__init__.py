"""The tables of the console: one module per noun."""

from dashboard.models.account import PROOF_LIFETIME, Account, ApiBudget, Connection, Membership, Rights, Role
from dashboard.models.audit import AuditCheckpoint, AuditEntry, AuditHead
from dashboard.models.batch import (
    ACTIVE_BATCHES,
    SETTLED_ITEMS,
    UNDER_WAY_ITEMS,
    Batch,
    BatchItem,
    BatchState,
    ItemState,
    Sheet,
)
from dashboard.models.delivery import Delivery, Hook, HookKey, HookRefusal
from dashboard.models.guard import BrowserSession, RateCount
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
from dashboard.models.preset import InputRule, Preset
from dashboard.models.saved_view import SavedView, ViewUse
from dashboard.models.schedule import Heartbeat, Schedule
from dashboard.models.search import InstanceKey, InstanceName, KeyInput
from dashboard.models.second_person import FREEZING, Approval, ApprovalState, Policy
from dashboard.models.setup import SetupCode
from dashboard.models.sync import AccountSync
from dashboard.models.tally import HourCount, InstanceCount
from dashboard.models.user import User
from dashboard.models.workflow import LONGEST_KEPT_DAYS, Contract, Workflow, WorkflowAccess, WorkflowState

__all__ = [
    "ACTIVE_BATCHES",
    "BUCKETS",
    "EXPIRES_SOON",
    "FREEZING",
    "LONGEST_KEPT_DAYS",
    "OPEN_STATES",
    "PROOF_LIFETIME",
    "RUNNING_STATES",
    "SETTLED_ITEMS",
    "TERMINAL_STATES",
    "UNDER_WAY",
    "UNDER_WAY_ITEMS",
    "Account",
    "AccountSync",
    "ApiBudget",
    "Approval",
    "ApprovalState",
    "AuditCheckpoint",
    "AuditEntry",
    "AuditHead",
    "Batch",
    "BatchItem",
    "BatchState",
    "BrowserSession",
    "Bucket",
    "Connection",
    "Contract",
    "Delivery",
    "Heartbeat",
    "Hook",
    "HookKey",
    "HookRefusal",
    "HourCount",
    "InputRule",
    "Instance",
    "InstanceChange",
    "InstanceCount",
    "InstanceDenial",
    "InstanceKey",
    "InstanceName",
    "InstanceState",
    "ItemState",
    "KeyInput",
    "Look",
    "Membership",
    "Operation",
    "OperationKind",
    "OperationState",
    "Policy",
    "Preset",
    "RateCount",
    "Rights",
    "Role",
    "SavedView",
    "Schedule",
    "SetupCode",
    "Sheet",
    "User",
    "ViewUse",
    "Workflow",
    "WorkflowAccess",
    "WorkflowState",
    "bucket_of",
    "unknown_look",
]
