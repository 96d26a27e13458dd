"""The form for how long inputs are kept. Its one rule: an empty field means the usual time, never for ever."""

from django import forms

from dashboard.forms.confirm import ConfirmForm
from dashboard.models import LONGEST_KEPT_DAYS


class RetentionForm(ConfirmForm):
    """How many days after the end."""

    days = forms.IntegerField(
        label="Days after the end",
        required=False,
        min_value=1,
        max_value=LONGEST_KEPT_DAYS,
        help_text="Empty for the usual time of this console.",
        error_messages={
            "invalid": "Write a whole number of days.",
            "min_value": "Write 1 or more.",
            "max_value": f"Write {LONGEST_KEPT_DAYS:,} or less.",
        },
    )
