"""What a page of a person was made from, in one small query, so that a poll for the same page can be answered at once.

The one rule: whatever narrows or changes what somebody sees is in the stamp, and who asks is proven by their session in the same
query; in doubt there is no answer here, and the whole page decides.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from dashboard import crypto
from dashboard.models import PROOF_LIFETIME, Membership, Rights
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
_sessions = SessionStore()


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
    """Changes with the mirror, with this person's rights and proofs, and with each look of the sync."""
    state = _read(membership.pk, "", timezone.now())
    return state.stamp if state else ""


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
        and _is_session_of(state)
    )


def _read(membership_id: int, session_key: str, now: datetime) -> PageState | None:
    proven = _time(now - PROOF_LIFETIME)
    values = [_time(now - LOOK_NOTE_EVERY), proven, proven, session_key, _time(now), membership_id]
    with connection.cursor() as cursor:
        cursor.execute(QUERY, values)
        row = cursor.fetchone()
    if row is None:
        return None
    user_id, account_id, is_default, epoch, data, is_noted = row[:JUDGED]
    served = (settings.DOCUSIGN_ENVIRONMENT, *settings.CONSOLE_ACCOUNTS)
    words = "\n".join(map(str, (*served, membership_id, *row[JUDGED:])))
    return PageState(
        stamp=f"{membership_id}-{crypto.keyed_digest('stamp', words, size=24)}",
        user_id=UUID(str(user_id)),
        account_id=UUID(str(account_id)),
        is_default=bool(is_default),
        session_epoch=epoch,
        session_data=data or "",
        is_look_noted=bool(is_noted),
    )


def _time(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


def _is_session_of(state: PageState) -> bool:
    """Whether the session is signed in as this person, in this account, and holds no message that a page has to show."""
    if not state.session_data:
        return False
    session = _sessions.decode(state.session_data)
    chosen = session.get("account", str(state.account_id) if state.is_default else None)
    return (
        session.get(SESSION_KEY) == str(state.user_id)
        and session.get(BACKEND_SESSION_KEY) in settings.AUTHENTICATION_BACKENDS
        and constant_time_compare(session.get(HASH_SESSION_KEY, ""), session_hash(state.user_id, state.session_epoch))
        and chosen == str(state.account_id)
        and not session.get(MESSAGES_KEY)
    )
