"""The cache and, where wanted, the sessions on Redis (`CACHE_URL`, `SESSION_STORE`).

The one rule: what is read back was signed by this console, and is never unpickled; a Redis that is gone is an empty one.
"""

import logging
from typing import Any

from django.core import signing
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.redis import RedisCache
from redis.exceptions import RedisError

log = logging.getLogger(__name__)
SALT = "maestro console cache"


class SignedSerializer:
    """Values as signed JSON: whoever can write to the Redis can neither run code here nor make up a value."""

    def dumps(self, value: Any) -> str:
        return signing.dumps(value, salt=SALT)

    def loads(self, stored: bytes) -> Any:
        try:
            return signing.loads(stored.decode(), salt=SALT)
        except (signing.BadSignature, ValueError):
            return None  # as if it were not there


class ForgivingCache(RedisCache):
    """For counts and the like, which are made again: a Redis that cannot be reached costs a query and no page.

    What is not named here raises, and is not used of it.
    """

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        try:
            return super().get(key, default, version)
        except RedisError as error:
            log.warning("The cache cannot be reached", extra={"error": type(error).__name__})
            return default

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        try:
            super().set(key, value, timeout, version)
        except RedisError as error:
            log.warning("The cache cannot be reached", extra={"error": type(error).__name__})

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        try:
            return bool(super().add(key, value, timeout, version))
        except RedisError as error:
            log.warning("The cache cannot be reached", extra={"error": type(error).__name__})
            return False

    def delete(self, key: str, version: int | None = None) -> bool:
        try:
            return bool(super().delete(key, version))
        except RedisError as error:
            log.warning("The cache cannot be reached", extra={"error": type(error).__name__})
            return False
