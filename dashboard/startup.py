"""Reading settings so that a bad value becomes one clear line. Its one rule: it names the variable and what to write."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
REDIS_SECONDS = 2
QUEUE_BACKENDS = {"celery+redis": "dashboard.celery_queue.CeleryBackend"}
DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")
# How long one statement may take on PostgreSQL (D-4). A page that needs longer is a mistake, and holds a thread; the worker
# counts and marks whole accounts; what an operator runs by hand goes through a whole table, and somebody is watching it.
WEB_STATEMENT_SECONDS = 5
STATEMENT_SECONDS = {
    "work": 60,
    "sync": 60,
    **dict.fromkeys(("migrate", "verify_audit", "export_audit", "rotate_key", "backup", "restore", "person_data"), 0),
}
# A server that is cut off says nothing: after so long it counts as gone.
CONNECT_SECONDS, CUT_OFF_SECONDS = 5, 15
LOCK_SECONDS, IDLE_IN_TRANSACTION_SECONDS = 2, 10
PREPARED_AFTER = 3  # times that a connection sends the same statement
# Statements here read few rows by an index, but are estimated as if they read many: compiling one, or starting processes for it,
# takes longer than running it.
NEVER_WORTH_IT = ("jit=off", "max_parallel_workers_per_gather=0")


def read_pem(text: str) -> str:
    """A key that is written out, with line ends that an environment file may have spelled, or that stands in a file. Raises OSError."""
    if text.lstrip().startswith("-----BEGIN"):
        return text.replace("\\n", "\n")
    return Path(text).read_text(encoding="utf-8")


def read_setting(reader: Callable[..., Any], name: str, *, default: Any) -> Any:
    """Read one variable; what cannot be understood is reported with the variable's name, never with its value."""
    try:
        return reader(name, default=default)
    except (ValueError, ImproperlyConfigured) as error:
        raise ImproperlyConfigured(
            f"{name} cannot be understood; see docs/configuration.md for what to write."
        ) from error


def read_flag(env: environ.Env, name: str, *, default: bool) -> bool:
    """A switch; a word that is neither on nor off is refused instead of being taken as off."""
    text = env.str(name, default=str(default)).strip().lower() or str(default).lower()
    if text not in FLAGS:
        raise ImproperlyConfigured(f"{name} must be true or false.")
    return FLAGS[text]


def read_database(env: environ.Env, name: str, *, default: str) -> dict[str, Any]:
    """The database; only the two kinds that the console is tested with."""
    if env.str(name, default=default).partition(":")[0] not in DATABASE_SCHEMES:
        raise ImproperlyConfigured(f"{name} must begin with sqlite:/// or postgres://.")
    return dict(read_setting(env.db_url, name, default=default))


def postgres_options(arguments: list[str]) -> dict[str, Any]:
    """What this process's sessions are set to: time limits by the command that it runs (0 is no limit), commits that are on disk when
    they return (D-2), and statements that begin at once.
    """
    command = next((each for each in arguments[1:] if not each.startswith("-")), "")
    limits = {
        "statement_timeout": STATEMENT_SECONDS.get(command, WEB_STATEMENT_SECONDS),
        "lock_timeout": LOCK_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_SECONDS,
    }
    words = [f"{name}={seconds * 1000}" for name, seconds in limits.items()] + [
        "synchronous_commit=on",
        *NEVER_WORTH_IT,
    ]
    return {
        "options": " ".join(f"-c {word}" for word in words),
        "application_name": f"console {command}".strip(),
        "connect_timeout": CONNECT_SECONDS,
        "tcp_user_timeout": CUT_OFF_SECONDS * 1000,
        "keepalives_idle": CUT_OFF_SECONDS,
        "keepalives_interval": CUT_OFF_SECONDS // 3,
        "keepalives_count": 3,
        "server_side_binding": True,
        "prepare_threshold": PREPARED_AFTER,
    }


def queue_backend(url: str) -> str:
    """The engine for a QUEUE_URL: Celery where it says so, else Huey."""
    return QUEUE_BACKENDS.get(url.partition("://")[0], "dashboard.queue.HueyBackend")


def caches(url: str) -> dict[str, Any]:
    """The cache of each process by itself, or one on Redis for all; sessions beside it fail where they cannot be reached.

    `own` is the process's either way: for what every page asks for, and what is sooner counted again than fetched.
    """
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    own = memory | {"LOCATION": "own", "OPTIONS": {"MAX_ENTRIES": 10_000}}
    if not url:
        return {"default": memory, "own": own}
    on_redis = {
        "BACKEND": "dashboard.cache.ForgivingCache",
        "LOCATION": url,
        "OPTIONS": {
            "serializer": "dashboard.cache.SignedSerializer",
            "socket_connect_timeout": REDIS_SECONDS,
            "socket_timeout": REDIS_SECONDS,
        },
    }
    sessions = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "KEY_PREFIX": "session"}
    return {"default": on_redis | {"KEY_PREFIX": "cache"}, "sessions": on_redis | sessions, "own": own}


def start_reports(dsn: str, environment: str) -> None:
    """Reports of errors to Sentry, where its address is set and its package is there; the checks say what is missing."""
    if not dsn or find_spec("sentry_sdk") is None:
        return
    try:
        import_string("dashboard.reporting.start")(dsn, environment)
    except ValueError as error:
        raise ImproperlyConfigured("SENTRY_DSN must be the address that Sentry gives, beginning with https.") from error
