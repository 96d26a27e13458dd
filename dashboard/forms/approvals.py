"""Forms around a second person. Their one rule: who decides says which list they saw, so that no other one is approved."""

from django import forms

from dashboard.forms.confirm import MAX_REASON, ConfirmForm, SeenForm
from dashboard.forms.strict import StrictForm


def _note(label: str, hint: str, required: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=MAX_REASON,
        help_text=hint,
        required=bool(required),
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": required},
    )


class AskForm(ConfirmForm):
    """Ask for a second person."""

    reason = _note("Reason", "The second person decides by it. It is kept in the audit.", "Write why it shall be done.")


class ApproveForm(SeenForm):
    """Let it start."""

    note = _note("Note", "May be left out. It is kept in the audit.")


class DeclineForm(ConfirmForm):
    """Say no."""

    note = _note("Why not", "Shown to the person who asked, and kept in the audit.", "Write why not.")


class BreakGlassForm(SeenForm):
    """Start it without a second person."""

    reason = _note(
        "Why nobody else can decide",
        "It is shown to everybody who sees the bulk run, and kept in the audit.",
        "Write why nobody else can decide.",
    )


class RowForm(StrictForm):
    """One row of a list."""

    position = forms.IntegerField(min_value=1, max_value=10**6)
