"""What makes instances findable beside their own columns: names for searching inside, and digests of key inputs.

The one rule: it is written in the transaction that writes the rows, and holds no value of an input in plain.
"""

import json
from collections.abc import Collection, Iterable
from typing import Any
from uuid import UUID

from dashboard import crypto
from dashboard.models import Instance, InstanceKey, InstanceName, KeyInput

LONGEST_ORDER = 80


def folded(text: str) -> str:
    """A text as it is compared: without case."""
    return text.casefold()


def order_of(text: str) -> str:
    """The beginning by which texts are sorted."""
    return folded(text)[:LONGEST_ORDER]


def store_names(new: Iterable[Instance], renamed: Iterable[Instance]) -> None:
    """Keep the names of these rows searchable."""
    made = [InstanceName(instance_id=row.pk, text=folded(row.name)) for row in new]
    InstanceName.objects.bulk_create(made, batch_size=200, ignore_conflicts=True)
    for row in renamed:
        InstanceName.objects.update_or_create(instance_id=row.pk, defaults={"text": folded(row.name)})


def store_keys(rows: Collection[Instance], *, only: KeyInput | None = None) -> None:
    """Keep the digests of these rows' key inputs; a value that is gone or cannot be compared is forgotten."""
    marked = KeyInput.objects.filter(workflow_id__in={row.workflow_id for row in rows}, unmarked_at=None)
    inputs: dict[UUID, list[KeyInput]] = {}
    for key_input in [only] if only else marked:
        inputs.setdefault(key_input.workflow_id, []).append(key_input)
    made, gone = [], []
    for row in rows:
        for key_input in inputs.get(row.workflow_id, []):
            digest = digest_of(row.account_id, key_input.name, row.trigger_inputs.get(key_input.name))
            if digest:
                made.append(InstanceKey(key_input=key_input, instance_id=row.pk, digest=digest))
            else:
                gone.append((key_input.pk, row.pk))
    InstanceKey.objects.bulk_create(
        made,
        batch_size=200,
        update_conflicts=True,
        unique_fields=["key_input", "instance"],
        update_fields=["digest"],
    )
    for key_input_id, instance_id in gone:
        InstanceKey.objects.filter(key_input_id=key_input_id, instance_id=instance_id).delete()


def made_with() -> str:
    """A mark of the secret that makes digests now: those of another secret match nothing and must be made again."""
    return crypto.keyed_digest("key input", "made with", size=16)


def digest_of(account_id: UUID, name: str, value: Any) -> str:
    """The keyed digest of an input's value; empty for a value that is missing or no single value.

    Texts are compared without case and without spaces around them; 7 and "7" are alike, since forms only give texts.
    """
    if value is None or isinstance(value, dict | list):
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    compared = folded(text.strip())
    return crypto.keyed_digest("key input", f"{account_id}\n{name}\n{compared}") if compared else ""
