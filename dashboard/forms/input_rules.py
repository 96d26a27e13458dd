"""The form of an input's rule. Its one rule: it asks only for what this kind of input can be held to."""

from typing import Any

from django import forms

from dashboard.forms.strict import StrictForm
from dashboard.services.input_rules import DATES, TEXTS, WITH_BOUNDS, WITH_CHOICES
from dashboard.services.rule_changes import RuleLine, RuleWish

BOUND_HINTS = {"number": "A number, such as 12500.", "date": "A date, such as 2026-06-01."}
LENGTH_HINT = "A number of characters, such as 200."
TOO_LONG = "Use at most %(limit_value)d characters; these are %(show_value)d."


class RuleForm(StrictForm):
    """What this console asks of an input, beside what the workflow asks."""

    label = forms.CharField(
        label="Label",
        required=False,
        max_length=120,
        help_text="Stands above the field in place of Docusign's spelling, which stays visible beside it.",
        error_messages={"max_length": TOO_LONG},
    )
    help = forms.CharField(
        label="Help",
        required=False,
        max_length=300,
        help_text="One or two sentences on what to write. They stand above the field.",
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"max_length": TOO_LONG},
    )
    is_required = forms.BooleanField(label="It must not be left out here, though it has a default", required=False)
    choices = forms.CharField(
        label="Choices",
        required=False,
        max_length=25_000,
        help_text="One a line, as they are sent. The form shows them as a list; nothing else is taken. Leave it empty for any value.",
        widget=forms.Textarea(attrs={"rows": 5}),
        error_messages={"max_length": TOO_LONG},
    )
    minimum = forms.CharField(label="Minimum", required=False, max_length=40, error_messages={"max_length": TOO_LONG})
    maximum = forms.CharField(label="Maximum", required=False, max_length=40, error_messages={"max_length": TOO_LONG})
    pattern = forms.CharField(
        label="Pattern",
        required=False,
        max_length=120,
        strip=False,
        help_text="* stands for any text, ? for one character, everything else for itself. For example INV-????*",
        widget=forms.TextInput(attrs={"class": "mono", "spellcheck": "false", "autocomplete": "off"}),
        error_messages={"max_length": TOO_LONG},
    )

    def __init__(self, line: RuleLine, data: Any = None) -> None:
        super().__init__(data, initial=_present(line), auto_id="rule-%s")
        kind = line.spec["kind"] if line.spec else ""
        hint = BOUND_HINTS["date"] if kind in DATES else BOUND_HINTS.get(kind, LENGTH_HINT)
        for name in ("minimum", "maximum"):
            self.fields[name].help_text = hint
            self.fields[name].widget.attrs["class"] = "narrow"
        if kind in TEXTS:
            self.fields["minimum"].label, self.fields["maximum"].label = "Shortest", "Longest"
        unfit = {
            "choices": kind not in WITH_CHOICES, "minimum": kind not in WITH_BOUNDS, "maximum": kind not in WITH_BOUNDS,
            "pattern": kind not in TEXTS, "is_required": not (line.spec and line.spec["has_default"]),
        }  # fmt: skip
        for name in [name for name, is_unfit in unfit.items() if is_unfit]:
            del self.fields[name]

    def wish(self) -> RuleWish:
        """What was asked for."""
        chosen = {name: value for name, value in self.cleaned_data.items() if name != "choices"}
        lines = self.cleaned_data.get("choices", "").splitlines()
        return RuleWish(**chosen, choices=[text for line in lines if (text := line.strip())])


def _present(line: RuleLine) -> dict[str, Any]:
    rule = line.rule
    if rule is None:
        return {}
    names = ("label", "help", "is_required", "minimum", "maximum", "pattern")
    return {**{name: getattr(rule, name) for name in names}, "choices": "\n".join(rule.choices)}
