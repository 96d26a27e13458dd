"""What this console saw and did with one instance, newest first. Its one rule: a gap between two looks is named, not filled."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.models import Instance, InstanceChange, Membership, Operation, OperationKind, OperationState
from dashboard.services.visibility import visible_among

SHOWN = 100
LATE = timedelta(minutes=1)
DEEDS = {OperationKind.TRIGGER: "Triggered", OperationKind.CANCEL: "Cancel asked for"}
TONES = {
    OperationState.CONFIRMED: ("good", "done"),
    OperationState.REJECTED: ("danger", "failed"),
    OperationState.NEEDS_PERSON: ("warning", "attention"),
    OperationState.SENT: ("running", "progress"),
    OperationState.PLANNED: ("neutral", "ring"),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the timeline. `name` is text of Docusign's at the end of the sentence."""

    at: datetime
    tone: str
    icon: str
    sentence: str
    name: str = ""
    note: str = ""
    operation: Operation | None = None


def operations_on(instance: Instance) -> list[Operation]:
    """What anybody did with this instance here, newest first."""
    rows = Operation.objects.filter(account_id=instance.account_id, instance=instance)
    return list(rows.select_related("actor").order_by("-planned_at")[:SHOWN])


def timeline_of(instance: Instance, operations: Iterable[Operation], membership: Membership) -> list[Moment]:
    """Observed changes, and of these operations those that this person may see, together."""
    changes = InstanceChange.objects.filter(instance=instance).order_by("-observed_at", "-pk")[:SHOWN]
    moments = [moment for change in changes if (moment := _of_change(change))]
    moments += [_of_operation(operation) for operation in visible_among(operations, membership)]
    return sorted(moments, key=lambda moment: moment.at, reverse=True)


def _of_change(change: InstanceChange) -> Moment | None:
    at = change.happened_at or change.observed_at
    note = _lateness(change)
    if change.source == InstanceChange.Source.TRIGGER:
        return None  # the operation itself tells it, with its person and result
    if not change.status_before and change.step_before is None:
        where = "Found at Docusign" if change.source == InstanceChange.Source.RECONCILED else "First read"
        return Moment(at, "neutral", "observed", f"{where}, in the state", change.status_after or "not given", note)
    if change.status_before != change.status_after:
        return Moment(at, "neutral", "observed", "State became", change.status_after or "not given", note)
    return Moment(at, "running", "check", _steps(change), change.step_name, note)


def _steps(change: InstanceChange) -> str:
    before, after = change.step_before or 0, change.step_after
    end = ":" if change.step_name else ""
    if after is None:
        return f"The step is no longer given{end}"
    if after - before > 1:
        return f"Steps {before + 1} to {after} done, the last one{end}"
    return f"Step {after} done{end}" if after > before else f"Back to step {after}{end}"


def _lateness(change: InstanceChange) -> str:
    if change.happened_at is None:
        return "Docusign gives no time of this change; this is when it was seen."
    late = change.observed_at - change.happened_at
    minutes = int(late.total_seconds() // 60)
    return f"Seen {minutes} min after it happened." if late > LATE else ""


def _of_operation(operation: Operation) -> Moment:
    tone, icon = TONES.get(OperationState(operation.state), ("unknown", "unknown"))
    deed = DEEDS.get(OperationKind(operation.kind), operation.get_kind_display())
    at = operation.sent_at or operation.planned_at
    return Moment(at, tone, icon, f"{deed} by", str(operation.actor), operation.message, operation)
