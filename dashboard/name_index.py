"""The index over the names of instances: which names hold a piece of text of three characters or more.

The one rule: each database keeps it by itself (FTS5 with trigrams on SQLite, pg_trgm on PostgreSQL), so no writer can forget it.
"""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, F, Func
from django.db.models.sql.compiler import SQLCompiler

SHORTEST = 3

SQLITE = (
    "CREATE VIRTUAL TABLE dashboard_instancename_pieces USING fts5"
    "(text, content='dashboard_instancename', content_rowid='id', tokenize='trigram case_sensitive 1')",
    "CREATE TRIGGER dashboard_instancename_added AFTER INSERT ON dashboard_instancename BEGIN "
    "INSERT INTO dashboard_instancename_pieces(rowid, text) VALUES (new.id, new.text); END",
    "CREATE TRIGGER dashboard_instancename_taken AFTER DELETE ON dashboard_instancename BEGIN "
    "INSERT INTO dashboard_instancename_pieces(dashboard_instancename_pieces, rowid, text) VALUES ('delete', old.id, old.text); END",
    "CREATE TRIGGER dashboard_instancename_changed AFTER UPDATE OF text ON dashboard_instancename BEGIN "
    "INSERT INTO dashboard_instancename_pieces(dashboard_instancename_pieces, rowid, text) VALUES ('delete', old.id, old.text); "
    "INSERT INTO dashboard_instancename_pieces(rowid, text) VALUES (new.id, new.text); END",
    "INSERT INTO dashboard_instancename_pieces(dashboard_instancename_pieces) VALUES ('rebuild')",
)
POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX dashboard_instancename_pieces ON dashboard_instancename USING gin (text gin_trgm_ops)",
)


def install(connection: BaseDatabaseWrapper) -> None:
    """Build the index over the names that are there."""
    with connection.cursor() as cursor:
        for statement in SQLITE if connection.vendor == "sqlite" else POSTGRESQL:
            cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take it away again; names stay."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            for moment in ("added", "taken", "changed"):
                cursor.execute(f"DROP TRIGGER dashboard_instancename_{moment}")
            cursor.execute("DROP TABLE dashboard_instancename_pieces")
        else:
            cursor.execute("DROP INDEX dashboard_instancename_pieces")


class Holds(Func):
    """For rows of names: the text is part of the name, asked of the index. Whatever stands in the text is plain text.

    With `most`, so many rows are enough.
    """

    conditional = True
    output_field = BooleanField()

    def __init__(self, text: str, most: int | None = None) -> None:
        super().__init__(F("id"), F("text"))
        self.text, self.most = text, most

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        number, params = compiler.compile(self.get_source_expressions()[0])
        phrase = '"' + self.text.replace('"', '""') + '"'
        pieces = "dashboard_instancename_pieces"
        most = "" if self.most is None else f" LIMIT {self.most:d}"
        asked = f"SELECT rowid FROM {pieces} WHERE {pieces} MATCH %s{most}"  # noqa: S608  # names and a number of our own
        return f"{number} IN ({asked})", [*params, phrase]

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any) -> Any:
        name, params = compiler.compile(self.get_source_expressions()[1])
        escaped = self.text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        return f"{name} LIKE %s", [*params, f"%{escaped}%"]
