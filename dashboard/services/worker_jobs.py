"""What the worker does for each job: find the rows, call the service, and note what could not be done.

The one rule: a job whose rows are gone, or that Docusign refuses, ends quietly; only surprises are raised.
"""

import logging

from django.db import transaction
from django.db.models import Q

from dashboard.models import Account, Batch, Instance, Membership, Operation, Workflow, WorkflowAccess
from dashboard.services import (
    audit,
    batch_runs,
    contract_readings,
    contracts,
    deliveries,
    emergency,
    key_inputs,
    operations,
    passes,
    sync,
)
from dashboard.services.errors import ServiceError
from dashboard.services.instances import bump
from dashboard.services.refreshes import read_instance as read_one

log = logging.getLogger(__name__)
PEOPLE = Membership.objects.select_related("user", "user__connection", "account")


def sync_membership(membership_id: int, is_background: bool = False) -> None:
    """One person's own sync; `is_background` when nobody asked for it."""
    membership = PEOPLE.filter(pk=membership_id).first()
    if membership is not None:
        sync.sync_membership(membership, is_background=is_background)


def sync_account(account_id: str) -> None:
    """The shared reading of an account, from where it is."""
    account = Account.objects.select_related("sync", "budget").filter(pk=account_id).first()
    if account is not None:
        passes.read_account(account)


def read_instance(instance_id: str, membership_id: int) -> None:
    """One instance, for one person."""
    instance = Instance.objects.filter(pk=instance_id).first()
    membership = PEOPLE.filter(pk=membership_id).first()
    if instance is not None and membership is not None:
        _name_at_docusign(instance, membership)


def read_contract(workflow_id: str, membership_id: int) -> None:
    """The contract that a waiting form needs; why there is none is noted for the person who waits."""
    workflow = Workflow.objects.filter(pk=workflow_id).first()
    membership = PEOPLE.filter(pk=membership_id).first()
    if workflow is None or membership is None:
        return
    mine = WorkflowAccess.objects.filter(user_id=membership.user_id, workflow=workflow)
    try:
        contracts.read_contract(workflow, membership=membership)
    except ServiceError as error:
        mine.update(contract_error=error.message)
        bump(workflow.account_id)
    else:
        mine.update(contract_error="")


def read_triggered(operation_id: str, instance_id: str) -> None:
    """An instance that was just triggered here; the first of an account also shows whether names come back (U-5)."""
    operation = Operation.objects.select_related("account").filter(pk=operation_id).first()
    instance = Instance.objects.filter(pk=instance_id).first()
    if operation is None or instance is None:
        return
    membership = PEOPLE.filter(user_id=operation.actor_id, account_id=operation.account_id).first()
    name = _name_at_docusign(instance, membership) if membership else None
    if name is not None:
        note_round_trip(operation, name)


def note_round_trip(operation: Operation, name: str) -> None:
    """U-5: only where a name comes back byte for byte does absence of a marker prove anything."""
    rows = Account.objects.filter(pk=operation.account_id)
    if name == operation.instance_name:
        rows.filter(resend_allowed=None).update(resend_allowed=True)
        return
    with transaction.atomic():
        if rows.filter(Q(resend_allowed=None) | Q(resend_allowed=True)).update(resend_allowed=False):
            audit.record(
                "account.resend_switched_off",
                actor=None,
                account=operation.account,
                subject=operation.account,
                operation=operation,
                reason="Docusign did not return an instance name as it was sent.",
            )


def apply_deliveries(account_id: str, lease: int) -> None:
    """The events of one account that were claimed together."""
    account = Account.objects.select_related("budget").filter(pk=account_id).first()
    if account is not None:
        deliveries.apply_claimed(account, lease)


def work_on_key_input(key_input_id: int) -> None:
    """An input that became a key, or is one no longer."""
    key_inputs.work_on(key_input_id)


def settle_operation(operation_id: str) -> None:
    """One look at an operation that is open."""
    operation = (
        Operation.objects.select_related("workflow", "account", "actor", "instance").filter(pk=operation_id).first()
    )
    if operation is not None:
        operations.settle_unknown(operation)


def run_batch(batch_id: str) -> None:
    """A slice of a bulk run."""
    batch_runs.run_batch(batch_id)


def _name_at_docusign(instance: Instance, membership: Membership) -> str | None:
    """Read the instance into the mirror; its name byte for byte, or None when it could not be read."""
    try:
        _, answer = read_one(instance, membership)
    except ServiceError as error:
        log.info("An instance was not read: %s", error.message, extra={"instance": str(instance.pk)})
        return None
    return answer.name


def read_due_contract(workflow_id: str) -> None:
    """The hourly reading of one contract, for everybody."""
    contract_readings.read_one(workflow_id)


def freeze_stop(batch_id: str) -> None:
    """The list of an emergency stop whose workflow is paused."""
    batch = Batch.objects.select_related("workflow", "account", "actor").filter(pk=batch_id).first()
    if batch is not None:
        emergency.freeze(batch)
