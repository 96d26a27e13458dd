"""The forms of a member. Their one rule: each can change one thing only."""

from django import forms

from dashboard.forms.strict import StrictForm
from dashboard.models import Role


class ReadingForm(StrictForm):
    may_sync = forms.TypedChoiceField(choices=[("yes", "Yes"), ("no", "No")], coerce=lambda text: text == "yes")


class RoleForm(StrictForm):
    role = forms.ChoiceField(
        label="Role",
        choices=Role,
        help_text="Viewers look, operators also trigger, cancel, pause and resume, admins also give roles.",
    )
