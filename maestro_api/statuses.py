"""The vocabulary of workflow and instance states, normalised.

The one rule: an unknown word becomes UNKNOWN and is kept raw beside it; it never raises and never looks like a known state.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Final


class InstanceStatus(StrEnum):
    """States of an instance. Expired and paused were never seen officially, but cost nothing to know."""

    CREATED = "created"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    PAUSED = "paused"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL


class WorkflowStatus(StrEnum):
    """States of a workflow. Pause answers "paused", although the list may show something else."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    PAUSED = "paused"
    PUBLISHING = "publishing"
    UNPUBLISHING = "unpublishing"
    ARCHIVED = "archived"
    ARCHIVING = "archiving"
    UNKNOWN = "unknown"


_TERMINAL: Final = frozenset(
    {InstanceStatus.COMPLETED, InstanceStatus.FAILED, InstanceStatus.CANCELED, InstanceStatus.EXPIRED}
)

WORKFLOW_FILTERS: Final = frozenset({"active", "inactive", "publishing", "unpublishing", "archived", "archiving"})
"""The values of the list's `status` filter (operation GetWorkflowsList). `paused` is not among them."""

_INSTANCE_WORDS: Final = {
    status.value.replace("_", ""): status for status in InstanceStatus if status is not InstanceStatus.UNKNOWN
} | {"cancelled": InstanceStatus.CANCELED}
_WORKFLOW_WORDS: Final = {status.value: status for status in WorkflowStatus if status is not WorkflowStatus.UNKNOWN}
_LONGEST_WORD: Final = 64


def instance_status(raw: str | None) -> InstanceStatus:
    """Normalise what Docusign wrote ("In Progress", "In-progress", "cancelled")."""
    return _instance_status(raw) if raw and len(raw) <= _LONGEST_WORD else InstanceStatus.UNKNOWN


def workflow_status(raw: str | None) -> WorkflowStatus:
    """Normalise what Docusign wrote about a workflow."""
    return _workflow_status(raw) if raw and len(raw) <= _LONGEST_WORD else WorkflowStatus.UNKNOWN


@lru_cache(maxsize=256)
def _instance_status(raw: str) -> InstanceStatus:
    return _INSTANCE_WORDS.get(_squeeze(raw), InstanceStatus.UNKNOWN)


@lru_cache(maxsize=256)
def _workflow_status(raw: str) -> WorkflowStatus:
    return _WORKFLOW_WORDS.get(_squeeze(raw), WorkflowStatus.UNKNOWN)


def _squeeze(raw: str) -> str:
    return raw.casefold().translate({ord(sign): None for sign in " \t_-"})
