"""What needs a person: failures since they looked, endings, standstill, unknown outcomes, changed contracts, connections.

The one rule: each kind is found by an index and counted no further than a bound, over what the person may see; a count that
stopped early says so.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.models import (
    EXPIRES_SOON,
    Approval,
    ApprovalState,
    Bucket,
    Connection,
    Hook,
    Instance,
    InstanceChange,
    Look,
    Membership,
    Operation,
    OperationState,
    Role,
    Workflow,
)
from dashboard.services import approvals, drift, grants, hook_setup, pace
from dashboard.services.figures import in_bucket
from dashboard.services.instance_lists import LIST_COLUMNS
from dashboard.services.lists import COUNT_CAP, capped_count
from dashboard.services.news import cursor_of
from dashboard.services.visibility import names_of, visible_instances, visible_operations
from dashboard.wording import plural

SHOWN = 10
FAILED_LOOKED_AT = 500
BROKEN_KEPT = timedelta(days=7)
OPEN_OUTCOMES = (OperationState.UNKNOWN, OperationState.NEEDS_PERSON)
EXPIRING = Look("Expires soon", "warning", "expiring", loud=True)
STUCK = Look("Stuck", "warning", "attention", loud=True)
CHANGED = Look("Inputs changed", "warning", "document", loud=True)
SILENT = Look("No events", "warning", "attention", loud=True)
RENEW = Look("Sign in again", "warning", "connect", loud=True)


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for a person; it is about one of instance, operation, workflow, or people's connections."""

    name: str
    look: Look
    story: str
    since: datetime | None = None
    workflow_name: str = ""
    instance: Instance | None = None
    operation: Operation | None = None
    workflow: Workflow | None = None
    approval: Approval | None = None
    page: str = ""  # the name of an address, where none of these leads to one


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of need: how many there are, and what finds the first of them."""

    key: str
    label: str
    count: int
    is_least: bool = False
    ids: list[UUID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Needs:
    """All kinds that are there, and the rows to show."""

    kinds: list[Kind]
    rows: list[Need]

    @property
    def total(self) -> int:
        return sum(kind.count for kind in self.kinds)

    @property
    def is_least(self) -> bool:
        return any(kind.is_least for kind in self.kinds)


def kinds_of(membership: Membership) -> tuple[list[Kind], dict[UUID, pace.Pace]]:
    """How much of each kind there is, the most pressing kind first, and what is usual for the idle ones' workflows."""
    idle = pace.idle_of(membership)
    kinds = [
        _own_connection(membership),
        _approvals(membership),
        _broken(membership),
        _unknown(membership),
        _failed(membership),
        _expiring(membership),
        Kind("idle", "stuck", len(idle.ids), idle.is_least and bool(idle.ids), idle.ids),
        _drifted(membership),
        _team_connections(membership),
        _silent_events(membership),
    ]
    return [kind for kind in kinds if kind.count], idle.paces


def needs_of(membership: Membership) -> Needs:
    """The counts, and a fair share of rows of each kind: none pushes another off the page."""
    kinds, paces = kinds_of(membership)
    shares = _shares([min(kind.count, SHOWN) for kind in kinds], SHOWN)
    rows: list[Need] = []
    for kind, share in zip(kinds, shares, strict=True):
        rows += _rows(membership, kind, share, paces)
    return Needs(kinds, rows)


def _shares(wanted: list[int], room: int) -> list[int]:
    """Divide the room: one row to each in turn, until nobody wants more."""
    given = [0] * len(wanted)
    while room and given != wanted:
        for place, want in enumerate(wanted):
            if room and given[place] < want:
                given[place] += 1
                room -= 1
    return given


def _own_connection(membership: Membership) -> Kind:
    connection = getattr(membership.user, "connection", None)
    is_ending = (
        connection is not None and connection.state == Connection.State.ACTIVE and grants.is_ending_soon(connection)
    )
    return Kind("connection", "connection to renew", int(is_ending))


def _unknown(membership: Membership) -> Kind:
    rows = visible_operations(membership).filter(state__in=OPEN_OUTCOMES)
    count = capped_count(rows)
    return Kind("unknown", "unknown outcome", count, count > COUNT_CAP)


def _approvals(membership: Membership) -> Kind:
    return Kind("approval", "to approve", approvals.waiting_for(membership).count())


def _broken(membership: Membership) -> Kind:
    """Started without a second person by somebody else, since the mark."""
    return Kind("broken", "without a second person", _broken_of(membership).count())


def _broken_of(membership: Membership) -> QuerySet[Approval]:
    rows = approvals.visible_approvals(membership).filter(state=ApprovalState.BROKEN)
    since = max(cursor_of(membership).since, timezone.now() - BROKEN_KEPT)
    return rows.filter(decided_at__gt=since).exclude(decided_by_id=membership.user_id)


def _failed(membership: Membership) -> Kind:
    """Failed by Docusign's clock since the mark, or seen to fail since: what was found late must not be lost."""
    since = cursor_of(membership).since
    rows = in_bucket(membership, Bucket.FAILED).order_by("-sort_at", "-pk")
    looked_at = list(rows.values_list("pk", "sort_at")[:FAILED_LOOKED_AT])
    older = [pk for pk, at in looked_at if at <= since]
    found_late = InstanceChange.objects.filter(instance_id__in=older, observed_at__gt=since)
    late = set(found_late.values_list("instance_id", flat=True)) if older else set()
    ids = [pk for pk, at in looked_at if at > since or pk in late]
    return Kind("failed", "failed since you looked", len(ids), len(looked_at) == FAILED_LOOKED_AT == len(ids), ids)


def _expiring(membership: Membership) -> Kind:
    rows = in_bucket(membership, Bucket.RUNNING).filter(expires_at__lte=timezone.now() + EXPIRES_SOON)
    count = capped_count(rows, by=["expires_at"])
    return Kind("expiring", f"expiring within {EXPIRES_SOON.days} days", count, count > COUNT_CAP)


def _drifted(membership: Membership) -> Kind:
    ids = drift.drifted_ids(membership)
    return Kind("drift", "changed contract", len(ids), ids=ids)


def _team_connections(membership: Membership) -> Kind:
    """For admins: people of the team who have to sign in again, or soon will."""
    if membership.role != Role.ADMIN:
        return Kind("team", "", 0)
    soon = timezone.now() - timedelta(days=grants.GRANT_DAYS - grants.WARN_DAYS)
    ending = Q(user__connection__state=Connection.State.ACTIVE, user__connection__first_granted_at__lte=soon)
    ending &= ~Q(user__connection__scopes__contains="extended")
    ended = Q(user__connection__state=Connection.State.RECONNECT_NEEDED)
    team = Membership.objects.filter(account_id=membership.account_id, is_active=True, user__is_active=True)
    return Kind(
        "team", "connection of the team to renew", team.filter(ending | ended).exclude(pk=membership.pk).count()
    )


def _silent_events(membership: Membership) -> Kind:
    """For admins: Connect is set up, instances ended, and no event told of it (W-10)."""
    hook = Hook.objects.filter(account_id=membership.account_id).first() if membership.role == Role.ADMIN else None
    is_silent = hook is not None and hook_setup.silent_since(hook) is not None
    return Kind("silent", "silent source of events", int(is_silent))


def _rows(membership: Membership, kind: Kind, share: int, paces: dict[UUID, pace.Pace]) -> list[Need]:
    if kind.key == "connection":
        ends_at = grants.grant_ends_at(membership.user.connection)
        return [Need("Your connection", RENEW, "Signing in again renews it.", ends_at, page="connections")]
    if kind.key == "team":
        story = "They sign in again, and their connection is renewed."
        return [Need(f"{plural(kind.count, 'connection')} of the team", RENEW, story, page="team")]
    if kind.key == "approval":
        return [_of_approval(row) for row in approvals.waiting_for(membership).order_by("expires_at")[:share]]
    if kind.key == "broken":
        return [_of_broken(row) for row in _broken_of(membership).order_by("-decided_at")[:share]]
    if kind.key == "silent":
        since = hook_setup.silent_since(Hook.objects.get(account_id=membership.account_id))
        story = "Instances ended since the last event, and Docusign sent none about them."
        return [Need("Docusign's events", SILENT, story, since, page="connect")]
    if kind.key == "unknown":
        rows = visible_operations(membership).filter(state__in=OPEN_OUTCOMES).select_related("workflow")
        found = list(rows.order_by("sent_at", "pk")[:share])
        names = names_of(found, membership)
        return [_of_operation(row, names[row.pk]) for row in found]
    if kind.key == "drift":
        return [_of_drift(found) for found in drift.drifts_of(kind.ids[:share])]
    if kind.key == "expiring":
        ending = in_bucket(membership, Bucket.RUNNING).filter(expires_at__lte=timezone.now() + EXPIRES_SOON)
        return [_of_expiring(row) for row in _found(membership, _first_to_end(ending, share))]
    ordered = _found(membership, kind.ids[:share])
    if kind.key == "idle":
        return [_of_idle(row, paces[row.workflow_id]) for row in ordered]
    return [_of_failed(row) for row in ordered]


def _first_to_end(ending: QuerySet[Instance], share: int) -> list[UUID]:
    """Ids alone are read within an index, however many rows there are to choose from."""
    return [pk for _, pk in ending.order_by("expires_at", "pk").values_list("expires_at", "pk")[:share]]


def _found(membership: Membership, ids: list[UUID]) -> list[Instance]:
    """The rows with these ids, in their order."""
    named = visible_instances(membership, ids=ids)
    found = {row.pk: row for row in named.select_related("workflow").only(*LIST_COLUMNS)}
    return [found[pk] for pk in ids if pk in found]


def _of_approval(approval: Approval) -> Need:
    batch = approval.batch
    story = f"{batch.actor} asks you or somebody else: {batch.reason}"
    return Need(batch.name, approval.look, story, approval.asked_at, str(batch.workflow or ""), approval=approval)


def _of_broken(approval: Approval) -> Need:
    batch = approval.batch
    story = f"Let go by {approval.decided_by} without a second person: {approval.note}"
    return Need(batch.name, approval.look, story, approval.decided_at, str(batch.workflow or ""), approval=approval)


def _of_operation(operation: Operation, name: str) -> Need:
    story = f"{operation.get_kind_display()}: we do not know whether it was done."
    if operation.state == OperationState.NEEDS_PERSON:
        story = f"{operation.get_kind_display()}: only a person can tell whether it was done."
    flow = str(operation.workflow)
    return Need(name or flow, operation.look, story, operation.sent_at, flow, operation=operation)


def _of_expiring(instance: Instance) -> Need:
    story = "It ends by itself if nobody acts."
    if instance.expires_at and instance.expires_at < timezone.now():
        story = "Its time is over, but Docusign still shows it as running."
    return Need(str(instance), EXPIRING, story, instance.expires_at, str(instance.workflow), instance)


def _of_failed(instance: Instance) -> Need:
    done, total = instance.last_completed_step, instance.total_steps
    where = f"Stopped after step {done} of {total}. " if done and total else ""
    story = f"{where}Docusign gives no reason."
    return Need(str(instance), instance.look, story, instance.sort_at, str(instance.workflow), instance)


def _of_idle(instance: Instance, usual: pace.Pace) -> Need:
    return Need(
        str(instance), STUCK, idle_story(instance.sort_at, usual), instance.sort_at, str(instance.workflow), instance
    )


def idle_story(changed_at: datetime, usual: pace.Pace) -> str:
    """The numbers behind "stuck"."""
    still = max(1, (timezone.now() - changed_at) // timedelta(days=1))
    return f"No step for {plural(still, 'day')}; a step here usually takes {usual.words}."


def _of_drift(found: drift.Drift) -> Need:
    first, *rest = found.sentences or ["It asks for the same in another form."]
    story = f"{first} And {plural(len(rest), 'other change')}." if rest else first
    return Need(str(found.workflow), CHANGED, story, found.at, str(found.workflow), workflow=found.workflow)
