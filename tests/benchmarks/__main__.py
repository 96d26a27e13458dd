"""The benchmarks: `make bench`, or `make bench BENCH=name` for one of them; what takes an hour runs by name alone.

The one rule: one line a figure, `name value unit`, and the same with its bar in `bench.json`.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tests.benchmarks import (
    audit,
    backup,
    batches,
    calls,
    client,
    cold_start,
    events,
    load,
    memory,
    outage,
    pages,
    polls,
    scale,
    sheets,
    soak,
    start,
    sync,
    three_workers,
    weight,
)
from tests.benchmarks.figures import Figure

BENCHES: dict[str, Callable[[], Iterator[Figure]]] = {
    "client": client.figures,
    "calls": calls.figures,
    "pages": pages.figures,
    "weight": weight.figures,
    "start": start.figures,
    "cold-start": cold_start.figures,
    "memory": memory.figures,
    "events": events.figures,
    "polls": polls.figures,
    "outage": outage.figures,
    "sync": sync.figures,
    "scale": scale.figures,
    "batches": batches.figures,
    "sheets": sheets.figures,
    "load": load.figures,
    "load-many": load.figures_of_many,
    "three-workers": three_workers.figures,
    "audit": audit.figures,
    "backup": backup.figures,
    "soak": soak.figures,
}
BY_NAME_ALONE = {"load-many", "soak"}


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Whoever ends us ends what we started, too."""
    raise SystemExit(1)


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; the exit code says whether every bar holds."""
    signal.signal(signal.SIGTERM, _stop)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"There is no benchmark {unknown[0]}; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    found = []
    for name in names or [name for name in BENCHES if name not in BY_NAME_ALONE]:
        for figure in BENCHES[name]():
            found.append(figure)
            print(figure.line(), flush=True)
            if figure.holds is False:
                print(f"  does not hold: {figure.bar}", file=sys.stderr, flush=True)
    Path("bench.json").write_text(json.dumps([figure.record() for figure in found], indent=1) + "\n")
    return 1 if any(figure.holds is False for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
