"""A single deed that needs a second person, kept as a list of one. Its one rule: nothing is sent from here."""

import json
from typing import Any

from django.db import transaction
from django.utils import timezone

from dashboard import crypto
from dashboard.models import Batch, BatchItem, Contract, Membership, OperationKind, Workflow
from dashboard.services import batches
from dashboard.services.errors import Refused
from dashboard.services.marker import clean_name
from dashboard.services.triggers import OTHER_VALUES


def plan_trigger(
    workflow: Workflow, *, membership: Membership, contract: Contract, name: str, inputs: dict[str, Any], key: str
) -> Batch:
    """The trigger of a form, its inputs sealed, for the question that leads on to a second person."""
    cleaned = clean_name(name)
    if not cleaned:
        raise Refused("Give the instance a name.", field="name")
    payload = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
    with transaction.atomic():
        batch = batches.create_batch(
            membership.account,
            actor=membership.user,
            kind=OperationKind.TRIGGER,
            source=Batch.Source.SINGLE,
            name=f"Trigger {workflow}",
            key=key,
            workflow=workflow,
            contract=contract,
            described="one form",
        )
        place = batches.inputs_place(batch, 1)
        if batch.frozen_at is None:
            BatchItem.objects.create(
                batch=batch, position=1, label=cleaned, workflow=workflow, sealed_inputs=crypto.seal(payload, *place)
            )
            Batch.objects.filter(pk=batch.pk).update(total=1, frozen_at=timezone.now())
            batch.refresh_from_db()
            return batch
    first = batch.items.get(position=1)
    if first.label != cleaned or (first.sealed_inputs and crypto.unseal(first.sealed_inputs, *place) != payload):
        raise Refused(OTHER_VALUES)
    return batch
