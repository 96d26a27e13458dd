"""Filters of bulk runs and their items, and the question before a stop. Its one rule: a filter that is not understood is left out."""

from typing import Any

from django import forms

from dashboard.forms.confirm import MAX_REASON, ConfirmForm
from dashboard.forms.filters import Filter
from dashboard.models import BatchState
from dashboard.services.batch_lists import MINE, OUTCOMES


class BatchFilter(Filter):
    """Filters of the list of bulk runs."""

    defaults = {"size": 25}
    chip_labels = {"state": "State", "who": "Started by"}
    state = forms.ChoiceField(required=False, choices=[("", "Every state"), *BatchState.choices])
    who = forms.ChoiceField(required=False, choices=[("", "Anyone"), (MINE, "Me")])


class ItemFilter(Filter):
    """Filters of the items of one bulk run."""

    defaults = {"size": 50}
    chip_labels = {"q": "Name has"}
    outcome = forms.ChoiceField(required=False, choices=[("", "All"), *((each.key, each.label) for each in OUTCOMES)])

    def clean_q(self) -> str:
        """No database takes a NUL."""
        typed: str = self.cleaned_data["q"]
        return typed.replace("\0", "")


class StopForm(ConfirmForm):
    """Stop a bulk run; why may be left out, for the run has a reason of its own."""

    reason = forms.CharField(
        label="Why it is stopped",
        required=False,
        max_length=MAX_REASON,
        help_text="May be left out.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].kind = "kept in the audit, not sent to Docusign"  # type: ignore[attr-defined]  # the word after a label; Django types no own members
