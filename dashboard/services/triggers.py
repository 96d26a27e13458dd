"""Triggering a workflow: contract read again, intent committed, sent once, settled.

The one rule: a trigger is sent once, and only what Docusign surely did not run is ever called refused (U-1, U-2, U-7).
"""

import json
import time
from typing import Any
from uuid import UUID

from dashboard import crypto
from dashboard.models import Account, Batch, Membership, Operation, OperationKind, OperationState, User, Workflow
from dashboard.services import contracts, instances, jobs, second_person
from dashboard.services.calls import calling
from dashboard.services.edges import Outcome, insert_sent, is_mine, move
from dashboard.services.errors import DocusignUnavailable, Drifted, Refused, ServiceError
from dashboard.services.marker import clean_name, make_marker, with_marker
from dashboard.services.outcomes import kept_in_place, outcome_of
from dashboard.services.quota import Lane
from dashboard.services.store import before_sending
from dashboard.services.timings import CLICK_DEADLINE_SECONDS, DOUBLE_SUBMIT_WAIT_SECONDS, WORKER_DEADLINE_SECONDS
from dashboard.services.visibility import own_id
from maestro_api import MaestroError, Triggered

State = OperationState
ANOTHER_FORM = "This form was already used for something else; open a new one. Nothing was sent."
OTHER_VALUES = "This form was already sent once, with other values; open a new one to trigger again. Nothing was sent."
ALREADY_A_RUN = (
    "This form was kept as a bulk run for a second person; start it there, or open a new form. Nothing was sent."
)
KEY_UNKNOWN = "This console does not hold the key that the inputs were sealed with. Nothing was sent."
DRIFTED = "The workflow asks for other inputs than this form did. Nothing was sent."


def trigger_workflow(
    workflow: Workflow,
    *,
    actor: User,
    membership: Membership,
    name: str,
    inputs: dict[str, Any],
    key: str,
    contract_hash: str,
) -> Operation:
    """Trigger as this person. Two calls: the contract, the trigger. Raises Drifted, Refused, NeedsSecondPerson,
    DocusignUnavailable."""
    started = time.monotonic()
    cleaned = clean_name(name)
    if not cleaned:
        raise Refused("Give the instance a name.", field="name")
    payload = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    digest = payload_digest(workflow, cleaned, payload)
    if first := first_result(key, actor=actor, kind=OperationKind.TRIGGER, workflow=workflow, digest=digest):
        return first
    second_person.refuse_single(workflow, OperationKind.TRIGGER)
    if Batch.objects.filter(key=key).exists():  # made while a policy held that was removed since
        raise Refused(ALREADY_A_RUN)
    with before_sending():
        present = contracts.read_contract(workflow, membership=membership, deadline=CLICK_DEADLINE_SECONDS)
        if present.digest != contract_hash:
            raise Drifted(DRIFTED, contract=present, changes=_changes(workflow, contract_hash, present))
        operation = intent(workflow, actor, cleaned, payload, key=key, marker=make_marker())
        is_first = insert_sent(operation)
    if not is_first:
        winner = first_result(key, actor=actor, kind=OperationKind.TRIGGER, workflow=workflow, digest=digest)
        if winner is None:
            raise Refused(ANOTHER_FORM)
        return winner
    send_trigger(operation, membership, deadline=max(CLICK_DEADLINE_SECONDS - (time.monotonic() - started), 1.0))
    return operation


def first_result(
    key: str, *, actor: User, kind: OperationKind, workflow: Workflow, digest: str = "", instance_id: UUID | None = None
) -> Operation | None:
    """What the first submit of this form gave, waited for a moment while it is under way (U-7)."""
    first = Operation.objects.filter(key=key).first()
    if first is None:
        return None
    if (first.actor_id, first.kind, first.workflow_id) != (actor.pk, kind, workflow.pk):
        raise Refused(ANOTHER_FORM)
    if kind != OperationKind.TRIGGER and first.instance_id != instance_id:
        raise Refused(ANOTHER_FORM)
    if first.payload_digest != digest:
        raise Refused(OTHER_VALUES)
    until = time.monotonic() + DOUBLE_SUBMIT_WAIT_SECONDS
    while first.state == State.SENT and time.monotonic() < until:
        time.sleep(0.05)
        first.refresh_from_db()
    return first


def _changes(workflow: Workflow, contract_hash: str, present: Any) -> list[str]:
    before = workflow.contracts.filter(digest=contract_hash).first()
    return [change.sentence for change in contracts.diff(before, present)] if before else []


def payload_digest(workflow: Workflow, name: str, payload: str) -> str:
    """What was asked for, so that another use of a key is noticed."""
    return crypto.keyed_digest("payload", f"{workflow.pk}\n{name}\n{payload}")


def intent(workflow: Workflow, actor: User, name: str, payload: str, *, key: str, marker: str) -> Operation:
    """An operation that is not stored yet; `payload` is the JSON of the inputs."""
    operation = Operation(
        key=key,
        kind=OperationKind.TRIGGER,
        account_id=workflow.account_id,
        actor=actor,
        workflow=workflow,
        marker=marker,
        instance_name=with_marker(name, marker),
        payload_digest=payload_digest(workflow, name, payload),
    )
    operation.sealed_payload = crypto.seal(payload, *payload_place(operation))
    return operation


def payload_place(operation: Operation) -> tuple[str, str, str]:
    """Where the inputs of an operation are sealed to."""
    return "operation", str(operation.pk), "payload"


def url_place(instance_id: object) -> tuple[str, str, str]:
    """Where the participant link of an instance is sealed to."""
    return "instance", str(instance_id), "url"


def send_trigger(
    operation: Operation,
    membership: Membership,
    *,
    deadline: float,
    is_worker: bool = False,
    lane: Lane = Lane.PEOPLE,
) -> None:
    """The one call of a committed `sent` operation, then its settlement. A stale fence settles nothing."""
    if not is_mine(operation):
        # Stopped for so long that others took it for dead: from here on they settle it.
        return
    try:
        inputs = _inputs_of(operation)
        with calling(membership, deadline=deadline, lane=lane) as client:
            answer = client.trigger_workflow(
                str(operation.workflow_id), instance_name=operation.instance_name, trigger_inputs=inputs
            )
    except (MaestroError, ServiceError) as error:
        outcome = outcome_of(error, operation)
        move(operation, kept_in_place(error, outcome) if is_worker else outcome)
        return
    _confirm(operation, answer, membership, lane)


def _inputs_of(operation: Operation) -> dict[str, Any]:
    try:
        inputs: dict[str, Any] = json.loads(crypto.unseal(operation.sealed_payload, *payload_place(operation)))
    except crypto.KeyUnknown as error:  # with the key back it can be sent
        raise DocusignUnavailable(KEY_UNKNOWN) from error
    return inputs


def resend(operation: Operation, membership: Membership) -> None:
    """Send a planned operation again; called by the worker with the claim already committed."""
    send_trigger(operation, membership, deadline=WORKER_DEADLINE_SECONDS, is_worker=True)


def _confirm(operation: Operation, answer: Triggered, membership: Membership, lane: Lane) -> None:
    url = answer.instance_url or ""
    instance_id = instances.uuid_of(answer.instance_id)
    # The link comes only this once, so it is kept even when the operation was settled by somebody else meanwhile.
    instance = instances.record_triggered(
        operation.workflow,
        answer.instance_id,
        full_name=operation.instance_name,
        started_by=own_id(membership),
        actor_name=operation.actor.name,
        sealed_url=crypto.seal(url, *url_place(instance_id)) if url and instance_id else "",
        owner=operation.actor,
    )
    outcome = Outcome(
        State.CONFIRMED,
        "Docusign started the instance.",
        http_status=answer.response.status,
        docusign_request_id=answer.response.request_id[:255],
        instance=instance,
    )
    move(operation, outcome)
    if instance is not None and (lane == Lane.PEOPLE or _is_first_of_all(operation)):
        jobs.enqueue("read_triggered", operation.pk, instance.pk, priority=jobs.PEOPLE_FIRST)


def _is_first_of_all(operation: Operation) -> bool:
    """U-5 needs one instance read back; after that a bulk run leaves the reading to the next look at the whole list."""
    return Account.objects.filter(pk=operation.account_id, resend_allowed=None).exists()
