"""Instances as cells of a spreadsheet: each column as text, and what keeps a text from being taken for a formula (S-14).

The one rule: a cell holds what the list shows in that column, times in ISO 8601 and UTC, and nothing that the list does not show.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache

from dashboard.models import Instance

# Programs skip spaces and signs without a shape before they look for a formula. A line, or what stands behind a tab or a semicolon,
# is a cell of its own to a program that reads the quotes differently. The wide signs count in East Asian editions.
_BLANK = r"[\s\u00a0\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]*"
_START = rf"^(?={_BLANK}[=+\-@\t\r＝＋－＠])"
_LATER = rf"(?:(?<=[\n\v\f\x1c-\x1e\x85\u2028\u2029;\t])|(?<=\r)(?!\n))(?={_BLANK}(?:[=+\-@\t＝＋－＠]|\r(?!\n)))"
_DANGEROUS = re.compile(f"{_START}|{_LATER}")
_PLAIN = re.compile(r"[^\W_][^\r\n\v\f\x1c-\x1e\x85\u2028\u2029;\t]*")
GUARD = "'"


def guarded(text: str) -> str:
    """The text with an apostrophe before whatever a spreadsheet might take for a formula; `-5` and `+49 30` get one, too."""
    if not text or _PLAIN.fullmatch(text):
        return text  # nearly all texts, decided at a fraction of the price
    made = _DANGEROUS.sub(GUARD, text)
    return made if made == text or made.startswith(GUARD) else f"{GUARD}{made}"


def instant(moment: datetime | None) -> str:
    """2026-05-12T08:31:40Z; empty when Docusign gave none."""
    return f"{moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z" if moment else ""


def _state(row: Instance) -> str:
    """Our word, and Docusign's own where it is another."""
    return _worded(row.look.label, row.raw_status)


@lru_cache(maxsize=256)
def _worded(word: str, raw: str) -> str:
    return word if not raw or _bare(raw) == _bare(word) else f"{word} (Docusign: {raw})"


def _bare(word: str) -> str:
    return re.sub(r"[\W_]", "", word).casefold()


def _steps(row: Instance) -> str:
    done, total = row.last_completed_step, row.total_steps
    if done is None or not total:
        return ""
    last = f", last {row.last_completed_step_name}" if row.last_completed_step_name else ""
    return f"{min(done, total)} of {total} steps done{last}"


# The columns of the row that each cell is made from; `id`, `workflow_id` and `status` are always there.
READ: Mapping[str, tuple[str, ...]] = {
    "name": ("name",),
    "state": ("raw_status",),
    "steps": ("total_steps", "last_completed_step", "last_completed_step_name"),
    "by": ("started_by_name",),
    "started": ("started_at",),
    "changed": ("last_modified_at",),
    "expires": ("expires_at",),
    "ended": ("ended_at", "canceled_at"),
    "origin": ("is_from_here",),
    "last_step": ("last_completed_step_name",),
}

CELLS: Mapping[str, Callable[[Instance], str]] = {
    "name": lambda row: row.name,
    "workflow": lambda row: row.workflow.name,
    "state": _state,
    "steps": _steps,
    "by": lambda row: row.started_by_name,
    "started": lambda row: instant(row.started_at),
    "changed": lambda row: instant(row.last_modified_at),
    "expires": lambda row: "" if row.is_terminal else instant(row.expires_at),
    "ended": lambda row: instant(row.ended_at or row.canceled_at),
    "origin": lambda row: "This console" if row.is_from_here else "Elsewhere",
    "id": lambda row: str(row.pk),
    "last_step": lambda row: row.last_completed_step_name,
}
