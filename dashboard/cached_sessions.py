"""Sessions on the Redis of `CACHE_URL` (`SESSION_STORE=cache`).

The one rule: a Redis that cannot be reached holds sessions that nobody can see, and not none: nobody is signed out for it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.sessions.backends import cache
from redis.exceptions import RedisError

from dashboard.services.errors import StoreBusy

AWAY = "This console cannot reach its sessions just now. Nothing was sent or changed. Try again in a moment."


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise StoreBusy(AWAY) from error


class SessionStore(cache.SessionStore):
    """Django's own takes any failure for an empty session, whose cookie it then deletes."""

    def load(self) -> dict[str, Any]:
        with _reaching():
            data: dict[str, Any] | None = self._cache.get(self.cache_key)  # type: ignore[attr-defined]  # unknown to the stubs
        if data is None:
            self._session_key = None
        return data or {}

    def save(self, must_create: bool = False) -> None:
        with _reaching():
            super().save(must_create)

    def exists(self, session_key: str) -> bool:
        with _reaching():
            return bool(super().exists(session_key))

    def delete(self, session_key: str | None = None) -> None:
        with _reaching():
            super().delete(session_key)
