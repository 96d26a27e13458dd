"""Taking note of what changed. Its one rule: the time is that of the page the person was shown."""

from django import forms

from dashboard.forms.strict import StrictForm


class SeenForm(StrictForm):
    until = forms.DateTimeField()
