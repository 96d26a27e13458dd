"""Forms of an emergency stop. Their one rule: it begins only when the name of the workflow was typed, so never by one click."""

from typing import Any

from django import forms

from dashboard.forms.confirm import CancelForm
from dashboard.forms.strict import StrictForm
from dashboard.models import Workflow
from dashboard.wording import visible

STEPS = [
    ("go_on", "Pause again"),
    ("look_again", "Look again"),
    ("take_all", "Take all"),
    ("take_none", "Leave all out"),
]


class StopForm(CancelForm):
    """The reason, and the name of the workflow."""

    name = forms.CharField(
        label="Name of the workflow",
        help_text="Type it as it stands above.",
        max_length=1000,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Type the name of the workflow."},
    )

    def __init__(self, *args: Any, workflow: Workflow, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.workflow = workflow

    def clean_name(self) -> str:
        typed: str = self.cleaned_data["name"]
        real = self.workflow.name
        if " ".join(typed.split()) not in (" ".join(real.split()), " ".join(visible(real).split())):
            raise forms.ValidationError("This is not the name of the workflow.")
        return typed


class StepForm(StrictForm):
    """One button of the page."""

    do = forms.ChoiceField(choices=STEPS)


class PickForm(StrictForm):
    """Which of the rows on a page are to be canceled; the others of that page are left out."""

    shown = forms.TypedMultipleChoiceField(coerce=int)
    taken = forms.TypedMultipleChoiceField(coerce=int, required=False)

    def __init__(self, *args: Any, most: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("shown", "taken"):
            self.fields[name].choices = [(number, number) for number in range(1, most + 1)]  # type: ignore[attr-defined]  # fields are typed as Field; these are choices
