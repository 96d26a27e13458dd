"""Django's connection to PostgreSQL, without a round trip before each request to learn that it lives.

The one rule: a server that ends a connection says so on it, so a quiet line is used as it is, and anything else is asked.
"""

import select

from django.db.backends.postgresql import base
from psycopg.pq import TransactionStatus


class DatabaseWrapper(base.DatabaseWrapper):
    """What Django looks for in the module of a database engine. A server that was cut off says nothing until the keepalives notice."""

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
