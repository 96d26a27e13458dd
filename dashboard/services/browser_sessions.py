"""The browsers in which a person is signed in (S-8): how long each lasts, which there are, and how one is ended.

The one rule: a session ends after idle time, after its whole time, or when it is ended here, and nothing that a page asks by
itself keeps it alive.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from dashboard import crypto
from dashboard.facts import current_facts
from dashboard.models import BrowserSession, User
from dashboard.services import accounts, audit
from dashboard.services.errors import Refused

MOST_SESSIONS = 10
NOTE_EVERY = timedelta(minutes=1)
# The first word found in what the browser says of itself; each pretends to be those after it.
BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "Firefox": "Firefox",
    "Chrom": "Chrome or a relative",
    "Safari": "Safari",
    "python": "A script",
    "curl": "curl",
}
SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
_store = import_module(settings.SESSION_ENGINE).SessionStore


@dataclass(frozen=True, slots=True)
class Listed:
    """A session as its person sees it; `mark` names it in an address without opening anything."""

    row: BrowserSession
    mark: str
    is_this: bool


def idle_time() -> timedelta:
    """After so long without a click a session ends."""
    return timedelta(minutes=settings.SESSION_IDLE_MINUTES)


def whole_time() -> timedelta:
    """After so long a session ends, whatever was done in it."""
    return timedelta(hours=settings.SESSION_HOURS)


def expiry(ends_at: datetime, now: datetime) -> datetime:
    """When a session ends in which somebody clicked just now."""
    return min(now + idle_time(), ends_at)


def begin(user: User, session_key: str, *, instead_of: str | None, agent: str) -> datetime:
    """Note a fresh sign-in, and end what is one too many; when the session ends at the latest."""
    now = timezone.now()
    ends_at = now + whole_time()
    if instead_of and instead_of != session_key:
        BrowserSession.objects.filter(pk=instead_of).delete()
    with transaction.atomic():
        BrowserSession.objects.update_or_create(
            session_key=session_key,
            defaults={
                "user": user,
                "began_at": now,
                "seen_at": now,
                "ends_at": ends_at,
                "address": current_facts().ip[:64],
                "browser": described(agent),
            },
        )
        mine = BrowserSession.objects.filter(user=user).exclude(pk=session_key).order_by("-seen_at", "pk")
        too_many = list(mine.values_list("pk", flat=True)[MOST_SESSIONS - 1 :])
        _end(too_many)
    return ends_at


def note_click(session_key: str) -> None:
    """Somebody did something in it; asked once a minute at most."""
    BrowserSession.objects.filter(pk=session_key).update(seen_at=timezone.now())


def forget(session_key: str | None) -> None:
    """The session has ended by itself or by signing out."""
    if session_key:
        BrowserSession.objects.filter(pk=session_key).delete()


def sessions_of(user: User, *, this: str) -> list[Listed]:
    """The living sessions of a person, this one first."""
    now = timezone.now()
    rows = BrowserSession.objects.filter(user=user, ends_at__gt=now, seen_at__gt=now - idle_time()).order_by("-seen_at")
    listed = [Listed(row, mark_of(row.session_key), row.session_key == this) for row in rows]
    return sorted(listed, key=lambda each: not each.is_this)


def mark_of(session_key: str) -> str:
    """The same digest that the audit keeps as the session of a deed."""
    return crypto.keyed_digest("session", session_key, size=16)


def end_one(user: User, *, mark: str, this: str) -> bool:
    """End another session of this person; False when there is none with this mark."""
    found = [each for each in sessions_of(user, this=this) if constant_time_compare(each.mark, mark)]
    if any(each.is_this for each in found):
        raise Refused("This is the browser that you are using. Use Sign out to end it.")
    with transaction.atomic():
        return _end_and_record(user, [each.row.session_key for each in found]) > 0


def end_others(user: User, *, this: str) -> int:
    """End every session of this person but this one; how many those were."""
    with transaction.atomic():
        keys = BrowserSession.objects.filter(user=user).exclude(pk=this).values_list("pk", flat=True)
        return _end_and_record(user, list(keys))


def end_all(user: User) -> None:
    """Every session of this person is void from their next request on; inside the transaction of the reason."""
    _end(list(BrowserSession.objects.filter(user=user).values_list("pk", flat=True)))


def purge() -> int:
    """Forget sessions that have ended."""
    now = timezone.now()
    _store.clear_expired()
    idle = BrowserSession.objects.filter(seen_at__lt=now - idle_time()).delete()[0]
    return idle + BrowserSession.objects.filter(ends_at__lt=now).delete()[0]


def described(agent: str) -> str:
    """The browser in words; nothing else of what it says of itself is kept."""
    browser = next((name for word, name in BROWSERS.items() if word in agent), "A browser")
    system = next((name for word, name in SYSTEMS.items() if word in agent), "")
    return f"{browser} on {system}" if system else browser


def _end_and_record(user: User, keys: list[str]) -> int:
    if keys:
        _end(keys)
        account = accounts.home_account(user)
        detail: dict[str, Any] = {"sessions": len(keys)}
        audit.record("session.revoked", actor=user, account=account, subject=user, detail=detail)
    return len(keys)


def _end(keys: list[str]) -> None:
    for key in keys:
        _store(key).delete()
    BrowserSession.objects.filter(pk__in=keys).delete()
