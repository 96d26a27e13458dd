"""Forms of the confirm questions. Its one rule: each carries a one-time key, so that a second submit gives the first result (U-7)."""

from typing import Any
from uuid import uuid4

from django import forms
from django.utils.datastructures import MultiValueDict

from dashboard.forms.strict import StrictForm

MAX_REASON = 1000
LOST_LIST = {"required": "The form lost which list it was about. Load the page again."}


def new_key() -> str:
    """A one-time key for a form."""
    return uuid4().hex


def show_instead(form: forms.Form, **values: str) -> None:
    """Show other values than the posted ones when the form comes back, such as a fresh one-time key."""
    data = form.data.copy() if isinstance(form.data, MultiValueDict) else dict(form.data)
    for name, value in values.items():
        data[name] = value
    form.data = data


class ConfirmForm(StrictForm):
    """A question without anything to type."""

    key = forms.RegexField(regex=r"\A[0-9a-f]{32}\Z", widget=forms.HiddenInput, error_messages={
        "required": "The form lost its one-time key. Load the page again.",
        "invalid": "The form lost its one-time key. Load the page again.",
    })  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {}).setdefault("key", new_key())
        super().__init__(*args, **kwargs)

    def renew_key(self) -> None:
        """The key is used up: the next submit is a new deed."""
        show_instead(self, key=new_key())


class SeenForm(ConfirmForm):
    """About exactly the list that the page showed."""

    seen = forms.RegexField(
        regex=r"\A[0-9a-f]{64}\Z",
        widget=forms.HiddenInput,
        error_messages={**LOST_LIST, "invalid": LOST_LIST["required"]},
    )


class CancelForm(ConfirmForm):
    """Cancel an instance, with the reason for the audit."""

    reason = forms.CharField(
        label="Reason",
        max_length=MAX_REASON,
        help_text="For example “Duplicate of INV-20391” or a ticket number.",
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Write why. It is kept in the audit and not sent to Docusign."},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].kind = "kept in the audit, not sent to Docusign"  # type: ignore[attr-defined]  # the word after a label; Django types no own members


class BatchForm(SeenForm, CancelForm):
    """Start a bulk run, with the reason for the audit; only a cancel cannot do without one. One that was judged stays as it is."""

    def __init__(self, *args: Any, is_required: bool, is_judged: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        reason = self.fields["reason"]
        reason.required, reason.disabled = is_required and not is_judged, is_judged
        if is_judged:
            reason.help_text = "The list was let go with this reason, so it stays."
        elif not is_required:
            reason.help_text = "May be left out."

    def show_seen(self, seen: str) -> None:
        """The list that the question shows; none for a question that leads to asking somebody else, who looks at it anew."""
        if not seen:
            del self.fields["seen"]
        self.initial["seen"] = seen
        show_instead(self, seen=seen)


class SettleForm(ConfirmForm):
    """Say what a person found out about an unknown outcome."""

    happened = forms.ChoiceField(
        label="What you found",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose what you found at Docusign."},
    )
    note = forms.CharField(
        label="How you know",
        max_length=MAX_REASON,
        help_text="For example where you looked and when. It is kept in the audit.",
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Write how you know. It is kept in the audit."},
    )

    def __init__(self, *args: Any, yes: str, no: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["happened"].choices = [("yes", yes), ("no", no)]  # type: ignore[attr-defined]  # fields are typed as Field; this one is a choice
