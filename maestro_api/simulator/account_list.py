"""The account-level list with its page token. Rule: newest first; a page token stays good while new instances arrive."""

from __future__ import annotations

import base64
import binascii
import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any

import msgspec

from .instances import STATUS_CODES, squash
from .messages import SimRequest, SimResponse
from .profiles import ApiError
from .rows import encode_rows, instance_body, renamed
from .state import World


class _Filter:
    """Which rows a listing wants, and how to find them without looking at each of a million."""

    def __init__(self, world: World, account_id: str, starter: str | None, statuses: list[str], lag: float) -> None:
        self.world = world
        self.data = world.instances
        self.account_id = account_id
        sub = starter.strip("{}").lower() if starter else None
        self.starter = None if sub is None else world.starters.index(sub) if sub in world.starters else -1
        self.statuses = frozenset(squash(text) for text in statuses)
        self.codes = frozenset(STATUS_CODES[text] for text in self.statuses if text in STATUS_CODES)
        self.newest = world.clock.now() - lag if lag else None
        self.is_open = self.starter is None and not self.statuses and self.newest is None

    def takes(self, row: int) -> bool:
        if self.starter is not None and self.data.starter[row] != self.starter:
            return False
        if self.statuses and not self._has_status(row):
            return False
        return self.newest is None or self.data.started[row] <= self.newest

    def _has_status(self, row: int) -> bool:
        if row in self.data.extra:
            return squash(self.data.raw_status(row)) in self.statuses
        return self.data.status[row] in self.codes

    def descend(self, rows: array[int] | list[int], position: int, *, is_whole: bool) -> Iterator[int]:
        """The wanted ones among `rows[:position]`, newest first; `is_whole` when they are all rows of the account."""
        if is_whole and (self.starter is not None or self.statuses):
            yield from self._leap(rows[position - 1] + 1 if position else 0)
            return
        for index in range(position - 1, -1, -1):
            if self.is_open or self.takes(rows[index]):
                yield rows[index]

    def _leap(self, before: int) -> Iterator[int]:
        """From one row that may be wanted to the one before it, by searching the columns as bytes."""
        changed = sorted(self.data.extra)
        while before > 0:
            if self.starter is not None:
                found = -1 if self.starter < 0 else self.data.starter.rfind(self.starter, 0, before)
            else:
                place = bisect_left(changed, before)
                own = [self.data.status.rfind(code, 0, before) for code in self.codes]
                found = max([*own, changed[place - 1] if place else -1])
            if found < 0:
                return
            before = found
            if self.takes(found) and self.world.workflow_of(found).account_id == self.account_id:
                yield found


def account_page(
    world: World, request: SimRequest, account_id: str, starter: str | None, numbers: list[int], lag: float
) -> SimResponse:
    """One page. The total is worked out with the first page and carried along in the page token."""
    statuses = request.params().get("status", [])
    size = _page_size(world, request.param("page_size"))
    rows = _rows_of(world, account_id, numbers)
    wanted = _Filter(world, account_id, starter, statuses, lag)
    shape = hashlib.sha256(repr((account_id, starter, sorted(statuses), sorted(numbers))).encode()).hexdigest()[:16]
    before, total = _read_token(request.param("ctoken"), shape)
    position = len(rows) if before is None else bisect_left(rows, before)
    if total is None:
        total = _count(world, rows, wanted)
    taken = list(islice(wanted.descend(rows, position, is_whole=not numbers), size + 1))
    more = len(taken) > size
    del taken[size:]
    rest: dict[str, Any] = {"total_set_size": total, "result_set_size": len(taken)}
    if more:
        rest["ctoken"] = _write_token(taken[-1], shape, total)
    elif world.settings.profile == "wb100":
        rest["ctoken"] = None
    if world.settings.account_list_shape == "renamed":
        items = msgspec.json.encode([renamed(instance_body(world, row, in_list=True)) for row in taken])
    else:
        items = encode_rows(world, taken)
    body = b'{"instances":' + items + b"," + msgspec.json.encode(rest)[1:]
    return SimResponse(200, {"Content-Type": "application/json"}, body)


def _page_size(world: World, text: str | None) -> int:
    if text is None:
        return world.settings.page_size
    if not text.isdecimal() or int(text) < 1:
        raise ApiError(400, "The value of page_size must be a positive number.")
    return min(int(text), world.settings.page_size_max)


def _rows_of(world: World, account_id: str, numbers: list[int]) -> array[int] | list[int]:
    """Row numbers in rising order: those of the named workflows, or of the whole account."""
    if not numbers:
        return world.instances.by_account.get(account_id, array("I"))
    parts = [world.instances.by_workflow[number] for number in set(numbers) if number in world.instances.by_workflow]
    return parts[0] if len(parts) == 1 else sorted(chain.from_iterable(parts))


def _count(world: World, rows: array[int] | list[int], wanted: _Filter) -> int:
    """Exact for a short list; for a long filtered one an estimate from evenly spread rows, as the real total is approximate."""
    if wanted.is_open:
        return len(rows)
    stride = max(1, len(rows) // world.settings.list_pages_exact)
    return stride * sum(1 for row in rows[::stride] if wanted.takes(row))


def _write_token(row: int, shape: str, total: int) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode([row, shape, total])).decode().rstrip("=")


def _read_token(text: str | None, shape: str) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        row, of, total = msgspec.json.decode(raw, type=tuple[int, str, int])
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise ApiError(400, "The ctoken is not valid.") from error
    if of != shape:
        raise ApiError(400, "The ctoken belongs to another listing.")
    return row, total
