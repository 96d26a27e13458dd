"""Work that needs a second person. Its one rule: who asks never decides, except by a break-glass that is told loudly."""

from django.db import models

from dashboard.models.account import Account
from dashboard.models.batch import Batch
from dashboard.models.looks import Look
from dashboard.models.operation import OperationKind
from dashboard.models.workflow import Workflow


class Policy(models.Model):
    """From how many items on an action needs a second person, for one workflow or for all of the account."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="policies")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, null=True, related_name="policies")
    kind = models.CharField(max_length=16, choices=OperationKind)
    least_count = models.PositiveIntegerField(help_text="1 for every single deed.")
    created_by = models.ForeignKey("dashboard.User", on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        # Nulls are distinct to a database, so "any workflow" needs a constraint of its own.
        constraints = [
            models.UniqueConstraint(fields=["account", "workflow", "kind"], name="one_policy_per_action"),
            models.UniqueConstraint(
                fields=["account", "kind"], condition=models.Q(workflow=None), name="one_general_policy_per_action"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.workflow or 'any workflow'} from {self.least_count}"


class ApprovalState(models.TextChoices):
    WAITING = "waiting", "Waiting for a second person"
    APPROVED = "approved", "Approved"
    DECLINED = "declined", "Declined"
    EXPIRED = "expired", "Expired"
    WITHDRAWN = "withdrawn", "Withdrawn"
    BROKEN = "broken", "Started without a second person"


# While a request waits or was granted, its list stays as it is.
FREEZING = (ApprovalState.WAITING, ApprovalState.APPROVED)


APPROVAL_LOOKS = {
    ApprovalState.WAITING: Look("Needs a second person", "warning", "attention", loud=True),
    ApprovalState.APPROVED: Look("Approved", "good", "done"),
    ApprovalState.DECLINED: Look("Declined", "danger", "failed"),
    ApprovalState.EXPIRED: Look("Expired", "neutral", "canceled"),
    ApprovalState.WITHDRAWN: Look("Withdrawn", "neutral", "canceled"),
    ApprovalState.BROKEN: Look("Without a second person", "danger", "attention", loud=True),
}


class Approval(models.Model):
    """The request for one frozen list, and what came of it."""

    batch = models.OneToOneField(Batch, on_delete=models.CASCADE, related_name="approval")
    state = models.CharField(max_length=16, choices=ApprovalState, default=ApprovalState.WAITING)
    asked_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    decided_by = models.ForeignKey("dashboard.User", on_delete=models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    note = models.TextField(blank=True)
    key = models.CharField(max_length=64, blank=True, help_text="One-time key of the form that asked.")
    list_digest = models.CharField(
        max_length=64, help_text="Of the list as it was asked for; another list is not approved."
    )

    class Meta:
        indexes = [models.Index(fields=["state", "expires_at"], name="approval_due")]

    def __str__(self) -> str:
        return f"{self.batch}: {self.get_state_display()}"

    @property
    def look(self) -> Look:
        return APPROVAL_LOOKS[ApprovalState(self.state)]
