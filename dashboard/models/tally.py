"""Counts that are kept while rows are written, so that no page counts a million of them.

The one rule: they change in the transaction that changes the rows they count (`services/tallies.py`), and nowhere else.
"""

from django.db import models

from dashboard.models.account import Account
from dashboard.models.instance import InstanceState
from dashboard.models.workflow import Workflow


class InstanceCount(models.Model):
    """Instances of a workflow in a state: started by one person, or by anybody where `started_by` is ANYBODY."""

    ANYBODY = "*"

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="+")
    started_by = models.CharField(max_length=64)
    status = models.CharField(max_length=16, choices=InstanceState)
    rows = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "started_by", "status"], name="one_count_per_starter_and_state")
        ]
        indexes = [models.Index(fields=["account", "started_by"])]

    def __str__(self) -> str:
        return f"{self.rows} {self.status}"


class HourCount(models.Model):
    """What happened in one hour: instances started, completed, failed, canceled. `scope` is an account's or a workflow's id."""

    scope = models.UUIDField()
    what = models.CharField(max_length=16, help_text="`started`, or the state in which instances ended.")
    hour = models.DateTimeField()
    rows = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["scope", "what", "hour"], name="one_count_per_hour")]

    def __str__(self) -> str:
        return f"{self.rows} {self.what} at {self.hour:%Y-%m-%d %H}"
