"""Reading settings so that a bad value becomes one clear line. Its one rule: it names the variable and what to write."""

from collections.abc import Callable
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

FLAGS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql")


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
