"""One item of a bulk run: what is to be sent for it, judged just before, and the one call.

The one rule (U-6): an instance is read again before its cancel is sent; what changed, ended or went out of sight
meanwhile is skipped, with why.
"""

from dataclasses import dataclass

from dashboard import crypto
from dashboard.models import (
    Batch,
    BatchItem,
    InstanceState,
    ItemState,
    Membership,
    Operation,
    OperationKind,
    Workflow,
)
from dashboard.models.instance import INSTANCE_LOOKS
from dashboard.services import obstacles
from dashboard.services.actions import carry_out
from dashboard.services.batch_inputs import inputs_place
from dashboard.services.batch_markers import marker_of
from dashboard.services.errors import DocusignUnavailable
from dashboard.services.marker import clean_name
from dashboard.services.quota import Lane
from dashboard.services.readings import Reading, Verdict, read_back
from dashboard.services.timings import ITEM_DEADLINE_SECONDS, ITEM_READ_SECONDS
from dashboard.services.triggers import KEY_UNKNOWN, intent, send_trigger

Kind = OperationKind
ALREADY_CANCELED = "It was already canceled. Nothing was sent."
CHANGED = (
    "It was {} when it was selected, and is {} now. Nothing was sent; select it again if it is still to be canceled."
)
GONE = "Docusign does not show it to the person of this run any more. Nothing was sent."
SEALED = "Its values cannot be opened with the present keys. Nothing was sent."
SILENT = "Docusign did not say whether it still runs, so nothing was sent."


@dataclass(frozen=True, slots=True)
class Deed:
    """What becomes of an item now: its operation is sent, or nothing is, and `state` and `why` say so.

    `is_unread`: Docusign did not tell what has to be known before anything is sent.
    """

    operation: Operation | None = None
    state: ItemState = ItemState.SENT
    why: str = ""
    reading: Reading | None = None
    is_unread: bool = False


def prepare(batch: Batch, item: BatchItem, membership: Membership) -> Deed:
    """Judge the item by what holds now; a cancel costs one call."""
    if batch.kind == Kind.TRIGGER:
        return _trigger(batch, item)
    if batch.kind == Kind.CANCEL:
        return _cancel(batch, item, membership)
    return _switch(batch, item, membership)


def deliver(operation: Operation, membership: Membership) -> None:
    """The call of a committed operation, as the worker makes it; never raises for what Docusign says."""
    if operation.kind == Kind.TRIGGER:
        send_trigger(operation, membership, deadline=ITEM_DEADLINE_SECONDS, is_worker=True, lane=Lane.BATCH)
    else:
        carry_out(operation, membership, deadline=ITEM_DEADLINE_SECONDS, is_worker=True, lane=Lane.BATCH)


def intent_of(batch: Batch, item: BatchItem) -> Operation | None:
    """The trigger of an item, not stored yet; None when its values cannot be opened. Raises DocusignUnavailable where only the key
    is missing."""
    try:
        payload = crypto.unseal(item.sealed_inputs, *inputs_place(batch, item.position))
    except crypto.KeyUnknown as error:  # with the key back the row goes as it is
        raise DocusignUnavailable(KEY_UNKNOWN) from error
    except crypto.SealBroken:
        return None
    key = item.operation_key
    # The marker comes from the key: should an older copy of the database send this item, Docusign's list shows that it ran.
    return intent(item.workflow, batch.actor, clean_name(item.label), payload, key=key, marker=marker_of(key))


def _trigger(batch: Batch, item: BatchItem) -> Deed:
    operation = item.operation or intent_of(batch, item)
    return Deed(operation) if operation is not None else Deed(state=ItemState.NOT_SENT, why=SEALED)


def _cancel(batch: Batch, item: BatchItem, membership: Membership) -> Deed:
    """What was picked in one state and is in another now is not what the person looked at; going on by a step is no change of state.
    An emergency stop takes whatever still runs."""
    operation = item.operation or _operation(batch, item, OperationKind.CANCEL)
    reading = read_back(operation, membership, deadline=ITEM_READ_SECONDS, lane=Lane.BATCH)
    if reading.verdict in (Verdict.UNREAD, Verdict.SILENT):
        return Deed(operation, ItemState.NOT_SENT, SILENT, is_unread=True)
    if reading.verdict == Verdict.TOO_LATE:
        return Deed(item.operation, ItemState.SKIPPED, reading.too_late, reading)
    if reading.verdict == Verdict.DENIED:
        return Deed(item.operation, ItemState.SKIPPED, GONE)
    if reading.verdict == Verdict.REACHED and item.operation is None:
        return Deed(None, ItemState.SKIPPED, ALREADY_CANCELED, reading)
    if item.operation is None and batch.source == Batch.Source.SELECTION and (why := _change(item, reading)):
        return Deed(None, ItemState.SKIPPED, why, reading)
    return Deed(operation, reading=reading)


def _change(item: BatchItem, reading: Reading) -> str:
    """What became of the state in which it was selected; empty where it is the same."""
    then = INSTANCE_LOOKS.get(InstanceState(item.status_then)) if item.status_then in InstanceState else None
    if then is None or then.label == reading.label:
        return ""
    return CHANGED.format(then.label.lower(), reading.label.lower())


def _switch(batch: Batch, item: BatchItem, membership: Membership) -> Deed:
    kind = Kind(batch.kind)
    workflow = Workflow.objects.get(pk=item.workflow_id)
    judge = obstacles.pause_obstacle if kind == Kind.PAUSE else obstacles.resume_obstacle
    if item.operation is None and (why := judge(workflow, membership)):
        return Deed(state=ItemState.SKIPPED, why=f"{why} Nothing was sent.")
    return Deed(item.operation or _operation(batch, item, kind))


def _operation(batch: Batch, item: BatchItem, kind: OperationKind) -> Operation:
    return Operation(
        key=item.operation_key,
        kind=kind,
        account_id=batch.account_id,
        actor=batch.actor,
        workflow=item.workflow,
        instance=item.instance,
        reason=batch.reason,
    )
