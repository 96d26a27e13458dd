"""Forms of "trigger from a file": the rows, how their columns are read, corrected rows.

The one rule: what was typed comes back whole, and an input is known by its name, never by its place.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.datastructures import MultiValueDict

from dashboard.forms.confirm import MAX_REASON, ConfirmForm
from dashboard.forms.inputs import input_for
from dashboard.forms.strict import StrictForm
from dashboard.models import InputRule
from dashboard.services.input_values import Spec
from dashboard.services.sheet_tables import MAX_BYTES
from dashboard.wording import visible

MAX_RUN_NAME = 120
MAX_PASTED = 1_000_000
MAX_PATTERN = 255
FILE_TYPES = ".csv,.xlsx,text/csv,application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
TOO_LARGE = (
    f"The file is larger than {MAX_BYTES // 1024 // 1024} MB, so it was not read. "
    "Split it, or leave out columns that the workflow does not ask for."
)
NOT_AN_INPUT = "The form sent something that this page does not ask for. Load the page again."


class RowsForm(ConfirmForm):
    """Rows as a file or pasted. The file stands last, so that a file that is too large takes nothing else with it."""

    pasted = forms.CharField(
        label="Paste rows",
        required=False,
        strip=False,
        max_length=MAX_PASTED,
        help_text="With the header as the first line. Rows copied from a spreadsheet can be pasted as they are.",
        widget=forms.Textarea(attrs={"rows": 5, "class": "mono", "spellcheck": "false"}),
        error_messages={"max_length": "This is too long to paste. Choose it as a file."},
    )
    file = forms.FileField(
        label="File",
        required=False,
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": FILE_TYPES}),
        error_messages={"max_length": "The name of the file is too long. Give it a shorter one."},
        max_length=255,
    )

    def __init__(self, *args: Any, is_too_large: bool = False, **kwargs: Any) -> None:
        self.is_too_large = is_too_large
        super().__init__(*args, **{"auto_id": "%s", **kwargs})
        self.fields["file"].help_text = (
            "Instead of pasting. CSV in UTF-8, or XLSX of which the first sheet is read. "
            f"At most {settings.BATCH_MAX_ROWS:,} rows and {MAX_BYTES // 1024 // 1024} MB."
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if set(self.files) - {"file"} or len(getattr(self.files, "getlist", lambda _: [])("file")) > 1:
            raise ValidationError(NOT_AN_INPUT)
        has_text = bool((cleaned.get("pasted") or "").strip())
        has_file = cleaned.get("file") is not None
        if self.is_too_large:
            self.add_error("file", TOO_LARGE)
        elif has_text and has_file:
            self.add_error("file", "Rows were pasted and a file was chosen. Use one of the two.")
        elif not has_text and not has_file and not {"pasted", "file"} & set(self.errors):
            self.add_error("file", "Choose a file, or paste rows.")
        return cleaned

    @property
    def place(self) -> str:
        """Beside which field a problem of the rows stands."""
        return "pasted" if self.cleaned_data.get("file") is None else "file"


class StartForm(RowsForm):
    """A new bulk run."""

    name = forms.CharField(
        label="Name of the bulk run",
        max_length=MAX_RUN_NAME,
        help_text="How people will find it among the bulk runs.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={
            "required": "Write a name by which people will find the bulk run.",
            "max_length": "Use at most %(limit_value)d characters; these are %(show_value)d.",
        },
    )
    reason = forms.CharField(
        label="Reason",
        required=False,
        max_length=MAX_REASON,
        help_text="Kept in the audit, not sent to Docusign. It may be left out.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("key", "name", "reason", "pasted", "file")


class ColumnsForm(ConfirmForm):
    """Which column of the file fills which input; what the instances are called; what may not come twice."""

    contract = forms.CharField(widget=forms.HiddenInput, max_length=64)
    name_column = forms.ChoiceField(label="Instance name from", required=False)
    name_pattern = forms.CharField(
        label="Pattern of the name",
        required=False,
        max_length=MAX_PATTERN,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        error_messages={"max_length": "Use at most %(limit_value)d characters; these are %(show_value)d."},
    )
    key_columns = forms.MultipleChoiceField(
        label="Inputs that tell duplicates",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=(
            "A second row with the same values in all of these is an error; what runs with them, or was triggered in the "
            "last 90 days, is a warning. Without any, only rows that are exactly alike are looked for."
        ),
    )

    def __init__(
        self,
        specs: Sequence[Spec],
        columns: Sequence[str],
        *,
        data: MultiValueDict[str, str] | None = None,
        mapping: Mapping[str, str | None] | None = None,
        rules: Mapping[str, InputRule] | None = None,
        **kwargs: Any,
    ) -> None:
        """`rules` are the team's own by input name: another label, and what must not be left out though it has a default."""
        self.specs, self.columns, self.rules = list(specs), list(columns), rules or {}
        super().__init__(data, **{"auto_id": "%s", **kwargs})
        numbered = [(str(place), name) for place, name in enumerate(self.columns)]
        self.fields["name_column"].choices = [("", "The pattern below"), *numbered]  # type: ignore[attr-defined]  # fields are typed as Field; this one is a choice
        self.fields["key_columns"].choices = [(str(n), spec["name"]) for n, spec in enumerate(self.specs)]  # type: ignore[attr-defined]  # as above
        example = visible(self.columns[0][:60]) if self.columns else "Name"
        self.fields[
            "name_pattern"
        ].help_text = f"Such as “NDA {{{example}}}”: a column in braces is filled in for each row."
        for place, spec in enumerate(self.specs):
            self.fields[f"column-{place}"] = self._column_field(spec, numbered, mapping or {})

    def _column_field(
        self, spec: Spec, numbered: list[tuple[str, str]], mapping: Mapping[str, str | None]
    ) -> forms.ChoiceField:
        rule = self.rules.get(spec["name"])
        is_optional = bool(spec["has_default"]) and not (rule and rule.is_required)
        nothing = "No column: its default is used" if is_optional else "Choose a column"
        column = mapping.get(spec["name"])
        field = forms.ChoiceField(
            label=rule.label if rule and rule.label else spec["name"],
            required=not is_optional,
            choices=[("", nothing), *numbered],
            initial=str(self.columns.index(column)) if column in self.columns else "",
            error_messages={"required": "No column fills this input, and it must not be left out. Choose one."},
        )
        if field.required and not field.initial and not self.is_bound:
            field.help_text = "No column of the file has this name."
        shown = input_for(spec, rule=rule)
        field.kind, field.spelling = shown.kind, shown.spelling  # type: ignore[attr-defined]  # the words after a label; Django types no own members
        return field

    def column_fields(self) -> list[forms.BoundField]:
        return [self[f"column-{place}"] for place in range(len(self.specs))]

    def place_of(self, name: str | None) -> str | None:
        """The form field for what a refusal names: an input, or a field of this form."""
        names = [spec["name"] for spec in self.specs]
        return f"column-{names.index(name)}" if name in names else name if name in self.fields else None

    def mapping(self) -> dict[str, str | None]:
        """Input name to column name; None for an input without a column."""
        chosen = (self.cleaned_data.get(f"column-{place}") for place in range(len(self.specs)))
        return {
            spec["name"]: self.columns[int(each)] if each else None
            for spec, each in zip(self.specs, chosen, strict=True)
        }

    def name_source(self) -> tuple[str, str]:
        """The column of the name, or an empty text; and the pattern, or an empty text."""
        column = self.cleaned_data.get("name_column")
        return (self.columns[int(column)], "") if column else ("", self.cleaned_data.get("name_pattern", ""))

    def key_inputs(self) -> list[str]:
        return [self.specs[int(place)]["name"] for place in self.cleaned_data.get("key_columns", [])]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if not cleaned.get("name_column") and not (cleaned.get("name_pattern") or "").strip():
            self.add_error("name_pattern", "Write how the instances are called, or choose the column that holds it.")
        return cleaned


class WayOnForm(StrictForm):
    """What to do with a checked list: check it again, or go on with as many rows as the page said."""

    again = forms.BooleanField(required=False)
    go = forms.IntegerField(required=False, min_value=1)
