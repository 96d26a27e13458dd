"""Forms of saved views. Their one rule: a view keeps what the list understands of an address, without the place in it."""

from typing import Any

from django import forms
from django.http import QueryDict

from dashboard.forms.instance_filter import InstanceFilter
from dashboard.forms.strict import StrictForm

KEPT = tuple(InstanceFilter.base_fields)
LONGEST_QUERY = 4000


def cleaned_query(query: QueryDict) -> str:
    """The filters, columns, order and size of an address, always in the same order."""
    kept = QueryDict(mutable=True)
    for name in KEPT:
        texts = [value.replace("\0", "") for value in query.getlist(name) if value.strip("\0 ")]
        kept.setlist(name, texts if name == "key" else [text for value in texts if (text := value.strip())])
    return kept.urlencode()


class ViewForm(StrictForm):
    """The name of a view, and who may use it."""

    name = forms.CharField(
        label="Name",
        max_length=80,
        help_text="For example “Failed this week”.",
        error_messages={
            "required": "Write a name for the view.",
            "max_length": "Write a name of at most 80 characters.",
        },
    )
    is_shared = forms.BooleanField(
        label="Share it with everybody of this account",
        required=False,
        help_text="Everybody sees it with their own rights. Without this only you see it.",
    )


class SaveViewForm(ViewForm):
    """Keep what the list shows."""

    is_pinned = forms.BooleanField(label="Pin it above the list, with its count", required=False)
    is_replacing = forms.BooleanField(label="Replace my view with this name, if there is one", required=False)
    query = forms.CharField(widget=forms.HiddenInput, required=False, max_length=3 * LONGEST_QUERY, strip=False)

    def clean_query(self) -> str:
        query = cleaned_query(QueryDict(self.cleaned_data["query"]))
        if len(query) > LONGEST_QUERY:
            raise forms.ValidationError("These filters are too long to be kept. Take some away.")
        return query

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.order_fields(["name", "is_shared", "is_pinned", "is_replacing", "query"])


class SwitchForm(StrictForm):
    """One thing about a view, on or off."""

    on = forms.ChoiceField(choices=[("yes", "on"), ("no", "off")])
