"""The authorization server of the simulator."""

import base64
import hashlib
import re
from html import unescape

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from maestro_api.simulator import DEMO_CLIENT_ID, SimRequest, SimResponse, Simulator
from tests.maestro_api.simulator_calls import (
    REDIRECT,
    Caller,
    answer_of,
    authorize,
    code_for,
    control,
    json_of,
    redeem,
    refresh,
    sub_of,
    token_call,
)

VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
PKCE = {"code_challenge": CHALLENGE, "code_challenge_method": "S256"}
DAY = 86_400


@pytest.fixture
def sim() -> Simulator:
    return Simulator(instances=20)


def userinfo(sim: Simulator, token: str) -> SimResponse:
    return sim.handle(SimRequest("GET", "/oauth/userinfo", {"Authorization": f"Bearer {token}"}))


def works(sim: Simulator, token: str) -> bool:
    return userinfo(sim, token).status == 200


def cookie_of(response: SimResponse) -> str:
    return response.headers["Set-Cookie"].partition(";")[0]


def test_the_page_has_a_button_for_every_person_and_one_to_refuse(sim: Simulator) -> None:
    page = authorize(sim)
    html = page.body.decode()
    buttons = [unescape(text) for text in re.findall(r"<button[^>]*>([^<]*)</button>", html)]
    assert buttons == ["Ada Admin", "Olu Operator", "Pia Preparer", "Vic Viewer", "Ada Other", "Sam Second", "Refuse"]
    assert "<script" not in html
    assert "script-src" not in page.headers["Content-Security-Policy"]


def test_a_press_sends_back_a_code_and_the_state(sim: Simulator) -> None:
    response = authorize(sim, press="Olu Operator")
    assert response.headers["Location"].startswith(REDIRECT + "?")
    answer = answer_of(response)
    assert answer.keys() == {"code", "state"}
    assert answer["state"] == "the state"
    assert len(answer["code"]) > 300


def test_refusing_sends_back_access_denied_with_the_state(sim: Simulator) -> None:
    answer = answer_of(authorize(sim, press="Refuse"))
    assert answer["error"] == "access_denied"
    assert answer["error_description"]
    assert answer["state"] == "the state"


@pytest.mark.parametrize(
    "params",
    [
        {"client_id": "00000000-1111-4222-8333-444444444444"},
        {"response_type": "token id"},
        {"redirect_uri": "https://evil.example/callback/"},
        {"redirect_uri": "http://127.0.0.1@evil.example/"},
        {"redirect_uri": "javascript:alert(1)"},
        {"code_challenge": "abc", "code_challenge_method": "plain"},
        {"scope": ""},
    ],
)
def test_a_bad_request_is_shown_and_never_redirected(sim: Simulator, params: dict[str, str]) -> None:
    for press in (None, "Ada Admin", "Refuse"):
        response = authorize(sim, press=press, **params)
        assert response.status == 400
        assert response.headers["Content-Type"].startswith("text/html")
        assert "Location" not in response.headers


def test_a_registered_redirect_uri_must_match_exactly(sim: Simulator) -> None:
    control(sim, "POST", "/clients", {"client_id": DEMO_CLIENT_ID, "redirect_uris": [REDIRECT]})
    assert authorize(sim, press="Ada Admin").status == 302
    assert authorize(sim, press="Ada Admin", redirect_uri=REDIRECT.rstrip("/")).status == 400


def test_a_live_session_signs_in_silently_unless_login_is_asked_for(sim: Simulator) -> None:
    cookie = cookie_of(authorize(sim, press="Ada Admin"))
    assert "code" in answer_of(authorize(sim, cookie=cookie))
    assert authorize(sim, cookie=cookie, prompt="login").status == 200
    assert authorize(sim).status == 200


def test_logout_ends_the_session(sim: Simulator) -> None:
    cookie = cookie_of(authorize(sim, press="Ada Admin"))
    sim.handle(SimRequest("GET", "/oauth/logout", {"Cookie": cookie}))
    assert authorize(sim, cookie=cookie).status == 200


def test_a_code_gives_long_tokens_that_live_eight_hours(sim: Simulator) -> None:
    response = redeem(sim, code_for(sim))
    body = json_of(response)
    assert response.status == 200
    assert response.headers["Cache-Control"] == "no-store"
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 28800)
    assert len(body["access_token"]) > 600
    assert len(body["refresh_token"]) > 600
    assert body["access_token"].count(".") == 2
    assert json_of(userinfo(sim, body["access_token"]))["name"] == "Ada Admin"


def test_a_code_works_once_and_its_second_use_ends_the_grant(sim: Simulator) -> None:
    code = code_for(sim)
    token = json_of(redeem(sim, code))["access_token"]
    again = redeem(sim, code)
    assert (again.status, json_of(again)["error"]) == (400, "invalid_grant")
    assert not works(sim, token)


def test_a_code_expires(sim: Simulator) -> None:
    code = code_for(sim)
    sim.clock.advance(301)
    assert redeem(sim, code).status == 400


@pytest.mark.parametrize(("verifier", "status"), [(VERIFIER, 200), ("w" * 64, 400), (None, 400)])
def test_the_verifier_must_fit_the_challenge(sim: Simulator, verifier: str | None, status: int) -> None:
    """O-2: a callback whose verifier was swapped or left out is refused."""
    fields = {} if verifier is None else {"code_verifier": verifier}
    assert redeem(sim, code_for(sim, **PKCE), **fields).status == status


def test_a_public_client_needs_pkce_instead_of_a_secret(sim: Simulator) -> None:
    public = {
        "basic": False,
        "grant_type": "authorization_code",
        "client_id": DEMO_CLIENT_ID,
        "code_verifier": VERIFIER,
    }
    assert token_call(sim, code=code_for(sim, **PKCE), **public).status == 200
    assert token_call(sim, code=code_for(sim), **public).status == 400


def test_a_wrong_secret_or_content_type_is_invalid_grant(sim: Simulator) -> None:
    wrong = token_call(
        sim,
        basic=False,
        grant_type="authorization_code",
        client_id=DEMO_CLIENT_ID,
        client_secret="no",
        code=code_for(sim),
    )
    kind = token_call(sim, content_type="application/json", grant_type="authorization_code", code=code_for(sim))
    assert [json_of(response)["error"] for response in (wrong, kind)] == ["invalid_grant", "invalid_grant"]


def test_an_unknown_field_is_let_through(sim: Simulator) -> None:
    assert redeem(sim, code_for(sim), flow="confidential").status == 200


def test_a_refresh_gives_a_new_pair(sim: Simulator) -> None:
    first = sim.token("Ada Admin")
    second = json_of(refresh(sim, first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    assert works(sim, second["access_token"])


def test_a_refresh_token_used_twice_ends_the_grant(sim: Simulator) -> None:
    """O-8: reuse detection is what a lost race would run into."""
    first = sim.token("Ada Admin")
    second = json_of(refresh(sim, first["refresh_token"]))
    again = refresh(sim, first["refresh_token"])
    assert (again.status, json_of(again)["error"]) == (400, "invalid_grant")
    assert not works(sim, second["access_token"])
    assert refresh(sim, second["refresh_token"]).status == 400


def test_reuse_detection_can_be_switched_off(sim: Simulator) -> None:
    sim.set_profile(reuse_detection=False)
    first = sim.token("Ada Admin")
    refresh(sim, first["refresh_token"])
    assert refresh(sim, first["refresh_token"]).status == 200


@pytest.mark.parametrize(("scopes", "status"), [({"signature", "extended"}, 200), ({"signature"}, 400)])
def test_only_extended_makes_a_refresh_start_a_new_life(sim: Simulator, scopes: set[str], status: int) -> None:
    token = sim.token("Ada Admin", scopes=frozenset(scopes))["refresh_token"]
    sim.clock.advance(20 * DAY)
    token = json_of(refresh(sim, token))["refresh_token"]
    sim.clock.advance(20 * DAY)
    assert refresh(sim, token).status == status


def test_userinfo_says_who_and_where(sim: Simulator) -> None:
    body = json_of(userinfo(sim, sim.token("Ada Admin")["access_token"]))
    main, second = body["accounts"]
    assert body["sub"] == sub_of(sim, "Ada Admin")
    assert (main["is_default"], second["is_default"]) == (True, False)
    assert "organization" in main
    assert "organization" not in second
    assert body["created"] == "2015-08-13T22:03:03.45"


def test_two_people_may_have_the_same_email(sim: Simulator) -> None:
    """O-6: an e-mail address is no identity."""
    one, other = (json_of(userinfo(sim, sim.token(name)["access_token"])) for name in ("Ada Admin", "Ada Other"))
    assert one["email"] == other["email"]
    assert one["sub"] != other["sub"]
    assert {a["account_id"] for a in one["accounts"]}.isdisjoint(a["account_id"] for a in other["accounts"])


def test_userinfo_has_a_limit_so_that_asking_each_time_is_noticed(sim: Simulator) -> None:
    sim.set_profile(userinfo_limit=2)
    token = sim.token("Ada Admin")["access_token"]
    assert [userinfo(sim, token).status for _ in range(3)] == [200, 200, 429]


def test_revoking_a_token_ends_its_grant(sim: Simulator) -> None:
    pair = sim.token("Ada Admin")
    fields = f"token={pair['refresh_token']}&client_id={DEMO_CLIENT_ID}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert sim.handle(SimRequest("POST", "/oauth/revoke", headers, fields)).status == 200
    assert not works(sim, pair["access_token"])


def test_revoking_a_person_ends_tokens_and_session(sim: Simulator) -> None:
    """O-9: after a revocation neither the access nor the refresh token is good."""
    pair = sim.token("Ada Admin")
    cookie = cookie_of(authorize(sim, press="Ada Admin"))
    assert sim.revoke("Ada Admin") == 1
    assert Caller(sim).send("GET", "/workflows", Authorization=f"Bearer {pair['access_token']}").status == 401
    assert json_of(refresh(sim, pair["refresh_token"]))["error"] == "invalid_grant"
    assert authorize(sim, cookie=cookie).status == 200


def assertion(sim: Simulator, **claims: object) -> str:
    pem = control(sim, "POST", "/clients", {"client_id": DEMO_CLIENT_ID, "generate_key": True})["private_key"]
    now = int(sim.clock.real())
    body = {
        "iss": DEMO_CLIENT_ID,
        "sub": sub_of(sim, "Ada Admin"),
        "aud": "account-d.docusign.com",
        "iat": now,
        "exp": now + 3600,
        "scope": "signature impersonation aow_manage",
    } | claims
    return jwt.encode({"alg": "RS256", "typ": "JWT"}, body, RSAKey.import_key(pem))


def jwt_call(sim: Simulator, token: str) -> SimResponse:
    return token_call(sim, basic=False, grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=token)


def test_a_jwt_needs_consent_first_and_then_gives_one_hour_without_refresh(sim: Simulator) -> None:
    token = assertion(sim)
    assert json_of(jwt_call(sim, token))["error"] == "consent_required"
    authorize(sim, press="Ada Admin", scope="signature aow_manage impersonation")
    body = json_of(jwt_call(sim, token))
    assert body["expires_in"] == 3600
    assert "refresh_token" not in body
    assert json_of(userinfo(sim, body["access_token"]))["name"] == "Ada Admin"


@pytest.mark.parametrize(
    ("claims", "description"),
    [
        ({"sub": "00000000-1111-4222-8333-444444444444"}, "user_not_found"),
        ({"iss": "00000000-1111-4222-8333-444444444444"}, "issuer_not_found"),
        ({"aud": "account.docusign.com"}, "issuer_not_found"),
    ],
)
def test_a_jwt_with_wrong_claims_is_invalid_grant(sim: Simulator, claims: dict[str, object], description: str) -> None:
    body = json_of(jwt_call(sim, assertion(sim, **claims)))
    assert body == {"error": "invalid_grant", "error_description": description}


def test_a_jwt_signed_by_an_unknown_key_is_refused(sim: Simulator) -> None:
    foreign = assertion(Simulator(instances=0))
    assert json_of(jwt_call(sim, foreign))["error_description"] == "no_valid_keys_or_signatures"
