"""Work on a database beside the usual one, such as a copy that is being checked.

The one rule: only this thread looks at the other one, and whatever happens the usual one is back afterwards.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections


@contextmanager
def working_on(name: str) -> Iterator[None]:
    """Everything that this thread reads and writes inside goes to the database of this name (on SQLite: this file)."""
    usual = connections[DEFAULT_DB_ALIAS]
    other = usual.copy()
    other.settings_dict["NAME"] = name
    connections[DEFAULT_DB_ALIAS] = other
    try:
        yield
    finally:
        other.close()
        connections[DEFAULT_DB_ALIAS] = usual
