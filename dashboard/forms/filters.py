"""Filters of lists, read from the address. Its one rule: a value that cannot be understood is left out, never an error."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django import forms
from django.http import QueryDict

from dashboard.models import AuditEntry, WorkflowState
from dashboard.wording import visible

SIZES = ("25", "50", "100")


def shortened(name: str, length: int = 48) -> str:
    """A name on one line, unseen characters shown, cut where it would push everything else away."""
    text = visible(name)
    return text if len(text) <= length else f"{text[: length - 1]}…"


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is on: its parameter, how it reads, and which value goes when one of several is taken away."""

    name: str
    text: str
    value: str | None = None


class Filter(forms.Form):
    """A GET form whose wrong values count as absent."""

    defaults: dict[str, Any] = {}
    q = forms.CharField(required=False, max_length=200)
    sort = forms.CharField(required=False, max_length=20)
    size = forms.TypedChoiceField(
        required=False, choices=[(size, size) for size in SIZES], coerce=int, empty_value=None
    )
    sorts: tuple[str, ...] = ()

    def __init__(self, query: QueryDict, **kwargs: Any) -> None:
        super().__init__(query, auto_id="filter-%s", **kwargs)
        self.full_clean()

    def clean_sort(self) -> str:
        sort: str = self.cleaned_data["sort"]
        if sort.removeprefix("-") not in self.sorts:
            raise forms.ValidationError("There is no such column.")
        return sort

    def value(self, name: str) -> Any:
        return self.cleaned_data.get(name) or self.defaults.get(name)

    @property
    def chips(self) -> list[Chip]:
        """Each filter that is on."""
        return [Chip(name, f"{label}: {text}") for name, label in self.chip_labels.items() if (text := self.told(name))]

    chip_labels: dict[str, str] = {}

    def told(self, name: str) -> str:
        """How the chosen value reads; empty when the filter is off."""
        value = self.cleaned_data.get(name)
        field = self.fields[name]
        if not value:
            return ""
        if isinstance(field, forms.ChoiceField):
            return str(dict(list(field.choices)).get(value, ""))  # type: ignore[arg-type]  # choices may be lazy
        return f"{value.day} {value:%b} {value.year}" if isinstance(value, date) else str(value)


class WorkflowFilter(Filter):
    """Filters of the list of workflows."""

    sorts = ("name", "running", "failed", "expiring", "trigger", "changed")
    defaults = {"sort": "-trigger", "size": 50, "page": 1}
    chip_labels = {"q": "Search", "state": "State"}
    state = forms.ChoiceField(required=False, choices=[("", "Every state"), *WorkflowState.choices])
    page = forms.IntegerField(required=False, min_value=1, max_value=10_000)


class AuditFilter(Filter):
    """Filters of the audit."""

    defaults = {"size": 25}
    chip_labels = {
        "q": "Search", "who": "Who", "deed": "Deed", "result": "Result", "since": "From", "until": "To", "object": "About",
    }  # fmt: skip
    who = forms.ChoiceField(required=False)
    deed = forms.ChoiceField(required=False)
    result = forms.ChoiceField(required=False, choices=[("", "Every result"), *AuditEntry.Result.choices])
    since = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}), input_formats=["%Y-%m-%d"])
    until = forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}), input_formats=["%Y-%m-%d"])
    object = forms.UUIDField(required=False)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in ("since", "until"):
            if cleaned.get(name) and not 2000 <= cleaned[name].year <= 2999:
                del cleaned[name]  # far off the calendar, where adding a day or a time zone fails
        return cleaned

    def __init__(self, query: QueryDict, *, people: list[tuple[str, str]], deeds: list[tuple[str, str]]) -> None:
        forms.Form.__init__(self, query, auto_id="filter-%s")
        self.fields["who"].choices = [("", "Anyone"), *people]  # type: ignore[attr-defined]  # fields are typed as Field; this one is a choice
        self.fields["deed"].choices = [("", "Every deed"), *deeds]  # type: ignore[attr-defined]  # fields are typed as Field; this one is a choice
        self.full_clean()
