"""The base of every form that changes something (S-12). Its one rule: what the form does not ask for is refused, not ignored."""

from typing import Any

from django import forms

ALWAYS_SENT = frozenset({"csrfmiddlewaretoken", "draft_owner"})


class StrictForm(forms.Form):
    """Refuses fields that it does not know, and a field sent twice that holds one value."""

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        values = {self.add_prefix(name): field for name, field in self.fields.items()}
        for name in self.data:
            field = values.get(name)
            sent = self.data.getlist(name) if hasattr(self.data, "getlist") else [self.data[name]]
            if field is None and name not in ALWAYS_SENT:
                raise forms.ValidationError("The form sent a field that this page does not have. Nothing was changed.")
            if len(sent) > 1 and not getattr(field and field.widget, "allow_multiple_selected", False):
                raise forms.ValidationError("The form sent a field twice. Nothing was changed.")
        return cleaned


class DeedForm(StrictForm):
    """A deed without any choice: only the button."""
