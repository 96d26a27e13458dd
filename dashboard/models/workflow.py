"""The mirror of workflows, who may see them, and every version of their trigger requirements.

The one rule: the word of Docusign (`raw_status`) and what was done here (`asked_state`) are kept apart, because the list may not
say that a workflow is paused.
"""

from django.db import models

from dashboard.models.account import Account
from dashboard.models.looks import Look, unknown_look


class WorkflowState(models.TextChoices):
    """Docusign's states, normalised; the raw word is kept beside it."""

    ACTIVE = "active", "Active"
    INACTIVE = "inactive", "Inactive"
    PAUSED = "paused", "Paused"
    PUBLISHING = "publishing", "Publishing"
    UNPUBLISHING = "unpublishing", "Unpublishing"
    ARCHIVED = "archived", "Archived"
    ARCHIVING = "archiving", "Archiving"
    UNKNOWN = "unknown", "Unknown"


WORKFLOW_LOOKS = {
    WorkflowState.ACTIVE: Look("Active", "good", "dot"),
    WorkflowState.INACTIVE: Look("Inactive", "neutral", "ring"),
    WorkflowState.PAUSED: Look("Paused", "warning", "pause"),
    WorkflowState.PUBLISHING: Look("Publishing", "running", "progress"),
    WorkflowState.UNPUBLISHING: Look("Unpublishing", "running", "progress"),
    WorkflowState.ARCHIVED: Look("Archived", "neutral", "ring"),
    WorkflowState.ARCHIVING: Look("Archiving", "running", "progress"),
}


LONGEST_KEPT_DAYS = 3_650


class Workflow(models.Model):
    """A workflow as Docusign last listed it."""

    id = models.UUIDField("Docusign workflow id", primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="workflows")
    name = models.TextField(blank=True)
    status = models.CharField(max_length=16, choices=WorkflowState, default=WorkflowState.UNKNOWN)
    raw_status = models.TextField(blank=True)
    created_at = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=64, blank=True)
    modified_at = models.DateTimeField(null=True)
    modified_by = models.CharField(max_length=64, blank=True)
    synced_at = models.DateTimeField(null=True)
    instances_read_at = models.DateTimeField(null=True, help_text="When its own list of instances was last read whole.")
    contract_read_at = models.DateTimeField(null=True, help_text="When its trigger requirements were last asked for.")
    contract_error = models.TextField(blank=True, help_text="Why the last regular reading of them gave nothing.")
    usual_step_seconds = models.PositiveIntegerField(
        null=True, help_text="What a step usually takes: the median over its latest completed instances."
    )
    pace_sample = models.PositiveIntegerField(default=0, help_text="Over how many instances that was measured.")
    pace_at = models.DateTimeField(null=True)
    asked_state = models.CharField(
        max_length=16,
        blank=True,
        choices=WorkflowState,
        help_text="Paused or active, as Docusign last confirmed to this console.",
    )
    asked_at = models.DateTimeField(null=True)
    asked_by = models.ForeignKey("dashboard.User", on_delete=models.SET_NULL, null=True, related_name="+")
    asked_ended_at = models.DateTimeField(
        null=True, help_text="When Docusign showed a later change, which made `asked_state` a thing of the past."
    )

    inputs_kept_days = models.PositiveIntegerField(
        null=True, help_text="How long inputs are kept here after an instance ended; None for the console's usual."
    )
    inputs_erased_to = models.DateTimeField(null=True, help_text="What ended before has been gone through.")

    class Meta:
        indexes = [models.Index(fields=["account", "status"])]

    def __str__(self) -> str:
        return self.name or str(self.pk)

    @property
    def is_paused(self) -> bool:
        """Docusign says paused, or it confirmed our pause and its list has not shown a change of the workflow since."""
        return self.status == WorkflowState.PAUSED or self.is_paused_by_us

    @property
    def is_paused_by_us(self) -> bool:
        """Docusign confirmed our pause; a list that still says active does not contradict it."""
        is_kept = self.asked_state == WorkflowState.PAUSED and self.asked_ended_at is None
        return is_kept and self.status in (WorkflowState.ACTIVE, WorkflowState.INACTIVE)

    @property
    def look(self) -> Look:
        """The chip: our confirmed pause first, then Docusign's word."""
        if self.is_paused:
            return WORKFLOW_LOOKS[WorkflowState.PAUSED]
        return self.docusign_look

    @property
    def docusign_look(self) -> Look:
        """The chip for exactly what Docusign last said."""
        return WORKFLOW_LOOKS.get(WorkflowState(self.status)) or unknown_look(self.raw_status)


class WorkflowAccess(models.Model):
    """This person's own token listed this workflow; and when it last showed other people's instances."""

    user = models.ForeignKey("dashboard.User", on_delete=models.CASCADE, related_name="workflow_access")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="access")
    listed_at = models.DateTimeField()
    others_proven_at = models.DateTimeField(null=True)
    contract_wanted_at = models.DateTimeField(
        null=True, help_text="When this person last had the contract queued for reading."
    )
    contract_error = models.TextField(blank=True, help_text="Why the last reading of the contract gave nothing.")
    contract_seen_at = models.DateTimeField(null=True, help_text="When this person last looked at the contract.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "workflow"], name="one_access_per_workflow")]

    def __str__(self) -> str:
        return f"{self.user} sees {self.workflow}"


class Contract(models.Model):
    """One version of a workflow's trigger requirements: what it asked for, and from when to when it was seen so.

    Requirements that come back after others were in force are a version of their own, so the history tells both changes.
    """

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="contracts")
    digest = models.CharField(max_length=64)
    fields = models.JSONField(
        help_text="List of {name, data_type, kind, default, has_default, is_system}, in Docusign's order."
    )
    notes = models.JSONField(
        default=list, help_text="Sentences: how the address it names differs from ours; odd members."
    )
    event_type = models.CharField(max_length=64, blank=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["workflow", "-last_seen_at"]),
            models.Index(fields=["workflow", "-first_seen_at"], name="contract_begun"),
        ]

    def __str__(self) -> str:
        return f"{self.workflow}: {self.digest[:8]}"
