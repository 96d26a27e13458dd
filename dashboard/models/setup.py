"""The setup code with which the first person claims an account for this console. Stored as a digest; used once."""

from django.db import models


class SetupCode(models.Model):
    """A code printed at start while no account is served yet."""

    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"Setup code of {self.created_at:%Y-%m-%d}"
