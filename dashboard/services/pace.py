"""How long a step of a workflow usually takes, and which running instances have stood still for longer than that.

The one rule: "longer than usual" is said only with the numbers behind it, and only where enough instances were measured.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from django.db.models import F, Q
from django.utils import timezone

from dashboard.models import Bucket, Instance, Membership, Workflow
from dashboard.services.figures import in_bucket
from dashboard.wording import duration_text

EVERY = timedelta(hours=1)
A_TURN = 10  # workflows measured at once, so that a turn stays short
MEASURED = 200
LEAST_SAMPLE = 5
TIMES_USUAL = 3
LEAST_IDLE = timedelta(days=1)
LOOKED_AT = 500  # of the running instances that have not changed for longest
LONGEST = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Pace:
    """What is usual for a workflow, and from when on a running instance has stood still for too long."""

    usual: timedelta
    sample: int

    @property
    def patience(self) -> timedelta:
        return max(LEAST_IDLE, TIMES_USUAL * self.usual)

    @property
    def words(self) -> str:
        return f"{span_text(self.usual)} (median of {self.sample:,} completed)"


@dataclass(frozen=True, slots=True)
class Idle:
    """Running instances that stand still, longest first; `is_least` when more of them were not looked at."""

    ids: list[UUID]
    paces: dict[UUID, Pace]
    is_least: bool


def measure_due() -> int:
    """Measure the workflows whose turn it is; how many."""
    now = timezone.now()
    due = Workflow.objects.filter(Q(pace_at=None) | Q(pace_at__lte=now - EVERY))
    ordered = due.order_by(F("pace_at").asc(nulls_first=True), "pk").values_list("pk", "pace_at")[:A_TURN]
    return sum(_measure(workflow_id, measured_at, now) for workflow_id, measured_at in list(ordered))


def _measure(workflow_id: UUID, measured_at: datetime | None, now: datetime) -> int:
    steps = step_seconds(workflow_id)
    usual = min(LONGEST, max(1, round(median(steps)))) if steps else None
    return Workflow.objects.filter(pk=workflow_id, pace_at=measured_at).update(
        usual_step_seconds=usual, pace_sample=len(steps), pace_at=now
    )


def step_seconds(workflow_id: UUID) -> list[float]:
    """Seconds a step, of each of the latest completed instances that tell enough to know."""
    rows = Instance.objects.filter(workflow_id=workflow_id, bucket=Bucket.COMPLETED).order_by("-sort_at", "-pk")
    found = []
    for started, ended, changed, steps in rows.values_list("started_at", "ended_at", "last_modified_at", "total_steps")[
        :MEASURED
    ]:
        end = ended or changed
        if started and end and steps and steps > 0 and end >= started:
            found.append((end - started).total_seconds() / steps)
    return found


def pace_of(workflow: Workflow) -> Pace | None:
    """What is usual; None where too little was measured to say so."""
    if workflow.usual_step_seconds is None or workflow.pace_sample < LEAST_SAMPLE:
        return None
    return Pace(timedelta(seconds=workflow.usual_step_seconds), workflow.pace_sample)


def idle_of(membership: Membership) -> Idle:
    """Visible instances that stand still for longer than is usual: two queries, however many instances run."""
    now = timezone.now()
    rows = Workflow.objects.filter(
        account_id=membership.account_id, usual_step_seconds__isnull=False, pace_sample__gte=LEAST_SAMPLE
    )
    paces = {row.pk: pace for row in rows.only("usual_step_seconds", "pace_sample") if (pace := pace_of(row))}
    if not paces:
        return Idle([], {}, is_least=False)
    oldest = in_bucket(membership, Bucket.RUNNING).filter(sort_at__lt=now - LEAST_IDLE)
    looked_at = list(oldest.order_by("sort_at", "pk").values_list("pk", "workflow_id", "sort_at")[:LOOKED_AT])
    ids = [pk for pk, home, at in looked_at if home in paces and at < now - paces[home].patience]
    return Idle(ids, paces, is_least=len(looked_at) == LOOKED_AT)


def span_text(span: timedelta) -> str:
    """One figure: 1.2 days, 3.5 hours, 12 min."""
    hours = span / timedelta(hours=1)
    if hours >= 24:
        return _figure(hours / 24, "day")
    return _figure(hours, "hour") if hours >= 1 else duration_text(span)


def _figure(number: float, word: str) -> str:
    text = f"{number:,.1f}".removesuffix(".0")
    return f"{text} {word}" if text == "1" else f"{text} {word}s"
