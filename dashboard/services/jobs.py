"""Handing work to the worker. Its one rule: a job carries ids and flags only, and is named as in `dashboard/tasks.py`.

Tasks call services, so a service names its task by text; the name is resolved when it is needed.
"""

from uuid import UUID

from django.utils.module_loading import import_string

PEOPLE_FIRST = 50
BACKGROUND = 0


def enqueue(name: str, *ids: UUID | str | int, priority: int = BACKGROUND) -> None:
    """Queue `dashboard.tasks.<name>`. Call it after the commit of what the job needs to find."""
    job = import_string(f"dashboard.tasks.{name}")
    job.using(priority=priority).enqueue(*(item if isinstance(item, int) else str(item) for item in ids))
