"""Whether this process can serve. Its one rule: Docusign being down is told, but takes no page away."""

from dataclasses import dataclass
from datetime import timedelta

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max
from django.utils import timezone

from dashboard.models import AccountSync, ApiBudget, Heartbeat, Membership

WORKER_SILENCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Each part in a word; ready when database, migrations and worker are."""

    database: str
    migrations: str
    worker: str
    docusign: str

    @property
    def is_ready(self) -> bool:
        return (self.database, self.migrations, self.worker) == ("ok", "ok", "ok")

    def as_dict(self) -> dict[str, object]:
        return {
            "status": "ready" if self.is_ready else "not ready",
            "database": self.database,
            "migrations": self.migrations,
            "worker": self.worker,
            "docusign": self.docusign,
        }


def readiness() -> Readiness:
    """Look at the database, its migrations, the worker's last sign of life, and what Docusign last did."""
    try:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return Readiness("ok", "missing", "unknown", "unknown")
        return Readiness("ok", "ok", _worker(), _docusign())
    except DatabaseError:
        return Readiness("failed", "unknown", "unknown", "unknown")


def _worker() -> str:
    alive = Heartbeat.objects.filter(beat_at__gt=timezone.now() - WORKER_SILENCE)
    return "ok" if alive.exists() else "silent"


def _docusign() -> str:
    if ApiBudget.objects.exclude(open_until=None).exists():
        return "degraded"
    if ApiBudget.objects.filter(blocked_until__gt=timezone.now()).exists():
        return "asked to wait"
    shared = AccountSync.objects.aggregate(ended=Max("ended_at"), failed=Max("failed_at"))
    own = Membership.objects.aggregate(ended=Max("synced_at"), failed=Max("sync_failed_at"))
    ended, failed = (
        max((row[name] for row in (shared, own) if row[name]), default=None) for name in ("ended", "failed")
    )
    if failed is not None and (ended is None or failed > ended):
        return "degraded"
    return "unknown" if ended is None else "answering"
