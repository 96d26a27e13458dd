"""The audit chain: the only writer of AuditEntry.

The one rule: an entry is written in the same transaction as the state that it records, and carries no secret, input or link.
"""

import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from dashboard.facts import current_facts
from dashboard.models import (
    Account,
    AuditEntry,
    AuditHead,
    Batch,
    Instance,
    Membership,
    Operation,
    Policy,
    SavedView,
    User,
    Workflow,
)

Result = AuditEntry.Result
Object = Account | Batch | Instance | Membership | Policy | SavedView | User | Workflow
CHAINED = [
    field.name for field in AuditEntry._meta.concrete_fields if field.name not in {"hash"}
]  # every column but the hash itself


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What the check found: how many entries, and the first bad one if any."""

    is_ok: bool
    count: int
    first_bad_seq: int | None = None
    problem: str = ""


def record(
    action: str,
    *,
    actor: User | None,
    account: Account | None,
    subject: Object | None = None,
    operation: Operation | None = None,
    result: Result = Result.OK,
    reason: str = "",
    http_status: int | None = None,
    docusign_request_id: str = "",
    detail: dict[str, Any] | None = None,
) -> AuditEntry:
    """Append one entry. Must run inside the transaction of the state that it records."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("An audit entry belongs into the transaction of what it records.")
    facts = current_facts()
    entry = AuditEntry(
        at=timezone.now(),
        action=action,
        result=result,
        actor_id=str(actor.pk) if actor else "",
        actor_sub=actor.sub if actor else "",
        actor_name=actor.name if actor else "",
        account_id=str(account.pk) if account else "",
        operation_id=str(operation.pk) if operation else "",
        session_hash=facts.session_hash,
        ip=facts.ip,
        request_id=facts.request_id,
        http_status=http_status,
        docusign_request_id=docusign_request_id,
        reason=reason,
        detail=detail or {},
        **_described(subject),
    )
    return _append(entry)


def _described(subject: Object | None) -> dict[str, str]:
    """The subject's type, id and name frozen as text, and what the visibility rule needs."""
    if subject is None:
        return {}
    described = {
        "object_type": type(subject).__name__.lower(),
        "object_id": str(subject.pk),
        "object_name": str(subject),
    }
    if isinstance(subject, Workflow):
        described["workflow_id"] = str(subject.pk)
    if isinstance(subject, Instance):
        described["workflow_id"] = str(subject.workflow_id)
        described["started_by"] = subject.started_by
    if isinstance(subject, Batch | Policy) and subject.workflow_id:
        described["workflow_id"] = str(subject.workflow_id)
    return described


def _append(entry: AuditEntry) -> AuditEntry:
    # The update takes the row's lock in every database before the head is read, so writers cannot fork the chain.
    if not AuditHead.objects.filter(pk=1).update(seq=F("seq") + 1):
        # The very first entry, perhaps of several writers at once: one of them makes the row, the others wait for it.
        AuditHead.objects.bulk_create([AuditHead(pk=1)], ignore_conflicts=True)
        AuditHead.objects.filter(pk=1).update(seq=F("seq") + 1)
    head = AuditHead.objects.get(pk=1)
    entry.seq = head.seq
    entry.prev_hash = head.hash
    entry.hash = chain_hash(entry)
    entry.save(force_insert=True)
    AuditHead.objects.filter(pk=1).update(hash=entry.hash)
    return entry


def chain_hash(entry: AuditEntry) -> str:
    """HMAC over the canonical row, which holds the previous hash."""
    row = {name: _plain(getattr(entry, name)) for name in CHAINED}
    text = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    key = hashlib.sha256(b"maestro console audit" + settings.SECRET_KEY.encode()).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def verify_chain() -> ChainReport:
    """Walk the whole chain: gaps, changed rows, swapped rows, and a cut end all name the first bad entry."""
    previous, expected = "", 0
    for entry in AuditEntry.objects.order_by("seq").iterator(chunk_size=1000):
        expected += 1
        if entry.seq != expected:
            return ChainReport(False, expected - 1, expected, "An entry is missing.")
        if entry.prev_hash != previous or not hmac.compare_digest(entry.hash, chain_hash(entry)):
            return ChainReport(False, expected - 1, entry.seq, "The entry was changed.")
        previous = entry.hash
    head = AuditHead.objects.filter(pk=1).first()
    if (head.seq if head else 0) != expected or (head.hash if head else "") != previous:
        return ChainReport(False, expected, expected + 1, "Entries at the end are missing.")
    return ChainReport(True, expected)
