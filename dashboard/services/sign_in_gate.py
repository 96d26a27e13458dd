"""What the login gate needs: the sign-in address, and a sealed draft of what was typed when a session had ended."""

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse


def sign_in_url(next_path: str) -> str:
    """The sign-in page, which leads back to `next_path`."""
    return f"{reverse('signin')}?{urlencode({'next': next_path})}"


def keep_draft(session: Any, path: str, posted: Any) -> None:
    """Keep what was typed until the same person is back."""
