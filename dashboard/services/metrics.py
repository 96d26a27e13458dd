"""What our own tables tell a monitoring system, read at the moment it asks: the same from every process and machine.

The one rule: figures over all accounts together, labelled with words of ours only; no account, workflow, person or address.
"""

from collections.abc import Iterator
from datetime import datetime

from django.db import DatabaseError
from django.db.models import Count, Min, Sum
from django.utils import timezone
from django_tasks import task_backends
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dashboard.models import (
    AccountSync,
    ApiBudget,
    Batch,
    BatchState,
    Connection,
    Delivery,
    Heartbeat,
    Hook,
    Operation,
    OperationState,
    Schedule,
)
from dashboard.queue import QueueBackend
from dashboard.services import health
from dashboard.services.quota import quota_of

PREFIX = "maestro_console_"
OPEN = (OperationState.PLANNED, OperationState.SENT, OperationState.UNKNOWN, OperationState.NEEDS_PERSON)


class Tables(Collector):
    """One reading of the tables."""

    def collect(self) -> Iterator[Metric]:
        try:
            yield from _families(timezone.now())
        except DatabaseError:
            yield _gauge("database_up", "Whether the database answers", 0)
        else:
            yield _gauge("database_up", "Whether the database answers", 1)
        yield from _queue()


def exposition() -> bytes:
    """The figures in Prometheus' text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Tables())
    return generate_latest(registry)


def _families(now: datetime) -> Iterator[Metric]:
    # Everything that can fail is read before the first figure goes out.
    yield from [*_operations(now), *_worker(now), *_sync(now), *_budget(now), *_events(now)]


def _operations(now: datetime) -> Iterator[Metric]:
    # Of those that are settled there are as many as there ever were: counting them would read the whole table each time.
    states = Operation.objects.filter(state__in=OPEN).order_by().values_list("state").annotate(Count("pk"))
    yield _by("operations", "Deeds at Docusign that are not settled, by state", "state", dict(states), OPEN)
    oldest = Operation.objects.filter(state__in=OPEN).aggregate(at=Min("planned_at"))["at"]
    yield _gauge(
        "oldest_open_operation_seconds", "Age of the oldest deed whose outcome is not settled", _age(oldest, now)
    )
    runs = Batch.objects.order_by().values_list("state").annotate(Count("pk"))
    yield _by("bulk_runs", "Bulk runs by state", "state", dict(runs), BatchState.values)


def _worker(now: datetime) -> Iterator[Metric]:
    alive = Heartbeat.objects.filter(beat_at__gt=now - health.WORKER_SILENCE).count()
    yield _gauge("workers", "Worker processes that gave a sign of life in the last 30 seconds", alive)
    last = Heartbeat.objects.order_by("-beat_at").values_list("beat_at", flat=True).first()
    yield _gauge("worker_heartbeat_age_seconds", "Age of the last sign of life of any worker", _age(last, now))
    due = Schedule.objects.aggregate(at=Min("due_at"))["at"]
    yield _gauge("schedule_overdue_seconds", "By how much the most overdue schedule is late", max(_age(due, now), 0.0))


def _sync(now: datetime) -> Iterator[Metric]:
    rows = list(AccountSync.objects.values_list("ended_at", "failed_at", "account__created_at"))
    ages = [_age(ended or created, now) for ended, _, created in rows]
    yield _gauge("sync_age_seconds", "Age of the mirror that was read whole the longest ago", max(ages, default=0.0))
    failing = sum(failed is not None and (ended is None or failed > ended) for ended, failed, _ in rows)
    yield _gauge("sync_failing_accounts", "Accounts whose last reading failed", failing)
    states = Connection.objects.order_by().values_list("state").annotate(Count("pk"))
    yield _by(
        "connections", "Connections of people to Docusign by state", "state", dict(states), Connection.State.values
    )


def _budget(now: datetime) -> Iterator[Metric]:
    rows = list(ApiBudget.objects.all())
    quotas = [quota_of(row, now) for row in rows]
    left = min((1 - quota.spent / quota.limit for quota in quotas if quota.limit), default=1.0)
    used = sum(quota.used for quota in quotas)
    refusing = sum(row.open_until is not None for row in rows)
    blocked = sum(row.blocked_until is not None and row.blocked_until > now for row in rows)
    yield _gauge(
        "api_budget_left_ratio", "Share of the hour's calls left, of the account with the least", max(left, 0.0)
    )
    yield _gauge("api_calls_this_hour", "Calls of this console in this clock hour, all accounts", used)
    yield _gauge("breaker_open_accounts", "Accounts for which nothing is asked, since Docusign fails", refusing)
    yield _gauge("api_blocked_accounts", "Accounts for which Docusign asked to wait", blocked)


def _events(now: datetime) -> Iterator[Metric]:
    open_states = (Delivery.State.WAITING, Delivery.State.DEAD)
    states = Delivery.objects.filter(state__in=open_states).order_by().values_list("state").annotate(Count("pk"))
    yield _by("deliveries", "Events of Docusign that wait, or could not be read", "state", dict(states), open_states)
    oldest = Delivery.objects.filter(state=Delivery.State.WAITING).aggregate(at=Min("received_at"))["at"]
    yield _gauge("oldest_waiting_delivery_seconds", "Age of the oldest event that waits", _age(oldest, now))
    refused = Hook.objects.aggregate(number=Sum("refused"))["number"]
    yield CounterMetricFamily(PREFIX + "deliveries_refused", "Events whose signature was not good", value=refused or 0)


def _queue() -> Iterator[Metric]:
    backend = task_backends["default"]
    if not isinstance(backend, QueueBackend):
        return
    try:
        depth = backend.depth()
    except Exception:  # noqa: BLE001  # each store has errors of its own; whichever it was, the queue is not there
        yield _gauge("queue_up", "Whether the queue answers", 0)
    else:
        yield _gauge("queue_up", "Whether the queue answers", 1)
        yield _gauge("queue_depth", "Jobs that wait in the queue", depth)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _by(name: str, text: str, label: str, counted: dict[str, int], words: object) -> Metric:
    """One figure a word; a word that does not occur is 0, so that no alarm misses its series."""
    family = GaugeMetricFamily(PREFIX + name, text, labels=[label])
    for word in words:  # type: ignore[attr-defined]  # the values of choices
        family.add_metric([str(word)], counted.get(str(word), 0))
    return family


def _age(moment: datetime | None, now: datetime) -> float:
    """Seconds since then; 0 where there was nothing."""
    return (now - moment).total_seconds() if moment else 0.0
