"""What the first page shows: what needs a person, counts, and what changed. Its one rule: each part is bounded and obeys visibility."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from dashboard.models import (
    EXPIRES_SOON,
    RUNNING_STATES,
    Instance,
    InstanceChange,
    InstanceState,
    Look,
    Membership,
    Operation,
    OperationState,
)
from dashboard.services.instance_lists import LIST_COLUMNS, Tab, tabs_of
from dashboard.services.lists import capped_count
from dashboard.services.marker import without_marker
from dashboard.services.visibility import visible_instances, visible_operations

NEEDS_SHOWN = 10
CHANGES_SHOWN = 10
OPEN_OUTCOMES = (OperationState.UNKNOWN, OperationState.NEEDS_PERSON)
EXPIRING = Look("Expires soon", "warning", "expiring", loud=True)


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person: an instance or an operation, never both."""

    name: str
    look: Look
    story: str
    workflow_name: str
    since: datetime | None
    instance: Instance | None = None
    operation: Operation | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """All parts of the first page."""

    tabs: dict[str, Tab]
    unknown_count: int
    needs: list[Need]
    needs_total: int
    changes: list[InstanceChange]


def overview_of(membership: Membership) -> Overview:
    """Read everything at once: ten bounded queries."""
    instances = visible_instances(membership)
    operations = visible_operations(membership).filter(state__in=OPEN_OUTCOMES)
    tabs = {tab.key: tab for tab in tabs_of(instances)}
    unknown = capped_count(operations)
    total = unknown + (tabs["failed"].count or 0) + (tabs["expiring"].count or 0)
    changes = (
        InstanceChange.objects.filter(account_id=membership.account_id, instance__in=instances)
        .select_related("instance", "instance__workflow")
        .order_by("-observed_at", "-pk")[:CHANGES_SHOWN]
    )
    return Overview(tabs, unknown, _needs(membership), total, list(changes))


def _needs(membership: Membership) -> list[Need]:
    """Unknown outcomes first, then what expires next, then the latest failures."""
    outcomes = visible_operations(membership).filter(state__in=OPEN_OUTCOMES).select_related("workflow", "instance")
    rows = visible_instances(membership).select_related("workflow").only(*LIST_COLUMNS)
    expiring = rows.filter(status__in=RUNNING_STATES, expires_at__lte=timezone.now() + EXPIRES_SOON).order_by(
        "expires_at"
    )
    failed = rows.filter(status=InstanceState.FAILED).order_by("-sort_at", "-pk")
    needs = [_of_operation(operation) for operation in outcomes.order_by("sent_at")[:NEEDS_SHOWN]]
    ending = [_of_expiring(instance) for instance in expiring[:NEEDS_SHOWN]]
    broken = [_of_failed(instance) for instance in failed[:NEEDS_SHOWN]]
    free = NEEDS_SHOWN - len(needs)
    ending = ending[: max(free // 2, free - len(broken))]  # neither kind pushes the other off the page
    return [*needs, *ending, *broken][:NEEDS_SHOWN]


def _of_operation(operation: Operation) -> Need:
    name = (
        str(operation.instance)
        if operation.instance
        else without_marker(operation.instance_name) or str(operation.workflow)
    )
    story = f"{operation.get_kind_display()}: we do not know whether it was done."
    if operation.state == OperationState.NEEDS_PERSON:
        story = f"{operation.get_kind_display()}: only a person can tell whether it was done."
    return Need(name, operation.look, story, str(operation.workflow), operation.sent_at, operation=operation)


def _of_expiring(instance: Instance) -> Need:
    story = "It ends by itself if nobody acts."
    if instance.expires_at and instance.expires_at < timezone.now():
        story = "Its time is over, but Docusign still shows it as running."
    return Need(str(instance), EXPIRING, story, str(instance.workflow), instance.expires_at, instance)


def _of_failed(instance: Instance) -> Need:
    done, total = instance.last_completed_step, instance.total_steps
    where = f"Stopped after step {done} of {total}. " if done and total else ""
    return Need(
        str(instance),
        instance.look,
        f"{where}Docusign gives no reason.",
        str(instance.workflow),
        instance.sort_at,
        instance,
    )
