"""The mirror of instances, and every change that was observed of them.

The one rule: an older or absent answer never overwrites a newer one, and a terminal state never goes back.
"""

from datetime import timedelta
from typing import Self

from django.db import models
from django.utils import timezone

from dashboard.models.account import Account
from dashboard.models.looks import Look, unknown_look
from dashboard.models.workflow import Workflow

EXPIRES_SOON = timedelta(days=7)


class InstanceState(models.TextChoices):
    """Docusign's states, normalised; the raw word is kept beside it."""

    CREATED = "created", "Created"
    IN_PROGRESS = "in_progress", "In progress"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"
    EXPIRED = "expired", "Expired"
    PAUSED = "paused", "Paused"
    UNKNOWN = "unknown", "Unknown"


RUNNING_STATES = (InstanceState.CREATED, InstanceState.IN_PROGRESS, InstanceState.PAUSED)
TERMINAL_STATES = (InstanceState.COMPLETED, InstanceState.FAILED, InstanceState.CANCELED, InstanceState.EXPIRED)
INSTANCE_LOOKS = {
    InstanceState.CREATED: Look("Created", "running", "progress"),
    InstanceState.IN_PROGRESS: Look("In progress", "running", "progress"),
    InstanceState.COMPLETED: Look("Completed", "good", "done"),
    InstanceState.FAILED: Look("Failed", "danger", "failed", loud=True),
    InstanceState.CANCELED: Look("Canceled", "neutral", "canceled"),
    InstanceState.EXPIRED: Look("Expired", "warning", "expiring", loud=True),
    InstanceState.PAUSED: Look("Paused", "warning", "pause"),
}


class Bucket(models.TextChoices):
    """The tabs of the list: each state belongs to exactly one, so that an index can order within it."""

    RUNNING = "running", "In progress"
    FAILED = "failed", "Failed"
    COMPLETED = "completed", "Completed"
    CANCELED = "canceled", "Canceled"
    OTHER = "other", "Other"


BUCKETS = {
    **dict.fromkeys(RUNNING_STATES, Bucket.RUNNING),
    InstanceState.COMPLETED: Bucket.COMPLETED,
    InstanceState.FAILED: Bucket.FAILED,
    InstanceState.CANCELED: Bucket.CANCELED,
}


_BUCKET_OF = {str(state): bucket for state, bucket in BUCKETS.items()}  # lists ask this for thousands of counts


def bucket_of(status: str) -> Bucket:
    """The tab of a state."""
    return _BUCKET_OF.get(status, Bucket.OTHER)


class InstanceQuerySet(models.QuerySet["Instance"]):
    """Phrases for instances."""

    def running(self) -> Self:
        return self.filter(status__in=RUNNING_STATES)


class Instance(models.Model):
    """An instance as Docusign last answered, list columns as columns, the rest as JSON."""

    id = models.UUIDField("Docusign instance id", primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="instances")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="instances")
    name = models.TextField(blank=True, help_text="As people see it: without our marker.")
    full_name = models.TextField(blank=True, help_text="Byte for byte as Docusign holds it.")
    marker = models.CharField(max_length=32, blank=True, db_index=True)
    status = models.CharField(max_length=16, choices=InstanceState, default=InstanceState.UNKNOWN)
    bucket = models.CharField(max_length=10, choices=Bucket, default=Bucket.OTHER)
    raw_status = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True)
    started_by = models.CharField(max_length=64, blank=True)
    started_by_name = models.TextField(blank=True)
    started_by_role = models.TextField(blank=True)
    last_modified_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    canceled_at = models.DateTimeField(null=True)
    canceled_by = models.TextField(blank=True)
    expires_at = models.DateTimeField(null=True)
    total_steps = models.IntegerField(null=True)
    last_completed_step = models.IntegerField(null=True)
    last_completed_step_name = models.TextField(blank=True)
    trigger_inputs = models.JSONField(default=dict)
    inputs_erased_at = models.DateTimeField(
        null=True, help_text="Since then they are not taken over from Docusign again."
    )
    tags = models.JSONField(default=list)
    metadata = models.JSONField(default=dict)
    extra = models.JSONField(default=dict, help_text="Members that this console does not know, as they came.")
    sealed_url = models.TextField(blank=True, help_text="The participant link, which is a credential.")
    url_owner = models.ForeignKey("dashboard.User", on_delete=models.SET_NULL, null=True, related_name="+")
    sort_at = models.DateTimeField(
        help_text="When it last changed, or else when this console first saw it: never empty."
    )
    # Folded and cut, so that every database sorts alike and the index entries stay small.
    name_order = models.CharField(max_length=80, blank=True)
    starter_order = models.CharField(max_length=80, blank=True)
    is_from_here = models.BooleanField(default=False, help_text="Triggered from this console.")
    first_seen_at = models.DateTimeField(auto_now_add=True)
    synced_at = models.DateTimeField(null=True, help_text="When Docusign last answered with this instance.")
    read_at = models.DateTimeField(null=True, help_text="When it was last read by itself, with all of its members.")
    missing_since = models.DateTimeField(
        null=True, help_text="Absent from complete lists since; never deleted for that."
    )

    objects = InstanceQuerySet.as_manager()

    class Meta:
        # Each serves a filter and an order together; `services/instance_queries.py` chooses among them. What follows the id is
        # only looked at, so that rows which another filter leaves out need not be read.
        indexes = [
            models.Index(fields=["account", "sort_at", "id", "started_at", "expires_at"], name="inst_changed"),
            models.Index(
                fields=["account", "started_at", "id", "sort_at", "expires_at", "last_completed_step"],
                name="inst_started_step",
            ),
            models.Index(fields=["account", "expires_at", "id", "sort_at", "started_at"], name="inst_expires"),
            models.Index(fields=["account", "name_order", "id"], name="inst_name"),
            models.Index(fields=["account", "starter_order", "started_by", "id", "is_from_here"], name="inst_starter"),
            models.Index(fields=["account", "last_completed_step", "id"], name="inst_step"),
            models.Index(
                fields=["account", "bucket", "sort_at", "id", "status", "started_at", "expires_at"],
                name="inst_bucket_changed",
            ),
            models.Index(
                fields=["account", "bucket", "started_at", "id", "sort_at", "expires_at"], name="inst_bucket_started"
            ),
            models.Index(
                fields=["account", "bucket", "expires_at", "id", "workflow", "started_by"], name="inst_bucket_expires"
            ),
            models.Index(fields=["account", "bucket", "last_completed_step", "id"], name="inst_bucket_step"),
            # Who sees only their own rows is answered from this one alone: order, tab, figures of workflows.
            models.Index(
                fields=[
                    *("account", "started_by", "sort_at", "id", "starter_order", "bucket", "expires_at", "started_at"),
                    *("workflow", "status", "name_order", "is_from_here", "last_completed_step"),
                ],
                name="inst_by_changed",
            ),
            models.Index(fields=["workflow", "sort_at", "id"], name="inst_wf_changed"),
            models.Index(fields=["workflow", "started_at", "id", "sort_at"], name="inst_wf_started"),
            models.Index(fields=["workflow", "name_order", "id"], name="inst_wf_name"),
            models.Index(fields=["workflow", "bucket", "sort_at", "id", "status"], name="inst_wf_bucket_changed"),
            models.Index(fields=["account", "is_from_here", "sort_at", "id"], name="inst_from_here"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.pk)

    @property
    def look(self) -> Look:
        return INSTANCE_LOOKS.get(InstanceState(self.status)) or unknown_look(self.raw_status)

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL_STATES

    @property
    def is_expiring(self) -> bool:
        """Running, and its time runs out within a week."""
        return not self.is_terminal and self.expires_at is not None and self.expires_at - timezone.now() <= EXPIRES_SOON


class InstanceChange(models.Model):
    """A change that this console observed between two looks; what lies between them stays unknown."""

    class Source(models.TextChoices):
        LIST = "list", "Seen in a list"
        READ = "read", "Read by itself"
        TRIGGER = "trigger", "Answer of the trigger"
        RECONCILED = "reconciled", "Found while checking an unknown outcome"

    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="changes")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    observed_at = models.DateTimeField()
    happened_at = models.DateTimeField(null=True, help_text="Docusign's own time of the change, where it gives one.")
    source = models.CharField(max_length=16, choices=Source)
    status_before = models.TextField(blank=True)
    status_after = models.TextField(blank=True)
    step_before = models.IntegerField(null=True)
    step_after = models.IntegerField(null=True)
    step_name = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=["instance", "-observed_at"]), models.Index(fields=["account", "-observed_at"])]

    def __str__(self) -> str:
        return f"{self.instance}: {self.status_before} to {self.status_after}"


class InstanceDenial(models.Model):
    """Docusign answered 403 or 404 to this person for this instance, so it is hidden from them at once."""

    user = models.ForeignKey("dashboard.User", on_delete=models.CASCADE, related_name="+")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="denials")
    denied_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "instance"], name="one_denial_per_instance")]

    def __str__(self) -> str:
        return f"{self.user} may not see {self.instance_id}"
