"""The audit: an append-only chain. Only `services/audit.py` writes it; the database itself refuses change and deletion."""

from typing import Any, NoReturn

from django.db import models


class AuditHead(models.Model):
    """The newest link of the chain: one row, updated first by every writer, which keeps the chain single."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    seq = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, blank=True)

    def __str__(self) -> str:
        return f"Head at {self.seq}"


class AuditCheckpoint(models.Model):
    """Where the chain begins after its oldest entries were purged: their last link, signed. Only entries up to one may be deleted."""

    seq = models.PositiveBigIntegerField(primary_key=True, help_text="Of the last entry that was purged.")
    hash = models.CharField(max_length=64, help_text="Of that entry; the next one names it.")
    purged = models.PositiveBigIntegerField(help_text="How many entries went with it.")
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    made_at = models.DateTimeField()
    signature = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"Purged up to {self.seq}"


class AuditEntry(models.Model):
    """Who did what to what, when, with what result. Names are frozen as text; no secrets, inputs or links."""

    class Result(models.TextChoices):
        INTENT = "intent", "Asked for"
        OK = "ok", "Done"
        REFUSED = "refused", "Refused"
        FAILED = "failed", "Failed"
        UNKNOWN = "unknown", "Unknown outcome"

    seq = models.PositiveBigIntegerField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    action = models.CharField(max_length=64)
    result = models.CharField(max_length=16, choices=Result)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_sub = models.CharField(max_length=64, blank=True)
    actor_name = models.TextField(blank=True)
    account_id = models.CharField(max_length=64, blank=True)
    object_type = models.CharField(max_length=32, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_name = models.TextField(blank=True)
    workflow_id = models.CharField(max_length=64, blank=True)
    started_by = models.CharField(
        max_length=64, blank=True, help_text="Whose instance it was, for the visibility rule."
    )
    operation_id = models.CharField(max_length=64, blank=True)
    session_hash = models.CharField(max_length=64, blank=True)
    ip = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    http_status = models.PositiveIntegerField(null=True)
    docusign_request_id = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    detail = models.JSONField(default=dict)
    prev_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["-seq"]
        indexes = [
            models.Index(fields=["account_id", "-seq"]),
            models.Index(fields=["account_id", "action", "-seq"]),
            models.Index(fields=["account_id", "object_id", "-seq"]),
            models.Index(fields=["account_id", "workflow_id", "-seq"], name="audit_workflow"),
            models.Index(fields=["account_id", "operation_id", "-seq"], name="audit_operation"),
            models.Index(fields=["account_id", "actor_id", "-seq"]),
            models.Index(fields=["account_id", "actor_sub", "-seq"], name="audit_own"),
            models.Index(fields=["account_id", "started_by", "-seq"], name="audit_own_instances"),
            models.Index(fields=["account_id", "object_type", "-seq"], name="audit_type"),
        ]

    def __str__(self) -> str:
        return f"{self.seq} {self.action}"

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        """An entry is never deleted."""
        raise TypeError("Audit entries are never deleted.")
