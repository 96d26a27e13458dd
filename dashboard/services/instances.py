"""The mirror of instances: taking Docusign's answers in.

The one rule (R-10, R-11): an older answer never overwrites a newer one, a terminal state never goes back, absence deletes nothing.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from dashboard.models import Account, Instance, InstanceChange, KeyInput, Workflow, bucket_of
from dashboard.services import findable, tallies
from dashboard.services.input_erasure import withhold
from dashboard.services.marker import find_marker, without_marker
from dashboard.services.timings import SETTLE_AFTER
from maestro_api import Instance as ApiInstance

log = logging.getLogger(__name__)
# A name stands in every row of a list; a longer one would make the page too heavy to open.
LONGEST_NAME = 1_000
LONGEST_WORD = 200  # of a person's name, a step, a state: what indexes and rows of a list can bear
LONGEST_ID = 64  # of a person; those of Docusign have 36 letters
CHUNK = 500
LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
KNOWN_MEMBERS = frozenset(
    {"id", "instance_id", "name", "instance_name", "workflow_status", "status", "template_id", "workflow_definition_id"}
    | {
        "workflow_id",
        "account_id",
        "started_at",
        "started_by",
        "started_by_name",
        "started_by_role",
        "last_modified_at",
    }
    | {"ended_at", "canceled_at", "canceled_by", "expires_at", "total_steps", "last_completed_step"}
    | {"last_completed_step_name", "trigger_inputs", "trigger_input", "tags", "metadata", "response_timestamp"}
    | {"response_duration_ms", "request_id", "page_limit", "response_metadata"}
)
RANK = {state: rank for rank, state in enumerate(["unknown", "created", "paused", "in_progress"])}
# Members of the answer that are columns here under the same name; an absent one never erases.
FROM_LIST = (
    *("started_at", "started_by", "started_by_name", "started_by_role", "last_modified_at", "ended_at", "canceled_at"),
    *("canceled_by", "expires_at", "total_steps", "last_completed_step", "last_completed_step_name"),
)
OTHERS = (
    "name",
    "full_name",
    "marker",
    "status",
    "bucket",
    "raw_status",
    "name_order",
    "starter_order",
    "trigger_inputs",
    "inputs_erased_at",
    "tags",
    "metadata",
    "extra",
    "sort_at",
)
LARGE = ("trigger_inputs", "metadata", "extra", "sealed_url")
WRITTEN = (*FROM_LIST, *OTHERS)


@dataclass(slots=True)
class Applied:
    """What an answer did to the mirror."""

    created: set[UUID] = field(default_factory=set)
    changed: set[UUID] = field(default_factory=set)
    seen: set[UUID] = field(default_factory=set)
    oddities: list[str] = field(default_factory=list)

    @property
    def is_change(self) -> bool:
        return bool(self.created or self.changed)


def lock_mirror(account_id: UUID) -> None:
    """Make this transaction the only writer of the account's mirror, so that counts and rows cannot differ.

    It comes before every other lock, and the head of the audit last: two writers that wait for each other would be a deadlock on
    PostgreSQL. Rows that only refer to the account are not kept waiting. SQLite has one writer anyway.
    """
    Account.objects.select_for_update(no_key=True).only("pk").get(pk=account_id)


def bump(account_id: UUID) -> None:
    """Count a change of the account's mirror, so that polling pages reload."""
    Account.objects.filter(pk=account_id).update(version=F("version") + 1)


def apply_instance(account: Account, answer: ApiInstance, *, source: str) -> tuple[Instance | None, bool]:
    """Take one instance in, read by itself. None when the answer belongs to another account or names no workflow."""
    applied = apply_instances(account, [answer], source=source)
    instance_id = uuid_of(answer.id)
    if instance_id is None or instance_id not in applied.seen:
        return None, False
    Instance.objects.filter(pk=instance_id).update(read_at=timezone.now())
    return Instance.objects.select_related("workflow", "account").get(pk=instance_id), applied.is_change


def apply_instances(
    account: Account, answers: Iterable[ApiInstance], *, source: str, workflow_id: UUID | None = None
) -> Applied:
    """Take a list in, chunk by chunk. `workflow_id` is the workflow whose list it was, for rows that name none that is known."""
    total = Applied()
    for chunk in _chunks(answers):
        with transaction.atomic():
            applied = _apply_chunk(account, chunk, source, workflow_id)
            if applied.is_change:
                bump(account.pk)
        total.created |= applied.created
        total.changed |= applied.changed
        total.seen |= applied.seen
        total.oddities += applied.oddities
    return total


def mark_missing(account: Account, *, since: datetime, started_by: str = "", workflow_id: UUID | None = None) -> int:
    """Note what a complete list that began at `since` should have shown and did not. Nothing is deleted or changed."""
    rows = Instance.objects.filter(account=account, missing_since=None, synced_at__lt=since)
    # Docusign's lists lag behind its own answers, so what was triggered here a moment ago is not expected in them yet.
    rows = rows.exclude(is_from_here=True, first_seen_at__gt=since - SETTLE_AFTER)
    if started_by:
        rows = rows.filter(started_by=started_by)
    if workflow_id:
        rows = rows.filter(workflow_id=workflow_id)
    return rows.update(missing_since=since)


def record_triggered(
    workflow: Workflow,
    instance_id: str,
    *,
    full_name: str,
    started_by: str,
    actor_name: str,
    sealed_url: str,
    owner: Any,
) -> Instance | None:
    """The row of an instance that was just triggered here; its state is not known before it is read."""
    pk = uuid_of(instance_id)
    if pk is None:
        return None
    now = timezone.now()
    name = without_marker(full_name)[:LONGEST_NAME]
    with transaction.atomic():
        lock_mirror(workflow.account_id)
        instance, is_new = Instance.objects.get_or_create(
            pk=pk,
            defaults={
                "account_id": workflow.account_id,
                "workflow": workflow,
                "name": name,
                "name_order": findable.order_of(name),
                "full_name": full_name,
                "marker": find_marker(full_name),
                "started_at": now,
                "started_by": started_by,
                "started_by_name": actor_name[:LONGEST_WORD],
                "starter_order": findable.order_of(actor_name),
                "is_from_here": True,
                "sort_at": now,
                "sealed_url": sealed_url,
                "url_owner": owner,
            },
        )
        if is_new:
            findable.store_names([instance], [])
            tallies.note([], [tallies.standing_of(instance)])
        else:  # a list was quicker than this answer
            Instance.objects.filter(pk=pk, account_id=workflow.account_id).update(
                sealed_url=sealed_url, url_owner=owner, is_from_here=True
            )
    InstanceChange.objects.create(
        instance=instance,
        account_id=workflow.account_id,
        observed_at=now,
        happened_at=now,
        source=InstanceChange.Source.TRIGGER,
        status_before="",
        status_after=instance.raw_status,
    )
    bump(workflow.account_id)
    return instance


def uuid_of(text: str | None) -> UUID | None:
    """The UUID that an answer names, or None when it is no UUID."""
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def is_of(account: Account, named: str | None) -> bool:
    """Whether an answer that names this account, or none, may be taken in for it.

    A mock of the published specification answers with the specification's examples, which name accounts that nobody asked for.
    """
    return bool(settings.DOCUSIGN_API_URL) or named is None or named.strip("{}").lower() == str(account.pk)


def _chunks(answers: Iterable[ApiInstance]) -> Iterator[list[ApiInstance]]:
    rest = iter(answers)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk


def _apply_chunk(account: Account, answers: Sequence[ApiInstance], source: str, workflow_id: UUID | None) -> Applied:
    now, applied = timezone.now(), Applied()
    lock_mirror(account.pk)
    named = [(uuid_of(answer.id), answer) for answer in answers]
    stored = {row.pk: row for row in _stored({pk for pk, _ in named if pk})}
    homes = _Homes(account, [answer for pk, answer in named if pk not in stored], workflow_id)
    new: dict[UUID, Instance] = {}
    changes: list[InstanceChange] = []
    standings: dict[UUID, tallies.Standing] = {}
    names: dict[UUID, str] = {}
    for pk, answer in named:
        row = stored.get(pk) or new.get(pk) if pk else None
        if pk is None or not _belongs(account, answer, row):
            applied.oddities.append(f"An instance was left out, because its ids do not fit: {answer.id[:64]}.")
            continue
        if row is None:
            home = homes.of(answer)
            if home is None:
                applied.oddities.append(f"Instance {pk} was left out, because it names no workflow of this account.")
                continue
            row = Instance(pk=pk, account=account, workflow_id=home, synced_at=now, sort_at=answer.started_at or now)
            _write(row, answer)
            new[pk] = row
            applied.created.add(pk)
        elif _is_news(row, answer, is_read=source == InstanceChange.Source.READ):
            if pk in stored and pk not in standings:  # what most rows of a list are not is not even looked at
                standings[pk], names[pk] = tallies.standing_of(row), row.name
            before = (row.raw_status, row.last_completed_step)
            _write(row, answer)
            applied.changed.add(pk)
            if pk in stored and before != (row.raw_status, row.last_completed_step):
                changes.append(_change(row, before, answer, source, now))
        applied.seen.add(pk)
    changed = [stored[pk] for pk in standings]
    withhold([*new.values(), *changed])
    _save(account, new, changed, changes)
    rows = [*new.values(), *changed]
    findable.store_names(new.values(), [row for row in changed if row.name != names[row.pk]])
    if rows and KeyInput.objects.filter(workflow_id__in={row.workflow_id for row in rows}).exists():
        findable.store_keys(rows)
    tallies.note(standings.values(), map(tallies.standing_of, rows))
    Instance.objects.filter(pk__in=applied.seen - applied.created).update(synced_at=now, missing_since=None)
    return applied


class _Homes:
    """Which workflow a new row belongs to; `fallback` is the workflow whose list it came in."""

    def __init__(self, account: Account, answers: Iterable[ApiInstance], fallback: UUID | None) -> None:
        named = {home for answer in answers if (home := uuid_of(answer.workflow_id))}
        self._owners = dict(Workflow.objects.filter(pk__in=named).values_list("pk", "account_id")) if named else {}
        self._account_id = uuid_of(str(account.pk))
        self._fallback = fallback

    def of(self, answer: ApiInstance) -> UUID | None:
        """None for a workflow of another account, or for none at all."""
        home = uuid_of(answer.workflow_id)
        if self._fallback and (home is None or self._owners.get(home) != self._account_id):
            return self._fallback
        return home if home and self._owners.get(home, self._account_id) == self._account_id else None


def _stored(wanted: Iterable[UUID]) -> Iterable[Instance]:
    """The rows as they are; what a list does not compare is fetched only for rows that change."""
    # The row lock matters on PostgreSQL only; SQLite's transaction is the only writer from its begin on.
    return Instance.objects.select_for_update(no_key=True).filter(pk__in=wanted).defer(*LARGE)


def _save(account: Account, new: dict[UUID, Instance], changed: list[Instance], changes: list[InstanceChange]) -> None:
    homes = {row.workflow_id for row in new.values()}
    known = set(Workflow.objects.filter(pk__in=homes).values_list("pk", flat=True))
    # An instance of a workflow that no list has shown yet is kept; its workflow gets a name when it is listed.
    Workflow.objects.bulk_create([Workflow(pk=pk, account=account) for pk in homes - known], ignore_conflicts=True)
    Instance.objects.bulk_create(new.values(), ignore_conflicts=True, batch_size=100)
    Instance.objects.bulk_update(changed, WRITTEN, batch_size=40)
    InstanceChange.objects.bulk_create(changes, batch_size=100)


def _belongs(account: Account, answer: ApiInstance, row: Instance | None) -> bool:
    """Whether the answer speaks of this account, and the row is this account's."""
    return is_of(account, answer.account_id) and (row is None or str(row.account_id) == str(account.pk))


def _order(status: str, raw: str, modified: datetime | None, step: int | None) -> tuple[bool, datetime, int, int, str]:
    is_terminal = status not in RANK
    return is_terminal, modified or LONG_AGO, RANK.get(status, 0), step or 0, raw


def merge(row: Instance, answer: ApiInstance, *, is_read: bool = False) -> bool:
    """Take the answer into the row, unless the row is newer or the same; whether anything moved (R-11)."""
    if not _is_news(row, answer, is_read=is_read):
        return False
    _write(row, answer)
    return True


def _is_news(row: Instance, answer: ApiInstance, *, is_read: bool) -> bool:
    """Whether the answer is not older than the row, and says anything else."""
    return _is_newer(row, answer) and _differs(row, answer, is_read)


def _is_newer(row: Instance, answer: ApiInstance) -> bool:
    """Whether the answer is at least as new as the row; the order is total, so any sequence of answers ends alike."""
    mine = _order(row.status, row.raw_status, row.last_modified_at, row.last_completed_step)
    modified = answer.last_modified_at or row.last_modified_at  # an answer without the time counts as of the same time
    theirs = _order(answer.status.value, answer.raw_status, modified, answer.last_completed_step)
    if mine[0] and not theirs[0]:
        log.warning("A finished instance was answered as running", extra={"instance": str(row.pk)})
    return theirs >= mine


def _differs(row: Instance, answer: ApiInstance, is_read: bool) -> bool:
    """Whether anything would change; rows of a list that stayed the same are not decoded any further."""
    if row.raw_status != answer.raw_status or row.full_name != answer.name:
        return True
    if any(_told(answer, name) not in (None, "", getattr(row, name)) for name in FROM_LIST):
        return True
    if answer.tags and list(answer.tags) != row.tags:
        return True
    # Only a read by itself carries all members, so only then is it worth looking at the larger ones.
    inputs = None if row.inputs_erased_at else answer.trigger_inputs
    large = ((inputs, "trigger_inputs"), (answer.metadata, "metadata")) if is_read else ()
    return any(value and value != getattr(row, name) for value, name in large)


def _told(answer: ApiInstance, name: str) -> Any:
    """A member of the answer, words no longer than a row bears."""
    value = getattr(answer, name)
    longest = LONGEST_ID if name == "started_by" else LONGEST_WORD
    return value[:longest] if isinstance(value, str) else value


def _write(row: Instance, answer: ApiInstance) -> None:
    for name in FROM_LIST:
        value = _told(answer, name)
        if value is not None:
            setattr(row, name, value)
    if answer.name:
        row.full_name, row.name = answer.name, without_marker(answer.name)[:LONGEST_NAME]
        row.marker = find_marker(answer.name)
        row.name_order = findable.order_of(row.name)
    row.starter_order = findable.order_of(row.started_by_name)
    row.status, row.raw_status = answer.status.value, answer.raw_status
    row.bucket = bucket_of(row.status)
    _write_if_present(row, "trigger_inputs", answer.trigger_inputs)
    _write_if_present(row, "tags", list(answer.tags))
    _write_if_present(row, "metadata", answer.metadata)
    _write_if_present(row, "extra", {key: value for key, value in answer.raw.items() if key not in KNOWN_MEMBERS})
    row.sort_at = row.last_modified_at or row.started_at or row.sort_at


def _write_if_present(row: Instance, name: str, value: Any) -> None:
    if value:
        setattr(row, name, value)


def _change(
    row: Instance, before: tuple[str, int | None], answer: ApiInstance, source: str, now: datetime
) -> InstanceChange:
    """The observed move of state or step."""
    return InstanceChange(
        instance_id=row.pk,
        account_id=row.account_id,
        observed_at=now,
        happened_at=answer.last_modified_at,
        source=source,
        status_before=before[0],
        status_after=row.raw_status,
        step_before=before[1],
        step_after=row.last_completed_step,
        step_name=answer.last_completed_step_name or "",
    )
