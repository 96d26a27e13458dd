"""What the database knows about its tables, by which it chooses among indexes.

The one rule: only SQLite has to be told to look, and it looks at a bounded part of each index, since nobody can write meanwhile.
"""

from django.db import connection

ENTRIES_LOOKED_AT = 1000


def refresh() -> int:
    """Look anew; how many databases were told to. Connections take it up when they open, so they are not kept for ever."""
    if connection.vendor != "sqlite":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA analysis_limit = {ENTRIES_LOOKED_AT}")
        cursor.execute("ANALYZE")
    return 1
