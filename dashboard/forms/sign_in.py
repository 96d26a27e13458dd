"""What the sign-in page sends. Its one rule: where to go afterwards is checked when it is used."""

from django import forms

from dashboard.forms.strict import StrictForm


class SignInForm(StrictForm):
    next = forms.CharField(required=False, widget=forms.HiddenInput)
    prompt = forms.ChoiceField(required=False, choices=[("", ""), ("login", "login")])
    setup_code = forms.CharField(
        required=False,
        max_length=64,
        label="Setup code",
        help_text="The console printed it when it started. Whoever enters it becomes the admin of their Docusign account here.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
