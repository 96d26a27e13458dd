"""The form of a policy. Its one rule: only workflows that the admin sees can be chosen."""

from typing import Any

from django import forms
from django.db.models import QuerySet

from dashboard.forms.confirm import ConfirmForm
from dashboard.forms.filters import shortened
from dashboard.models import OperationKind, Workflow
from dashboard.wording import visible

MOST = 1_000_000


class WorkflowChoice(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic to the type checker only
    """Workflows by their names, which may be longer than any screen."""

    def label_from_instance(self, obj: Workflow) -> str:
        return shortened(visible(obj.name), 60)


class PolicyForm(ConfirmForm):
    """From how many deeds on a second person is needed."""

    kind = forms.ChoiceField(label="Deed", choices=OperationKind)
    workflow = WorkflowChoice(
        label="Workflow",
        queryset=Workflow.objects.none(),
        required=False,
        empty_label="Any workflow",
        help_text="A policy of one workflow can only be stricter than the one for any.",
    )
    least_count = forms.IntegerField(
        label="From how many on",
        min_value=1,
        max_value=MOST,
        help_text="1 means each single one, also outside bulk runs.",
        error_messages={
            "required": "Write a number.",
            "invalid": "Write a whole number.",
            "min_value": "Write 1 or more.",
            "max_value": f"Write {MOST:,} or less.",
        },
    )

    def __init__(self, *args: Any, workflows: QuerySet[Workflow], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["workflow"].queryset = workflows.order_by("name", "pk")  # type: ignore[attr-defined]  # fields are typed as Field; this one chooses a row
