"""A database that was restored from a backup: what it calls open may have happened since.

The one rule (U-12): nothing is sent from it until a person goes on, and then only what Docusign's list does not show.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dashboard.models import (
    Account,
    AuditEntry,
    Batch,
    BatchItem,
    BatchState,
    Operation,
    OperationKind,
    OperationState,
    User,
)
from dashboard.services import audit
from dashboard.services.edges import Outcome, move
from dashboard.services.instances import bump, lock_mirror
from dashboard.wording import plural

State = OperationState
HELD = (
    "The database was restored. Nothing is sent until somebody goes on; what may have been sent before is then looked for "
    "at Docusign first."
)
IN_DOUBT = "The database was restored, so this may have been sent before; this console checks."
NOT_SENT = "It is not sent from a restored database. Ask again if it is still wanted."


EPOCHS_LEFT_OUT = 1000  # further than people can have ended their sessions since the backup


@dataclass(slots=True)
class Found:
    """What was held and doubted, by account."""

    by_account: list[tuple[str, dict[str, int]]] = field(default_factory=list)

    def told(self) -> list[str]:
        """A line for each account."""
        return [
            f"{name}: {plural(numbers['batches'], 'bulk run')} held, {plural(numbers['operations'], 'deed')} in doubt."
            for name, numbers in self.by_account
        ]


def declare_console(detail: dict[str, Any]) -> Found:
    """Say of the whole database that it is an older copy; `detail` tells the audit of which. Sessions end."""
    found = Found()
    with transaction.atomic():
        # Some of them were ended after the copy was made; everybody signs in anew.
        User.objects.update(session_epoch=F("session_epoch") + EPOCHS_LEFT_OUT)
        audit.record(audit.RESTORED, actor=None, account=None, detail=detail)
    for account in Account.objects.order_by("pk"):
        found.by_account.append((str(account), declare(account)))
    return found


def declare(account: Account) -> dict[str, int]:
    """Hold the bulk runs and doubt what was to be sent, or was in doubt already; how many of each."""
    with transaction.atomic():
        lock_mirror(account.pk)
        found = {"operations": _doubt(account), "batches": _hold(account)}
        bump(account.pk)
        audit.record("account.restored", actor=None, account=account, subject=account, detail=dict(found))
    return found


def is_older(batch: Batch) -> bool:
    """Whether the run was made before a restore: then what it calls unsent, or refused and not retried, may have been sent since."""
    return _was_restored_since(batch.account_id, batch.created_at)


def needs_a_person(operation: Operation) -> bool:
    """Whether it was made before a restore and belongs to no bulk run, so that nobody has said yet that things go on."""
    is_own = not BatchItem.objects.filter(operation=operation).exists()
    return is_own and _was_restored_since(operation.account_id, operation.planned_at)


def _was_restored_since(account_id: UUID, moment: datetime) -> bool:
    found = AuditEntry.objects.filter(account_id=str(account_id), action="account.restored")
    return found.filter(at__gte=moment).exists()


def _doubt(account: Account) -> int:
    """What may have been sent is looked up; what only waited and names its target is not sent after all."""
    rows = Operation.objects.filter(account=account)
    # What was unknown already may have been sent again since: no look of before says anything, and the list may lag once more.
    anew = {"sent_at": timezone.now(), "next_check_at": timezone.now(), "absent_looks": 0}
    unknown = rows.filter(state=State.UNKNOWN)
    number = unknown.update(**anew, first_absent_at=None, last_absent_at=None, fence=F("fence") + 1)
    waiting = rows.filter(state__in=(State.PLANNED, State.SENT))
    for operation in waiting.select_related("actor", "workflow", "instance"):
        outcome = Outcome(State.UNKNOWN, IN_DOUBT, columns=anew)
        only_waited = operation.state == State.PLANNED and operation.attempts <= 1
        if only_waited and operation.kind != OperationKind.TRIGGER:
            outcome = Outcome(State.REJECTED, NOT_SENT)
        number += move(operation, outcome)
    return number


def _hold(account: Account) -> int:
    """What was not confirmed yet, or could be retried, waits for a person anyway; `is_older` then says that it is in doubt."""
    going = Batch.objects.filter(account=account, state__in=(BatchState.RUNNING, BatchState.PAUSED))
    return going.update(state=BatchState.PAUSED, hold=Batch.Hold.RESTORED, message=HELD)
