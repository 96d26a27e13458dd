"""The login gate, its drafts, and what surrounds every answer."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test import Client, RequestFactory
from django.urls import get_resolver
from django.utils import timezone

from dashboard import middleware
from dashboard.models import Membership, User
from dashboard.services import sign_in_gate

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]
PATH = "/team/1/role/"
PAGES = ["/connections/", "/team/", "/preferences/", "/connections/disconnect/", "/nowhere/"]


def typed(user: User, path: str = PATH, **fields: str) -> dict[str, str]:
    return {"draft_owner": sign_in_gate.draft_token(user, path), "csrfmiddlewaretoken": "x", **fields}


def test_somebody_signed_out_is_led_to_the_door_and_back(client: Client) -> None:
    assert client.get("/connections/?a=1").headers["Location"] == "/signin/?next=%2Fconnections%2F%3Fa%3D1"


def test_a_signed_out_fragment_leads_the_whole_page_to_the_door(client: Client) -> None:
    """S-6: never a sign-in page inside a table; back to the page, not to the fragment."""
    answer = client.get("/team/", headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/team/?sort=name"})
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"] == "/signin/?next=%2Fteam%2F%3Fsort%3Dname"


def test_a_foreign_current_url_is_not_followed(client: Client) -> None:
    answer = client.get("/team/", headers={"HX-Request": "true", "HX-Current-URL": "https://evil.test/x"})
    assert answer.headers["HX-Redirect"] == "/signin/?next=%2Fteam%2F"


@pytest.mark.parametrize("is_htmx", [True, False])
def test_what_was_typed_survives_the_end_of_the_session(viewer: Membership, is_htmx: bool) -> None:
    """S-6: the same person finds it again on the same page, once."""
    client = Client(headers={"HX-Request": "true"} if is_htmx else None)
    client.post(PATH, typed(viewer.user, name="NDA for “Zoë”", value="1"))
    session = client.session
    assert "Zoë" not in str(dict(session))
    draft = sign_in_gate.take_draft(session, viewer.user, PATH)
    assert draft is not None
    assert dict(draft.lists()) == {"name": ["NDA for “Zoë”"], "value": ["1"]}
    assert sign_in_gate.take_draft(session, viewer.user, PATH) is None


def test_a_draft_is_for_its_person_and_its_page_only(client: Client, viewer: Membership, operator: Membership) -> None:
    """S-6: nobody else gets it, and after their sign-in it is gone."""
    client.post(PATH, typed(viewer.user, name="x"))
    session = client.session
    assert sign_in_gate.take_draft(session, operator.user, PATH) is None
    assert sign_in_gate.take_draft(session, viewer.user, "/other/") is None
    sign_in_gate.drop_foreign_draft(session, viewer.user)
    assert "draft" in session
    sign_in_gate.drop_foreign_draft(session, operator.user)
    assert "draft" not in session


@pytest.mark.parametrize("token", ["", "forged", "a:b:c"])
def test_without_a_genuine_mark_nothing_is_kept(client: Client, token: str) -> None:
    client.post(PATH, {"draft_owner": token, "name": "x"})
    assert "draft" not in client.session


def test_a_mark_of_another_page_keeps_nothing(client: Client, viewer: Membership) -> None:
    client.post(PATH, typed(viewer.user, "/elsewhere/", name="x"))
    assert "draft" not in client.session


def test_an_oversize_draft_is_not_kept(client: Client, viewer: Membership) -> None:
    client.post(PATH, typed(viewer.user, name="x" * 300_000))
    assert "draft" not in client.session


def test_a_draft_is_kept_for_an_hour(client: Client, viewer: Membership) -> None:
    client.post(PATH, typed(viewer.user, name="x"))
    session = client.session
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        assert sign_in_gate.take_draft(session, viewer.user, PATH) is None


def test_every_address_but_the_public_ones_needs_a_sign_in(client: Client) -> None:
    """S-15, S-11: a new address is closed unless it says that it is public."""
    public = {pattern.name for pattern in get_resolver().url_patterns if getattr(pattern.callback, "is_public", False)}
    people = {"signin", "signin-start", "oauth-callback", "signout", "theme"}
    assert public == people | {"livez", "readyz", "metrics", "hook"}


@pytest.mark.parametrize("path", ["/signin/", *PAGES])
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_every_answer_carries_the_security_headers(
    admin: Membership, signed_in: SignedIn, path: str, is_signed_in: bool
) -> None:
    """S-1, S-9: on pages, redirects and errors alike."""
    answer = (signed_in(admin) if is_signed_in else Client()).get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["Cache-Control"] == "no-store"
    assert "HX-Request" in answer.headers["Vary"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert len(answer.headers["X-Request-ID"]) == 32


def test_an_answer_over_tls_asks_for_tls_for_a_year(client: Client, settings: Any) -> None:
    """S-9: HSTS with subdomains."""
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 31_536_000, True
    answer = client.get("/signin/", secure=True)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_cookies_are_shut_to_scripts_and_other_sites(client: Client) -> None:
    """S-7: HttpOnly, Lax, whole path."""
    client.post("/signin/start/")
    client.post("/preferences/theme/", {"theme": "dark"})
    assert {"session", "csrf", "theme"} >= set(client.cookies)
    for cookie in client.cookies.values():
        assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Lax", "/", "")


@pytest.mark.parametrize("method", ["TRACE", "TRACK"])
def test_odd_methods_are_refused(client: Client, method: str) -> None:
    """S-17: TRACE is off."""
    assert client.generic(method, "/signin/").status_code == 405


def test_a_failure_tells_a_number_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """S-17: no stack, no path, no message of the failure."""

    def fail(*args: object) -> None:
        raise RuntimeError("SELECT secret FROM table")

    monkeypatch.setattr("dashboard.services.accounts.is_unclaimed", fail)
    answer = Client(raise_request_exception=False).get("/signin/")
    text = answer.content.decode()
    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] in text
    assert not any(word in text for word in ("Traceback", "SELECT", "RuntimeError", ".py"))


def test_the_failure_page_needs_no_database(django_assert_num_queries: Any) -> None:
    request = RequestFactory().get("/")
    with django_assert_num_queries(0):
        assert middleware.server_error(request).status_code == 500


def test_a_database_that_is_gone_before_a_view_is_reached_answers_503(
    operator: Membership, signed_in: SignedIn
) -> None:
    """D-4: the session and the person are read between the layers, where no view can catch what fails."""

    def gone(*args: Any) -> Any:
        raise OperationalError("terminating connection due to administrator command")

    client = signed_in(operator)
    client.raise_request_exception = False
    with connection.execute_wrapper(gone):
        answer = client.get("/instances/")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_a_form_without_a_token_gets_a_page_that_says_what_to_do() -> None:
    """S-5: refused, in plain words."""
    answer = Client(enforce_csrf_checks=True).post("/signout/")
    assert answer.status_code == 403
    assert "open too long" in answer.content.decode()


@pytest.mark.parametrize("origin", ["https://evil.test", "null"])
def test_a_post_from_another_site_is_refused(viewer: Membership, signed_in: SignedIn, origin: str) -> None:
    """S-5: the origin is checked as well as the token."""
    client = signed_in(viewer, enforce_csrf_checks=True)
    client.get("/preferences/")
    token = client.cookies["csrf"].value
    data = {"csrfmiddlewaretoken": token, "time_zone": "UTC"}
    assert client.post("/preferences/", data, headers={"Origin": origin}).status_code == 403
    assert client.post("/preferences/", data, headers={"Origin": "http://testserver"}).status_code == 302


def test_a_wrong_method_gets_a_page(viewer: Membership, signed_in: SignedIn) -> None:
    answer = signed_in(viewer).get("/account/switch/")
    assert answer.status_code == 405
    assert "This address does not do that" in answer.content.decode()


def test_times_are_shown_in_the_persons_zone(viewer: Membership, signed_in: SignedIn) -> None:
    User.objects.update(time_zone="Asia/Tokyo")
    assert "UTC+9" in signed_in(viewer).get("/connections/").content.decode()
    assert timezone.get_current_timezone_name() == "UTC"


def test_a_form_that_was_open_over_a_new_sign_in_keeps_what_was_typed(viewer: Membership, signed_in: SignedIn) -> None:
    """S-6: another tab signed in anew, so the form's token is stale; the same person finds the words again."""
    client = signed_in(viewer, enforce_csrf_checks=True)
    answer = client.post(PATH, typed(viewer.user, name="kept"))
    assert answer.status_code == 403
    assert f'href="{PATH}"' in answer.content.decode()
    draft = sign_in_gate.take_draft(client.session, viewer.user, PATH)
    assert draft is not None
    assert draft["name"] == "kept"


def test_by_htmx_a_stale_form_is_opened_again_with_what_was_typed(viewer: Membership, signed_in: SignedIn) -> None:
    """S-6: a refused fragment would show nothing, so the page itself is loaded."""
    client = signed_in(viewer, htmx=True, enforce_csrf_checks=True)
    answer = client.post(PATH, typed(viewer.user, name="kept"))
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, PATH)
    assert "draft" in client.session


def test_a_stale_form_of_somebody_else_keeps_nothing(
    viewer: Membership, operator: Membership, signed_in: SignedIn
) -> None:
    client = signed_in(operator, enforce_csrf_checks=True)
    answer = client.post(PATH, typed(viewer.user, name="not mine"))
    assert "Go back" in answer.content.decode()
    assert "draft" not in client.session
