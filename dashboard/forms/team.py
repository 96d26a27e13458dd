"""The form of a role. Its one rule: the role is the only thing that it can change."""

from django import forms

from dashboard.forms.strict import StrictForm
from dashboard.models import Role


class RoleForm(StrictForm):
    role = forms.ChoiceField(
        label="Role",
        choices=Role,
        help_text="Viewers look, operators also trigger, cancel, pause and resume, admins also give roles.",
    )
