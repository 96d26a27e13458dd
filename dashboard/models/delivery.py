"""Docusign Connect: the address and keys of an account's receiver, and every message as it came.

The one rule: a message is stored before anything is done with it, once, and it is only a hint to read the instance again.
"""

from django.db import models

from dashboard.models.account import Account
from dashboard.models.looks import Look


class Hook(models.Model):
    """The receiver of one account. `token` is the part of its address that nobody can guess."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="hook")
    token = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_event_at = models.DateTimeField(null=True)
    last_key = models.CharField(max_length=80, blank=True, help_text="The label of the key that signed it.")
    refused = models.PositiveIntegerField(default=0, help_text="Messages whose signature was not good.")
    last_refused_at = models.DateTimeField(null=True)
    foreign = models.PositiveIntegerField(default=0, help_text="Well-signed messages that named another account.")

    def __str__(self) -> str:
        return f"Receiver of {self.account}"


class HookKey(models.Model):
    """A key with which Docusign signs; sealed. One out of the settings has a fingerprint only."""

    hook = models.ForeignKey(Hook, on_delete=models.CASCADE, related_name="keys")
    label = models.CharField(max_length=80)
    fingerprint = models.CharField(max_length=64)
    sealed_key = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["hook", "fingerprint"], name="one_key_per_fingerprint")]

    def __str__(self) -> str:
        return self.label


class Delivery(models.Model):
    """A message as received, byte for byte, and what became of it."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        APPLIED = "applied", "Applied"
        UNMATCHED = "unmatched", "Left to the next look"
        DEAD = "dead", "Could not be read"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="deliveries")
    dedupe_key = models.CharField(max_length=64)
    body = models.BinaryField()
    received_at = models.DateTimeField()
    key_label = models.CharField(max_length=80, blank=True)
    event = models.CharField(max_length=200, blank=True)
    instance_id = models.UUIDField(null=True)
    workflow_id = models.UUIDField(null=True)
    state = models.CharField(max_length=16, choices=State, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    message = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "dedupe_key"], name="one_delivery_per_message")]
        indexes = [
            models.Index(fields=["state", "next_try_at"]),
            models.Index(fields=["account", "-received_at"]),
        ]

    def __str__(self) -> str:
        return f"{self.event or 'Message'} at {self.received_at:%Y-%m-%d %H:%M:%S}"

    @property
    def look(self) -> Look:
        return DELIVERY_LOOKS[Delivery.State(self.state)]


DELIVERY_LOOKS = {
    state: Look(str(state.label), tone, icon, is_loud)
    for state, tone, icon, is_loud in (
        (Delivery.State.WAITING, "running", "waiting", False),
        (Delivery.State.APPLIED, "good", "done", False),
        (Delivery.State.UNMATCHED, "neutral", "neutral", False),
        (Delivery.State.DEAD, "danger", "failed", True),
    )
}


class HookRefusal(models.Model):
    """How many badly signed messages one address sent within one minute, counted for all processes together."""

    address = models.CharField(max_length=64)
    minute = models.DateTimeField(db_index=True)
    count = models.PositiveIntegerField(default=1)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["address", "minute"], name="one_count_per_address_and_minute")]

    def __str__(self) -> str:
        return f"{self.address} at {self.minute:%H:%M}: {self.count}"
