"""Key inputs: which inputs of a workflow instances can be found by, and taking in the instances that were known before.

The one rule: no value leaves this module in plain. What is kept, logged, audited and put into an address is a keyed digest (V-4).
"""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.models import Instance, InstanceKey, KeyInput, Membership, Workflow
from dashboard.services import audit, contracts, findable
from dashboard.services.errors import Refused
from dashboard.services.instances import bump, lock_mirror
from dashboard.services.jobs import enqueue
from dashboard.services.lists import beyond, read_cursor, write_cursor
from dashboard.services.visibility import visible_workflows

MOST_KEYS = 10  # of a workflow: each costs a row for every instance
LONGEST_NAME = 500
BATCH = 500
WORK_PATIENCE = timedelta(seconds=60)  # a job that has not moved on for so long was lost with its worker
ORDER = ("sort_at", "id")


def marked(workflow: Workflow) -> dict[str, KeyInput]:
    """The key inputs of a workflow by their names."""
    return {row.name: row for row in KeyInput.objects.filter(workflow=workflow, unmarked_at=None)}


def visible_key_inputs(membership: Membership) -> QuerySet[KeyInput]:
    """The key inputs of the workflows that Docusign lists to this person."""
    return KeyInput.objects.filter(workflow__in=visible_workflows(membership), unmarked_at=None)


def names_of(membership: Membership, workflow: Workflow | None = None) -> list[str]:
    """What this person can search by, over all workflows or in one."""
    rows = visible_key_inputs(membership).filter(**({"workflow": workflow} if workflow else {}))
    return list(rows.order_by("name").values_list("name", flat=True).distinct())


def filling(membership: Membership, name: str) -> list[str]:
    """The names of workflows whose earlier instances are still being taken in for this key."""
    rows = visible_key_inputs(membership).filter(name=name, filled_at=None).select_related("workflow")
    return [str(row.workflow) for row in rows]


def problems_of(key: tuple[str, str] | None, membership: Membership) -> list[str]:
    """What is wrong with a search that was kept; nothing where it still finds what it found."""
    if key is None or visible_key_inputs(membership).filter(name=key[0]).exists():
        return []
    return [f"“{key[0]}” is no key input any more of a workflow that you see, so nothing is found by it."]


def mark(workflow: Workflow, name: str, *, membership: Membership) -> KeyInput:
    """Make instances findable by an input; the worker takes in those that are known already."""
    contract = contracts.current_contract(workflow)
    if not contract or name not in {spec["name"] for spec in contract.fields if not spec["is_system"]}:
        raise Refused(f"The workflow asks for no input “{name[:80]}” that a person gives. Nothing was changed.")
    if len(name) > LONGEST_NAME:
        raise Refused(f"The name of this input has more than {LONGEST_NAME} characters, too long for a key.")
    now = timezone.now()
    fresh = {"made_with": findable.made_with(), "worked_at": now}
    with transaction.atomic():
        lock_mirror(workflow.account_id)  # whoever writes instances now is done; whoever writes later knows the key
        known = KeyInput.objects.filter(workflow=workflow, name=name).first()
        if known and known.unmarked_at is None:
            return known
        if len(marked(workflow)) >= MOST_KEYS:
            raise Refused(f"A workflow has at most {MOST_KEYS} key inputs. Stop using another one first.")
        begun = {**fresh, "filled_at": None, "filled_to": "", "unmarked_at": None}
        key_input, _ = KeyInput.objects.update_or_create(workflow=workflow, name=name, defaults=begun)
        bump(workflow.account_id)
        _record("workflow.key_marked", workflow, name, membership)
    enqueue("work_on_key_input", key_input.pk)
    return key_input


def unmark(workflow: Workflow, name: str, *, membership: Membership) -> bool:
    """Find nothing by the input from now on; the worker deletes its digests. Whether it was a key."""
    with transaction.atomic():
        lock_mirror(workflow.account_id)
        rows = KeyInput.objects.filter(workflow=workflow, name=name, unmarked_at=None)
        key_input = rows.first()
        if key_input is None:
            return False
        rows.update(unmarked_at=timezone.now(), worked_at=timezone.now())
        bump(workflow.account_id)
        _record("workflow.key_unmarked", workflow, name, membership)
    enqueue("work_on_key_input", key_input.pk)
    return True


def _record(action: str, workflow: Workflow, name: str, membership: Membership) -> None:
    account = membership.account
    audit.record(action, actor=membership.user, account=account, subject=workflow, detail={"input": name})


def run_due() -> int:
    """Queue what waits: keys whose job was lost, and all keys once the secret of their digests has changed."""
    current = findable.made_with()
    KeyInput.objects.exclude(made_with=current).update(made_with=current, filled_at=None, filled_to="", worked_at=None)
    now = timezone.now()
    waiting = KeyInput.objects.filter(Q(filled_at=None) | Q(unmarked_at__isnull=False))
    waiting = waiting.filter(Q(worked_at=None) | Q(worked_at__lt=now - WORK_PATIENCE))
    found = list(waiting.values_list("pk", flat=True))
    for pk in found:
        if waiting.filter(pk=pk).update(worked_at=now):
            enqueue("work_on_key_input", pk)
    return len(found)


def work_on(key_input_id: int) -> None:
    """Take instances in, or delete digests, a batch at a time; whoever is killed leaves the place to go on from."""
    while _one_batch(key_input_id):
        pass


def _one_batch(key_input_id: int) -> bool:
    """Whether there is more to do for this worker."""
    key_input = KeyInput.objects.select_related("workflow").filter(pk=key_input_id).first()
    if key_input is None:
        return False
    if key_input.unmarked_at:
        return _forget(key_input)
    return key_input.filled_at is None and _fill(key_input)


def _fill(key_input: KeyInput) -> bool:
    """Newest first. What changes meanwhile is taken in by whoever writes it, so it may move past this place."""
    workflow = key_input.workflow
    rows = Instance.objects.filter(workflow=workflow).only(
        "id", "account_id", "workflow_id", "sort_at", "trigger_inputs"
    )
    if place := read_cursor(key_input.filled_to, Instance, ORDER):
        rows = rows.filter(beyond(ORDER, place, is_descending=True))
    with transaction.atomic():
        lock_mirror(workflow.account_id)  # so that no value read here is older than one written there
        batch = list(rows.order_by("-sort_at", "-id")[:BATCH])
        findable.store_keys(batch, only=key_input)
        now, is_last = timezone.now(), len(batch) < BATCH
        to = write_cursor([batch[-1].sort_at, batch[-1].pk]) if batch else key_input.filled_to
        mine = KeyInput.objects.filter(
            pk=key_input.pk, filled_to=key_input.filled_to, filled_at=None, made_with=findable.made_with()
        )
        is_mine = mine.update(filled_to=to, worked_at=now, filled_at=now if is_last else None)
        if is_mine and is_last:
            bump(workflow.account_id)
    return bool(is_mine) and not is_last


def _forget(key_input: KeyInput) -> bool:
    digests = InstanceKey.objects.filter(key_input=key_input)
    with transaction.atomic():
        lock_mirror(key_input.workflow.account_id)
        if not KeyInput.objects.filter(pk=key_input.pk, unmarked_at__isnull=False).update(worked_at=timezone.now()):
            return True  # it was made a key again meanwhile
        batch = list(digests.order_by("pk").values_list("pk", flat=True)[:BATCH])
        InstanceKey.objects.filter(pk__in=batch).delete()
        if not batch:
            KeyInput.objects.filter(pk=key_input.pk).delete()
    return bool(batch)


def digest_of(account_id: UUID, name: str, value: str) -> str:
    """What stands in an address for a value that somebody searches for; empty for an empty value."""
    return findable.digest_of(account_id, name, value)
