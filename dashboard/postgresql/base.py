"""Django's connection to PostgreSQL, without a round trip before each request to learn that it lives, and with prepared statements.

Its rules: a server that ends a connection says so on it, so a quiet line is used as it is, and anything else is asked. A statement whose
best plan hangs on its values is planned each time it is sent.
"""

import select
from typing import Any

from django.db.backends.postgresql import base
from psycopg import ClientCursor, Connection
from psycopg.pq import TransactionStatus

HANGS_ON_VALUES = (" ORDER BY ", " LIKE ", "COUNT(")  # how many rows there are decides the way to them
OF_ONE_INSTANCE = '"instance_id" = %s'  # that is few rows in any order
MOST_PARAMETERS = 65_535  # that the protocol takes beside a statement
# Others, such as CREATE DATABASE and SET, take none.
TAKES_PARAMETERS = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "EXPLAIN")


class Cursor(base.ServerBindingCursor):
    """Prepares what a connection sends again and again (`prepare_threshold`), such as the question who somebody is."""

    connection: Connection[Any]

    def execute(self, query: Any, params: Any = None, **options: Any) -> Any:
        if not params or not isinstance(query, str) or _hangs_on_values(query):
            options["prepare"] = False
        if params and not _takes(query, params):
            query, params = ClientCursor(self.connection).mogrify(query, params), None
        return super().execute(query, params, **options)  # type: ignore[misc]  # django-stubs do not say that it is psycopg's Cursor


def _takes(query: Any, params: Any) -> bool:
    """Whether the values may go beside the statement; otherwise they become part of it."""
    return len(params) <= MOST_PARAMETERS and str(query).lstrip(" \n(")[:8].upper().startswith(TAKES_PARAMETERS)


def _hangs_on_values(query: str) -> bool:
    return OF_ONE_INSTANCE not in query and any(word in query for word in HANGS_ON_VALUES)


class DatabaseWrapper(base.DatabaseWrapper):
    """What Django looks for in the module of a database engine. A server that was cut off says nothing until the keepalives notice."""

    def get_connection_params(self) -> dict[str, Any]:
        return super().get_connection_params() | {"cursor_factory": Cursor}

    def is_usable(self) -> bool:
        return self._is_quiet() or super().is_usable()

    def _is_quiet(self) -> bool:
        if self.connection is None or self.connection.closed or self.errors_occurred:
            return False
        if self.connection.info.transaction_status != TransactionStatus.IDLE:  # somebody was interrupted in the middle
            return False
        line = select.poll()
        line.register(self.connection.fileno(), select.POLLIN)
        return not line.poll(0)
