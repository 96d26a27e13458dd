"""How Django finds the person of a session. Its one rule: nobody is ever authenticated by a password."""

from typing import Any

from django.http import HttpRequest

from dashboard.models import User
from dashboard.services import accounts


class DocusignBackend:
    """Loads the person again at each request; the sign-in itself is `services/connections.py`."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        """There are no credentials of ours."""
        return

    def get_user(self, user_id: str) -> User | None:
        return accounts.person_of(user_id)
