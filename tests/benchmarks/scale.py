"""Lists over a million instances of 200 workflows, 5,000 of them visible to Pia, on SQLite and on PostgreSQL.

`BENCH_SCALE_ROWS` makes the table smaller for a quick look; the bars are meant for the million.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.figures import Figure
from tests.postgres import Cluster, programs
from tests.processes import ROOT, product_environment

ROWS = int(os.environ.get("BENCH_SCALE_ROWS", "1000000"))
SMALL = 10_000
PAGES = "tests.benchmarks.scale_pages"
# What is measured, its unit and its bar; ratios have no unit of time.
BARS = {
    "list_p95_ada": ("ms", "<= 150"),
    "list_p95_pia": ("ms", "<= 150"),
    "list_worst_ada": ("ms", ""),
    "list_worst_pia": ("ms", ""),
    "page_1000_to_first_page": ("ratio", "<= 1.2"),
    "tabs_p95": ("ms", "<= 20"),
    "typeahead_p95": ("ms", "<= 50"),
    "typeahead_people_p95": ("ms", "<= 50"),
    "detail_p95": ("ms", "<= 100"),
    "overview_p95": ("ms", ""),
    "workflows_p95": ("ms", ""),
    "workflow_p95": ("ms", ""),
    "admin_changelist_to_ours": ("ratio", ">= 10"),
    "csv_of_100000_rows": ("s", "<= 20"),
    "csv_memory": ("MB", "<= 50"),
}


def figures() -> Iterator[Figure]:
    yield from sqlite_figures()
    yield from postgres_figures()


def sqlite_figures() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="maestro-scale-") as folder:
        yield from _figures("sqlite", f"sqlite:///{folder}/large.sqlite3", f"sqlite:///{folder}/small.sqlite3")


def postgres_figures() -> Iterator[Figure]:
    with ExitStack() as stack:
        large, small = (stack.enter_context(cluster()) for _ in range(2))
        yield from _figures("postgres", large, small)


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a PostgreSQL that is thrown away afterwards."""
    folder = programs()
    assert isinstance(folder, Path), "PostgreSQL is not installed"
    with Cluster(folder) as running:
        yield running.url


def _figures(kind: str, large: str, small: str) -> Iterator[Figure]:
    for url, rows in ((small, SMALL), (large, ROWS)):
        list(run_module(PAGES, url, "fill", str(rows)))
    before = {found["name"]: found["value"] for found in run_module(PAGES, small, "measure", "first")}
    for found in run_module(PAGES, large, "measure"):
        name, value = str(found["name"]), float(str(found["value"]))
        if name in before:
            growth = value / float(str(before[name]))
            yield Figure(f"scale_{kind}_{name}_growth", growth, "ratio", "<= 1.5")
        unit, bar = BARS.get(name, ("ms", ""))
        yield Figure(f"scale_{kind}_{name}", value, unit, bar)
        if found.get("note"):
            print(f"  {found['note']}", file=sys.stderr, flush=True)


def run_module(module: str, url: str, *arguments: str) -> Iterator[dict[str, object]]:
    """What a module prints, line by line, in a process of its own with this database."""
    command = [sys.executable, "-m", module, *arguments]
    settings = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.benchmarks.scale_settings"}
    environment = product_environment() | settings | {"LOG_LEVEL": "ERROR"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    assert process.returncode == 0, " ".join(command)
