"""What makes an instance findable beside its own columns: its name for searching inside, and inputs that the team marked as keys.

The one rule: the value of a key input is kept as a keyed digest only, so that personal data is found on purpose, never by browsing.
"""

from django.db import models

from dashboard.models.instance import Instance
from dashboard.models.workflow import Workflow


class InstanceName(models.Model):
    """The name of an instance, folded for comparing; an index over its three-letter pieces belongs to it (`name_index.py`)."""

    instance = models.OneToOneField(Instance, on_delete=models.CASCADE, related_name="search_name")
    text = models.TextField()

    def __str__(self) -> str:
        return self.text


class KeyInput(models.Model):
    """An input of a workflow whose value the team wants to find instances by."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="key_inputs")
    name = models.TextField(help_text="The input's name, byte for byte as Docusign holds it.")
    filled_at = models.DateTimeField(null=True, help_text="When the instances known before had been taken in.")
    filled_to = models.TextField(blank=True, help_text="Up to which instance, by its cursor; where the worker goes on.")
    made_with = models.CharField(max_length=16, help_text="A mark of the secret under which its digests are made.")
    worked_at = models.DateTimeField(null=True, help_text="When the worker last moved on with it.")
    unmarked_at = models.DateTimeField(null=True, help_text="No key any more; its digests are being deleted.")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "name"], name="one_key_input_per_name")]

    def __str__(self) -> str:
        return self.name


class InstanceKey(models.Model):
    """The digest of one instance's value of a key input."""

    key_input = models.ForeignKey(KeyInput, on_delete=models.CASCADE, related_name="values")
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="keys")
    digest = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key_input", "instance"], name="one_value_per_key_input")]
        indexes = [models.Index(fields=["key_input", "digest"])]

    def __str__(self) -> str:
        return f"{self.key_input} of {self.instance_id}"
