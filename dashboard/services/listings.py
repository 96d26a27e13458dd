"""One reading of lists from Docusign: whose token, where its progress is kept, and how rows are taken in.

The one rule (R-10): a list counts as whole only when its end came and nothing of it was left out; what is absent from anything
less is not even noted.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol
from uuid import UUID

from dashboard.models import Account, Instance, InstanceChange, InstanceDenial
from dashboard.services.budget import Lane
from dashboard.services.identities import Reader
from dashboard.services.instances import Applied, apply_instances
from maestro_api import Instance as ApiInstance
from maestro_api import MaestroClient

log = logging.getLogger(__name__)
LEFT_OUT = "Part of Docusign's list could not be read. What is known stays as it was."
EMPTY = "Docusign's list came back empty although instances are known. What is known stays as it was."
SHORT = "Docusign's list ended before all of its rows had come. What is known stays as it was."
TOLD = 5


class NotWhole(Exception):
    """The lists ended, but not all of them can be believed; `message` says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Progress(Protocol):
    """Where a reading notes how far it is; each note renews its lease."""

    @property
    def phase(self) -> str: ...

    @property
    def token(self) -> str: ...

    @property
    def is_partial(self) -> bool: ...

    @property
    def rows(self) -> int: ...

    @property
    def expected(self) -> int | None: ...

    def cursor_at(self, phase: str, token: str = "") -> str: ...

    def note_page(self, *, cursor: str, rows: int, expected: int | None = None) -> None: ...

    def note_left_out(self) -> None: ...


@dataclass(slots=True)
class OwnProgress:
    """Progress that is not stored: of a person's own reading, which begins anew when it is broken off."""

    keep: Callable[[], None]
    cursor: str = ""
    rows: int = 0
    expected: int | None = None
    is_partial: bool = False

    @property
    def phase(self) -> str:
        return self.cursor.partition(":")[0]

    @property
    def token(self) -> str:
        return self.cursor.partition(":")[2]

    def cursor_at(self, phase: str, token: str = "") -> str:
        return f"{phase}:{token}"

    def note_page(self, *, cursor: str, rows: int, expected: int | None = None) -> None:
        self.keep()
        self.cursor, self.rows, self.expected = cursor, self.rows + rows, self.expected or expected

    def note_left_out(self) -> None:
        self.is_partial = True


@dataclass(slots=True)
class Reading:
    """All that the phases of a reading share."""

    account: Account
    client: MaestroClient
    reader: Reader
    progress: Progress
    began: datetime
    lane: Lane
    shows_all: bool = False
    prove_again: Callable[[], bool] = field(default=lambda: False)
    left_as_of: datetime | None = None  # the oldest look at a running instance that was not reached

    def take(self, answers: tuple[ApiInstance, ...], *, workflow_id: UUID | None = None) -> Applied:
        """Take rows in; what Docusign lists to a person is no longer denied to them."""
        applied = apply_instances(self.account, answers, source=InstanceChange.Source.LIST, workflow_id=workflow_id)
        member = self.reader.membership
        if applied.seen and member is not None:
            denials = InstanceDenial.objects.filter(user_id=member.user_id)
            if denials.exists():
                denials.filter(instance_id__in=applied.seen).delete()
        for oddity in applied.oddities[:TOLD]:
            log.warning(oddity, extra={"account": str(self.account.pk)})
        return applied

    def is_known(self, *, workflow_id: UUID | None = None) -> bool:
        """Whether the mirror holds anything that the reader's lists should show."""
        rows = Instance.objects.filter(account=self.account)
        if workflow_id is not None:
            rows = rows.filter(workflow_id=workflow_id)
        if not self.shows_all:
            rows = rows.filter(started_by=self.reader.own_id)
        return rows.exists()

    def has_unseen(self) -> bool:
        """Whether anything that the reader's list should have shown did not come since the reading began."""
        rows = Instance.objects.filter(account=self.account, missing_since=None, synced_at__lt=self.began)
        if not self.shows_all:
            rows = rows.filter(started_by=self.reader.own_id)
        return rows.exists()
