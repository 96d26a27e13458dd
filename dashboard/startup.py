"""Reading settings so that a bad value becomes one clear line. Its one rule: it names the variable and what to write."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import ImproperlyConfigured


def read_setting(reader: Callable[..., Any], name: str, *, default: Any) -> Any:
    """Read one variable; what cannot be understood is reported with the variable's name, never with its value."""
    try:
        return reader(name, default=default)
    except (ValueError, ImproperlyConfigured) as error:
        raise ImproperlyConfigured(
            f"{name} cannot be understood; see docs/configuration.md for what to write."
        ) from error
