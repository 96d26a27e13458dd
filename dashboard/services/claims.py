"""Who reads an account's mirror just now, and how far: the row that all processes share.

The one rule: every change is conditional on the lease, so a worker that lost it writes no more of the pass (U-9).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from dashboard.models import Account, AccountSync, Membership
from dashboard.services.timings import PASS_KEPT, SYNC_LEASE

LEFT_OUT = "!"  # behind the name of a phase: something of it could not be read


class LeaseLost(Exception):
    """Another worker took over; this one writes no more."""


@dataclass(slots=True)
class Claim:
    """The right to go on with the reading of an account until the lease ends; renewed with each page."""

    row: AccountSync
    lease: str
    taken_at: datetime
    heard: Callable[[AccountSync], None] | None = field(default=None)

    def note(self, **columns: Any) -> None:
        """Store columns and renew the lease. Raises LeaseLost."""
        mine = AccountSync.objects.filter(pk=self.row.pk, lease=self.lease)
        if not mine.update(lease_until=timezone.now() + SYNC_LEASE, **columns):
            raise LeaseLost
        for name, value in columns.items():
            setattr(self.row, name, value)
        if self.heard is not None:
            self.heard(self.row)

    def note_page(self, *, cursor: str, rows: int, expected: int | None = None) -> None:
        """A page was taken in: whoever goes on does so behind it."""
        row = self.row
        self.note(cursor=cursor, pages=row.pages + 1, rows=row.rows + rows, expected=row.expected or expected)

    def begin(self, kind: AccountSync.Kind, *, identity: Membership | None, label: str) -> None:
        """Go on with the pass that is under way if it is this reader's own and not too old; else begin one."""
        row, now = self.row, timezone.now()
        is_wanted = row.kind == kind or (row.kind == AccountSync.Kind.FULL and kind == AccountSync.Kind.RECENT)
        is_own = row.identity_id == (identity.pk if identity else None) and row.identity_label == label
        if row.kind and row.began_at and is_wanted and is_own and row.began_at > now - PASS_KEPT:
            return
        self.restart(kind, identity=identity, identity_label=label)

    def restart(self, kind: AccountSync.Kind | str, **columns: Any) -> None:
        """Begin the pass anew."""
        self.note(kind=kind, began_at=timezone.now(), cursor="", pages=0, rows=0, expected=None, **columns)

    @property
    def phase(self) -> str:
        """Which part of the pass is under way."""
        return self.row.cursor.partition(":")[0].removesuffix(LEFT_OUT)

    @property
    def token(self) -> str:
        """The page token at which that part goes on; empty at its begin."""
        return self.row.cursor.partition(":")[2]

    @property
    def is_partial(self) -> bool:
        """Whether something of the pass could not be read."""
        return self.row.cursor.partition(":")[0].endswith(LEFT_OUT)

    @property
    def rows(self) -> int:
        """How many rows the pass has brought so far, in whichever process."""
        return self.row.rows

    @property
    def expected(self) -> int | None:
        """How many rows Docusign announced at its begin."""
        return self.row.expected

    def cursor_at(self, phase: str, token: str = "") -> str:
        """A cursor of this pass; that something was left out stays noted to its end."""
        return f"{phase}{LEFT_OUT if self.is_partial else ''}:{token}"

    def note_left_out(self) -> None:
        """Something of the page under way could not be read."""
        if not self.is_partial:
            self.note(cursor=f"{self.phase}{LEFT_OUT}:{self.token}")

    def end(self, **columns: Any) -> None:
        """Give the lease back with what is to be remembered."""
        mine = AccountSync.objects.filter(pk=self.row.pk, lease=self.lease)
        mine.update(lease="", lease_until=None, queued_at=None, **columns)

    def abandon(self, **columns: Any) -> None:
        """End a pass that must not be gone on with."""
        self.end(kind="", cursor="", **columns)


def take(account: Account) -> Claim | None:
    """Claim the reading of an account; None while somebody else holds it. One update decides among processes."""
    AccountSync.objects.get_or_create(account=account)
    now, lease = timezone.now(), secrets.token_hex(16)
    free = AccountSync.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), account=account)
    if not free.update(lease=lease, lease_until=now + SYNC_LEASE, queued_at=None, not_before=None):
        return None
    return Claim(AccountSync.objects.get(account=account), lease, now)
