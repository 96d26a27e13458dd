"""Bring what was mirrored before up to the new columns: tabs, folded names and counts."""

from collections import Counter
from datetime import timedelta

from django.db import migrations
from django.utils import timezone

LONGEST_ORDER = 80
BUCKETS = {
    "created": "running",
    "in_progress": "running",
    "paused": "running",
    "completed": "completed",
    "failed": "failed",
    "canceled": "canceled",
}
COLUMNS = ["bucket", "name_order", "starter_order", "is_from_here"]


def fill(apps, schema_editor):
    instances = apps.get_model("dashboard", "Instance").objects
    names = apps.get_model("dashboard", "InstanceName").objects
    counts, starts, triggered = Counter(), Counter(), _triggered(apps)
    batch = []
    for row in instances.order_by("pk").iterator(1000):
        row.bucket = BUCKETS.get(row.status, "other")
        row.name_order = row.name.casefold()[:LONGEST_ORDER]
        row.starter_order = row.started_by_name.casefold()[:LONGEST_ORDER]
        row.is_from_here = row.pk in triggered
        for starter in {"*", row.started_by} - {""}:
            counts[row.account_id, row.workflow_id, starter, row.status] += 1
        for what, moment in _moments(row):
            hour = moment.replace(minute=0, second=0, microsecond=0)
            starts[row.account_id, what, hour] += 1
            starts[row.workflow_id, what, hour] += 1
        batch.append(row)
        if len(batch) == 500:
            _write(instances, names, batch)
            batch = []
    _write(instances, names, batch)
    count, hour_count = apps.get_model("dashboard", "InstanceCount"), apps.get_model("dashboard", "HourCount")
    count.objects.bulk_create(
        [
            count(account_id=account, workflow_id=workflow, started_by=starter, status=status, rows=rows)
            for (account, workflow, starter, status), rows in counts.items()
        ],
        batch_size=500,
    )
    hour_count.objects.bulk_create(
        [hour_count(scope=scope, what=what, hour=hour, rows=rows) for (scope, what, hour), rows in starts.items()],
        batch_size=500,
    )


def _triggered(apps):
    operations = apps.get_model("dashboard", "Operation").objects
    return set(operations.filter(kind="trigger", instance__isnull=False).values_list("instance_id", flat=True))


def _moments(row):
    """When it started and when it ended, as the counts by hour have it."""
    oldest = timezone.now() - timedelta(days=62)
    if row.started_at and row.started_at > oldest:
        yield "started", row.started_at
    ended = row.canceled_at if row.status == "canceled" and row.canceled_at else row.ended_at or row.last_modified_at
    if row.status in ("completed", "failed", "canceled", "expired") and ended and ended > oldest:
        yield row.status, ended


def _write(instances, names, batch):
    instances.bulk_update(batch, COLUMNS, batch_size=100)
    names.bulk_create([names.model(instance_id=row.pk, text=row.name.casefold()) for row in batch], batch_size=100)


def empty(apps, schema_editor):
    for name in ("InstanceName", "InstanceCount", "HourCount"):
        apps.get_model("dashboard", name).objects.all().delete()


class Migration(migrations.Migration):
    dependencies = [("dashboard", "0003_scale")]
    operations = [migrations.RunPython(fill, empty)]
