"""What pages of the mirror share: how old they are, whom they show, and their pager. Its one rule: it reads, it never decides."""

from typing import Any

from django.conf import settings
from django.utils import timezone

from dashboard import stamps
from dashboard.models import Membership
from dashboard.person import PersonRequest
from dashboard.services import due
from dashboard.services.lists import COUNT_CAP, Page
from dashboard.services.visibility import view_of, visible_workflows

PROOF_CALLS = 1  # whether Docusign shows this person everybody's instances
SOON, CALM = 5, 20


def frame(request: PersonRequest) -> dict[str, Any]:
    """What every mirrored page says about itself."""
    membership = request.membership
    fresh, trouble = due.freshness_of(membership), due.trouble_of(membership)
    is_being_read = due.is_being_read(membership)
    next_look = due.next_look_at(membership)
    return {
        "as_of": fresh,
        "interval": settings.SYNC_INTERVAL_SECONDS,
        "next_look": next_look if next_look and next_look > timezone.now() else None,
        "next_text": "being read now" if is_being_read else "",
        "is_first_visit": fresh is None and trouble is None,
        "sync_error": trouble.message if trouble else "",
        "view": view_of(membership),
        "poll_url": stamps.poll_url(request),
        "poll_seconds": SOON if is_being_read or fresh is None else CALM,
        "here": f"{request.path}?{request.GET.urlencode()}" if request.GET else request.path,
        "refresh_calls": refresh_calls(membership),
    }


def refresh_calls(membership: Membership) -> int:
    """About how many calls a refresh takes: fewer where Docusign lists a whole account at once."""
    if membership.account.has_account_list:
        return due.calls_of_next(membership.account) + PROOF_CALLS
    return 1 + visible_workflows(membership).count()


def pager(request: PersonRequest, page: Page[Any], size: int, *, total: int | None = None) -> dict[str, Any]:
    """The links of a keyset page, and which rows it shows."""
    return {
        "shown": _shown(page, total),
        "size": size,
        "newer_url": _beside(request, before=page.newer),
        "older_url": _beside(request, after=page.older),
    }


def _shown(page: Page[Any], total: int | None) -> str:
    count = len(page.rows)
    if not count:
        return "No rows"
    if total is None:
        return f"{count} row{'s' if count > 1 else ''}"
    many = f"{COUNT_CAP:,}+" if total > COUNT_CAP else f"{total:,}"
    return f"1–{count} of {many}" if page.is_first else f"{count} of {many}"


def _beside(request: PersonRequest, **cursor: str | None) -> str | None:
    query = request.GET.copy()
    for name in ("after", "before"):
        query.pop(name, None)
    [(name, value)] = cursor.items()
    if value is None:
        return None
    query[name] = value
    return f"?{query.urlencode()}"
