"""What the worker does at regular times, and whether a worker is alive.

The one rule: a schedule is claimed by one conditional update, so that several workers never run it twice at once.
"""

from django.db import models


class Schedule(models.Model):
    """A named job and the time when it is next due."""

    name = models.CharField(max_length=64, primary_key=True)
    due_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Heartbeat(models.Model):
    """The last sign of life of a worker process."""

    worker = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.worker
