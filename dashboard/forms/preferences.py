"""The forms of a person's preferences. Their one rule: each is a choice from a list."""

from django import forms

from dashboard.forms.strict import StrictForm
from dashboard.models import User
from dashboard.services.preferences import time_zones


class ThemeForm(StrictForm):
    theme = forms.ChoiceField(choices=User.Theme)
    next = forms.CharField(required=False)


class PreferencesForm(StrictForm):
    time_zone = forms.ChoiceField(
        label="Time zone",
        help_text="Times on every page are shown in this zone; exports keep UTC.",
        choices=lambda: [(name, name.replace("_", " ")) for name in time_zones()],
    )
    shortcuts = forms.BooleanField(label="Use keyboard shortcuts in this browser", required=False)
