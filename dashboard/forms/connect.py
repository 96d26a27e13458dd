"""The form of a Connect key. Its one rule: a key is taken once and never shown again, not even when the form comes back."""

from django import forms

from dashboard.forms.strict import StrictForm

SHORTEST_KEY = 32


class KeyForm(StrictForm):
    """A key as Docusign shows it once, with a label by which people know it."""

    label = forms.CharField(
        label="Label",
        max_length=80,
        help_text="By which your team knows it, for example “Key 1, November 2026”.",
        error_messages={"required": "Give the key a label, so that it can be told from others."},
    )
    key = forms.CharField(
        label="Key",
        max_length=500,
        min_length=SHORTEST_KEY,
        help_text="As Docusign shows it once, under Connect Keys. It is kept sealed and not shown again.",
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={
            "required": "Paste the key.",
            "min_length": "A key has at least %(limit_value)d characters; this one has %(show_value)d.",
        },
    )

    def clean_key(self) -> str:
        key: str = self.cleaned_data["key"]
        if not key.isprintable():
            raise forms.ValidationError("The key holds characters that no key has. Copy it again.")
        return key
