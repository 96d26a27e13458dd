"""The call budget as people see it: who used how much, what is left, what the next reading costs, who may call now.

The one rule: a figure that Docusign has not told is marked as such; what the account's size would give away is told only to
those who see all of it (V-3).
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Sum
from django.utils import timezone

from dashboard.models import Account, ApiBudget, InstanceCount, Membership, Workflow
from dashboard.services import budget, due
from dashboard.services.account_lists import PAGE_SIZE
from dashboard.services.quota import Lane, Quota, quota_of
from dashboard.services.visibility import sees_all

LANE_WORDS = {
    Lane.PEOPLE: "What people do",
    Lane.BATCH: "Batches",
    Lane.BACKGROUND: "Looking by itself",
}


@dataclass(frozen=True, slots=True)
class LaneFigure:
    """One lane: how many calls of this hour it may still make, and until when it may make none."""

    label: str
    left: int
    waits_until: datetime | None


@dataclass(frozen=True, slots=True)
class Cost:
    """The calls of a reading; `is_measured` is False while none has ended, so that it is reckoned from the counts."""

    calls: int
    is_measured: bool


@dataclass(frozen=True, slots=True)
class Meter:
    """The budget of an account at a moment. The costs are None for those who may not know the account's size."""

    quota: Quota
    lanes: tuple[LaneFigure, ...]
    next_cost: int | None
    full_cost: Cost | None

    @property
    def percent(self) -> int:
        return min(100, self.quota.spent * 100 // self.quota.limit)


def meter_of(membership: Membership) -> Meter:
    """The figures for a page; it reads the mirror and asks Docusign nothing."""
    now, account = timezone.now(), membership.account
    row: ApiBudget | None = getattr(account, "budget", None)
    quota = quota_of(row, now)
    lanes = tuple(_lane(row, quota, lane, now) for lane in Lane)
    if not sees_all(membership):
        return Meter(quota, lanes, None, None)
    return Meter(quota, lanes, due.calls_of_next(account), full_cost(account))


def _lane(row: ApiBudget | None, quota: Quota, lane: Lane, now: datetime) -> LaneFigure:
    reason = budget.obstacle(row, lane, now)
    return LaneFigure(LANE_WORDS[lane], quota.left_for(lane), reason.retry_at if reason else None)


def full_cost(account: Account) -> Cost:
    """What reading everything takes: as the last time, else one call a page and one for the workflows."""
    row = due.sync_of(account)
    if row is not None and row.full_at is not None and row.calls:
        return Cost(row.calls, is_measured=True)
    if account.has_account_list is False:
        return Cost(1 + Workflow.objects.filter(account=account).count(), is_measured=False)
    counts = InstanceCount.objects.filter(account=account, started_by=InstanceCount.ANYBODY)
    rows: int = counts.aggregate(total=Sum("rows"))["total"] or 0
    return Cost(1 + max(1, -(-rows // PAGE_SIZE)), is_measured=False)
