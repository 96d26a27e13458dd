"""Bulk runs: a frozen list of deeds, carried out one by one by the worker through the engine of single clicks.

The one rule: the list is fixed before anything is sent; an item is sent by an Operation with a key made of the item and its
attempt, so that no two workers can send the same item.
"""

import uuid

from django.db import models

from dashboard.models.account import Account
from dashboard.models.instance import Instance
from dashboard.models.looks import Look
from dashboard.models.operation import OPERATION_LOOKS, Operation, OperationKind, OperationState
from dashboard.models.workflow import Contract, Workflow


class BatchState(models.TextChoices):
    PLANNED = "planned", "Planned"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    STOPPING = "stopping", "Stopping"
    DONE = "done", "Done"


BATCH_LOOKS = {
    BatchState.PLANNED: Look("Planned", "neutral", "ring"),
    BatchState.RUNNING: Look("Running", "running", "progress"),
    BatchState.PAUSED: Look("Paused", "warning", "pause"),
    BatchState.STOPPING: Look("Stopping", "warning", "progress"),
    BatchState.DONE: Look("Done", "good", "done"),
}
ACTIVE_BATCHES = (BatchState.RUNNING, BatchState.PAUSED, BatchState.STOPPING)


class Batch(models.Model):
    """One bulk run: who wants what done to which frozen list, and how far it is."""

    class Source(models.TextChoices):
        SHEET = "sheet", "Rows of a file"
        SELECTION = "selection", "Selected instances"
        EMERGENCY = "emergency", "Emergency stop"
        SINGLE = "single", "A single deed that needs a second person"

    class Hold(models.TextChoices):
        """Why a paused run stands still."""

        NONE = "", "It runs"
        PERSON = "person", "Paused by a person"
        RECONNECT = "reconnect", "The connection to Docusign ended"
        DRIFT = "drift", "The workflow asks for other inputs now"
        WORKFLOW = "workflow", "The workflow is paused"
        RESTORED = "restored", "The database was restored"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(max_length=64, unique=True, help_text="One-time key of the form that made it.")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="batches")
    actor = models.ForeignKey("dashboard.User", on_delete=models.PROTECT, related_name="batches")
    kind = models.CharField(max_length=16, choices=OperationKind)
    source = models.CharField(max_length=16, choices=Source)
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, null=True, related_name="batches")
    contract = models.ForeignKey(
        Contract, on_delete=models.PROTECT, null=True, related_name="+", help_text="What its rows were checked against."
    )
    name = models.CharField(max_length=120)
    reason = models.TextField(blank=True)
    described = models.TextField(blank=True, help_text="What was selected, in words, as of the freezing.")
    state = models.CharField(max_length=16, choices=BatchState, default=BatchState.PLANNED)
    hold = models.CharField(max_length=16, choices=Hold, blank=True)
    message = models.TextField(blank=True, help_text="Why it stands or waits, in a sentence for people.")
    drift = models.JSONField(default=list, help_text="What changed of the contract, in sentences.")
    total = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    frozen_at = models.DateTimeField(null=True)
    confirm_key = models.CharField(max_length=64, blank=True, help_text="One-time key of the form that confirmed it.")
    confirmed_at = models.DateTimeField(null=True)
    starts_at = models.DateTimeField(null=True, help_text="End of the undo window: nothing is sent before.")
    ended_at = models.DateTimeField(null=True)
    next_send_at = models.DateTimeField(null=True, help_text="The pace: no item is sent before.")
    fence = models.PositiveIntegerField(default=0, help_text="Counts runners; an older one may not send.")
    runner = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True, help_text="Renewed while a worker carries it out.")
    pause_operation = models.ForeignKey(
        Operation, on_delete=models.SET_NULL, null=True, related_name="+", help_text="Of an emergency stop."
    )

    class Meta:
        indexes = [
            models.Index(fields=["account", "-created_at"], name="batch_latest"),
            models.Index(fields=["state", "next_send_at"], name="batch_due"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def look(self) -> Look:
        return BATCH_LOOKS[BatchState(self.state)]

    @property
    def is_over(self) -> bool:
        return self.state == BatchState.DONE


class ItemState(models.TextChoices):
    """Before an item has an operation these are its own; afterwards it follows the operation."""

    INVALID = "invalid", "Has errors"
    LEFT_OUT = "left_out", "Left out"
    WAITING = "waiting", "Waiting"
    SKIPPED = "skipped", "Skipped"
    NOT_SENT = "not_sent", "Not sent"
    PLANNED = OperationState.PLANNED.value, "Waiting to be sent again"
    SENT = OperationState.SENT.value, "Sending"
    CONFIRMED = OperationState.CONFIRMED.value, "Done"
    REJECTED = OperationState.REJECTED.value, "Refused"
    UNKNOWN = OperationState.UNKNOWN.value, "Unknown outcome"
    NEEDS_PERSON = OperationState.NEEDS_PERSON.value, "Needs a person"


ITEM_LOOKS = {
    ItemState.INVALID: Look("Has errors", "danger", "failed"),
    ItemState.LEFT_OUT: Look("Left out", "neutral", "canceled"),
    ItemState.WAITING: Look("Waiting", "neutral", "ring"),
    ItemState.SKIPPED: Look("Skipped", "neutral", "skip"),
    ItemState.NOT_SENT: Look("Not sent", "neutral", "canceled"),
}
SETTLED_ITEMS = (
    ItemState.CONFIRMED,
    ItemState.REJECTED,
    ItemState.SKIPPED,
    ItemState.NOT_SENT,
    ItemState.LEFT_OUT,
    ItemState.INVALID,
)
UNDER_WAY_ITEMS = (ItemState.SENT, ItemState.PLANNED, ItemState.UNKNOWN)


class BatchItem(models.Model):
    """One deed of the frozen list. `state` is written only by `services/edges.py` once it has an operation."""

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="items")
    position = models.PositiveIntegerField(help_text="From 1, in the order of the list.")
    state = models.CharField(max_length=16, choices=ItemState, default=ItemState.WAITING)
    label = models.TextField(blank=True, help_text="The instance's name: as frozen, or as it shall be.")
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="+")
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, null=True, related_name="batch_items")
    status_then = models.CharField(max_length=16, blank=True, help_text="The instance's state when it was frozen.")
    row_number = models.PositiveIntegerField(null=True, help_text="Of the file, the header being row 1.")
    sealed_inputs = models.TextField(blank=True, help_text="What a trigger sends; erased when it has settled.")
    problems = models.JSONField(default=list, help_text="List of [column, sentence]; only of rows with errors.")
    key_digest = models.CharField(max_length=64, blank=True, help_text="Of the key columns, to find duplicates.")
    attempt = models.PositiveSmallIntegerField(default=1)
    operation = models.OneToOneField(Operation, on_delete=models.PROTECT, null=True, related_name="item")
    message = models.TextField(blank=True)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "position"], name="one_item_per_position")]
        indexes = [
            models.Index(fields=["batch", "state", "position"], name="item_state"),
            models.Index(fields=["key_digest"], name="item_key", condition=~models.Q(key_digest="")),
        ]

    def __str__(self) -> str:
        return self.label or f"Item {self.position}"

    @property
    def look(self) -> Look:
        return ITEM_LOOKS.get(ItemState(self.state)) or OPERATION_LOOKS[OperationState(self.state)]

    @property
    def operation_key(self) -> str:
        """The one-time key of its operation: the same item is never sent twice in one attempt."""
        return f"b:{self.batch_id.hex}:{self.position}:{self.attempt}"


class Sheet(models.Model):
    """The rows of a file as they came, sealed, and how its columns are read; gone when the run is over."""

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, primary_key=True, related_name="sheet")
    file_name = models.CharField(max_length=255, blank=True)
    sealed_table = models.TextField(help_text="JSON: {columns: [text], rows: [[text]], numbers: [row in the file]}.")
    mapping = models.JSONField(default=dict, help_text="Input name to column name; null for a column left out.")
    name_column = models.CharField(max_length=255, blank=True)
    name_pattern = models.CharField(max_length=255, blank=True, help_text="Such as “NDA {Supplier name}”.")
    key_columns = models.JSONField(default=list, help_text="Inputs that together must not come twice.")
    checked_at = models.DateTimeField(null=True)
    notes = models.JSONField(default=list, help_text="Warnings of the check, in sentences.")

    def __str__(self) -> str:
        return self.file_name or f"Rows of {self.batch}"
