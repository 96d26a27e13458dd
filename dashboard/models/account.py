"""Docusign accounts that this console serves, who belongs to them, and each person's sealed grant.

The one rule: rights at Docusign are what Docusign last answered to this person's own token, with the time of that answer.
"""

from datetime import timedelta

from django.db import models
from django.utils import timezone

PROOF_LIFETIME = timedelta(minutes=15)


class Account(models.Model):
    """A Docusign account. Its `version` counts every change of its mirror, so that polling can answer 204."""

    id = models.UUIDField("Docusign account id", primary_key=True)
    environment = models.CharField(max_length=16)
    name = models.CharField(max_length=255)
    version = models.PositiveBigIntegerField(default=0)
    has_account_list = models.BooleanField(
        null=True, help_text="Whether the account-level list answered; probed again daily."
    )
    account_list_probed_at = models.DateTimeField(null=True)
    resend_allowed = models.BooleanField(null=True, help_text="Whether an instance name comes back byte for byte.")
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name or str(self.pk)  # an account named on the server has no name before its first sign-in


class ApiBudget(models.Model):
    """What Docusign last said about the call limits of an account, and until when it asked us to stay away."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="budget")
    hourly_limit = models.PositiveIntegerField(null=True)
    hourly_remaining = models.IntegerField(null=True)
    hourly_reset_at = models.DateTimeField(null=True)
    burst_limit = models.PositiveIntegerField(null=True)
    seen_at = models.DateTimeField(null=True)
    blocked_until = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0, help_text="Straight failures of Docusign: the breaker's count.")
    open_until = models.DateTimeField(null=True, help_text="While the breaker is open, nothing is asked.")
    watch_began_at = models.DateTimeField(null=True, help_text="Begin of the minute over which failures are weighed.")
    watch_calls = models.PositiveIntegerField(default=0)
    watch_failures = models.PositiveIntegerField(default=0)
    hour_began_at = models.DateTimeField(null=True, help_text="The clock hour in which `hour_used` was counted.")
    hour_used = models.PositiveIntegerField(default=0, help_text="Calls of this console in that hour.")
    hour_others = models.PositiveIntegerField(default=0, help_text="Calls of other apps in it, as the headers show.")
    burst_began_at = models.DateTimeField(null=True, help_text="Begin of the 30 seconds of `burst_used`.")
    burst_used = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"Budget of {self.account}"


class Role(models.TextChoices):
    """What a person may do in this console; separate from their rights at Docusign."""

    VIEWER = "viewer", "Viewer"
    OPERATOR = "operator", "Operator"
    ADMIN = "admin", "Admin"


class Rights(models.TextChoices):
    """What Docusign last showed this person's token of an account."""

    UNPROVEN = "unproven", "Not proven yet"
    NONE = "none", "Docusign shows nothing"
    OWN = "own", "Own instances"
    MANAGE = "manage", "All instances"


class Membership(models.Model):
    """A person in an account: role here, rights at Docusign, and the person's own sync of the mirror."""

    user = models.ForeignKey("dashboard.User", on_delete=models.CASCADE, related_name="memberships")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role, default=Role.VIEWER)
    is_default = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True, help_text="Still named in this person's userinfo, and not barred.")
    barred_at = models.DateTimeField(null=True, help_text="An admin switched off this person's access to the account.")
    rights = models.CharField(max_length=16, choices=Rights, default=Rights.UNPROVEN)
    rights_proven_at = models.DateTimeField(null=True)
    rights_version = models.PositiveIntegerField(default=0)
    rights_message = models.TextField(blank=True, help_text="What Docusign said when it refused.")
    may_sync = models.BooleanField(
        default=True, help_text="An admin lets this person's connection keep the mirror of the account fresh."
    )
    looked_at = models.DateTimeField(null=True, help_text="When this person last opened a page of the account.")
    seen_at = models.DateTimeField(null=True, help_text="Up to when this person has taken note of what changed.")
    synced_at = models.DateTimeField(null=True, help_text="When this person's own sync last ended complete.")
    sync_seconds = models.FloatField(default=0, help_text="How long the last sync took; slow ones are made less often.")
    sync_error = models.TextField(blank=True)
    sync_failed_at = models.DateTimeField(null=True)
    sync_queued_at = models.DateTimeField(null=True)
    sync_lease = models.CharField(max_length=64, blank=True)
    sync_lease_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "account"], name="one_membership_per_account")]

    def __str__(self) -> str:
        return f"{self.user} in {self.account}"

    @property
    def is_manager_now(self) -> bool:
        """Whether Docusign showed this person everything, and did so recently enough to rely on."""
        proven = self.rights_proven_at
        return self.rights == Rights.MANAGE and proven is not None and timezone.now() - proven <= PROOF_LIFETIME


class Connection(models.Model):
    """A person's grant at Docusign: one a person, for all of their accounts. Tokens are sealed, never plain."""

    class State(models.TextChoices):
        ACTIVE = "active", "Connected"
        RECONNECT_NEEDED = "reconnect_needed", "Reconnect needed"
        DISCONNECTED = "disconnected", "Disconnected"

    user = models.OneToOneField("dashboard.User", on_delete=models.CASCADE, related_name="connection")
    state = models.CharField(max_length=20, choices=State, default=State.DISCONNECTED)
    state_reason = models.TextField(blank=True)
    state_changed_at = models.DateTimeField(null=True)
    sealed_access_token = models.TextField(blank=True)
    sealed_refresh_token = models.TextField(blank=True)
    access_expires_at = models.DateTimeField(null=True)
    scopes = models.CharField(max_length=255, blank=True)
    version = models.PositiveBigIntegerField(
        default=0, help_text="Counts token pairs; the compare-and-swap of a refresh."
    )
    lease = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)
    first_granted_at = models.DateTimeField(
        null=True, help_text="Without the scope `extended` the grant ends 30 days later."
    )
    refreshed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Connection of {self.user}"
