"""What the login gate needs: the sign-in address, where to go afterwards, and a sealed draft of what was typed meanwhile.

The one rule: a draft opens only for the person who typed it, on the page where it was typed.
"""

import json
import time
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any, Protocol
from urllib.parse import urlencode

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils.datastructures import MultiValueDict
from django.utils.http import url_has_allowed_host_and_scheme

from dashboard import crypto
from dashboard.models import User

DRAFT_FIELD = "draft_owner"
DRAFT_SECONDS = 3600
DRAFT_BYTES = 256 * 1024
NOT_KEPT = frozenset({DRAFT_FIELD, "csrfmiddlewaretoken"})
SALT = "dashboard.draft"


class Posted(Protocol):
    """What a form sent: the part of a query dictionary that is needed here."""

    def get(self, key: str, default: Any = None, /) -> Any: ...

    def lists(self) -> Iterable[tuple[str, list[str]]]: ...


def sign_in_url(next_path: str) -> str:
    """The sign-in page, which leads back to `next_path`."""
    return f"{reverse('signin')}?{urlencode({'next': next_path})}"


def local_path(candidate: str | None) -> str:
    """The candidate if it surely stays in this console, else the overview (S-10). Asked when it is stored and when it is used."""
    text = candidate or ""
    is_plain = text.startswith("/") and not text.startswith("//") and text.isprintable() and "\\" not in text
    if is_plain and url_has_allowed_host_and_scheme(text, allowed_hosts=None, require_https=settings.IS_TLS):
        return text
    return reverse("overview")


def draft_token(user: User, path: str) -> str:
    """A signed mark for a form: who is typing, and where. It goes into the hidden field `draft_owner`."""
    return signing.dumps([str(user.pk), path], salt=SALT)


def keep_draft(session: MutableMapping[str, Any], path: str, posted: Posted, *, only_for: User | None = None) -> bool:
    """Keep what was typed when the session had ended, until the same person is back (S-6); whether it was kept.

    The mark in the form is signed for its person and page, so a page of another site cannot leave a draft here.
    """
    owner = _owner_of(posted.get(DRAFT_FIELD), path)
    if owner is None or (only_for is not None and owner != str(only_for.pk)):
        return False
    fields = json.dumps({name: values for name, values in posted.lists() if name not in NOT_KEPT})
    if len(fields) > DRAFT_BYTES:
        return False
    sealed = crypto.seal(fields, "draft", owner, path)
    session["draft"] = {"owner": owner, "path": path, "at": time.time(), "sealed": sealed}
    return True


def drop_foreign_draft(session: MutableMapping[str, Any], user: User) -> None:
    """After a sign-in: a draft of somebody else is not kept for a second longer."""
    if "draft" in session and session["draft"]["owner"] != str(user.pk):
        del session["draft"]


def take_draft(session: MutableMapping[str, Any], user: User, path: str) -> MultiValueDict[str, str] | None:
    """What this person had typed on this page, ready for a form's `data`; it is given once."""
    kept: Mapping[str, Any] = session.get("draft") or {}
    if kept.get("owner") != str(user.pk) or kept.get("path") != path:
        return None
    del session["draft"]
    if time.time() - kept["at"] > DRAFT_SECONDS:
        return None
    try:
        return MultiValueDict(json.loads(crypto.unseal(kept["sealed"], "draft", kept["owner"], path)))
    except crypto.SealBroken:
        return None


def _owner_of(token: Any, path: str) -> str | None:
    if not isinstance(token, str) or not token:
        return None
    try:
        owner, typed_at = signing.loads(token, salt=SALT, max_age=settings.SESSION_HOURS * 3600)
    except (signing.BadSignature, ValueError):
        return None
    return owner if typed_at == path else None
