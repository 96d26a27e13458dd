"""The forms of a person's preferences. Their one rule: each is a choice from a list."""

from django import forms

from dashboard.forms.strict import StrictForm
from dashboard.models import User
from dashboard.services.preferences import known_zone, time_zones


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


class ZoneForm(StrictForm):
    """The zone of the browser, which also knows names that are not offered here."""

    time_zone = forms.CharField(max_length=64)

    def clean_time_zone(self) -> str:
        zone = known_zone(self.cleaned_data["time_zone"])
        if not zone:
            raise forms.ValidationError("This console does not know this time zone.")
        return zone
