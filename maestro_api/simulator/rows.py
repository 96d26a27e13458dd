"""An instance as it goes over the wire. Rule: built when asked for, never kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from . import instances as column
from .clock import iso
from .state import World

_ENCODER = msgspec.json.Encoder()
LIST_OMITS_2025 = ("tags", "metadata", "ended_at", "canceled_at", "canceled_by", "last_completed_step_name")


def instance_body(world: World, row: int, *, in_list: bool = False) -> dict[str, Any]:
    """The members of one instance; the announcement of 2025 shows fewer of them in lists."""
    data = world.instances
    workflow = world.workflow_of(row)
    status, step = data.status[row], data.step[row]
    sub = world.starters[data.starter[row]]
    person = world.people.get(sub)
    started, modified = data.started[row], data.modified[row]
    ended = iso(modified) if status in column.TERMINAL else None
    canceled = status == column.CANCELED
    instance_id = data.id_of(row)
    body: dict[str, Any] = {
        "id": instance_id,
        "name": world.name_of(row),
        "workflow_status": column.STATUSES[status],
        "template_id": workflow.id,
        "account_id": workflow.account_id,
        "started_at": iso(started),
        "started_by": sub,
        "started_by_name": person.name if person else "Former User",
        "started_by_role": "Preparer",
        "ended_at": ended,
        "expires_at": iso(started + workflow.life_seconds),
        "last_modified_at": iso(modified),
        "canceled_at": ended if canceled else None,
        "canceled_by": data.canceled_by.get(row, sub) if canceled else "",
        "trigger_inputs": _read_back(world, row, instance_id, sub, started),
        "total_steps": len(workflow.steps),
        "last_completed_step": step,
        "last_completed_step_name": workflow.steps[min(step, len(workflow.steps)) - 1] if step else None,
        "tags": [],
        "metadata": {
            "workflow_created_by": workflow.created_by,
            "workflow_version": "1.0.0",
            "workflow_metadata_id": workflow.id.replace("-", "")[:24],
        },
    }
    if in_list and world.settings.profile == "seed2025":
        for member in LIST_OMITS_2025:
            del body[member]
    extra = data.extra.get(row)
    if extra:
        body.update(extra)
    for member in data.omitted.get(row, ()):
        body.pop(member, None)
    return body


def _read_back(world: World, row: int, instance_id: str, sub: str, started: float) -> dict[str, Any]:
    """What the caller sent plus the system's own keys; `startDate` is always the server's."""
    participant = f"9e8adaac-{row & 0xFFFF:04x}-4000-8000-2dc1de83cf70"
    return world.inputs_of(row) | {
        "startDate": iso(started - 1.182)[:-6] + "Z",
        "dacId": instance_id,
        "id": participant,
        "participantIdMap": {"4124c851-1f60-4b7e-9a55-40d46d2d35d0": participant, sub: participant},
    }


def renamed(body: dict[str, Any]) -> dict[str, Any]:
    """The other spelling that items of the account-level list may have; its real one is not published."""
    names = {
        "id": "instance_id",
        "name": "instance_name",
        "workflow_status": "status",
        "template_id": "workflow_definition_id",
    }
    return {names.get(member, member): value for member, value in body.items()}


def encode_rows(world: World, rows: Iterable[int], chunk: int = 250) -> bytes:
    """A JSON array of list items; the lock is let go between chunks so that a long list stops nobody."""
    wanted = list(rows)
    parts: list[bytes] = []
    for first in range(0, len(wanted), chunk):
        with world.lock:
            bodies = [instance_body(world, row, in_list=True) for row in wanted[first : first + chunk]]
        parts.append(_ENCODER.encode(bodies)[1:-1])
    return b"[" + b",".join(parts) + b"]"
