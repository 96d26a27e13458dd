"""Reading settings so that a bad value becomes one clear line. Its one rule: it names the variable and what to write."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")
# How long one statement may take on PostgreSQL (D-4). A page that needs longer is a mistake, and holds a thread; the worker
# counts and marks whole accounts; what an operator runs by hand goes through a whole table, and somebody is watching it.
WEB_STATEMENT_SECONDS = 5
STATEMENT_SECONDS = {"work": 60, "sync": 60, "migrate": 0, "verify_audit": 0, "rotate_key": 0}
LOCK_SECONDS, IDLE_IN_TRANSACTION_SECONDS = 2, 10
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
    return {"options": " ".join(f"-c {word}" for word in words), "application_name": f"console {command}".strip()}
