"""Whether a deed needs a second person: the policies of an account, weighed against a frozen list or a single deed.

The one rule: every policy that fits counts, and the strictest is named; a policy of one workflow can tighten the general one,
never loosen it.
"""

import hashlib
import json
from json.encoder import encode_basestring_ascii as quoted

from django.db.models import CharField, Count, F, Q, QuerySet
from django.db.models.functions import Cast
from django.utils import timezone

from dashboard import crypto
from dashboard.models import (
    Account,
    Approval,
    ApprovalState,
    Batch,
    BatchItem,
    ItemState,
    OperationKind,
    Policy,
    User,
    Workflow,
)
from dashboard.services import audit
from dashboard.services.batch_inputs import meaning
from dashboard.services.errors import NeedsSecondPerson

NOT_OF_THE_LIST = (ItemState.INVALID, ItemState.LEFT_OUT, ItemState.SKIPPED)
CHUNK = 2000
STOPPED = "The bulk run was stopped before anybody decided."


def policy_for(account: Account, workflow: Workflow | None, kind: str, count: int) -> Policy | None:
    """The strictest policy under which so many deeds need a second person; for no workflow only the general one counts."""
    rows = Policy.objects.filter(account=account, kind=kind, least_count__lte=count)
    return _strictest(rows.filter(Q(workflow=workflow) | Q(workflow=None)))


def needed_for(batch: Batch) -> Policy | None:
    """The policy that still holds this list back; None when there is none, or a second person (or an admin alone) let it go."""
    return None if is_let_go(batch) else policy_of(batch)


def policy_of(batch: Batch) -> Policy | None:
    """The policy under which the list needs a second person, whether or not one has looked at it."""
    counts = dict(listed(batch).order_by().values_list("workflow_id").annotate(n=Count("pk")))
    wanted = Q(workflow=None, least_count__lte=sum(counts.values()))
    for workflow_id, count in counts.items():
        wanted |= Q(workflow_id=workflow_id, least_count__lte=count)
    return _strictest(Policy.objects.filter(wanted, account_id=batch.account_id, kind=batch.kind))


def refuse_single(workflow: Workflow, kind: OperationKind) -> None:
    """Raise NeedsSecondPerson where even one deed needs somebody else; asked by every service that sends a single deed."""
    if policy := policy_for(workflow.account, workflow, kind, 1):
        raise NeedsSecondPerson(needs_sentence(policy), policy=policy)


def needs_sentence(policy: Policy) -> str:
    """Why it cannot start now, for the person who wanted it."""
    where = f"of {policy.workflow}" if policy.workflow else "in this account"
    if policy.least_count == 1:
        return f"Each {policy.kind} {where} needs a second person. Nothing was sent."
    return f"From {policy.least_count:,} on, a {policy.kind} {where} needs a second person. Nothing was sent."


def is_let_go(batch: Batch, digest: str = "") -> bool:
    """Whether the list, as it is now, was approved and not too long ago, or started by an admin without a second person.

    Its digest may be given where it is known already.
    """
    approval = Approval.objects.filter(batch=batch).first()
    if approval is None or approval.state not in (ApprovalState.APPROVED, ApprovalState.BROKEN):
        return False
    if approval.expires_at <= timezone.now():
        return False
    # Once it was started nobody can change the list any more, while its inputs are erased one by one.
    return batch.confirmed_at is not None or approval.list_digest == (digest or digest_of(batch))


def listed(batch: Batch) -> QuerySet[BatchItem]:
    """The deeds that the list asks for: without rows with errors, those left out, and those that had ended already."""
    return BatchItem.objects.filter(batch=batch).exclude(state__in=NOT_OF_THE_LIST)


def digest_of(batch: Batch) -> str:
    """A digest of everything that the second person judges, so that any later change of it is noticed.

    Over the inputs and not over their seals, so that it outlives a rotation of the keys; keyed, since it stands in addresses.
    """
    head = (batch.kind, str(batch.workflow_id), str(batch.contract_id), batch.reason)
    digest = hashlib.sha256(json.dumps(head).encode())
    # The ids as text: to make two objects of each row would take half of the time that a long list takes.
    ids = [Cast("workflow_id", CharField()), Cast("instance_id", CharField())]
    rows = listed(batch).order_by("position").values_list("position", *ids, "label", "sealed_inputs")
    for position, workflow_id, instance_id, label, sealed in rows.iterator(chunk_size=CHUNK):
        what = f"{quoted(label)}, {quoted(meaning(batch, position, sealed))}"
        digest.update(
            f'["{position}", "{_with_hyphens(workflow_id)}", "{_with_hyphens(instance_id)}", {what}]'.encode()
        )
    return crypto.keyed_digest("list", digest.digest())


def _with_hyphens(text: str | None) -> str | None:
    """An id in one form, whether the database keeps it with hyphens or without."""
    if text is None or len(text) != 32:
        return text
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def end_request(batch: Batch, *, by: User) -> None:
    """The run was stopped, so nobody has to decide any more. Inside the caller's transaction, under the lock of the account."""
    waiting = Approval.objects.filter(batch=batch, state=ApprovalState.WAITING)
    ended = {"state": ApprovalState.WITHDRAWN, "decided_by": by, "decided_at": timezone.now(), "note": STOPPED}
    if waiting.update(**ended):
        detail = {"count": listed(batch).count(), "requester": str(batch.actor)}
        audit.record(
            "approval.withdrawn", actor=by, account=batch.account, subject=batch, reason=STOPPED, detail=detail
        )


def _strictest(rows: QuerySet[Policy]) -> Policy | None:
    return rows.select_related("workflow").order_by("least_count", F("workflow_id").asc(nulls_last=True)).first()
