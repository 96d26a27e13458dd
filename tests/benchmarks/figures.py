"""A figure, its bar, and whether it holds. The one rule: a figure is measured in this run or not printed."""

import operator
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

COMPARISONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq}


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the output. `bar` reads like "<= 100"."""

    name: str
    value: float
    unit: str
    bar: str = ""

    @property
    def holds(self) -> bool | None:
        if not self.bar:
            return None
        sign, limit = self.bar.split()
        return bool(COMPARISONS[sign](self.value, float(limit)))

    def line(self) -> str:
        value = f"{self.value:.3f}".rstrip("0").rstrip(".")
        return f"{self.name} {value} {self.unit}"

    def record(self) -> dict[str, object]:
        return {"name": self.name, "value": self.value, "unit": self.unit, "bar": self.bar, "holds": self.holds}


def milliseconds(deed: Callable[[], object], times: int) -> list[float]:
    """How long each of `times` runs of the deed took."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        deed()
        taken.append((time.perf_counter() - start) * 1000)
    return taken


def p95(values: Iterable[float]) -> float:
    return statistics.quantiles(sorted(values), n=20)[-1]


def p99(values: Iterable[float]) -> float:
    return statistics.quantiles(sorted(values), n=100)[-1]
