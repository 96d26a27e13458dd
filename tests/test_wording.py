"""How times and durations are told, in the person's own zone."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.template import Context, Template
from django.utils import timezone
from django.utils.html import strip_tags

from dashboard import wording

NOW = datetime(2026, 5, 12, 8, 42, tzinfo=UTC)  # 10:42 in Berlin


@pytest.fixture(autouse=True)
def _berlin_at_1042() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False), timezone.override("Europe/Berlin"):
        yield


def render(markup: str, **context: object) -> str:
    return Template("{% load console %}" + markup).render(Context(context))


@pytest.mark.parametrize(
    ("shift", "text"),
    [
        (timedelta(), "just now"),
        (timedelta(seconds=-44), "just now"),
        (timedelta(seconds=-45), "1 min ago"),
        (timedelta(minutes=-59, seconds=-59), "59 min ago"),
        (timedelta(hours=-2, minutes=-29), "2 h ago"),
        (timedelta(hours=-12), "yesterday"),
        (timedelta(days=-2), "2 days ago"),
        (timedelta(days=-13), "13 days ago"),
        (timedelta(days=-21), "3 weeks ago"),
        (timedelta(days=-40), "2 Apr"),
        (timedelta(days=-527), "1 Dec 2024"),
        (timedelta(seconds=30), "in a moment"),
        (timedelta(minutes=3), "in 3 min"),
        (timedelta(hours=1), "in 1 hour"),
        (timedelta(hours=5), "in 5 hours"),
        (timedelta(hours=20), "tomorrow"),
        (timedelta(days=24), "in 24 days"),
        (timedelta(weeks=12), "in 12 weeks"),
        (timedelta(days=300), "8 Mar 2027"),
    ],
)
def test_a_time_is_told_relative_to_now(shift: timedelta, text: str) -> None:
    assert strip_tags(render("{% when at %}", at=NOW + shift)) == text


def test_the_exact_time_and_zone_stand_in_the_title() -> None:
    shown = render("{% when at %}", at=datetime(2026, 5, 12, 8, 31, 40, tzinfo=UTC))
    assert 'datetime="2026-05-12T10:31:40+02:00"' in shown
    assert 'title="12 May 2026, 10:31:40 Berlin (UTC+2)"' in shown


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("UTC", "12 May 2026, 08:42:00 UTC"),
        ("Asia/Kolkata", "12 May 2026, 14:12:00 Kolkata (UTC+5:30)"),
        ("America/New_York", "12 May 2026, 04:42:00 New York (UTC-4)"),
        ("America/St_Johns", "12 May 2026, 06:12:00 St Johns (UTC-2:30)"),
    ],
)
def test_the_exact_time_is_in_the_persons_zone(zone: str, text: str) -> None:
    with timezone.override(zone):
        assert wording.exact_text(NOW) == text


@pytest.mark.parametrize(
    ("style", "shift", "text"),
    [
        ("clock", timedelta(), "10:42"),
        ("clock", timedelta(days=-1), "yesterday 10:42"),
        ("clock", timedelta(days=-2), "10 May 10:42"),
        ("clock", timedelta(days=-365), "12 May 2025 10:42"),
        ("day", timedelta(minutes=-3), "today 10:39"),
        ("day", timedelta(days=-1), "yesterday 10:42"),
        ("date", timedelta(), "12 May 2026"),
        ("exact", timedelta(), "12 May 2026, 10:42:00 Berlin (UTC+2)"),
    ],
)
def test_a_time_can_be_told_in_other_styles(style: str, shift: timedelta, text: str) -> None:
    assert strip_tags(render("{% when at style %}", at=NOW + shift, style=style)) == text


def test_yesterday_is_a_day_of_the_calendar_and_not_twenty_four_hours() -> None:
    just_after_midnight = datetime(2026, 5, 11, 22, 5, tzinfo=UTC)
    just_before_midnight = datetime(2026, 5, 11, 21, 5, tzinfo=UTC)
    assert wording.relative_text(just_after_midnight) == "10 h ago"
    assert wording.relative_text(just_before_midnight) == "yesterday"


@time_machine.travel("2026-03-29T03:30:00+00:00", tick=False)
def test_an_hour_that_the_clocks_skipped_is_not_counted() -> None:
    """In Berlin it is half past five; the clocks went from two to three, four hours of the wall clock and three of time."""
    with timezone.override("Europe/Berlin"):
        assert wording.past_text(datetime(2026, 3, 29, 0, 30, tzinfo=UTC)) == "3 h ago"


def test_a_missing_time_is_a_dash_or_what_the_page_says() -> None:
    assert strip_tags(render("{% when at %}", at=None)) == "–"
    assert strip_tags(render('{% when at missing="not given" %}', at=None)) == "not given"


def test_a_bare_date_has_no_hour() -> None:
    assert render("{% when at %}", at=date(2026, 6, 1)) == '<time datetime="2026-06-01">1 Jun 2026</time>'


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (0, "0 s"),
        (0.25, "250 ms"),
        (45, "45 s"),
        (192, "3 min 12 s"),
        (7200, "2 h"),
        (timedelta(hours=2, minutes=5), "2 h 5 min"),
        (timedelta(days=4, hours=3), "4 days 3 h"),
        (timedelta(days=1), "1 day"),
        (-90, "-1 min 30 s"),
        (None, "–"),
    ],
)
def test_a_duration_names_its_two_largest_units(span: object, text: str) -> None:
    assert render("{% duration span %}", span=span) == text


@pytest.mark.parametrize(("shift", "text"), [(timedelta(minutes=4), "just now"), (timedelta(minutes=-4), "4 min ago")])
def test_what_has_happened_is_never_said_to_be_still_to_come(shift: timedelta, text: str) -> None:
    """Docusign's clock may be ahead of ours; an age is never negative."""
    assert strip_tags(render('{% when at "ago" %}', at=NOW + shift)) == text
