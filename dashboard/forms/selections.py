"""Ticked rows as a list sends them. Its one rule: a list of ids that was tampered with selects nothing."""

from typing import Any
from uuid import UUID

from django import forms

from dashboard.forms.strict import StrictForm
from dashboard.models import OperationKind

MOST_TICKS = 200
BROKEN = "The ticked rows did not arrive whole, so nothing was selected. Load the page again."


class TicksField(forms.Field):
    """The ids of the ticked rows, each once."""

    widget = forms.CheckboxSelectMultiple

    def clean(self, value: Any) -> list[UUID]:
        try:
            ids = list(dict.fromkeys(UUID(text) for text in value or []))
        except ValueError as error:
            raise forms.ValidationError(BROKEN) from error
        if len(ids) > MOST_TICKS:
            raise forms.ValidationError(BROKEN)
        return ids


class InstanceTicks(StrictForm):
    """Some rows of a list of instances, or all that match its filter."""

    pick = TicksField(required=False)
    all = forms.ChoiceField(required=False, choices=[("", ""), ("1", "All that match")], widget=forms.HiddenInput)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors and not cleaned.get("pick") and not cleaned.get("all"):
            raise forms.ValidationError("Tick at least one instance first.")
        return cleaned


class WorkflowTicks(StrictForm):
    """Some rows of the list of workflows, and what to do with them."""

    pick = TicksField(required=False)
    deed = forms.ChoiceField(
        choices=[(kind.value, kind.label) for kind in (OperationKind.PAUSE, OperationKind.RESUME)],
        error_messages={"required": BROKEN, "invalid_choice": BROKEN},
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not self.errors and not cleaned.get("pick"):
            raise forms.ValidationError("Tick at least one workflow first.")
        return cleaned
