"""What keeps the doors: how often somebody did something lately, and the browsers in which a person is signed in.

The one rule: a row here is forgotten soon, and nothing but the guarding hangs on it.
"""

from django.db import models

from dashboard.models.user import User


class RateCount(models.Model):
    """How often one person or address did one kind of thing since its window began. The key holds a digest, no address."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField()
    began_at = models.FloatField(
        db_index=True, help_text="Seconds since 1970, so that one statement does for all databases."
    )

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"


class BrowserSession(models.Model):
    """A session of a person as they recognize it; the session itself is Django's, and ends with it."""

    session_key = models.CharField(max_length=40, primary_key=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="browser_sessions")
    began_at = models.DateTimeField()
    seen_at = models.DateTimeField(help_text="The last click; what an open page asks by itself does not count.")
    ends_at = models.DateTimeField(help_text="Whatever happens, the session ends then.")
    address = models.CharField(max_length=64, blank=True)
    browser = models.CharField(max_length=80, blank=True)

    class Meta:
        indexes = [models.Index(fields=["user", "-seen_at"], name="sessions_of_a_person")]

    def __str__(self) -> str:
        return f"{self.browser or 'A browser'} of {self.user}"
