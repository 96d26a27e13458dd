"""One process among several that claim as one person; it prints how many of its claims were taken."""

import sys

import django

django.setup()

from dashboard.services import limits  # noqa: E402  # the settings come first
from dashboard.services.errors import TooMany  # noqa: E402


def main() -> None:
    # On SQLite a deed that waits longer than this for the other process is not counted.
    limits.LOCK_WAIT_MS = 30_000
    taken = 0
    for _ in range(int(sys.argv[1])):
        try:
            limits.claim(limits.Kind.WRITE, person="somebody", address="198.51.100.7")
            taken += 1
        except TooMany:
            pass
    sys.stdout.write(f"{taken}\n")


if __name__ == "__main__":
    main()
