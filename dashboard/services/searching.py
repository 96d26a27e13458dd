"""Looking for an instance by its marker in the lists of the person who sent it.

The one rule: "absent" is said only of a list that came whole; half a list can prove presence, never absence (R-10).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from dashboard.models import Instance, InstanceChange, Membership, Operation
from dashboard.services.calls import calling, is_denial
from dashboard.services.errors import ReconnectNeeded, ServiceError
from dashboard.services.instances import apply_instances, uuid_of
from dashboard.services.marker import find_marker
from dashboard.services.timings import READ_DEADLINE_SECONDS
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
    """The result, and the mirror row of what was found."""

    result: Look
    instance: Instance | None = None


def look_for_marker(operation: Operation, membership: Membership) -> Found:
    """List this person's instances of the workflow, with their own token, and look for the operation's marker."""
    is_whole = True
    try:
        with calling(membership, deadline=READ_DEADLINE_SECONDS) as client:
            for answers, came_whole in _lists(client, operation, membership):
                is_whole = is_whole and came_whole
                for answer in answers:
                    if find_marker(answer.name) == operation.marker and _is_own(answer, membership):
                        return Found(Look.FOUND, _taken(operation, answer))
    except MaestroError as error:
        return Found(Look.DENIED if is_denial(error) else Look.INCOMPLETE)
    except ReconnectNeeded:
        return Found(Look.DENIED)
    except ServiceError:
        return Found(Look.INCOMPLETE)
    return Found(Look.ABSENT if is_whole else Look.INCOMPLETE)


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
