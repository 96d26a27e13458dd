"""Filters of the list of instances under a name. Its one rule: a view holds an address, never rows, so everybody sees their own."""

from django.db import models

from dashboard.models.account import Account, Membership


class SavedView(models.Model):
    """A named query string of the list of instances; private, or shared with everybody of the account."""

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="saved_views")
    owner = models.ForeignKey("dashboard.User", on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=80)
    query = models.TextField(blank=True, help_text="Filters, columns, order and size, as in the address.")
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "owner", "name"], name="one_view_per_name")]

    def __str__(self) -> str:
        return self.name


class ViewUse(models.Model):
    """What a person does with a view: it opens by itself, or it is pinned above the list with its count."""

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="view_uses")
    view = models.ForeignKey(SavedView, on_delete=models.CASCADE, related_name="uses")
    is_default = models.BooleanField(default=False)
    is_pinned = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["membership", "view"], name="one_use_per_view"),
            models.UniqueConstraint(
                fields=["membership"], condition=models.Q(is_default=True), name="one_default_view_per_member"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.membership}: {self.view}"
