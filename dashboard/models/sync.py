"""How far the mirror of an account is read: the pass that is under way, and the last ones that ended whole.

The one rule: every page that was taken in is noted with the cursor of the next, so that a killed worker loses one page at most.
"""

from django.db import models

from dashboard.models.account import Account, Membership


class AccountSync(models.Model):
    """The one reading of an account's mirror that all processes share."""

    class Kind(models.TextChoices):
        FULL = "full", "Everything"
        RECENT = "recent", "What runs and what is new"

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="sync")
    kind = models.CharField(max_length=8, choices=Kind, blank=True, help_text="Of the pass under way; else empty.")
    began_at = models.DateTimeField(null=True, help_text="When the pass under way began, whoever goes on with it.")
    cursor = models.TextField(blank=True, help_text="Where the pass goes on after the last page that was taken in.")
    pages = models.PositiveIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    expected = models.PositiveIntegerField(null=True, help_text="About how many rows there are, as Docusign said.")
    identity = models.ForeignKey(
        Membership, on_delete=models.SET_NULL, null=True, related_name="+", help_text="Whose token reads the pass."
    )
    identity_label = models.CharField(max_length=255, blank=True, help_text="Who read last, in words.")
    shows_all = models.BooleanField(default=False, help_text="The identity was proven to see everybody's instances.")
    saw_all = models.BooleanField(default=False, help_text="The pass under way began with the sight of everybody's.")
    left_as_of = models.DateTimeField(
        null=True, help_text="The oldest look at a running instance that the last pass did not reach; else empty."
    )
    lease = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)
    queued_at = models.DateTimeField(null=True)
    wanted_at = models.DateTimeField(null=True, help_text="A person or an event asked for a look since the last one.")
    recent_at = models.DateTimeField(null=True, help_text="When the last pass of any kind began that ended whole.")
    full_at = models.DateTimeField(null=True, help_text="When the last full pass began that ended whole.")
    ended_at = models.DateTimeField(null=True, help_text="When the last pass ended whole.")
    seconds = models.FloatField(default=0, help_text="How long it took.")
    calls = models.PositiveIntegerField(default=0, help_text="What the last full pass cost.")
    recent_calls = models.PositiveIntegerField(default=0, help_text="What the last recent pass cost.")
    error = models.TextField(blank=True)
    failed_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True, help_text="The budget lets nobody read on before; no failure.")
    service_problem = models.TextField(blank=True, help_text="Why the service user cannot read this account.")
    service_problem_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Sync of {self.account}"
