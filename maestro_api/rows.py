"""The wire forms of instances and workflows, with the published names and the renamed ones of the account list.

The one rule: every member is optional here; what an answer must have is decided by whoever reads the row.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

import msgspec

NOTHING: Final = msgspec.Raw(b"")
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 9998

Steps = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class InstanceRow(msgspec.Struct, gc=False):
    """The wire form of an instance: the published names, and the renamed ones the account list may use."""

    id: str | None = None
    name: str | None = None
    workflow_status: str | None = None
    template_id: str | None = None
    account_id: str | None = None
    started_at: datetime | None = None
    started_by: str | None = None
    started_by_name: str | None = None
    started_by_role: str | None = None
    last_modified_at: datetime | None = None
    ended_at: datetime | None = None
    canceled_at: datetime | None = None
    canceled_by: str | None = None
    expires_at: datetime | None = None
    total_steps: Steps | None = None
    last_completed_step: Steps | None = None
    last_completed_step_name: str | None = None
    tags: tuple[str, ...] | None = None
    trigger_inputs: msgspec.Raw = NOTHING
    trigger_input: msgspec.Raw = NOTHING
    metadata: msgspec.Raw = NOTHING
    instance_id: str | None = None
    instance_name: str | None = None
    status: str | None = None
    workflow_definition_id: str | None = None
    workflow_id: str | None = None


class WorkflowMetadata(msgspec.Struct, gc=False):
    """Who made and changed a workflow, as it stands in `metadata`."""

    created_at: datetime | None = None
    created_by: str | None = None
    modified_at: datetime | None = None
    modified_by: str | None = None


class WorkflowRow(msgspec.Struct, gc=False):
    """The wire form of a workflow."""

    id: str | None = None
    name: str | None = None
    account_id: str | None = None
    status: str | None = None
    metadata: msgspec.Raw = NOTHING


def plain_id(text: str) -> str:
    """An id without braces, in lower case; what is no UUID is kept as it came."""
    if text[0] == "{" and text[-1] == "}":
        text = text[1:-1]
    return text.lower()


def normal_id(text: str | None) -> str | None:
    """A plain id, with "" as None."""
    return (plain_id(text) or None) if text else None


def utc(moment: datetime | None) -> datetime | None:
    """Aware and in UTC; a time without a zone is taken as UTC (assumption: the API's own examples are).

    The first and last years that can be written stand for "never" and "for ever" on other platforms, and cannot be
    converted to other zones: they count as not given.
    """
    if moment is None or not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        return None
    if moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
