"""How long list pages take with 10,000 instances, and whether a slow Docusign makes them slower."""

import statistics
from collections.abc import Iterator

import requests

from tests.benchmarks.figures import Figure, milliseconds, p95
from tests.processes import RunningConsole, wait_until

ROUNDS = 150
INSTANCES = 10_000
PATHS = {"instances": "/instances/", "failed": "/instances/?state=failed", "workflows": "/workflows/"}


def measured(latency_ms: int) -> dict[str, list[float]]:
    """Milliseconds of each list page once the whole mirror is there."""
    with RunningConsole(f"--instances={INSTANCES}", f"--latency-ms={latency_ms}") as console:
        session = console.sign_in()
        session.get(f"{console.url}/instances/", timeout=30)
        wait_until("the mirror is full", lambda: count(console) >= INSTANCES, seconds=300, every=1)
        return {
            name: milliseconds(lambda path=path: visit(session, console.url + path), ROUNDS)
            for name, path in PATHS.items()
        }


def count(console: RunningConsole) -> int:
    return int(console.query("SELECT COUNT(*) FROM dashboard_instance")[0][0])


def visit(session: requests.Session, url: str) -> None:
    answer = session.get(url, timeout=30)
    assert answer.status_code == 200, answer.status_code


def figures() -> Iterator[Figure]:
    prompt, slow = measured(0), measured(800)
    for name in PATHS:
        yield Figure(f"page_{name}_p95", p95(slow[name]), "ms", "<= 100")
    medians = [sum(statistics.median(taken[name]) for name in PATHS) for taken in (slow, prompt)]
    yield Figure("pages_slow_docusign_to_prompt_docusign", medians[0] / medians[1], "ratio", "<= 1.1")
