"""Log lines: one line a record, as JSON with the request's id. Its one rule: line breaks and control characters never pass."""

import logging

import structlog

from dashboard.facts import current_facts


def _add_request_id(logger: object, name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    event.setdefault("request_id", current_facts().request_id)
    return event


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
            structlog.processors.JSONRenderer(),
        ],
    )
