"""Reading the contract of every active workflow about once an hour, so that a change is seen before somebody triggers.

The one rule: it lives on what people and bulk work leave over. A reading that Docusign refuses or that the budget does not allow
is noted and tried again later, and never keeps another workflow from being read.
"""

import logging
from datetime import datetime, timedelta
from math import ceil
from uuid import UUID

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from dashboard.models import Account, Workflow, WorkflowState
from dashboard.services import identities, jobs
from dashboard.services.budget import Lane
from dashboard.services.calls import explained
from dashboard.services.contracts import ask
from dashboard.services.errors import ReconnectNeeded, Refused, ServiceError
from dashboard.services.timings import READ_DEADLINE_SECONDS
from maestro_api import MaestroError

log = logging.getLogger(__name__)
EVERY = timedelta(hours=1)
TURN = timedelta(minutes=1)
AGAIN_AFTER = timedelta(minutes=10)  # when Docusign, the budget or our connection was in the way
LEAST_A_TURN = 3


def read_due() -> int:
    """Claim the workflows whose turn it is and queue one reading each; how many."""
    now = timezone.now()
    accounts = Account.objects.filter(environment=settings.DOCUSIGN_ENVIRONMENT)
    return sum(_queue(*due, now) for account in accounts for due in _due(account, now))


def read_one(workflow_id: str) -> None:
    """One reading for everybody, with the token of whoever reads this account."""
    workflow = Workflow.objects.select_related("account").filter(pk=workflow_id).first()
    if workflow is None:
        return
    try:
        with identities.reading(workflow.account, lane=Lane.BACKGROUND, deadline=READ_DEADLINE_SECONDS) as (_, client):
            ask(client, workflow)
    except MaestroError as error:
        _note(workflow, explained(error))
    except ServiceError as error:
        _note(workflow, error)


def _due(account: Account, now: datetime) -> list[tuple[UUID, datetime | None]]:
    """The longest unread first, so many that all of them have their turn within the hour."""
    active = Workflow.objects.filter(account=account, status=WorkflowState.ACTIVE)
    share = max(LEAST_A_TURN, ceil(active.count() * (TURN / EVERY)))
    due = active.filter(Q(contract_read_at=None) | Q(contract_read_at__lte=now - EVERY))
    ordered = due.order_by(F("contract_read_at").asc(nulls_first=True), "pk")
    return list(ordered.values_list("pk", "contract_read_at")[:share])


def _queue(workflow_id: UUID, read_at: datetime | None, now: datetime) -> int:
    claimed = Workflow.objects.filter(pk=workflow_id, contract_read_at=read_at).update(contract_read_at=now)
    if claimed:
        jobs.enqueue("read_due_contract", workflow_id)
    return claimed


def _note(workflow: Workflow, error: ServiceError) -> None:
    """Why there was no answer; what may soon be otherwise is tried again before the hour is over."""
    values: dict[str, object] = {}
    if not isinstance(error, ReconnectNeeded):  # where nobody may read for everybody, nothing went wrong
        values["contract_error"] = error.message
    if not isinstance(error, Refused):
        values["contract_read_at"] = timezone.now() - EVERY + AGAIN_AFTER
    Workflow.objects.filter(pk=workflow.pk).update(**values)
    log.info("A contract was not read: %s", error.message, extra={"workflow": str(workflow.pk)})
