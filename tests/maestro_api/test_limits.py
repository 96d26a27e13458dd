"""Rate-limit headers and refusals."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maestro_api.limits import NO_LIMITS, limit_window, read_limits, reset_at, retry_after, wait_for

NOW = datetime(2026, 5, 1, 12, 20, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("nan", None),
        ("1000000000000", None),
        (str(EPOCH * 1000), None),
        ("120", 120),
        ("0", 1),
        ("7200", 3600),
        (str(EPOCH + 600), 600),
        (str(EPOCH - 600), 1),
        (str(EPOCH + 86400), 3600),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 1),
    ],
)
def test_the_reset_is_an_epoch_or_seconds_or_a_date_within_an_hour(text, seconds):
    """R-2: both readings of the header, HTTP dates, nonsense ignored, clamped to 1 s to 3,600 s."""
    expected = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert reset_at(text, NOW) == expected


def test_all_five_headers_are_read():
    """R-2: the hourly and the burst window."""
    state = read_limits(
        {
            "X-RateLimit-Limit": "3000",
            "X-RateLimit-Remaining": "2999",
            "X-RateLimit-Reset": "60",
            "X-BurstLimit-Limit": "200",
            "X-BurstLimit-Remaining": "199",
        },
        NOW,
    )
    assert (state.hourly_limit, state.hourly_remaining) == (3000, 2999)
    assert state.hourly_reset_at == NOW + timedelta(seconds=60)
    assert (state.burst_limit, state.burst_remaining) == (200, 199)


@pytest.mark.parametrize("bad", ["", "-1", "1e9", "1000000000000", "many", "nan", "٣"])
def test_a_count_that_makes_no_sense_is_absent(bad):
    """R-2: nonsense is ignored one header at a time."""
    state = read_limits({"X-RateLimit-Remaining": bad, "X-RateLimit-Limit": "3000"}, NOW)
    assert (state.hourly_remaining, state.hourly_limit) == (None, 3000)


def test_no_headers_are_no_state():
    assert read_limits({}) is NO_LIMITS
    assert not NO_LIMITS.is_known


@given(text=st.text(max_size=40))
def test_no_header_text_can_break_the_reading(text):
    """R-2: whatever is sent, the result is nothing or a time within the hour."""
    found = reset_at(text, NOW)
    assert found is None or NOW + timedelta(seconds=1) <= found <= NOW + timedelta(seconds=3600)
    wait = wait_for({"Retry-After": text, "X-RateLimit-Reset": text}, "hourly", NOW)
    assert wait >= 1


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "8"}, 8),
        ({"Retry-After": "86400"}, 86400),
        ({"Retry-After": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30),
        ({"Retry-After": format_datetime(NOW - timedelta(seconds=30), usegmt=True)}, 0),
        ({"retry-after-ms": "1500", "Retry-After": "8"}, 1.5),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "9" * 20}, None),
    ],
)
def test_a_stated_waiting_time_is_read_in_full(headers, seconds):
    """R-5: seconds, milliseconds or a date; absurd values that are still times are not shortened."""
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("headers", "window", "seconds"),
    [
        ({"Retry-After": "17", "X-RateLimit-Reset": "60"}, "hourly", 17),
        ({"X-RateLimit-Reset": "60"}, "hourly", 60),
        ({"X-RateLimit-Reset": "60"}, None, 60),
        ({"X-RateLimit-Reset": "60"}, "burst", 30),
        ({}, "hourly", 2400),
        ({}, "burst", 30),
        ({}, None, 30),
    ],
)
def test_a_refusal_always_says_how_long_to_wait(headers, window, seconds):
    """R-5: Retry-After, else the reset, else the next full hour or 30 s."""
    assert wait_for(headers, window, NOW) == seconds


@pytest.mark.parametrize(
    ("code", "window"),
    [
        ("HOURLY_APIINVOCATION_LIMIT_EXCEEDED", "hourly"),
        ("BURST_APIINVOCATION_LIMIT_EXCEEDED", "burst"),
        ("HOURLY_ENVELOPE_POLLING_LIMIT_EXCEEDED", "hourly"),
        ("INVALID_REQUEST", None),
        (None, None),
    ],
)
def test_the_window_is_known_from_the_code(code, window):
    """R-5: polling codes count as well."""
    assert limit_window(code) == window
