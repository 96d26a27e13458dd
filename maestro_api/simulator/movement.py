"""Instances move by themselves. Rule: nothing runs; what is due is applied, in order, when somebody looks."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from . import instances as column
from .state import World

RUNNING = (column.CREATED, column.IN_PROGRESS)
Listener = Callable[[str, int, float], None]


class Movement:
    """A queue of (moment, row): the next thing that will happen to each running instance."""

    def __init__(self, world: World, tell: Listener) -> None:
        self.world = world
        self.tell = tell
        self._queue: list[tuple[float, int]] = []
        self._due: dict[int, float] = {}

    def plan(self, row: int, due: float) -> None:
        due = min(due, self.world.expires_at(row))
        self._due[row] = due
        heapq.heappush(self._queue, (due, row))

    def plan_many(self, planned: list[tuple[float, int]]) -> None:
        self._due.update((row, due) for due, row in planned)
        self._queue.extend(planned)
        heapq.heapify(self._queue)

    def plan_next(self, row: int, moment: float) -> None:
        shortest, longest = self.world.settings.step_seconds
        share = (self.world.instances.stir(row + 7919 * (self.world.instances.step[row] + 1)) % 1000) / 1000
        self.plan(row, moment + shortest + (longest - shortest) * share)

    def start(self, row: int) -> None:
        """A new instance: created now, in progress a moment later."""
        self.plan(row, self.world.instances.started[row] + 1)

    def settle(self) -> None:
        """Apply everything that is due by now."""
        now = self.world.clock.now()
        while self._queue and self._queue[0][0] <= now:
            due, row = heapq.heappop(self._queue)
            if self._due.get(row) == due:
                del self._due[row]
                self._apply(row, due)

    def _apply(self, row: int, due: float) -> None:
        data = self.world.instances
        if data.status[row] not in RUNNING or "workflow_status" in data.extra.get(row, {}):
            return
        if due >= self.world.expires_at(row):
            self.finish(row, column.EXPIRED, due)
        elif not self.world.settings.moving:
            self.plan(row, self.world.expires_at(row))
        elif data.status[row] == column.CREATED:
            data.status[row] = column.IN_PROGRESS
            data.modified[row] = due
            self.tell("workflow-started", row, due)
            self.plan_next(row, due)
        else:
            self._step(row, due)

    def _step(self, row: int, due: float) -> None:
        data = self.world.instances
        total = len(self.world.workflow_of(row).steps)
        fails = data.stir(row + 104_729) % 100 < self.world.settings.fail_percent
        if fails and data.step[row] + 1 >= min(2, total):
            self.finish(row, column.FAILED, due)
            return
        data.step[row] += 1
        data.modified[row] = due
        if data.step[row] >= total:
            self.finish(row, column.COMPLETED, due)
        else:
            self.plan_next(row, due)

    def finish(self, row: int, status: int, moment: float, canceled_by: str | None = None) -> None:
        """Put an instance into a final state, whoever asked for it."""
        data = self.world.instances
        self._due.pop(row, None)
        if status == column.COMPLETED:
            data.step[row] = min(len(self.world.workflow_of(row).steps), 255)
            self.tell("workflow-completed", row, moment)
        elif status == column.FAILED:
            self.tell("workflow-failed", row, moment)
        elif status == column.EXPIRED:
            if self.world.settings.expired_as != column.STATUSES[column.EXPIRED]:
                data.extra.setdefault(row, {})["workflow_status"] = self.world.settings.expired_as
        elif canceled_by is not None:
            data.canceled_by[row] = canceled_by
        data.status[row] = status
        data.modified[row] = moment

    def overwrite(self, row: int, members: dict[str, Any]) -> None:
        """Set members of an instance as a test wants them; known ones go into their columns."""
        data = self.world.instances
        now = self.world.clock.now()
        extra = data.extra.setdefault(row, {})
        for given, value in members.items():
            name = "workflow_status" if given == "status" else given
            if name == "workflow_status" and column.squash(str(value)) in column.STATUS_CODES:
                code = column.STATUS_CODES[column.squash(str(value))]
                extra.pop(name, None)
                data.status[row] = code
                if column.STATUSES[code] != value:
                    extra[name] = value
                if code in RUNNING and name not in extra:
                    self.plan_next(row, now)
            elif name == "last_completed_step" and isinstance(value, int) and 0 <= value < 256:
                extra.pop(name, None)
                data.step[row] = value
            elif name == "omit":
                data.omitted[row] = frozenset(value)
            else:
                extra[name] = value
        data.modified[row] = now
        if not extra:
            del data.extra[row]
