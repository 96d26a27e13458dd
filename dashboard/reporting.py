"""Reports of unexpected errors to Sentry; imported only where SENTRY_DSN is set.

The one rule: a report is built from a list of what may go out. Bodies, cookies, headers, queries, addresses, local variables and the texts
of exceptions are not on it, since they may hold secrets or personal data (O-15).
"""

from typing import Any

import sentry_sdk
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import LoggingIntegration

from dashboard.facts import current_request_id
from dashboard.logs import redacted

Event = dict[str, Any]
KEPT = ("event_id", "timestamp", "level", "platform", "logger", "environment", "release", "transaction", "sdk", "type")
KEPT_OF_FRAME = ("filename", "function", "module", "lineno", "in_app")


def start(dsn: str, environment: str) -> None:
    """Report from now on what is logged as an error and what ends a request. Raises ValueError for a DSN that is none."""
    sentry_sdk.init(
        dsn=dsn,
        environment=environment,
        before_send=cleaned,
        before_breadcrumb=lambda crumb, hint: None,
        send_default_pii=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        auto_session_tracking=False,
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[DjangoIntegration(transaction_style="function_name"), LoggingIntegration(level=None)],
    )


def cleaned(event: Any, hint: Any) -> Any:
    """What may go out of a report, which is a dictionary of the library's making."""
    kept = {name: event[name] for name in KEPT if name in event}
    kept["tags"] = {"request_id": current_request_id()}
    if message := (event.get("logentry") or {}).get("message"):
        kept["logentry"] = {"message": redacted(str(message))}  # the words of our source; what was put into them is not
    raised = (event.get("exception") or {}).get("values") or []
    if raised:
        kept["exception"] = {"values": [_without_text(each) for each in raised]}
    return kept


def _without_text(raised: Event) -> Event:
    frames = (raised.get("stacktrace") or {}).get("frames") or []
    return {
        "type": raised.get("type"),
        "module": raised.get("module"),
        "mechanism": {"type": "generic", "handled": bool((raised.get("mechanism") or {}).get("handled", True))},
        "stacktrace": {"frames": [{name: each[name] for name in KEPT_OF_FRAME if name in each} for each in frames]},
    }
