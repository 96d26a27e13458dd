"""Many calls at a time, but never more than a few.

The one rule: one failed call never loses the others; each result says which item it belongs to.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from maestro_api.errors import MaestroError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T, R]):
    """What became of one item: `result`, or the `error` that the call raised."""

    item: T
    result: R | None = None
    error: MaestroError | None = None

    def get(self) -> R:
        """The result; raises the error again when there is none."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # None is a value of R when the call gave None


def map_bounded(call: Callable[[T], R], items: Iterable[T], *, workers: int = 4) -> Iterator[Outcome[T, R]]:
    """Call with every item on at most `workers` threads; outcomes come in the order of the items.

    Items are taken only a little ahead of the work, so an endless iterable is fine and leaving the loop stops what has
    not begun. Errors that are no MaestroError are raised here.
    """
    if workers < 1:
        raise ValueError("workers must be at least 1")
    waiting: collections.deque[tuple[T, Future[R]]] = collections.deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="maestro") as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(call, item)))
                if len(waiting) >= 2 * workers:
                    yield _settled(*waiting.popleft())
            while waiting:
                yield _settled(*waiting.popleft())
        finally:
            for _, future in waiting:
                future.cancel()


def _settled(item: T, future: Future[R]) -> Outcome[T, R]:
    try:
        return Outcome(item, result=future.result())
    except MaestroError as error:
        return Outcome(item, error=error)
