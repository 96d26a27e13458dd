"""How long a grant at Docusign lasts. Its one rule: Docusign does not say it, so it is counted from the sign-in."""

from datetime import datetime, timedelta

from django.utils import timezone

from dashboard.models import Connection

GRANT_DAYS = 30
WARN_DAYS = 3


def grant_ends_at(connection: Connection) -> datetime | None:
    """When Docusign will ask for a new sign-in; None when each refresh renews the grant, or nothing is known."""
    if "extended" in connection.scopes.split() or connection.first_granted_at is None:
        return None
    return connection.first_granted_at + timedelta(days=GRANT_DAYS)


def is_ending_soon(connection: Connection) -> bool:
    """O-13: whether the grant ends within three days."""
    ends_at = grant_ends_at(connection)
    return ends_at is not None and timezone.now() >= ends_at - timedelta(days=WARN_DAYS)
