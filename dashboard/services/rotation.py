"""Re-sealing every stored secret with the newest key (O-11). Its one rule: a value that changes meanwhile is left to its writer."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model

from dashboard import crypto
from dashboard.models import BatchItem, Connection, HookKey, Instance, Operation, Preset, Sheet
from dashboard.services.hooks import key_place
from dashboard.services.presets import preset_place
from dashboard.services.sheet_rows import item_place, table_place
from dashboard.services.tokens import token_place
from dashboard.services.triggers import payload_place, url_place

Place = Callable[[Any], tuple[str, ...]]
CHUNK = 500

# Every column that holds a sealed value, and the place that its values belong to.
SEALED: tuple[tuple[type[Model], str, Place], ...] = (
    (Connection, "sealed_access_token", lambda row: token_place(row, "access_token")),
    (Connection, "sealed_refresh_token", lambda row: token_place(row, "refresh_token")),
    (Instance, "sealed_url", lambda row: url_place(row.pk)),
    (Operation, "sealed_payload", payload_place),
    (BatchItem, "sealed_inputs", item_place),
    (Sheet, "sealed_table", lambda row: table_place(row.batch_id)),
    (HookKey, "sealed_key", key_place),
    (Preset, "sealed_values", preset_place),
)


@dataclass(slots=True)
class Rotation:
    """How many secrets each key sealed before and after; `broken` names those that do not open."""

    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


def count_keys() -> Counter[str]:
    """How many stored secrets each key sealed."""
    counts: Counter[str] = Counter()
    for model, column, _ in SEALED:
        sealed = model._default_manager.exclude(**{column: ""}).values_list(column, flat=True)
        counts.update(crypto.sealed_key_id(text) for text in sealed.iterator(chunk_size=CHUNK))
    return counts


def rotate() -> Rotation:
    """Seal everything anew that an older key sealed. May run while the console serves, and again at any time."""
    rotation = Rotation(before=count_keys())
    newest = crypto.newest_key_id()
    for model, column, place in SEALED:
        for key in list(model._default_manager.exclude(**{column: ""}).values_list("pk", flat=True)):
            _rotate_one(model, column, place, key, newest, rotation)
    rotation.after = count_keys()
    return rotation


def _rotate_one(model: type[Model], column: str, place: Place, key: Any, newest: str, rotation: Rotation) -> None:
    row = model._default_manager.filter(pk=key).first()
    sealed = getattr(row, column) if row else ""
    if not sealed or crypto.sealed_key_id(sealed) == newest:
        return
    try:
        again = crypto.seal(crypto.unseal(sealed, *place(row)), *place(row))
    except crypto.SealBroken:
        rotation.broken.append(f"{model.__name__} {key} {column}")
        return
    # Only the value that was read is replaced; a refresh that came between has sealed with the newest key already.
    model._default_manager.filter(pk=key, **{column: sealed}).update(**{column: again})
