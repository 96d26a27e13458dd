"""Taking out as JSON what is kept about a person, with the values that are sealed.

The one rule: it goes to whoever runs the server and to nobody else; that it was taken is in the audit of the accounts in which
something was found, what was looked for is not.
"""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.models import (
    Account,
    Approval,
    AuditEntry,
    Batch,
    BatchItem,
    BrowserSession,
    Delivery,
    Instance,
    Membership,
    Operation,
    Preset,
    SavedView,
    Sheet,
    User,
)
from dashboard.services import audit
from dashboard.services.findable import folded
from dashboard.services.personal_data import (
    WORDS,
    Mentions,
    deed_values,
    file_rows,
    find_mentions,
    holds,
    message_of,
    people_like,
    preset_values,
    row_values,
)

DEED = ("id", "kind", "state", "workflow__name", "instance_name", "planned_at", "settled_at", "reason")
INSTANCE = ("id", "name", "workflow__name", "status", "started_at", "ended_at", "started_by_name", "trigger_inputs")


def export(text: str) -> dict[str, Any]:
    """All that is kept about the people of this id, name or address, and wherever the text stands, fit for JSON."""
    mentions, people = find_mentions(text), list(people_like(text.strip()))
    found = {
        "made_at": timezone.now(),
        "people": [_about(user) for user in people],
        **_mentioned(mentions, folded(text.strip())),
    }
    _record(mentions, people)
    return found


def _record(mentions: Mentions, people: list[User]) -> None:
    """Each account learns what was taken of it, and nothing of another one."""
    mine: dict[UUID, list[str]] = {}
    for account_id, user_id in Membership.objects.filter(user__in=people).values_list("account_id", "user_id"):
        mine.setdefault(account_id, []).append(str(user_id))
    with transaction.atomic():
        for account in Account.objects.filter(pk__in=mentions.accounts() | mine.keys()).order_by("pk"):
            detail = {"people": sorted(mine.get(account.pk, []))}
            audit.record("person.exported", actor=None, account=account, detail=detail)


def _mentioned(mentions: Mentions, wanted: str) -> dict[str, Any]:
    instances = {*mentions.inputs, *mentions.names, *mentions.members}
    return {
        "instances": _rows(Instance.objects.filter(pk__in=instances), *INSTANCE, "tags", "metadata", "extra"),
        "presets": _rows_with(
            Preset.objects.filter(pk__in=mentions.presets),
            *("name", "workflow__name", "owner__name"),
            values=preset_values,
        ),
        "rows_of_bulk_runs": _rows_with(
            BatchItem.objects.filter(pk__in=mentions.rows).select_related("batch"),
            *("batch__name", "position", "label", "state", "settled_at", "problems"),
            inputs=row_values,
        ),
        "files": _rows_with(
            Sheet.objects.filter(pk__in=mentions.files),
            *("file_name", "batch__name", "batch__created_at"),
            rows=lambda sheet: [row for row in file_rows(sheet) if holds(row, wanted)],
        ),
        "deeds": _rows_with(
            Operation.objects.filter(pk__in=mentions.operations), *DEED, "field_errors", inputs=deed_values
        ),
        "events": _rows_with(
            Delivery.objects.filter(pk__in=mentions.deliveries), "received_at", "event", "state", body=message_of
        ),
        "words": {
            name: _rows(WORDS[name][0]._default_manager.filter(pk__in=ids), "pk", *WORDS[name][1])
            for name, ids in mentions.words.items()
        },
    }


def _about(user: User) -> dict[str, Any]:
    connection = getattr(user, "connection", None)
    mine = Q(actor_id=str(user.pk)) | Q(object_type="user", object_id=str(user.pk))
    memberships = user.memberships.all()
    ids = [str(pk) for pk in memberships.values_list("pk", flat=True)]
    return {
        "id": user.pk,
        "docusign_id": user.sub,
        "name": user.name,
        "email": user.email,
        "time_zone": user.time_zone,
        "first_seen": user.created_at,
        "accounts": _rows(memberships, "account__name", "role", "rights", "created_at", "looked_at", "barred_at"),
        "connection": {"state": connection.state, "granted_at": connection.first_granted_at} if connection else None,
        "sessions": _rows(BrowserSession.objects.filter(user=user), "browser", "address", "began_at", "seen_at"),
        "views": _rows(SavedView.objects.filter(owner=user), "name", "query", "is_shared"),
        "presets": _rows_with(
            Preset.objects.filter(owner=user), "name", "workflow__name", "is_shared", values=preset_values
        ),
        "deeds": _rows(Operation.objects.filter(actor=user), *DEED),
        "bulk_runs": _rows(Batch.objects.filter(actor=user), "id", "name", "kind", "state", "created_at", "reason"),
        "approvals": _rows(Approval.objects.filter(decided_by=user), "batch__name", "state", "decided_at", "note"),
        "started_at_docusign": _rows(
            Instance.objects.filter(started_by__iexact=user.sub.strip("{}")), "id", "name", "started_at"
        ),
        "audit": _rows(
            AuditEntry.objects.filter(mine | Q(object_type="membership", object_id__in=ids)).order_by("seq"),
            *("seq", "at", "action", "result", "object_name", "ip", "reason"),
        ),
    }


def _rows(rows: QuerySet[Any], *names: str) -> list[dict[str, Any]]:
    found: Iterable[dict[str, Any]] = rows.values(*names)
    return [{name.replace("__", "_"): value for name, value in row.items()} for row in found]


def _rows_with(rows: QuerySet[Any], /, *names: str, **opened: Callable[[Any], Any]) -> list[dict[str, Any]]:
    """As `_rows`, with what only a whole row can tell."""
    plain = {row["pk"]: row for row in rows.values("pk", *names)}
    found = []
    for row in rows.iterator(chunk_size=50):
        values = {name.replace("__", "_"): plain[row.pk][name] for name in names}
        found.append(values | {name: tell(row) for name, tell in opened.items()})
    return found
