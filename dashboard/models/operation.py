"""Every write to Docusign: committed before the call, settled after it.

The one rule: `planned -> sent -> confirmed | rejected | unknown`, `unknown -> confirmed | rejected | planned | needs_person`,
`needs_person -> confirmed | rejected`, `sent -> planned` only when it is certain that nothing was sent, `planned -> withdrawn |
rejected` while nothing was sent yet, `planned -> unknown` after the database was restored; each edge is one conditional update
on the state and the fence.
"""

import uuid

from django.db import models

from dashboard.facts import current_request_id
from dashboard.models.account import Account
from dashboard.models.instance import Instance
from dashboard.models.looks import Look
from dashboard.models.workflow import Workflow


class OperationState(models.TextChoices):
    PLANNED = "planned", "Waiting to be sent"
    SENT = "sent", "Sending"
    CONFIRMED = "confirmed", "Done"
    REJECTED = "rejected", "Refused"
    UNKNOWN = "unknown", "Unknown outcome"
    NEEDS_PERSON = "needs_person", "Needs a person"
    WITHDRAWN = "withdrawn", "Undone"


OPERATION_LOOKS = {
    OperationState.PLANNED: Look("Waiting", "neutral", "ring"),
    OperationState.SENT: Look("Sending", "running", "progress"),
    OperationState.CONFIRMED: Look("Done", "good", "done"),
    OperationState.REJECTED: Look("Refused", "danger", "failed", loud=True),
    OperationState.UNKNOWN: Look("Unknown outcome", "unknown", "unknown"),
    OperationState.NEEDS_PERSON: Look("Needs a person", "warning", "attention", loud=True),
    OperationState.WITHDRAWN: Look("Undone", "neutral", "canceled"),
}
UNDER_WAY = (OperationState.PLANNED, OperationState.SENT, OperationState.UNKNOWN)
OPEN_STATES = (OperationState.PLANNED, OperationState.SENT, OperationState.UNKNOWN, OperationState.NEEDS_PERSON)


class OperationKind(models.TextChoices):
    TRIGGER = "trigger", "Trigger"
    CANCEL = "cancel", "Cancel"
    PAUSE = "pause", "Pause"
    RESUME = "resume", "Resume"


class Operation(models.Model):
    """One deed at Docusign, by one person, with one marker or one target."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    key = models.CharField(
        max_length=64, unique=True, help_text="One-time key of the form: a double submit finds this row."
    )
    kind = models.CharField(max_length=16, choices=OperationKind)
    state = models.CharField(max_length=16, choices=OperationState, default=OperationState.PLANNED)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="operations")
    actor = models.ForeignKey("dashboard.User", on_delete=models.PROTECT, related_name="operations")
    workflow = models.ForeignKey(Workflow, on_delete=models.PROTECT, related_name="operations")
    instance = models.ForeignKey(Instance, on_delete=models.PROTECT, null=True, related_name="operations")
    marker = models.CharField(max_length=32, unique=True, null=True)  # noqa: DJ001  # unique, and only triggers have one
    instance_name = models.TextField(blank=True, help_text="With the marker, exactly as sent.")
    sealed_payload = models.TextField(blank=True, help_text="The inputs, sealed: they may hold personal data.")
    payload_digest = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)
    fence = models.PositiveIntegerField(
        default=0, help_text="Counts claims; a worker with an older number may not write."
    )
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    resends = models.PositiveIntegerField(default=0)
    planned_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    absent_looks = models.PositiveIntegerField(default=0)
    first_absent_at = models.DateTimeField(null=True)
    last_absent_at = models.DateTimeField(null=True)
    settle_key = models.CharField(
        max_length=64, blank=True, help_text="One-time key of the form that settled it by hand."
    )
    last_checked_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True)
    http_status = models.PositiveIntegerField(null=True)
    docusign_request_id = models.TextField(blank=True)
    request_id = models.CharField(
        max_length=64,
        blank=True,
        default=current_request_id,
        db_default="",
        help_text="Of the request or job that made it.",
    )
    message = models.TextField(blank=True, help_text="What happened, in a sentence for people.")
    field_errors = models.JSONField(default=dict, help_text="Docusign's complaints by input name.")

    class Meta:
        indexes = [
            models.Index(fields=["state", "next_check_at"]),
            models.Index(fields=["account", "state"]),
            models.Index(fields=["workflow", "-planned_at"]),
        ]
        # Two people at the same moment: the database decides who was first, whatever each of them had read before.
        constraints = [
            models.UniqueConstraint(
                fields=["instance"],
                condition=models.Q(kind=OperationKind.CANCEL, state__in=UNDER_WAY),
                name="one_open_cancel_per_instance",
            ),
            models.UniqueConstraint(
                fields=["workflow", "kind"],
                condition=models.Q(kind__in=(OperationKind.PAUSE, OperationKind.RESUME), state__in=UNDER_WAY),
                name="one_open_action_per_workflow",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.instance_name or self.workflow}"

    @property
    def look(self) -> Look:
        return OPERATION_LOOKS[OperationState(self.state)]

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES
