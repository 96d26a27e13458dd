"""What the team knows of a workflow's inputs beyond the API: named sets of values, and rules for each input.

The one rule: both are kept by input name on our side and never sent to Docusign except as values that a person confirms.
"""

from django.db import models

from dashboard.models.workflow import Workflow


class Preset(models.Model):
    """A named set of inputs; the values are sealed, since they may be personal data."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="presets")
    owner = models.ForeignKey("dashboard.User", on_delete=models.CASCADE, related_name="presets")
    name = models.CharField(max_length=80)
    is_shared = models.BooleanField(default=False)
    sealed_values = models.TextField(help_text="JSON by input name; an absent name is open and empty.")
    locked = models.JSONField(default=list, help_text="Names of the inputs that the form does not let change.")
    contract_digest = models.CharField(max_length=64, help_text="The version of the contract it was made for.")
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "owner", "name"], name="one_preset_per_name")]

    def __str__(self) -> str:
        return self.name


class InputRule(models.Model):
    """How an input is asked for and checked here; the API has neither label nor rule."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="input_rules")
    input_name = models.CharField(max_length=255)
    label = models.CharField(max_length=120, blank=True)
    help = models.CharField(max_length=300, blank=True)
    choices = models.JSONField(default=list, help_text="The values allowed; empty for any.")
    is_required = models.BooleanField(null=True, help_text="None leaves it to the contract.")
    minimum = models.CharField(max_length=40, blank=True, help_text="Number, date or length, by the input's kind.")
    maximum = models.CharField(max_length=40, blank=True)
    pattern = models.CharField(
        max_length=120, blank=True, help_text="With * for any text and ? for one character; no regular expression."
    )
    changed_by = models.ForeignKey("dashboard.User", on_delete=models.SET_NULL, null=True, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workflow", "input_name"], name="one_rule_per_input")]

    def __str__(self) -> str:
        return f"{self.workflow}: {self.input_name}"
