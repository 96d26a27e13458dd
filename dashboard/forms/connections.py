"""The form of the account switcher. Its one rule: only an account of this person can be chosen."""

from collections.abc import Iterable
from typing import Any

from django import forms

from dashboard.forms.strict import StrictForm
from dashboard.models import Membership


class SwitchForm(StrictForm):
    account = forms.ChoiceField()

    def __init__(self, *args: Any, memberships: Iterable[Membership], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.names = {str(each.account_id): each.account.name for each in memberships}
        self.fields["account"] = forms.ChoiceField(choices=list(self.names.items()))

    def chosen_name(self) -> str:
        return self.names[self.cleaned_data["account"]]
