"""What a person picked from a list, frozen as a bulk run that waits for its question to be answered.

The one rule: the list is frozen here, on the server, under the rights of this moment; nothing picked is sent from here, and no
filter that narrows nothing ever selects everything.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from dashboard.models import (
    TERMINAL_STATES,
    Batch,
    Instance,
    Membership,
    OperationKind,
    Workflow,
)
from dashboard.services import batches, obstacles
from dashboard.services.conditions import Condition, Test
from dashboard.services.errors import Refused
from dashboard.services.instance_queries import shortest_way
from dashboard.services.instance_search import Listing, Search
from dashboard.services.visibility import is_connected, visible_instances, visible_workflows
from dashboard.wording import plural

MOST_ROWS = 50_000
NOTHING_LEFT = "None of what you selected can be canceled: it has ended meanwhile, or it is no longer visible to you."
NO_FILTER = "Choose at least one filter first. Without one, everything in progress would be selected."
TOO_MANY = (
    f"More than {MOST_ROWS:,} instances match, which is more than one bulk run takes. Narrow the filter and try again."
)
OBSTACLES: dict[str, Callable[[Workflow, Membership], str]] = {
    OperationKind.PAUSE: obstacles.pause_obstacle,
    OperationKind.RESUME: obstacles.resume_obstacle,
}
PAST: dict[str, str] = {OperationKind.PAUSE: "paused", OperationKind.RESUME: "resumed"}


def freeze(
    membership: Membership,
    *,
    key: str,
    ids: Sequence[UUID] = (),
    search: Search | None = None,
    described: str = "",
    reason: str = "",
    source: Batch.Source = Batch.Source.SELECTION,
) -> Batch:
    """The ticked instances, or all that match `search`, as a planned cancel. Raises Refused where nothing may be selected."""
    if not is_connected(membership):
        raise Refused(obstacles.NOT_CONNECTED)
    if search is None:
        rows = visible_instances(membership, ids=ids).order_by("-sort_at", "-id")
        described = f"{plural(len(set(ids)), 'instance')} picked one by one"
    else:
        if not narrows(search):
            raise Refused(NO_FILTER)
        rows = _matching(membership, search)
    going = rows.order_by().exclude(status__in=TERMINAL_STATES)[: MOST_ROWS + 1].count()
    if not going:
        raise Refused(NOTHING_LEFT)
    if going > MOST_ROWS:
        raise Refused(TOO_MANY)
    with transaction.atomic():
        name = f"Cancel {plural(going, 'instance')}"
        batch = _planned(
            membership, OperationKind.CANCEL, name=name, described=described, key=key, source=source, reason=reason
        )
        if batch.frozen_at is None:
            batches.freeze_instances(batch, rows)
    return batch


def freeze_workflows(membership: Membership, *, kind: str, ids: Sequence[UUID], key: str) -> Batch:
    """The ticked workflows as a planned pause or resume; those for which it is not possible now are left out."""
    found = visible_workflows(membership).filter(pk__in=ids).order_by("name", "pk")
    kept = [workflow for workflow in found if not OBSTACLES[kind](workflow, membership)]
    past = PAST[kind]
    if not kept:
        raise Refused(f"None of the selected workflows can be {past} now. Nothing was changed.")
    described = f"{plural(len(set(ids)), 'workflow')} picked one by one"
    if missing := len(set(ids)) - len(kept):
        described += f", {missing} of them left out: they cannot be {past} now"
    with transaction.atomic():
        name = f"{OperationKind(kind).label} {plural(len(kept), 'workflow')}"
        batch = _planned(membership, kind, name=name, described=described, key=key)
        if batch.frozen_at is None:
            batches.freeze_workflows(batch, kept)
    return batch


def narrows(search: Search) -> bool:
    """Whether it leaves anything out of what is in progress."""
    bare = Search(sort=search.sort, size=search.size, after=search.after, before=search.before)
    return replace(search, state=bare.state) != bare or search.state not in ("all", "running")


def _matching(membership: Membership, search: Search) -> QuerySet[Instance]:
    """What the list shows under this search, as far as it has not ended."""
    state = "running" if search.state == "all" else search.state
    listing = Listing(membership, replace(search, state=state, sort="-changed", after="", before=""))
    if listing.rows_in_tab is None:
        return Instance.objects.none()
    rows = listing.rows_in_tab.also(Condition("status", Test.NOT_IN, TERMINAL_STATES))
    way = shortest_way(rows)
    found = rows.through(way.conditions, way.by) if way else rows.through()
    return found.order_by("-sort_at", "-id")


def _planned(membership: Membership, kind: str, **details: Any) -> Batch:
    details.setdefault("source", Batch.Source.SELECTION)
    return batches.create_batch(membership.account, actor=membership.user, kind=kind, **details)
