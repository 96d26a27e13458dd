"""Where something stands about a person: found by a name, an e-mail address, an id or a value of an input.

The one rule: everything that people or Docusign gave is looked at, what is sealed too; what nobody can open tells nothing.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote_plus
from uuid import UUID

from django.db.models import Model, Q, QuerySet

from dashboard import crypto
from dashboard.models import (
    Approval,
    Batch,
    BatchItem,
    Delivery,
    InputRule,
    Instance,
    Operation,
    Preset,
    SavedView,
    Sheet,
    User,
)
from dashboard.services.errors import Refused
from dashboard.services.findable import folded
from dashboard.services.presets import preset_place
from dashboard.services.sheet_rows import item_place, opened
from dashboard.services.sheet_tables import Table
from dashboard.services.triggers import payload_place

Row = TypeVar("Row", bound=Model)
SHORTEST = 3
TOO_SHORT = f"Give at least {SHORTEST} characters; less is found everywhere."
# What people or this console wrote in words, which stays as part of what happened or was set up.
WORDS: dict[str, tuple[type[Model], tuple[str, ...]]] = {
    "runs": (Batch, ("name", "reason", "described", "message")),
    "rows": (BatchItem, ("message",)),
    "deeds": (Operation, ("reason", "message")),
    "approvals": (Approval, ("note",)),
    "views": (SavedView, ("name", "query")),
    "presets": (Preset, ("name",)),
    "rules": (InputRule, ("label", "help", "choices", "minimum", "maximum", "pattern")),
}
# How to get from each kind of finding to its account.
ACCOUNT_OF: dict[type[Model], str] = {
    Instance: "account",
    Preset: "workflow__account",
    BatchItem: "batch__account",
    Sheet: "batch__account",
    Operation: "account",
    Delivery: "account",
    Batch: "account",
    Approval: "batch__account",
    SavedView: "account",
    InputRule: "workflow__account",
}


@dataclass(slots=True)
class Mentions:
    """Where a text stands that is no person of this console's own."""

    inputs: list[UUID] = field(default_factory=list)  # of instances
    names: list[UUID] = field(default_factory=list)  # of instances
    members: list[UUID] = field(default_factory=list)  # what else Docusign holds of instances
    presets: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)  # of files, items of bulk runs
    files: list[UUID] = field(default_factory=list)
    operations: list[UUID] = field(default_factory=list)
    deliveries: list[int] = field(default_factory=list)  # events of Docusign Connect
    words: dict[str, list[Any]] = field(default_factory=dict)  # by the names of WORDS

    def by_model(self) -> Iterator[tuple[type[Model], list[Any]]]:
        yield Instance, [*self.inputs, *self.names, *self.members]
        yield Preset, self.presets
        yield BatchItem, self.rows
        yield Sheet, self.files
        yield Operation, self.operations
        yield Delivery, self.deliveries
        for name, ids in self.words.items():
            yield WORDS[name][0], ids

    def accounts(self) -> set[UUID]:
        """Those in which something was found."""
        found: set[UUID] = set()
        for model, ids in self.by_model():
            rows = model._default_manager.filter(pk__in=ids)
            found |= set(rows.values_list(ACCOUNT_OF[model], flat=True).distinct()) if ids else set()
        return found


def people_like(text: str) -> QuerySet[User]:
    """The people of this console with this id, Docusign id, name or e-mail address."""
    wanted = Q(name__iexact=text) | Q(email__iexact=text) | Q(sub__iexact=text)
    with suppress(ValueError):
        wanted |= Q(pk=UUID(text))
    return User.objects.filter(wanted).order_by("name", "pk")


def find_mentions(text: str) -> Mentions:
    """Everything kept that holds the text, in capital or small letters. Raises Refused for a text that is too short."""
    wanted = folded(text.strip())
    if len(wanted) < SHORTEST:
        raise Refused(TOO_SHORT)
    instances = Instance.objects.only("pk", "trigger_inputs", "tags", "metadata", "extra")
    found = Mentions(
        names=list(Instance.objects.filter(search_name__text__contains=wanted).values_list("pk", flat=True)),
        presets=_found(Preset.objects.all(), lambda row: [preset_values(row)], wanted),
        rows=_found(
            BatchItem.objects.select_related("batch"),
            lambda row: [row.label, row.problems, row_values(row)],
            wanted,
        ),
        files=_found(Sheet.objects.all(), lambda row: [row.file_name, *file_rows(row)], wanted, at_once=5),
        operations=_found(
            Operation.objects.only("pk", "instance_name", "sealed_payload", "field_errors"),
            lambda row: [row.instance_name, row.field_errors, deed_values(row)],
            wanted,
        ),
        deliveries=_found(Delivery.objects.only("pk", "body"), lambda row: [message_of(row)], wanted, at_once=20),
    )
    for row in instances.iterator(chunk_size=500):
        if holds(row.trigger_inputs, wanted):
            found.inputs.append(row.pk)
        if holds([row.tags, row.metadata, row.extra], wanted):
            found.members.append(row.pk)
    for name, (model, columns) in WORDS.items():
        if ids := _found(model._default_manager.only("pk", *columns), partial(_said, columns), wanted):
            found.words[name] = ids
    return found


def _found(rows: QuerySet[Row], told: Callable[[Row], list[Any]], wanted: str, at_once: int = 500) -> list[Any]:
    return [row.pk for row in rows.iterator(chunk_size=at_once) if holds(told(row), wanted)]


def _said(columns: tuple[str, ...], row: Model) -> list[Any]:
    values = {column: getattr(row, column) for column in columns}
    return [unquote_plus(value) if column == "query" else value for column, value in values.items()]


def holds(value: Any, wanted: str) -> bool:
    """Whether a folded text stands anywhere in a value of JSON, in its names too."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            left += [*one, *one.values()]
        elif isinstance(one, list):
            left += one
        elif one is not None and wanted in folded(str(one)):
            return True
    return False


def preset_values(row: Preset) -> Any:
    """What a preset fills in; None when it cannot be opened."""
    return _opened(row.sealed_values, preset_place(row))


def row_values(row: BatchItem) -> Any:
    """What a row of a run would send."""
    return _opened(row.sealed_inputs, item_place(row))


def deed_values(row: Operation) -> Any:
    """What a trigger would send."""
    return _opened(row.sealed_payload, payload_place(row))


def file_rows(row: Sheet) -> list[dict[str, str]]:
    """The rows of a file as they came."""
    try:
        table: Table = opened(row)
    except crypto.SealBroken:
        return []
    return [dict(zip(table.columns, each, strict=False)) for each in table.rows]


def message_of(row: Delivery) -> Any:
    """An event as Docusign Connect sent it, as JSON where it is some."""
    text = bytes(row.body).decode(errors="replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _opened(sealed: str, place: tuple[str, ...]) -> Any:
    if not sealed:
        return None
    try:
        return json.loads(crypto.unseal(sealed, *place))
    except crypto.SealBroken:
        return None  # nobody can read it any more, so it tells nothing about anybody
