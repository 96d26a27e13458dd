"""The setup code: whoever reads the console's start-up output may claim the account that it serves.

The one rule: only a digest is stored, and a code opens the door once.
"""

import secrets
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import QuerySet
from django.utils import timezone

from dashboard import crypto
from dashboard.models import SetupCode
from dashboard.services import accounts

# Several processes start together; the one that comes first prints the code, the others stay silent.
SAME_START = timedelta(seconds=60)
LIFETIME = timedelta(days=1)


def offer_code(*, again: bool = False) -> str | None:
    """A new code to print, or None when an account is served already or another process has just printed one.

    With `again` a new code replaces the one before, whose text nobody can read any more.
    """
    if not accounts.is_unclaimed():
        return None
    recent = SetupCode.objects.filter(used_at=None, created_at__gt=timezone.now() - SAME_START)
    if recent.exists() and not again:
        return None
    SetupCode.objects.filter(used_at=None).delete()
    code = "-".join(secrets.token_hex(3) for _ in range(4))
    SetupCode.objects.create(digest=digest(code))
    return code


def announcement(code: str) -> str:
    """The line to print."""
    return f"Setup code: {code} (enter it on the sign-in page within a day; whoever does becomes the admin)"


def announce_at_start() -> str:
    """What a starting process prints: empty where there is nothing to claim, or before the first migration."""
    try:
        code = offer_code()
    except DatabaseError:
        return ""
    return announcement(code) if code else ""


def digest(code: str) -> str:
    """What is stored of a code, and carried through the sign-in; spaces and case do not matter."""
    cleaned = "".join(code.split()).lower()
    return crypto.keyed_digest("setup", cleaned) if cleaned else ""


def is_open(code_digest: str) -> bool:
    """Whether this code would open the door now."""
    return bool(code_digest) and accounts.is_unclaimed() and _valid(code_digest).exists()


def use(code_digest: str) -> bool:
    """Use the code up, in the transaction of the claim; False when somebody was quicker."""
    if not accounts.is_unclaimed() or not _valid(code_digest).update(used_at=timezone.now()):
        return False
    SetupCode.objects.filter(used_at=None).delete()
    return True


def _valid(code_digest: str) -> QuerySet[SetupCode]:
    return SetupCode.objects.filter(digest=code_digest, used_at=None, created_at__gt=timezone.now() - LIFETIME)
