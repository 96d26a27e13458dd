"""Log lines: one line a record, as JSON with the request's id.

The one rule: line breaks and control characters never pass, and neither do codes, tokens or participant links (O-15).
"""

import logging
import re
import time

import structlog

from dashboard.facts import current_facts

# Django hands the request itself to its log records; its text would spell out the query, and with it a sign-in code.
NOT_LOGGED = ("request", "response", "sock", "client_address")
NAMES = "access_token|refresh_token|code_verifier|client_secret|code|state|mtid|mtsec|token|assertion"
IN_PAIR = re.compile(rf"(?i)(\b|%3F|%26)({NAMES})(=|%3D|\"?'?:\s*[\"'])[^\s&\"'<>,;]+")
IN_HEADER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
JSON_WEB_TOKEN = re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(\.[A-Za-z0-9_-]+)*")


QUEUE_AWAY = ("Error reading from queue", "Error reading schedule.")  # as Huey's worker says it
TOLD_AGAIN_SECONDS = 60.0


def redacted(text: str) -> str:
    """The text with every secret replaced, whichever way it was written."""
    text = IN_PAIR.sub(r"\1\2\3[hidden]", text)
    return JSON_WEB_TOKEN.sub("[hidden]", IN_HEADER.sub(r"\1 [hidden]", text))


def _add_request_id(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.setdefault("request_id", current_facts().request_id)
    return event


def _hide_secrets(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    for key in NOT_LOGGED:
        event.pop(key, None)
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = redacted(value)
        elif not isinstance(value, int | float | bool | None):
            event[key] = redacted(str(value))
    return event


class QueueAway(logging.Filter):
    """While the queue is away each thread of a worker says so each second, with a traceback: one line a minute tells as much."""

    _told_at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; of the error only its name is kept."""
        if record.msg not in QUEUE_AWAY:
            return True
        now = time.monotonic()
        if now - self._told_at < TOLD_AGAIN_SECONDS:
            return False
        self._told_at = now
        record.error = type(record.exc_info[1]).__name__ if record.exc_info else ""
        record.exc_info = None
        return True


def formatter() -> logging.Formatter:
    """The formatter of every handler; JSON escapes CR, LF and ESC, so a hostile name cannot forge a line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.stdlib.ExtraAdder(),
            _add_request_id,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _hide_secrets,
            structlog.processors.JSONRenderer(),
        ],
    )
