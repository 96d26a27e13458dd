"""The database's own refusal to change or delete audit entries (A-4).

The one rule: the triggers are installed by a migration and taken away only by a migration, or by a test that empties its tables.
"""

from typing import Any

TABLE = "dashboard_auditentry"
NAMES = ("audit_entries_stay_unchanged", "audit_entries_stay")
SQLITE = tuple(
    f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {event} ON {TABLE} "
    "BEGIN SELECT RAISE(ABORT, 'Audit entries are append-only.'); END"
    for name, event in zip(NAMES, ("UPDATE", "DELETE"), strict=True)
)
POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION audit_entries_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'Audit entries are append-only.'; END $$",
    f"CREATE TRIGGER {NAMES[0]} BEFORE UPDATE OR DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION audit_entries_refuse()",
    f"CREATE TRIGGER {NAMES[1]} BEFORE TRUNCATE ON {TABLE} FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_refuse()",
)


def install(connection: Any) -> None:
    """Create the triggers; on SQLite it may be repeated."""
    _run(connection, POSTGRESQL if connection.vendor == "postgresql" else SQLITE)


def remove(connection: Any) -> None:
    """Drop the triggers."""
    suffix = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    _run(connection, tuple(f"DROP TRIGGER IF EXISTS {name}{suffix}" for name in NAMES))


def _run(connection: Any, statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
