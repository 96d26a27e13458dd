"""Looking for an instance by its marker in the lists of the person who sent it.

The one rule: "absent" is said only of a list that came whole; half a list can prove presence, never absence (R-10).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from uuid import UUID

from django.utils import timezone

from dashboard.models import Instance, InstanceChange, Membership, Operation, OperationState
from dashboard.services.batch_markers import of_other_attempts
from dashboard.services.calls import calling, is_denial
from dashboard.services.errors import ReconnectNeeded, ServiceError
from dashboard.services.instances import apply_instances, uuid_of
from dashboard.services.marker import find_marker
from dashboard.services.timings import LISTING_KEPT, READ_DEADLINE_SECONDS
from dashboard.services.visibility import own_id
from maestro_api import Instance as ApiInstance
from maestro_api import MaestroClient, MaestroError, NotFound


class Look(Enum):
    """What a look at the lists gave."""

    FOUND = auto()
    ABSENT = auto()
    INCOMPLETE = auto()
    DENIED = auto()


@dataclass(frozen=True, slots=True)
class Found:
    """The result, the mirror row of what was found, and when the look began."""

    result: Look
    at: datetime
    instance: Instance | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """One look for all open markers of a person in a workflow; absence counts from its begin."""

    began_at: datetime
    asked: frozenset[str]
    found: dict[str, Instance | None]
    is_whole: bool

    def says(self, marker: str) -> Found | None:
        """What it means for one of the markers; None when it says nothing about this one."""
        if marker in self.found:
            return Found(Look.FOUND, self.began_at, self.found[marker])
        return Found(Look.ABSENT, self.began_at) if self.is_whole and marker in self.asked else None

    @property
    def is_fresh(self) -> bool:
        return timedelta() <= timezone.now() - self.began_at <= LISTING_KEPT


# The latest listing of each person and workflow in this process: many lost answers of a bulk run cost one listing together.
_latest: dict[tuple[int, UUID], Listing] = {}


def look_for_marker(operation: Operation, membership: Membership) -> Found:
    """List this person's instances of the workflow, with their own token, and look for the operation's marker."""
    began_at, marker = timezone.now(), operation.marker or ""
    key = (membership.pk, operation.workflow_id)
    latest = _latest.get(key)
    if latest is not None and latest.is_fresh and (known := latest.says(marker)):
        return known
    try:
        listing = _listed(operation, membership, began_at)
    except MaestroError as error:
        return Found(Look.DENIED if is_denial(error) else Look.INCOMPLETE, began_at)
    except ReconnectNeeded:
        return Found(Look.DENIED, began_at)
    except ServiceError:
        return Found(Look.INCOMPLETE, began_at)
    _latest[key] = listing
    return listing.says(marker) or Found(Look.INCOMPLETE, began_at)


def _listed(operation: Operation, membership: Membership, began_at: datetime) -> Listing:
    rows = Operation.objects.filter(
        state=OperationState.UNKNOWN, actor_id=operation.actor_id, workflow_id=operation.workflow_id
    )
    open_keys = [(operation.marker, operation.key), *rows.exclude(marker=None).values_list("marker", "key")]
    asked = {marker or "": key for marker, key in open_keys}
    meant = {other: marker for marker, key in asked.items() for other in of_other_attempts(key)}
    meant |= {marker: marker for marker in asked}
    found: dict[str, Instance | None] = {}
    is_whole = True
    with calling(membership, deadline=READ_DEADLINE_SECONDS) as client:
        for answers, came_whole in _lists(client, operation, membership):
            is_whole = is_whole and came_whole
            for answer in answers:
                marker = meant.get(find_marker(answer.name))
                if marker is not None and _is_own(answer, membership):
                    found[marker] = _taken(operation, answer)
            if len(found) == len(asked):
                break
    return Listing(began_at, frozenset(asked), found, is_whole)


def _lists(
    client: MaestroClient, operation: Operation, membership: Membership
) -> Iterator[tuple[tuple[ApiInstance, ...], bool]]:
    workflow_id = str(operation.workflow_id)
    if membership.account.has_account_list:
        try:
            for page in client.iter_account_instances(started_by_id=own_id(membership), workflow_ids=[workflow_id]):
                yield page.items, not page.oddities
            return
        except NotFound:
            pass  # the account-level list went away; every account has the list of one workflow
    listing = client.list_instances(workflow_id)
    yield listing.items, not listing.oddities and not listing.warnings


def _is_own(answer: ApiInstance, membership: Membership) -> bool:
    return answer.started_by is None or answer.started_by.strip("{}").lower() == own_id(membership)


def _taken(operation: Operation, answer: ApiInstance) -> Instance | None:
    apply_instances(
        operation.account, [answer], source=InstanceChange.Source.RECONCILED, workflow_id=operation.workflow_id
    )
    pk = uuid_of(answer.id)
    if pk is None:
        return None
    Instance.objects.filter(pk=pk).update(is_from_here=True)
    return Instance.objects.filter(pk=pk).first()
