"""How many requests there were and how long they took, counted for all web processes of a machine together (`METRICS_DIR`).

The one rule: a label is a name of ours, never an address that somebody sent, a person or an account.
"""

import os

from django.conf import settings
from django.http import HttpRequest

if settings.METRICS_DIR:  # read by the library while it is imported
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = settings.METRICS_DIR

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest  # after its variable is set
from prometheus_client.multiprocess import MultiProcessCollector

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
OURS = CollectorRegistry()
REQUESTS = Counter(
    "maestro_console_requests",
    "Answers of the web processes, by the name of the address",
    ("method", "route", "status"),
    registry=OURS,
)
SECONDS = Histogram(
    "maestro_console_request_seconds",
    "How long answers took",
    ("route",),
    registry=OURS,
    buckets=(0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0),
)


def route_of(request: HttpRequest) -> str:
    """The name of the address in `urls.py`; what was answered before that is known has a word of its own."""
    match = getattr(request, "resolver_match", None)
    if match is not None:
        return match.url_name or "unnamed"
    if request.path_info.startswith(settings.STATIC_URL):
        return "static"
    return "poll" if request.META.get("HTTP_HX_REQUEST") == "true" else "none"


def note(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answer."""
    REQUESTS.labels(method if method in METHODS else "other", route, str(status)).inc()
    SECONDS.labels(route).observe(seconds)


def exposition() -> bytes:
    """The counts of all processes in Prometheus' text."""
    if not settings.METRICS_DIR:
        return generate_latest(OURS)
    everybody = CollectorRegistry()
    MultiProcessCollector(everybody, path=settings.METRICS_DIR)  # type: ignore[no-untyped-call]  # untyped in the library
    return generate_latest(everybody)
