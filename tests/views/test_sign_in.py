"""The sign-in pages: one button, one way back, and nothing that could be planted before it."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.http import HttpResponse
from django.test import Client

from dashboard.models import AuditEntry, Membership, User
from dashboard.services import setup
from maestro_api.simulator import MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID, SimRequest, Simulator
from tests.factories import person

pytestmark = pytest.mark.django_db
NEXT_ATTACKS = [
    "//evil.test",
    "///evil.test",
    "/\\evil.test",
    "\\\\evil.test",
    "/\\/evil.test",
    "https://evil.test",
    "http://evil.test/",
    "https:evil.test",
    "https:/evil.test",
    "https:///evil.test",
    "HTTPS://EVIL.TEST",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "ftp://evil.test",
    "\x08//evil.test",
    "\t//evil.test",
    "/\t/evil.test",
    "/\n/evil.test",
    "/\r/evil.test",
    "\r\n//evil.test",
    "/x\r\nLocation: https://evil.test",
    " //evil.test",
    "/ /evil.test\x7f",
    "//evil.test@testserver",
    "//testserver@evil.test",
    "https://testserver@evil.test",
    "http://testserver.evil.test",
    "//evil%2etest",
    "evil.test",
    "@evil.test",
    "?next=//evil.test",
    "#//evil.test",
    "",
    "//",
    "///",
    "/\u2028/evil.test",
    "\u2215\u2215evil.test",
    "/\u200b/evil.test",
    "//\u0435vil.test",
    "https://[evil.test",
]


@pytest.fixture(autouse=True)
def _served(settings: Any) -> None:
    settings.CONSOLE_ACCOUNTS = [MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID]


def start(client: Client, **data: str) -> str:
    answer = client.post("/signin/start/", data)
    assert answer.status_code == 302, answer.content
    return str(answer.headers["Location"])


def agree(simulator: Simulator, url: str, name: str) -> str:
    """Press a person's button; the path and query of the callback."""
    sub = next(each.sub for each in simulator.world.people.values() if each.name == name)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = simulator.handle(
        SimRequest("POST", f"/oauth/auth?{urlsplit(url).query}", headers, f"person={sub}".encode())
    )
    back = urlsplit(answer.headers["Location"])
    return f"{back.path}?{back.query}"


def come_in(client: Client, simulator: Simulator, name: str, **data: str) -> HttpResponse:
    return client.get(agree(simulator, start(client, **data), name))


def test_the_page_has_the_button_the_environment_and_a_way_to_be_somebody_else(client: Client) -> None:
    page = client.get("/signin/").content.decode()
    assert "Sign in with Docusign</button>" in page
    assert "Sign in as somebody else</button>" in page
    assert 'data-env="simulator"' in page


def test_a_journey_from_the_button_to_the_page_that_was_asked_for(client: Client, simulator: Simulator) -> None:
    answer = come_in(client, simulator, "Olu Operator", next="/connections/")
    assert answer.headers["Location"] == "/connections/"
    assert client.get("/connections/").status_code == 200


def test_sign_in_starts_by_post_only(client: Client) -> None:
    """O-7: GET on the start address is refused."""
    answer = client.get("/signin/start/")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"


def test_sign_in_needs_a_token_against_forgery() -> None:
    """S-5: a start from another site is refused."""
    assert Client(enforce_csrf_checks=True).post("/signin/start/").status_code == 403


def test_somebody_else_means_that_docusign_asks_again(client: Client) -> None:
    assert parse_qs(urlsplit(start(client, prompt="login")).query)["prompt"] == ["login"]
    assert "prompt" not in parse_qs(urlsplit(start(client)).query)


def test_session_and_forgery_token_are_new_after_sign_in(client: Client, simulator: Simulator) -> None:
    """O-7: what was planted before sign-in is worth nothing afterwards."""
    client.get("/signin/")
    callback = agree(simulator, start(client), "Ada Admin")
    before = {name: morsel.value for name, morsel in client.cookies.items()}
    client.get(callback)
    after = {name: morsel.value for name, morsel in client.cookies.items()}
    assert before["session"] != after["session"]
    assert before["csrf"] != after["csrf"]
    planted = Client()
    planted.cookies["session"] = before["session"]
    assert planted.get("/connections/").status_code == 302


@pytest.mark.parametrize("query", ["", "?code=x", "?state=abc&code=x", "?state=&code=x"])
def test_a_callback_without_a_state_of_this_browser_is_refused(
    client: Client, simulator: Simulator, query: str
) -> None:
    """O-3: missing and foreign states: 400, no token call, one audit entry."""
    start(client)
    answer = client.get(f"/oauth/callback/{query}")
    assert answer.status_code == 400
    assert [entry for entry in simulator.ledger() if entry["path"] == "/oauth/token"] == []
    assert AuditEntry.objects.get().action == "session.refused"


def test_a_callback_of_another_browser_is_refused(client: Client, simulator: Simulator) -> None:
    """O-3: the state is bound to the browser that started."""
    callback = agree(simulator, start(client), "Ada Admin")
    assert Client().get(callback).status_code == 400
    assert not User.objects.exists()


def test_a_callback_works_once(client: Client, simulator: Simulator) -> None:
    """O-3: Back and reload of the callback do not sign in again."""
    callback = agree(simulator, start(client), "Ada Admin")
    assert client.get(callback).status_code == 302
    assert client.get(callback).status_code == 400
    assert sum(entry["path"] == "/oauth/token" for entry in simulator.ledger()) == 1


def test_a_refusal_at_docusign_is_said_in_plain_words(client: Client, simulator: Simulator) -> None:
    state = parse_qs(urlsplit(start(client)).query)["state"][0]
    answer = client.get("/oauth/callback/", {"state": state, "error": "access_denied", "error_description": "<b>x"})
    assert answer.status_code == 403
    assert "refused at Docusign" in answer.content.decode()
    assert "<b>x" not in answer.content.decode()


def test_a_stranger_is_refused_in_plain_words_and_leaves_no_session(client: Client, simulator: Simulator) -> None:
    answer = come_in(client, simulator, "Ada Other")
    assert answer.status_code == 403
    assert "does not serve any Docusign account of yours" in answer.content.decode()
    assert not User.objects.exists()
    assert not Session.objects.exists()


def test_the_redirect_address_never_comes_from_the_request(client: Client) -> None:
    """O-5: a foreign Host is refused, and the address stays the configured one."""
    assert client.post("/signin/start/", headers={"Host": "evil.test"}).status_code == 400
    url = client.post("/signin/start/", headers={"X-Forwarded-Host": "evil.test"}).headers["Location"]
    assert parse_qs(urlsplit(url).query)["redirect_uri"] == ["http://testserver/oauth/callback/"]


def test_the_client_secret_never_reaches_the_browser(client: Client, settings: Any) -> None:
    """O-1: neither the page nor the address holds the secret."""
    seen = client.get("/signin/").content.decode() + start(client)
    assert settings.DOCUSIGN_CLIENT_SECRET not in seen


@pytest.mark.parametrize("target", NEXT_ATTACKS)
def test_after_sign_in_nobody_is_sent_to_another_site(client: Client, simulator: Simulator, target: str) -> None:
    """S-10: only local paths count, when stored and when used."""
    answer = come_in(client, simulator, "Ada Admin", next=target)
    assert answer.headers["Location"] == "/"


def test_the_sign_in_reads_userinfo_once_and_pages_never(client: Client, simulator: Simulator) -> None:
    come_in(client, simulator, "Ada Admin", next="/connections/")
    for _ in range(3):
        client.get("/connections/")
    assert sum(entry["path"] == "/oauth/userinfo" for entry in simulator.ledger()) == 1


def test_sign_out_ends_the_session_and_clears_the_browser(
    operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """S-9, O-14: only the session ends; the connection stays for work under way."""
    client = signed_in(operator)
    answer = client.post("/signout/")
    assert "cache" in answer.headers["Clear-Site-Data"]
    assert client.get("/connections/").status_code == 302
    operator.user.connection.refresh_from_db()
    assert operator.user.connection.state == "active"
    assert AuditEntry.objects.get().action == "session.ended"


def test_sign_out_needs_a_post(operator: Membership, signed_in: Callable[..., Client]) -> None:
    client = signed_in(operator)
    assert client.get("/signout/").status_code == 405
    assert client.get("/connections/").status_code == 200


def test_an_unknown_field_is_refused(client: Client) -> None:
    """S-12: nothing but the form's own fields."""
    assert client.post("/signin/start/", {"is_staff": "1"}).status_code == 422
    assert client.post("/signin/start/", {"prompt": ["login", "login"]}).status_code == 422


def test_another_person_in_the_same_browser_starts_with_an_empty_session(client: Client, simulator: Simulator) -> None:
    come_in(client, simulator, "Ada Admin")
    session = client.session
    session["account"] = SECOND_ACCOUNT_ID
    session["leftover"] = "of Ada"
    session.save()
    come_in(client, simulator, "Olu Operator", prompt="login")
    assert "leftover" not in client.session
    assert client.session["account"] == MAIN_ACCOUNT_ID


def test_there_is_no_password_form_and_no_admin(client: Client) -> None:
    """S-15: Docusign is the only door."""
    assert 'type="password"' not in client.get("/signin/").content.decode()
    assert client.get("/admin/").status_code == 404


def test_a_disabled_person_is_out_at_the_next_request(operator: Membership, signed_in: Callable[..., Client]) -> None:
    client = signed_in(operator)
    User.objects.update(is_active=False)
    assert client.get("/connections/").status_code == 302


def test_a_raised_session_epoch_ends_every_session(account: Any, signed_in: Callable[..., Client]) -> None:
    member = person(account, "viewer")
    one, two = signed_in(member), signed_in(member)
    User.objects.update(session_epoch=1)
    assert one.get("/connections/").status_code == 302
    assert two.get("/connections/").status_code == 302


def test_the_page_asks_for_the_setup_code_only_while_nothing_is_served(client: Client, settings: Any) -> None:
    assert "Setup code" not in client.get("/signin/").content.decode()
    settings.CONSOLE_ACCOUNTS = []
    assert "Setup code" in client.get("/signin/").content.decode()


def test_a_wrong_setup_code_is_said_on_the_page(client: Client, settings: Any) -> None:
    settings.CONSOLE_ACCOUNTS = []
    answer = client.post("/signin/start/", {"setup_code": "wrong"})
    assert answer.status_code == 422
    assert "This setup code is not valid" in answer.content.decode()


def test_whoever_has_the_setup_code_claims_the_account(client: Client, simulator: Simulator, settings: Any) -> None:
    settings.CONSOLE_ACCOUNTS = []
    code = setup.offer_code() or ""
    answer = come_in(client, simulator, "Ada Admin", setup_code=code)
    assert answer.status_code == 302
    assert "Northwind Agreements" in client.get("/connections/").content.decode()
    assert Membership.objects.get().role == "admin"
