"""The database's own refusal to change or delete audit entries (A-4).

The one rule: the triggers are installed by a migration and taken away only by a migration, or by a test that empties its tables.
What a checkpoint covers may be deleted and nothing else; whether the checkpoint is genuine is for the check of the chain (A-6).
"""

from typing import Any

TABLE = "dashboard_auditentry"
COVERED = "(SELECT COALESCE(MAX(seq), 0) FROM dashboard_auditcheckpoint)"
NAMES = ("audit_entries_stay_unchanged", "audit_entries_stay")
SQLITE = tuple(
    f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {event} ON {TABLE} {{condition}}"
    "BEGIN SELECT RAISE(ABORT, 'Audit entries are append-only.'); END"
    for name, event in zip(NAMES, ("UPDATE", "DELETE"), strict=True)
)
POSTGRESQL = (
    "CREATE OR REPLACE FUNCTION audit_entries_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN {condition}RAISE EXCEPTION 'Audit entries are append-only.'; END $$",
    f"CREATE TRIGGER {NAMES[0]} BEFORE UPDATE OR DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION audit_entries_refuse()",
    f"CREATE TRIGGER {NAMES[1]} BEFORE TRUNCATE ON {TABLE} FOR EACH STATEMENT EXECUTE FUNCTION audit_entries_refuse()",
)
PURGE_ON_SQLITE = f"WHEN OLD.seq > {COVERED} "
PURGE_ON_POSTGRESQL = f"IF TG_OP = 'DELETE' THEN IF OLD.seq <= {COVERED} THEN RETURN OLD; END IF; END IF; "


def install(connection: Any, *, has_checkpoints: bool = True) -> None:
    """Create the triggers; without checkpoints nothing at all can be deleted. On SQLite it may be repeated."""
    if connection.vendor == "postgresql":
        condition = PURGE_ON_POSTGRESQL if has_checkpoints else ""
        _run(connection, tuple(each.replace("{condition}", condition) for each in POSTGRESQL))
        return
    conditions = ("", PURGE_ON_SQLITE if has_checkpoints else "")
    _run(connection, tuple(each.replace("{condition}", own) for each, own in zip(SQLITE, conditions, strict=True)))


def remove(connection: Any) -> None:
    """Drop the triggers."""
    suffix = f" ON {TABLE}" if connection.vendor == "postgresql" else ""
    _run(connection, tuple(f"DROP TRIGGER IF EXISTS {name}{suffix}" for name in NAMES))


def _run(connection: Any, statements: tuple[str, ...]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
