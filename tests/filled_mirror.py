"""A filled mirror for the tests that begin with one: a real reading of the account now and then, and copies of what it left.

The one rule: a copy is taken only where a real reading would find the same, which a test compares column by column.
"""

import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import time_machine
from django.apps import apps
from django.conf import Settings, settings
from django.db import models
from django.utils import timezone

from dashboard.models import Account, Connection, Instance, Membership, User
from dashboard.services import sync
from maestro_api.simulator import Simulator
from maestro_api.simulator.messages import SimRequest

KEPT_SECONDS = 40  # the first instance of a new simulator moves after 60
NOT_COPIED = (Account, Membership, User, Connection)
BURST_SECONDS = 30  # Docusign counts calls by these, so what a reading used is of the present ones only


@dataclass(frozen=True)
class Reading:
    """What a reading left, by table, and when; stamps that it made are told from dates of Docusign by lying in its time."""

    found: bytes
    began: datetime
    ended: datetime
    keys: dict[type[models.Model], int]
    rows: dict[type[models.Model], list[dict[str, Any]]]
    account: dict[str, Any]
    membership: dict[str, Any]
    asked: list[tuple[str, str, dict[str, str]]]

    def moved(self, columns: dict[str, Any], by: timedelta) -> dict[str, Any]:
        return {
            name: value + by if isinstance(value, datetime) and self.began <= value <= self.ended else value
            for name, value in columns.items()
        }


_born = 0.0
_reading: Reading | None = None


def born_at() -> float | None:
    """As of when the simulators of the next moments make their data; None where a test has a time of its own."""
    global _born
    if time_machine.escape_hatch.is_travelling():
        return None
    if time.time() - _born > KEPT_SECONDS:
        _born = time.time()
    return _born


def fill(membership: Membership, simulator: Simulator) -> None:
    """Make the mirror as a reading for this person leaves it."""
    global _reading
    found = _fingerprint(membership, simulator)
    if found is not None and _reading is not None and _reading.found == found:
        _put(_reading, membership, simulator)
        return
    began, before = timezone.now(), len(simulator.ledger())
    assert sync.sync_membership(membership), membership.sync_error
    if found is not None:
        _reading = _take(found, membership, began, simulator.ledger()[before:])


def _fingerprint(membership: Membership, simulator: Simulator) -> bytes | None:
    """What decides about the outcome of a reading; None where that cannot be told."""
    is_plain = type(settings._wrapped) is Settings and not time_machine.escape_hatch.is_travelling()
    if not is_plain or Instance.objects.exists() or Membership.objects.count() != 1:
        return None
    world = simulator.world
    state = (world.settings, world.accounts, world.people, world.workflows, world.instances)
    mine = {name: value for name, value in _columns(membership).items() if not name.endswith(("id", "_at"))}
    account = {name: value for name, value in _columns(membership.account).items() if not name.endswith("_at")}
    when = (_born, time.time() // BURST_SECONDS)
    return _pickled((state, simulator.faults.rules, simulator.ledger(), when, membership.user.name, mine, account))


def _pickled(value: object) -> bytes:
    """The same for what is equal, whichever of its parts are the same object."""
    written = BytesIO()
    pickler = pickle.Pickler(written)
    pickler.fast = True
    pickler.dump(value)
    return written.getvalue()


def _columns(row: models.Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def _tables() -> Iterator[type[models.Model]]:
    for model in apps.get_app_config("dashboard").get_models():
        if model._meta.managed and model not in NOT_COPIED:
            yield model


def _take(found: bytes, membership: Membership, began: datetime, ledger: list[dict[str, Any]]) -> Reading:
    rows = {model: list(model._default_manager.values()) for model in _tables()}
    membership.account.refresh_from_db()
    return Reading(
        found=found,
        began=began,
        ended=timezone.now(),
        keys={User: membership.user_id, Membership: membership.pk},
        rows={model: values for model, values in rows.items() if values},
        account=_columns(membership.account),
        membership=_columns(membership),
        asked=[(entry["method"], entry["path"], entry["query"]) for entry in ledger],
    )


def _put(reading: Reading, membership: Membership, simulator: Simulator) -> None:
    by = timezone.now() - reading.ended
    keys = {User: membership.user_id, Membership: membership.pk}
    for model, rows in reading.rows.items():
        own = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
        fields = [field for field in own if not getattr(field, "generated", False)]
        copies = []
        for row in rows:
            columns = reading.moved({field.attname: row[field.attname] for field in fields}, by)
            for field in fields:
                kind = field.related_model
                if kind in keys and columns[field.attname] == reading.keys[kind]:
                    columns[field.attname] = keys[kind]
            copies.append(model(**columns))
        model._default_manager.bulk_create(copies)
    same = {"id", "user_id", "account_id"}
    for row, columns in ((membership.account, reading.account), (membership, reading.membership)):
        changed = {name: value for name, value in reading.moved(columns, by).items() if name not in same}
        type(row)._default_manager.filter(pk=row.pk).update(**changed)
    membership.refresh_from_db()
    _ask_again(reading, simulator)


def _ask_again(reading: Reading, simulator: Simulator) -> None:
    """The calls of the reading, for the ledger and the counters of Docusign."""
    token = next(reversed(simulator.tokens.access))
    for method, path, query in reading.asked:
        target = f"{path}?{urlencode(query, doseq=True)}" if query else path
        simulator.handle(SimRequest(method, target, {"Authorization": f"Bearer {token}"}))
