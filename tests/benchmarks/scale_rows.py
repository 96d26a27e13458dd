"""A database as large as the console is meant for: up to a million instances of 200 workflows, 5,000 of them Pia's.

The one rule: rows are written in bulk as the mirror itself would hold them, counts and searchable names included.
"""

import json
import random
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from typing import Any

from django.core.management import call_command
from django.db import connection, transaction
from django.utils import timezone

from dashboard import name_index
from dashboard.models import (
    Account,
    Connection,
    HourCount,
    Instance,
    InstanceCount,
    InstanceName,
    Membership,
    Rights,
    Role,
    User,
    Workflow,
    WorkflowAccess,
    WorkflowState,
    bucket_of,
)
from dashboard.services import findable, table_statistics, tallies

ACCOUNT_ID = uuid.UUID("6f1c2e9a-0000-4000-8000-000000000001")
WORKFLOWS = 200
STARTERS = 300
PIA_ROWS = 5_000
DAYS = 1_000
STATES = ("completed", "in_progress", "failed", "canceled", "unknown")
WEIGHTS = (875, 50, 30, 40, 5)
RAW = {
    "completed": "Completed",
    "in_progress": "In Progress",
    "failed": "Failed",
    "canceled": "Canceled",
    "unknown": "Parked",
}
KINDS = (
    "Supplier NDA",
    "Onboarding",
    "Invoice approval",
    "Lease renewal",
    "Offer letter",
    "Purchase order",
    "Policy waiver",
)
FIRMS = ("Lindqvist", "Berger", "Okafor", "Marchetti", "Suzuki", "Novak", "Hassan", "Duval", "Kowalski", "Ferreira")
FORMS = ("AB", "GmbH", "Ltd", "SpA", "Inc", "OY", "SARL")
BATCH = 5_000
EMPTY: Mapping[str, Any] = {}


def fill(rows: int) -> None:
    """Make the tables and fill them."""
    call_command("migrate", verbosity=0)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")  # filling takes longer than any page may
    dice = random.Random(7)
    account = Account.objects.create(id=ACCOUNT_ID, environment="simulator", name="Scale", has_account_list=True)
    workflows = [uuid.UUID(int=dice.getrandbits(128), version=4) for _ in range(WORKFLOWS)]
    now = timezone.now()
    Workflow.objects.bulk_create(
        Workflow(
            id=pk, account=account, name=f"{KINDS[number % len(KINDS)]} {number:03}", status=WorkflowState.ACTIVE,
            raw_status="active", synced_at=now, instances_read_at=now, contract_read_at=now,
        )
        for number, pk in enumerate(workflows)
    )  # fmt: skip
    ada, pia = _person(account, "Ada Admin", Rights.MANAGE), _person(account, "Pia Preparer", Rights.OWN)
    for user in (ada, pia):
        WorkflowAccess.objects.bulk_create(WorkflowAccess(user=user, workflow_id=pk, listed_at=now) for pk in workflows)
    _write(_instances(dice, rows, workflows, pia.sub))


def refresh_proofs() -> None:
    """Rights count for minutes only; a measurement takes longer."""
    Membership.objects.exclude(rights=Rights.UNPROVEN).update(rights_proven_at=timezone.now(), synced_at=timezone.now())


def _person(account: Account, name: str, rights: Rights) -> User:
    user = User.objects.create(environment="simulator", sub=str(uuid.uuid4()), name=name, time_zone="Europe/Berlin")
    Connection.objects.create(
        user=user, state=Connection.State.ACTIVE, version=1, first_granted_at=timezone.now(),
        access_expires_at=timezone.now() + timedelta(hours=8),
    )  # fmt: skip
    Membership.objects.create(
        user=user, account=account, role=Role.ADMIN, is_default=True, rights=rights, rights_proven_at=timezone.now(),
        synced_at=timezone.now(), looked_at=timezone.now(),
    )  # fmt: skip
    return user


@dataclass(frozen=True, slots=True)
class Line:
    """One instance: its columns by name, and what is counted of it."""

    columns: dict[str, Any]
    counted: tallies.Standing


def _instances(dice: random.Random, rows: int, workflows: list[uuid.UUID], pia: str) -> Iterator[Line]:
    """Rows of all ages; what runs is young, some workflows are used fifty times as often as others."""
    weights = list(accumulate(1 / (5 + number) for number in range(WORKFLOWS)))
    people = [
        (str(uuid.UUID(int=dice.getrandbits(128), version=4)), f"Person {number:03}") for number in range(STARTERS)
    ]
    now = datetime.now(UTC)
    every = max(1, rows // PIA_ROWS)
    for number in range(rows):
        status = dice.choices(STATES, WEIGHTS)[0]
        age = dice.random() ** 3 * 90 if status == "in_progress" else dice.random() * DAYS
        started = now - timedelta(days=age, seconds=dice.random() * 86_400)
        changed = min(started + timedelta(days=dice.random() * 30), now)
        done = 7 if status == "completed" else dice.randrange(7)
        starter, starter_name = (pia, "Pia Preparer") if number % every == 0 else dice.choice(people)
        workflow = dice.choices(workflows, cum_weights=weights)[0]
        name = f"{dice.choice(KINDS)} {dice.choice(FIRMS)} {dice.choice(FORMS)} {number}"
        ended = changed if status in ("completed", "failed", "canceled") else None
        columns = {
            "id": uuid.UUID(int=dice.getrandbits(128)), "workflow_id": workflow, "name": name, "full_name": name,
            "status": status, "bucket": bucket_of(status).value, "raw_status": RAW[status], "started_at": started,
            "started_by": starter, "started_by_name": starter_name, "last_modified_at": changed, "ended_at": ended,
            "canceled_at": changed if status == "canceled" else None, "expires_at": started + timedelta(days=90),
            "last_completed_step": done, "last_completed_step_name": f"Step {done}", "sort_at": changed,
            "name_order": findable.order_of(name), "starter_order": findable.order_of(starter_name),
            "is_from_here": number % 10 == 3, "first_seen_at": started,
            "trigger_inputs": {"Email": f"person{number}@example.com"},
        }  # fmt: skip
        yield Line(columns, tallies.Standing(ACCOUNT_ID, workflow, starter, status, started, ended))


def _write(instances: Iterator[Line]) -> None:
    indexes = list(Instance._meta.indexes)
    counts = Counts()
    name_index.remove(connection)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous=OFF")
            cursor.execute("PRAGMA cache_size=-400000")
    with connection.schema_editor() as editor:
        for index in indexes:
            editor.remove_index(Instance, index)
    alike = {"account_id": ACCOUNT_ID, "synced_at": timezone.now(), "total_steps": 7, "started_by_role": "Preparer"}
    number = 0
    while lines := list(islice(instances, BATCH)):
        names = [
            {"id": number + place, "instance_id": line.columns["id"], "text": findable.folded(line.columns["name"])}
            for place, line in enumerate(lines, start=1)
        ]
        number += len(lines)
        with transaction.atomic():
            _copy(Instance, [line.columns for line in lines], alike)
            _copy(InstanceName, names)
        counts.add(line.counted for line in lines)
    with connection.schema_editor() as editor:
        for index in indexes:
            editor.add_index(Instance, index)
    name_index.install(connection)
    counts.store()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            table_statistics.refresh()  # as the worker does
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        else:
            cursor.execute("VACUUM ANALYZE")  # as PostgreSQL does by itself, which the cluster of the tests may not


def _copy(model: Any, rows: list[dict[str, Any]], alike: Mapping[str, Any] = EMPTY) -> None:
    """One bulk insert by the quickest way of the database; what a row does not name has the column's default."""
    fields = list(model._meta.concrete_fields)
    names = [field.attname for field in fields]
    writers = {field.attname: write for field in fields if (write := _writer(field))}
    defaults = {field.attname: field.get_default() for field in fields} | dict(alike)
    defaults |= {name: write(defaults[name]) for name, write in writers.items()}
    values = []
    for row in rows:
        told = defaults | row
        for name, write in writers.items():
            if name in row:
                told[name] = write(row[name])
        values.append(tuple(map(told.__getitem__, names)))
    table = connection.ops.quote_name(model._meta.db_table)
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for row in values:
                    copy.write_row(row)
        else:
            places = ", ".join(["%s"] * len(fields))
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", values)  # noqa: S608  # our columns


def _writer(field: Any) -> Callable[[Any], Any] | None:
    """How a value of the field is written; None where it is written as it is, which saves minutes at a million rows."""
    kind = (field.target_field if field.is_relation else field).get_internal_type()
    if kind == "JSONField":
        return json.dumps
    if connection.vendor == "sqlite" and kind == "UUIDField":
        return lambda value: value and value.hex
    if connection.vendor == "sqlite" and kind == "DateTimeField":
        return lambda value: value and str(value.replace(tzinfo=None))
    return None


class Counts:
    """What `services/tallies.py` would have counted."""

    def __init__(self) -> None:
        self.states: Counter[tuple[Any, ...]] = Counter()
        self.hours: Counter[tuple[Any, ...]] = Counter()

    def add(self, standings: Iterable[tallies.Standing]) -> None:
        oldest = timezone.now() - tallies.HOURS_KEPT
        for row in standings:
            for starter in (InstanceCount.ANYBODY, row.started_by):
                self.states[row.workflow_id, starter, row.status] += 1
            for what, moment in ((tallies.STARTED, row.started_at), (row.status, row.ended_at)):
                if moment is not None and moment > oldest:
                    hour = moment.replace(minute=0, second=0, microsecond=0)
                    self.hours[ACCOUNT_ID, what, hour] += 1
                    self.hours[row.workflow_id, what, hour] += 1

    def store(self) -> None:
        states = ("workflow_id", "started_by", "status")
        hours = ("scope", "what", "hour")
        _copy(InstanceCount, _numbered(self.states, states), {"account_id": ACCOUNT_ID})
        _copy(HourCount, _numbered(self.hours, hours))


def _numbered(counter: Counter[tuple[Any, ...]], names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {"id": place, "rows": rows} | dict(zip(names, key, strict=True))
        for place, (key, rows) in enumerate(counter.items(), start=1)
    ]
