"""What the worker does at regular times, and its sign of life.

The one rule: a schedule is claimed by one conditional update, so several workers never run it twice (U-9).
"""

import logging
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from dashboard.models import Heartbeat, Schedule
from dashboard.services import (
    abandoned,
    approvals,
    audit_anchors,
    audit_retention,
    batch_runs,
    browser_sessions,
    contract_readings,
    deliveries,
    emergency,
    input_retention,
    key_inputs,
    limits,
    pace,
    reconcile,
    sheet_purge,
    sync,
    table_statistics,
    tallies,
    undo,
)
from dashboard.services.timings import HEARTBEAT_KEPT

log = logging.getLogger(__name__)
CLOCKS_APART = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Regular:
    """A job that is quick, because it only changes rows and queues work; it returns how much it found."""

    name: str
    every: timedelta
    run: Callable[[], int]


REGULARS = (
    Regular("sweep", timedelta(seconds=10), reconcile.sweep),
    Regular("settle", timedelta(seconds=3), reconcile.settle_due),
    # Shorter than the worker's turn of one second, so that none is left out.
    Regular("undo windows", timedelta(seconds=0.5), undo.run_due),
    Regular("batches", timedelta(seconds=0.5), batch_runs.run_due),
    Regular("sync", timedelta(seconds=3), sync.run_due),
    Regular("deliveries", timedelta(seconds=0.5), deliveries.run_due),
    Regular("purge", timedelta(hours=1), deliveries.purge),
    Regular("sheets", timedelta(hours=1), sheet_purge.purge),
    Regular("contracts", contract_readings.TURN, contract_readings.read_due),
    Regular("pace", timedelta(minutes=1), pace.measure_due),
    Regular("key inputs", timedelta(seconds=30), key_inputs.run_due),
    Regular("stops", timedelta(seconds=3), emergency.run_due),
    Regular("approvals", timedelta(minutes=1), approvals.expire_due),
    Regular("abandoned", timedelta(minutes=10), abandoned.forget),
    Regular("limits", timedelta(hours=1), limits.purge),
    Regular("sessions", timedelta(hours=1), browser_sessions.purge),
    Regular("forget", timedelta(hours=6), tallies.forget_old_hours),
    Regular("audit head", timedelta(hours=1), audit_anchors.write_head),
    Regular("inputs", timedelta(minutes=10), input_retention.purge),
    Regular("statistics", timedelta(hours=1), table_statistics.refresh),
    Regular("audit purge", timedelta(hours=24), audit_retention.purge),
)


def run_due(*, everything: bool = False) -> int:
    """Run what is due, or everything; how much work was found. Each turn of each worker asks this, and mostly nothing is due."""
    known, now = dict(Schedule.objects.values_list("name", "due_at")), timezone.now()
    return sum(
        regular.run()
        for regular in REGULARS
        if everything or (_is_due(regular, known.get(regular.name), now) and _claim(regular, timezone.now()))
    )


def _is_due(regular: Regular, due_at: datetime | None, now: datetime) -> bool:
    return due_at is None or due_at <= now or due_at > _too_far(regular, now)


def _too_far(regular: Regular, now: datetime) -> datetime:
    """Further ahead than any clock of ours may be off: a clock was put back, and waiting for it to catch up could take years."""
    return now + regular.every + CLOCKS_APART


def _claim(regular: Regular, now: datetime) -> bool:
    is_due = Q(due_at__lte=now) | Q(due_at__gt=_too_far(regular, now))
    if Schedule.objects.filter(is_due, name=regular.name).update(due_at=now + regular.every):
        return True
    _, is_new = Schedule.objects.get_or_create(name=regular.name, defaults={"due_at": now + regular.every})
    return is_new


def worker_name() -> str:
    """This process among all workers."""
    return f"{socket.gethostname()}:{os.getpid()}"[-64:]


def beat(started_at: datetime) -> None:
    """Show that this worker is alive, and forget those that have been silent for long."""
    now = timezone.now()
    Heartbeat.objects.update_or_create(
        worker=worker_name(), defaults={"beat_at": now}, create_defaults={"beat_at": now, "started_at": started_at}
    )
    Heartbeat.objects.filter(beat_at__lt=now - HEARTBEAT_KEPT).delete()


def say_goodbye() -> None:
    """This worker ended as asked."""
    Heartbeat.objects.filter(worker=worker_name()).delete()
