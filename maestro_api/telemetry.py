"""What can be watched of a call: one log line an attempt, and hooks.

The one rule: never a body, a query, a header or a token; a hook that fails never changes what the call does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

log: Final = logging.getLogger("maestro_api")


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One attempt of one call. `status` is None when no answer came; `error` is the class name of what is raised,
    `retry_after` the seconds that its answer asks to wait, and `request_id` the number that Docusign's support asks for."""

    operation: str
    method: str
    path: str
    attempt: int
    correlation_id: str
    status: int | None = None
    elapsed_ms: float = 0.0
    bytes: int = 0
    remaining: int | None = None
    error: str | None = None
    retry_after: float | None = None
    request_id: str = ""


class Hook:
    """Subclass and override what you need. `before` comes ahead of each attempt; then either `after` or `error`."""

    def before(self, event: CallEvent) -> None:
        """An attempt is about to be sent."""

    def after(self, event: CallEvent) -> None:
        """An attempt got a good answer."""

    def error(self, event: CallEvent) -> None:
        """An attempt failed."""


def announce(hooks: Iterable[Hook], moment: str, event: CallEvent) -> None:
    """Tell every hook."""
    for hook in hooks:
        tell(getattr(hook, moment), event, event.operation)


def tell(listener: Callable[[T], None], value: T, operation: str) -> None:
    """Call a listener; what goes wrong in it is logged and goes no further."""
    try:
        listener(value)
    except Exception:  # a watcher must never turn a sent write into a failed one
        log.exception("a listener failed during %s", operation)


def write_line(event: CallEvent) -> None:
    """One structured line; the same values are attributes of the log record, prefixed with `maestro_`."""
    level = logging.INFO if event.error is None else logging.WARNING
    if not log.isEnabledFor(level):
        return
    log.log(
        level,
        "docusign operation=%s method=%s path=%s status=%s ms=%.1f bytes=%d attempt=%d remaining=%s error=%s id=%s docusign_id=%s",
        event.operation,
        event.method,
        event.path,
        event.status,
        event.elapsed_ms,
        event.bytes,
        event.attempt,
        event.remaining,
        event.error,
        event.correlation_id,
        event.request_id,
        extra={
            "maestro_operation": event.operation,
            "maestro_method": event.method,
            "maestro_path": event.path,
            "maestro_status": event.status,
            "maestro_ms": round(event.elapsed_ms, 1),
            "maestro_bytes": event.bytes,
            "maestro_attempt": event.attempt,
            "maestro_remaining": event.remaining,
            "maestro_error": event.error,
            "maestro_correlation_id": event.correlation_id,
            "maestro_request_id": event.request_id,
        },
    )
