"""Events on demand: repeated, out of order, tampered with, old, wrongly signed. Rule: each send says what came back."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from . import instances as column
from .clock import iso_ticks
from .connect import EVENTS, Connect, Message
from .state import World

NATURAL = {column.FAILED: "workflow-failed", column.COMPLETED: "workflow-completed"}


class SendOrder(msgspec.Struct, forbid_unknown_fields=True):
    """What to send. Without instances the newest one is taken; without events the one that fits its status."""

    instance_id: str | None = None
    instance_ids: list[str] = []
    event: str | None = None
    events: list[str] = []
    repeat: int = 1
    reorder: bool = False
    tamper: bool = False
    age_seconds: float = 0
    keys: list[str] | None = None
    parallel: int = 1
    account_id: str | None = None
    data: dict[str, Any] | None = None


def send(world: World, connect: Connect, raw: dict[str, Any]) -> list[dict[str, Any]]:
    """Build under the lock, send without it."""
    order = msgspec.convert(raw, SendOrder)
    with world.lock:
        messages = _messages(world, connect, order)
    if order.reorder:
        messages.reverse()
    if order.parallel > 1:
        with ThreadPoolExecutor(order.parallel) as pool:
            return list(pool.map(lambda one: connect.deliver(one, keys=order.keys, tamper=order.tamper), messages))
    return [connect.deliver(message, keys=order.keys, tamper=order.tamper) for message in messages]


def _messages(world: World, connect: Connect, order: SendOrder) -> list[Message]:
    ids = [*order.instance_ids, *([order.instance_id] if order.instance_id else [])]
    rows = [_row(world, instance_id) for instance_id in ids] or [len(world.instances) - 1]
    if rows == [-1]:
        raise ValueError("There is no instance.")
    moment = world.clock.now() - order.age_seconds
    messages: list[Message] = []
    for row in rows:
        natural = NATURAL.get(world.instances.status[row], EVENTS[0])
        for event in order.events or [order.event or natural]:
            moment += 0.001
            message = connect.message(event, row, moment)
            message.payload["generatedDateTime"] = iso_ticks(moment)
            if order.account_id:
                message.payload["data"]["accountId"] = order.account_id
            message.payload["data"] |= order.data or {}
            messages += [_again(message, count) for count in range(max(order.repeat, 1))]
    return messages


def _again(message: Message, count: int) -> Message:
    """The same event as redelivered: equal but for its growing retryCount."""
    payload = copy.deepcopy(message.payload)
    payload["retryCount"] = count
    return Message(message.event, message.instance_id, payload)


def _row(world: World, instance_id: str) -> int:
    row = world.instances.row_of(instance_id)
    if row is None:
        raise ValueError(f"There is no instance {instance_id}.")
    return row
