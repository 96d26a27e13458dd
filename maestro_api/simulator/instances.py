"""A million instances in columns. Rule: a seeded row costs some 30 bytes; what can be worked out from its number is not stored."""

from __future__ import annotations

from array import array
from typing import Any
from uuid import uuid4

STATUSES = ("Created", "In Progress", "Completed", "Failed", "Canceled", "Expired", "Paused")
CREATED, IN_PROGRESS, COMPLETED, FAILED, CANCELED, EXPIRED, PAUSED = range(7)
TERMINAL = frozenset({COMPLETED, FAILED, CANCELED, EXPIRED})

_MASK64 = (1 << 64) - 1
_MASK48 = (1 << 48) - 1
_ODD = 0x5DEECE66D
_INVERSE = pow(_ODD, -1, 1 << 48)


def mix(value: int) -> int:
    """A well stirred 64-bit number for a row number: the same in every run."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK64
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK64
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK64
    return value ^ (value >> 31)


def squash(text: str) -> str:
    """A status without case, spaces, underscores and dashes."""
    return text.casefold().replace(" ", "").replace("_", "").replace("-", "")


STATUS_CODES = {squash(name): code for code, name in enumerate(STATUSES)} | {"cancelled": CANCELED}


class Instances:
    """Columns by row number, plus dictionaries for the few rows that differ from what their number says."""

    def __init__(self, seed: int) -> None:
        self.salt = mix(seed)
        self.workflow = array("H")
        self.status = bytearray()
        self.step = bytearray()
        self.starter = bytearray()
        self.started = array("d")
        self.modified = array("d")
        self.by_workflow: dict[int, array[int]] = {}
        self.by_account: dict[str, array[int]] = {}
        self.names: dict[int, str] = {}
        self.inputs: dict[int, dict[str, Any]] = {}
        self.canceled_by: dict[int, str] = {}
        self.extra: dict[int, dict[str, Any]] = {}
        self.omitted: dict[int, frozenset[str]] = {}
        self._own_ids: dict[int, str] = {}
        self._rows_by_own_id: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.status)

    def stir(self, row: int) -> int:
        return mix(row ^ self.salt)

    def id_of(self, row: int) -> str:
        own = self._own_ids.get(row)
        if own is not None:
            return own
        high = self.stir(row)
        low = ((row + 1) * _ODD + self.salt) & _MASK48
        return (
            f"{high >> 32:08x}-{(high >> 16) & 0xFFFF:04x}-4{high & 0xFFF:03x}-a{(high >> 20) & 0xFFF:03x}-{low:012x}"
        )

    def row_of(self, instance_id: str) -> int | None:
        """The row behind an id; braces and capitals do not matter."""
        wanted = instance_id.strip("{}").lower()
        if wanted in self._rows_by_own_id:
            return self._rows_by_own_id[wanted]
        try:
            low = int(wanted[-12:], 16)
        except ValueError:
            return None
        row = (((low - self.salt) * _INVERSE) & _MASK48) - 1
        return row if 0 <= row < len(self) and self.id_of(row) == wanted else None

    def add(
        self, workflow: int, account_id: str, starter: int, started: float, name: str, inputs: dict[str, Any]
    ) -> int:
        """A triggered instance: its id is random, so that two runs of the simulator never give the same one."""
        row = len(self)
        self.extend(workflow, account_id, bytes([CREATED]), bytes([0]), bytes([starter]), [started], [started])
        own = str(uuid4())
        self._own_ids[row] = own
        self._rows_by_own_id[own] = row
        self.names[row] = name
        self.inputs[row] = inputs
        return row

    def extend(
        self,
        workflow: int,
        account_id: str,
        status: bytes,
        step: bytes,
        starter: bytes,
        started: list[float],
        modified: list[float],
    ) -> None:
        first = len(self)
        count = len(status)
        self.workflow.extend(array("H", [workflow]) * count)
        self.status += status
        self.step += step
        self.starter += starter
        self.started.extend(started)
        self.modified.extend(modified)
        rows = array("I", range(first, first + count))
        self.by_workflow.setdefault(workflow, array("I")).extend(rows)
        self.by_account.setdefault(account_id, array("I")).extend(rows)

    def raw_status(self, row: int) -> str:
        extra = self.extra.get(row)
        if extra and "workflow_status" in extra:
            return str(extra["workflow_status"])
        return STATUSES[self.status[row]]

    @staticmethod
    def status_name(code: int) -> str:
        return STATUSES[code]
