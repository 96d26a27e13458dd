"""What a page of a person was made from, in one small query, so that a poll for the same page can be answered at once.

The one rule: whatever narrows or changes what somebody sees is in the stamp, and who asks is proven by their session in the same
query; in doubt there is no answer here, and the whole page decides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as StoreInDatabase
from django.db import connection
from django.db.models import Sum
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from dashboard import crypto
from dashboard.models import PROOF_LIFETIME, Membership, Rights, WorkflowAccess
from dashboard.models.user import session_hash
from dashboard.services.timings import LOOK_NOTE_EVERY

MESSAGES_KEY = "_messages"
# First what is needed to judge, then what the stamp is made of. Written out, since the ORM takes longer to spell it than the
# database to answer. A proof that lapses is in it: a manager's own, and those of single workflows.
QUERY = f"""
SELECT m.user_id, m.account_id, m.is_default, u.session_epoch, s.session_data, CASE WHEN m.looked_at > %s THEN 1 ELSE 0 END,
  a.version, m.is_active, u.is_active, m.role, m.rights, m.rights_version, u.time_zone, c.state,
  m.synced_at, m.sync_failed_at, m.sync_queued_at, y.ended_at, y.failed_at, y.queued_at,
  CASE WHEN m.rights = '{Rights.MANAGE.value}' AND m.rights_proven_at >= %s THEN -1 ELSE (
    SELECT COALESCE(SUM(w.id), 0) FROM dashboard_workflowaccess w JOIN dashboard_workflow f ON f.id = w.workflow_id
    WHERE w.user_id = m.user_id AND f.account_id = m.account_id AND w.others_proven_at >= %s) END
FROM dashboard_membership m
JOIN dashboard_account a ON a.id = m.account_id
JOIN dashboard_user u ON u.id = m.user_id
LEFT JOIN dashboard_connection c ON c.user_id = m.user_id
LEFT JOIN dashboard_accountsync y ON y.account_id = m.account_id
LEFT JOIN django_session s ON s.session_key = %s AND s.expire_date > %s
WHERE m.id = %s
"""  # noqa: S608  # the only word put in is a constant of ours
JUDGED = 6  # so many columns come before those of the stamp
_store = import_module(settings.SESSION_ENGINE).SessionStore
_sessions = StoreInDatabase()


@dataclass(frozen=True, slots=True)
class PageState:
    """The stamp of a person's pages now, and what shows who asks."""

    stamp: str
    user_id: UUID
    account_id: UUID
    is_default: bool
    session_epoch: int
    session_data: str
    is_look_noted: bool


def stamp_of(membership: Membership) -> str:
    """Changes with the mirror, with this person's rights and proofs, and with each look of the sync.

    Made from what the request has read of them already, which was before it reads any row.
    """
    user, account = membership.user, membership.account
    grant, sync = getattr(user, "connection", None), getattr(account, "sync", None)
    said = (
        account.version, membership.is_active, user.is_active, membership.role, membership.rights, membership.rights_version,
        user.time_zone, grant.state if grant else None, membership.synced_at, membership.sync_failed_at, membership.sync_queued_at,
        *((sync.ended_at, sync.failed_at, sync.queued_at) if sync else (None,) * 3), opened_to(membership),
    )  # fmt: skip
    return _spelled(membership.pk, said)


def is_same(stamp: str, session_key: str) -> bool:
    """Whether the person of this session would get the very page again that carried the stamp, with nothing else to tell or note."""
    number = stamp.partition("-")[0]
    if not session_key or not (number.isascii() and number.isdecimal()) or len(number) > 18:
        return False
    state = _read(int(number), session_key, timezone.now())
    return (
        state is not None
        and state.is_look_noted  # otherwise the page notes it, which keeps the worker reading
        and constant_time_compare(state.stamp, stamp)
        and _is_session_of(state, _session(state, session_key))
    )


def opened_to(membership: Membership) -> int:
    """What the query has in its last column: which workflows' lists show this person the rows of others; -1 where all do."""
    since = timezone.now() - PROOF_LIFETIME
    proven_at = membership.rights_proven_at
    if membership.rights == Rights.MANAGE and proven_at is not None and proven_at >= since:
        return -1
    opened = WorkflowAccess.objects.filter(
        user_id=membership.user_id, workflow__account_id=membership.account_id, others_proven_at__gte=since
    )
    return opened.aggregate(total=Sum("pk"))["total"] or 0


def _read(membership_id: int, session_key: str, now: datetime) -> PageState | None:
    proven = _time(now - PROOF_LIFETIME)
    values = [_time(now - LOOK_NOTE_EVERY), proven, proven, session_key, _time(now), membership_id]
    with connection.cursor() as cursor:
        cursor.execute(QUERY, values)
        row = cursor.fetchone()
    if row is None:
        return None
    user_id, account_id, is_default, epoch, data, is_noted = row[:JUDGED]
    return PageState(
        stamp=_spelled(membership_id, row[JUDGED:]),
        user_id=UUID(str(user_id)),
        account_id=UUID(str(account_id)),
        is_default=bool(is_default),
        session_epoch=epoch,
        session_data=data or "",
        is_look_noted=bool(is_noted),
    )


def _spelled(membership_id: int, said: Iterable[Any]) -> str:
    served = (settings.DOCUSIGN_ENVIRONMENT, *settings.CONSOLE_ACCOUNTS)
    words = "\n".join(map(str, (*served, membership_id, *map(_plain, said))))
    return f"{membership_id}-{crypto.keyed_digest('stamp', words, size=24)}"


def _plain(value: Any) -> Any:
    """The same for what the ORM read and for what the database said, which spells times and truth in its own way."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
    return int(value) if isinstance(value, bool) else value


def _time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _session(state: PageState, session_key: str) -> dict[str, Any]:
    """What the session holds, from the same query, or from the cache where sessions are kept there; empty where there is none."""
    if _store is not StoreInDatabase:
        return dict(_store(session_key).load())
    return dict(_sessions.decode(state.session_data)) if state.session_data else {}


def _is_session_of(state: PageState, session: dict[str, Any]) -> bool:
    """Whether the session is signed in as this person, in this account, and holds no message that a page has to show."""
    chosen = session.get("account", str(state.account_id) if state.is_default else None)
    return (
        session.get(SESSION_KEY) == str(state.user_id)
        and session.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
        and constant_time_compare(session.get(HASH_SESSION_KEY, ""), session_hash(state.user_id, state.session_epoch))
        and chosen == str(state.account_id)
        and not session.get(MESSAGES_KEY)
    )
