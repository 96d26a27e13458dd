"""The check of a file with 10,000 rows, CSV and XLSX: how long it takes and how much memory, each in a process of its own."""

import os
import tempfile
from collections.abc import Iterator

from tests.benchmarks.figures import Figure
from tests.benchmarks.scale import run_module

SECONDS = {"csv": 5, "xlsx": 8}
MOST_MEMORY = 50


def figures() -> Iterator[Figure]:
    rows = os.environ.get("BENCH_SHEET_ROWS", "10000")
    for kind, seconds in SECONDS.items():
        with tempfile.TemporaryDirectory(prefix="maestro-sheets-") as folder:
            url = f"sqlite:///{folder}/db.sqlite3"
            list(run_module("tests.benchmarks.sheet_check", url, "prepare", "0"))
            found = {
                each["name"]: float(str(each["value"]))
                for each in run_module("tests.benchmarks.sheet_check", url, kind, rows)
            }
        yield Figure(f"check_{kind}_{rows}", found["seconds"], "s", f"<= {seconds}")
        yield Figure(f"check_{kind}_{rows}_memory", found["megabytes"], "MB", f"<= {MOST_MEMORY}")
        yield Figure(f"check_{kind}_{rows}_good", found["good"], "rows", f">= {int(rows) - 1}")
