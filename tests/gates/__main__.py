"""The gates of S-18 that no other tool of `make lint` keeps: `python -m tests.gates`, and with `audit` the advisory service."""

import sys
from collections.abc import Callable

from tests.gates import assets, dependencies, deployment, history, locks, secrets
from tests.processes import ROOT

GATES = {
    "deployment check": deployment.deployment,
    "migrations": deployment.migrations,
    "locked packages": lambda: list(locks.scan(ROOT)),
    "secrets": lambda: list(secrets.scan(ROOT)),
    "secrets of the past": lambda: list(history.scan(ROOT)),
    "assets from elsewhere": lambda: list(assets.scan(ROOT)),
}


def main(words: list[str]) -> int:
    if words == ["audit"]:
        found = dependencies.audit()
        if found is None:
            sys.stdout.write(f"Dependency audit SKIPPED: {dependencies.SERVICE} cannot be reached from here.\n")
            return 0
        return tell("dependencies", found)
    return max(run(name, gate) for name, gate in GATES.items())


def run(name: str, gate: Callable[[], list[str]]) -> int:
    try:
        return tell(name, gate())
    except history.Unread as reason:
        sys.stdout.write(f"{name} SKIPPED: {reason}.\n")
        return 0


def tell(name: str, found: list[str]) -> int:
    for line in found:
        sys.stdout.write(f"{name}: {line}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
