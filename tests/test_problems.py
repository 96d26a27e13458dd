"""Error pages: they must stand when everything else has fallen."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import render
from django.template.loader import render_to_string
from django.test import RequestFactory

PAGES = sorted(path.name for path in (settings.BASE_DIR / "templates" / "problems").glob("[!_]*.html"))


class BrokenMessages:
    """Messages live in the session, and the session in a database that may be gone."""

    def __iter__(self) -> Iterator[object]:
        raise AssertionError("an error page asked the session for messages")


@pytest.fixture
def bare_request() -> HttpRequest:
    request = RequestFactory().get("/anything/")
    request._messages = BrokenMessages()  # type: ignore[attr-defined]
    return request


def test_there_is_a_page_for_every_problem() -> None:
    assert {f"{status}.html" for status in (400, 403, 404, 405, 409, 500, 502, 503)} <= set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_an_error_page_needs_no_database_and_no_session(name: str, bare_request: HttpRequest) -> None:
    """Without the database mark, a single query here is an error."""
    shown = render(bare_request, f"problems/{name}").content.decode()
    assert shown.count("<h1") == 1


@pytest.mark.parametrize("name", PAGES)
def test_an_error_page_needs_not_even_a_request(name: str) -> None:
    """S-17: what is left is a sentence and a way on, nothing of the inside."""
    shown = render_to_string(f"problems/{name}")
    assert shown.count("<h1") == 1
    assert "Traceback" not in shown


def test_an_error_page_shows_the_number_to_quote(bare_request: HttpRequest) -> None:
    """S-17: the correlation id."""
    shown = render(bare_request, "problems/500.html", {"request_id": "0f3c"}).content.decode()
    assert '<dd class="mono">0f3c</dd>' in shown


def test_a_reason_is_shown_as_text(bare_request: HttpRequest) -> None:
    """S-3: a reason may quote Docusign."""
    shown = render(bare_request, "problems/403.html", {"reason": "<b>You</b>\u202e may not"}).content.decode()
    assert "&lt;b&gt;You&lt;/b&gt;⟨U+202E⟩ may not" in shown
