"""The audit at a million entries (A-6), on SQLite and PostgreSQL: its page under each filter, the check of the chain, a purge with its
checkpoints. Checks and purges take as long as the disk lets them, so they are ratios to the bare work on the same rows in the same run.

`BENCH_AUDIT_ROWS` makes it smaller for a trial, and `BENCH_AUDIT_ENGINES` names one engine only.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack

from tests.benchmarks.figures import Figure
from tests.benchmarks.scale import cluster, run_module

ROWS = os.environ.get("BENCH_AUDIT_ROWS", "1000000")
ENGINES = os.environ.get("BENCH_AUDIT_ENGINES", "sqlite,postgres").split(",")
BARS = {
    "filter_p95": ("ms", "<= 1000"),
    "filter_worst": ("ms", ""),
    "verify_to_floor": ("ratio", "<= 4"),
    "purge_to_floor": ("ratio", "<= 3"),
    "purged": ("entries", ">= 1"),
    "holds_after_the_purge": ("yes", "== 1"),
}


def figures() -> Iterator[Figure]:
    for engine in ENGINES:
        with ExitStack() as stack:
            if engine == "postgres":
                url = stack.enter_context(cluster())
            else:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="maestro-audit-"))
                url = f"sqlite:///{folder}/audit.sqlite3"
            list(run_module("tests.benchmarks.audit_rows", url, "fill", ROWS))
            for found in run_module("tests.benchmarks.audit_rows", url, "measure"):
                unit, bar = BARS[str(found["name"])]
                yield Figure(f"audit_{engine}_{found['name']}", float(str(found["value"])), unit, bar)
