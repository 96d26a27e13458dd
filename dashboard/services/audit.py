"""The audit chain: the only writer of AuditEntry.

The one rule: an entry is written in the same transaction as the state that it records, and carries no secret, input or link.
"""

import hashlib
import hmac
import json
from collections import Counter, defaultdict
from collections.abc import Iterable
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
    AuditCheckpoint,
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
SIGNED = [field.name for field in AuditCheckpoint._meta.concrete_fields if field.name != "signature"]
RESTORED = "console.restored"


@dataclass(frozen=True, slots=True)
class OutsideHead:
    """The newest link of the chain as it was written outside of the database at some time."""

    seq: int
    hash: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What the check found: how many entries, and the first bad one if any; how many heads from outside were compared, how many of
    entries that a restore took away, and which entries of restores say so, each with how many of these heads it excuses."""

    is_ok: bool
    count: int
    first_bad_seq: int | None = None
    problem: str = ""
    begins_after: int = 0
    matched: int = 0
    restored_away: int = 0
    excuses: tuple[tuple[AuditEntry, int], ...] = ()


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
    return _signed("audit", _row(entry, CHAINED), settings.SECRET_KEY)


def is_whole(row: dict[str, Any]) -> bool:
    """Whether an entry that left as JSON is as it was signed, by the present secret or by one that signed before it."""
    entry = AuditEntry(**row | {"at": datetime.fromisoformat(row["at"])})
    return _is_signed(entry.hash, "audit", _row(entry, CHAINED))


def _row(entry: AuditEntry | AuditCheckpoint, names: list[str]) -> str:
    row = {name: _plain(getattr(entry, name)) for name in names}
    return json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _signed(purpose: str, row: str, secret: str) -> str:
    key = hashlib.sha256(f"maestro console {purpose}".encode() + secret.encode()).digest()
    return hmac.new(key, row.encode(), hashlib.sha256).hexdigest()


def _is_signed(signature: str, purpose: str, row: str) -> bool:
    """By the present secret, or by one before it that OLD_SECRET_KEYS still names."""
    secrets = (settings.SECRET_KEY, *settings.OLD_SECRET_KEYS)
    return any(hmac.compare_digest(signature, _signed(purpose, row, secret)) for secret in secrets)


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def close_at(last: AuditEntry, *, first: AuditEntry) -> AuditCheckpoint:
    """The chain begins after this entry from now on: a signed checkpoint, and an entry that says so (A-6)."""
    checkpoint = AuditCheckpoint(
        seq=last.seq,
        hash=last.hash,
        purged=last.seq - first.seq + 1,
        first_at=first.at,
        last_at=last.at,
        made_at=timezone.now(),
    )
    checkpoint.signature = checkpoint_signature(checkpoint)
    with transaction.atomic():
        checkpoint.save(force_insert=True)
        detail = {"through": last.seq, "hash": last.hash, "purged": checkpoint.purged}
        record("audit.purged", actor=None, account=None, detail=detail)
    return checkpoint


def delete_closed(*, at_once: int = 5000) -> int:
    """Delete what lies behind the newest checkpoint, some at a time; the database refuses anything else. How many went."""
    checkpoint = AuditCheckpoint.objects.order_by("-seq").first()
    deleted = 0
    while checkpoint is not None:
        seqs = (
            AuditEntry.objects.filter(seq__lte=checkpoint.seq).order_by("seq").values_list("seq", flat=True)[:at_once]
        )
        if not (closed := list(seqs)):
            break
        deleted += AuditEntry.objects.filter(seq__lte=closed[-1]).delete()[0]
    return deleted


def checkpoint_signature(checkpoint: AuditCheckpoint) -> str:
    return _signed("audit checkpoint", _row(checkpoint, SIGNED), settings.SECRET_KEY)


def verify_chain(heads: Iterable[OutsideHead] = ()) -> ChainReport:
    """Walk the whole chain: gaps, changed rows, swapped rows, and a cut end all name the first bad entry.

    Heads that were written outside also find a chain that was made anew or cut off together with its head.
    """
    checkpoint = AuditCheckpoint.objects.order_by("-seq").first()
    report = _walk(checkpoint, list(heads))
    newest = AuditCheckpoint.objects.order_by("-seq").first()
    if not report.is_ok and newest is not None and (checkpoint is None or newest.seq != checkpoint.seq):
        return verify_chain(heads)  # it was purged meanwhile
    return report


def _walk(checkpoint: AuditCheckpoint | None, heads: list[OutsideHead]) -> ChainReport:
    begun, previous = (checkpoint.seq, checkpoint.hash) if checkpoint else (0, "")
    if checkpoint and not _is_signed(checkpoint.signature, "audit checkpoint", _row(checkpoint, SIGNED)):
        return ChainReport(False, 0, begun + 1, "The checkpoint before it was changed.")
    outside = _Outside(heads, begun, previous)
    # Read first, since entries may come while this walks.
    head = AuditHead.objects.filter(pk=1).first() or AuditHead(pk=1)
    expected = begun
    for entry in AuditEntry.objects.filter(seq__gt=begun).order_by("seq").iterator(chunk_size=1000):
        expected += 1
        if entry.seq != expected:
            return ChainReport(False, expected - 1 - begun, expected, "An entry is missing.")
        if entry.prev_hash != previous or not _is_signed(entry.hash, "audit", _row(entry, CHAINED)):
            return ChainReport(False, expected - 1 - begun, entry.seq, "The entry was changed.")
        if entry.seq == head.seq and entry.hash != head.hash:
            return ChainReport(False, expected - 1 - begun, entry.seq, "The entry was changed.")
        previous = entry.hash
        outside.meet(entry)
    count, now = expected - begun, AuditHead.objects.filter(pk=1).first() or head
    if expected < head.seq:
        return ChainReport(False, count, expected + 1, "Entries at the end are missing.")
    if expected > now.seq:
        return ChainReport(False, count, now.seq + 1, "There are entries after the end.")
    return outside.report(count, begun)


class _Outside:
    """Compares the heads from outside with the entries that the walk meets."""

    def __init__(self, heads: list[OutsideHead], begun: int, previous: str) -> None:
        self._left: dict[int, list[OutsideHead]] = defaultdict(list)
        for head in heads:
            if head.seq >= begun:  # of purged entries nothing is left to compare with
                self._left[head.seq].append(head)
        self._restores: list[AuditEntry] = []
        self._matched = 0
        self._compare(begun, previous)

    def meet(self, entry: AuditEntry) -> None:
        self._compare(entry.seq, entry.hash)
        if entry.action == RESTORED:
            self._restores.append(entry)

    def _compare(self, seq: int, found: str) -> None:
        same = [head for head in self._left.get(seq, ()) if head.hash == found]
        if same:
            self._matched += len(same)
            self._left[seq] = [head for head in self._left[seq] if head.hash != found]

    def _excuse_of(self, head: OutsideHead) -> AuditEntry | None:
        """The first restore that put the database back to before this head after the head was written."""
        return next((each for each in self._restores if each.seq <= head.seq and each.at >= head.at), None)

    def report(self, count: int, begun: int) -> ChainReport:
        left = [(head, self._excuse_of(head)) for each in self._left.values() for head in each]
        unexplained = sorted(head.seq for head, excuse in left if excuse is None)
        number = Counter(excuse.seq for _, excuse in left if excuse)
        excuses = tuple((entry, number[entry.seq]) for entry in self._restores if number[entry.seq])
        seq, problem = None, ""
        if unexplained:
            last = begun + count
            seq = min(unexplained[0], last + 1)
            cut = "Entries at the end are missing: a head from outside is further."
            problem = (
                cut if unexplained[0] > last else "A head from outside says that it, or one before it, was another."
            )
        away = len(left) - len(unexplained)
        return ChainReport(not unexplained, count, seq, problem, begun, self._matched, away, excuses)
