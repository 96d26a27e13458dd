"""Forms of key inputs. Their one rule: a value that somebody searches for travels in the body of a POST, never in an address."""

from typing import Any

from django import forms

from dashboard.forms.strict import StrictForm
from dashboard.wording import visible


class KeyInputForm(StrictForm):
    """Which input of a workflow becomes a key, or is one no longer; its name byte for byte."""

    input = forms.CharField(strip=False, widget=forms.HiddenInput)


class FindForm(StrictForm):
    """Find instances by the value of a key input."""

    input = forms.ChoiceField(label="Key input")
    value = forms.CharField(
        label="Value",
        max_length=2000,
        help_text="The whole value, in capital or small letters.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Write the value that the input has.", "max_length": "This value is too long."},
    )
    query = forms.CharField(widget=forms.HiddenInput, required=False, max_length=12_000, strip=False)

    def __init__(self, *args: Any, names: list[str], **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", "find-%s")
        super().__init__(*args, **kwargs)
        self.fields["input"].choices = [(name, visible(name)) for name in names]  # type: ignore[attr-defined]  # fields are typed as Field; this one is a choice
