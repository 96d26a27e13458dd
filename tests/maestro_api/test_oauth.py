"""OAuth: what is asked for, what is believed, and what is sent how often."""

import base64
import hashlib
import itertools
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
import responses
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from joserfc import jwt
from joserfc.jwk import RSAKey

from maestro_api import (
    DEMO,
    PRODUCTION,
    ConsentRequired,
    InvalidGrant,
    InvalidRequest,
    JwtGrant,
    MaestroClient,
    MaestroError,
    OAuthClient,
    OAuthError,
    RateLimited,
    ServerError,
    UnreadableResponse,
    simulator_environment,
)
from tests.maestro_api.conftest import ACCOUNT, API, BASE, USER

TOKEN_URL = f"{BASE}/oauth/token"
CALLBACK = "https://console.example/oauth/callback/"
GRANT = {"access_token": "canary-a", "refresh_token": "canary-r", "token_type": "Bearer", "expires_in": 28800}


@pytest.fixture
def oauth(environment):
    return OAuthClient(environment, "integration-key", "canary-secret", CALLBACK)


@pytest.fixture(scope="module")
def pem():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def query_of(url):
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query, strict_parsing=True).items()}


def test_each_sign_in_has_its_own_challenge(oauth):
    """O-2: S256 of a verifier of 43 to 128 characters from at least 32 random bytes, new each time."""
    first, second = oauth.authorization(), oauth.authorization()
    digest = hashlib.sha256(first.verifier.encode()).digest()
    query = query_of(first.url)
    assert query["code_challenge"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    assert query["code_challenge_method"] == "S256"
    assert 43 <= len(first.verifier) <= 128
    assert len(base64.urlsafe_b64decode(first.verifier + "==")) >= 32
    assert first.verifier != second.verifier
    assert first.state != second.state
    assert query["state"] == first.state
    assert len(base64.urlsafe_b64decode(first.state + "=")) >= 16
    assert first.verifier not in first.url
    assert first.verifier not in repr(first)


def test_exactly_the_needed_scopes_are_asked_for_with_percent_20():
    """O-1, O-17: signature and aow_manage, encoded so that Docusign accepts them; no openid, so no ID token."""
    for environment in (DEMO, PRODUCTION):
        url = OAuthClient(environment, "k", "s", CALLBACK).authorization().url
        assert url.startswith(environment.oauth_url + "/oauth/auth?response_type=code&scope=signature%20aow_manage&")
        assert "+" not in url
        assert "openid" not in url


def test_openid_is_refused_whoever_asks_for_it(oauth):
    """O-17: nobody checks an ID token here, so none may come."""
    for ask in (oauth.authorization, oauth.consent_url):
        with pytest.raises(InvalidRequest):
            ask(scopes=["signature", "openid"])


def test_an_id_token_that_comes_unasked_is_ignored(docusign, oauth):
    """O-17: a grant keeps the two tokens and nothing else."""
    docusign.post(TOKEN_URL, json=GRANT | {"id_token": "eyJhbGciOiJub25lIn0.e30."})
    grant = oauth.refresh("r")
    assert not hasattr(grant, "id_token")
    assert grant.access_token == "canary-a"


def test_signing_in_as_someone_else_asks_for_the_password(oauth):
    query = query_of(oauth.authorization(prompt="login", ui_locales="de", scopes=["signature", "extended"]).url)
    assert (query["prompt"], query["ui_locales"], query["scope"]) == ("login", "de", "signature extended")


def test_a_code_is_exchanged_with_its_verifier_and_the_secret_in_the_header(docusign, oauth):
    docusign.post(TOKEN_URL, json=GRANT)
    grant = oauth.exchange_code("the+code", "the-verifier")
    request = docusign.calls[0].request
    form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert form == {
        "grant_type": "authorization_code",
        "code": "the+code",
        "code_verifier": "the-verifier",
        "redirect_uri": CALLBACK,
    }
    assert request.headers["Authorization"] == "Basic " + base64.b64encode(b"integration-key:canary-secret").decode()
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert (grant.access_token, grant.refresh_token, grant.expires_in) == ("canary-a", "canary-r", 28800)
    assert "canary" not in repr(grant) + repr(oauth)


def test_a_refresh_gives_the_new_pair(docusign, oauth):
    docusign.post(TOKEN_URL, json=GRANT | {"scope": "signature aow_manage"})
    assert oauth.refresh("old+/=").scope == "signature aow_manage"
    assert docusign.calls[0].request.body == b"grant_type=refresh_token&refresh_token=old%2B%2F%3D"


@pytest.mark.parametrize(("value", "seconds"), [("3600", 3600), (None, 3600), (True, 3600), (-1, 3600), (60.5, 60)])
def test_a_strange_life_becomes_an_hour(docusign, oauth, value, seconds):
    docusign.post(TOKEN_URL, json=GRANT | {"expires_in": value})
    assert oauth.refresh("r").expires_in == seconds


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "detail"),
    [
        (400, {"error": "invalid_grant", "error_description": "expired_client"}, InvalidGrant, "invalid_grant",
         "expired_client"),
        (400, {"error": "unsupported_grant_type"}, OAuthError, "unsupported_grant_type", "unsupported_grant_type"),
        (401, {"error": "invalid_client"}, OAuthError, "invalid_client", "invalid_client"),
        (400, {"error": {"errorCode": "PARTNER_AUTHENTICATION_FAILED", "message": "The key is bad"}}, OAuthError,
         "PARTNER_AUTHENTICATION_FAILED", "The key is bad"),
        (400, {"errorCode": "X", "message": "Y"}, OAuthError, "X", "Y"),
        (400, [], OAuthError, None, ""),
    ],
)  # fmt: skip
def test_each_form_of_a_token_refusal_is_understood(docusign, oauth, status, body, kind, code, detail):
    docusign.post(TOKEN_URL, json=body, status=status)
    with pytest.raises(kind) as caught:
        oauth.refresh("r")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.detail, caught.value.status) == (code, detail, status)
    assert len(docusign.calls) == 1


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_code_or_refresh_token_is_never_sent_twice(docusign, oauth, status):
    """O-8: rotation makes a blind second try dangerous."""
    docusign.post(TOKEN_URL, status=status)
    with pytest.raises(ServerError) as caught:
        oauth.refresh("r")
    assert caught.value.may_have_happened
    assert len(docusign.calls) == 1


@pytest.mark.parametrize(
    "body", ["", "{}", '{"access_token":null}', '{"access_token":""}', '{"access_token":"x"', "NaN"]
)
def test_a_token_answer_without_a_token_is_unreadable(docusign, oauth, body):
    """E-9: nothing of it may be stored."""
    docusign.post(TOKEN_URL, body=body, content_type="application/json")
    with pytest.raises(UnreadableResponse) as caught:
        oauth.refresh("r")
    assert caught.value.may_have_happened


def test_a_limit_at_the_token_endpoint_is_a_limit(docusign, oauth):
    docusign.post(TOKEN_URL, status=429, headers={"Retry-After": "9"})
    with pytest.raises(RateLimited) as caught:
        oauth.refresh("r")
    assert caught.value.retry_after == 9


def test_userinfo_is_read_tolerantly(docusign, oauth):
    docusign.get(
        f"{BASE}/oauth/userinfo",
        json={
            "sub": USER.upper(),
            "name": "Ada Admin",
            "email": None,
            "created": "2015-08-13T22:03:03.45",
            "accounts": [
                {"account_id": "{" + ACCOUNT.upper() + "}", "is_default": "true", "account_name": "Acme",
                 "base_uri": "https://demo.docusign.net", "organization": {"organization_id": USER, "links": []}},
                {"account_id": USER, "is_default": False, "organization": None},
                {"account_name": "no id"},
                "odd",
            ],
        },
    )  # fmt: skip
    info = oauth.userinfo("canary-a")
    assert (info.sub, info.name, info.email) == (USER, "Ada Admin", "")
    assert [(each.id, each.is_default, each.organization_id) for each in info.accounts] == [
        (ACCOUNT, True, USER),
        (USER, False, None),
    ]
    assert info.default_account == info.accounts[0]
    assert docusign.calls[0].request.headers["Authorization"] == "Bearer canary-a"


@pytest.mark.parametrize("body", [{}, {"sub": ""}, {"sub": 7}, []])
def test_userinfo_without_a_sub_is_unreadable(docusign, oauth, body):
    docusign.get(f"{BASE}/oauth/userinfo", json=body)
    with pytest.raises(UnreadableResponse):
        oauth.userinfo("t")


@pytest.mark.parametrize(
    ("answer", "confirmed"),
    [({"status": 200}, True), ({"status": 204}, True), ({"status": 404}, False), ({"status": 500}, False),
     ({"body": ConnectionResetError()}, False)],
)  # fmt: skip
def test_revoke_never_raises(docusign, oauth, answer, confirmed):
    docusign.add(responses.Response("POST", f"{BASE}/oauth/revoke", **answer))
    assert oauth.revoke("canary-a") is confirmed


def jwt_grant(pem, **options):
    return JwtGrant(simulator_environment(BASE), "integration-key", USER, pem, redirect_uri=CALLBACK, **options)


def test_the_assertion_says_what_docusign_wants(docusign, pem):
    docusign.post(TOKEN_URL, json={"access_token": "canary-a", "token_type": "Bearer", "expires_in": 3600})
    jwt_grant(pem, clock=lambda: 1_800_000_000.0).token()
    form = parse_qs(docusign.calls[0].request.body.decode())
    token = jwt.decode(form["assertion"][0], RSAKey.import_key(pem), algorithms=["RS256"])
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert token.header == {"alg": "RS256", "typ": "JWT"}
    assert token.claims == {
        "iss": "integration-key",
        "sub": USER,
        "aud": "127.0.0.1:9000",
        "iat": 1_800_000_000,
        "exp": 1_800_003_600,
        "scope": "signature aow_manage impersonation",
    }
    assert "Authorization" not in docusign.calls[0].request.headers


def test_a_token_is_kept_until_shortly_before_its_end(docusign, pem):
    counter = itertools.count()
    docusign.add_callback(
        "POST", TOKEN_URL, lambda _: (200, {}, f'{{"access_token":"t{next(counter)}","expires_in":3600}}')
    )
    now = [1_800_000_000.0]
    grant = jwt_grant(pem, clock=lambda: now[0])
    assert [grant.token(), grant.token()] == ["t0", "t0"]
    now[0] += 3600 - 301
    assert grant.token() == "t0"
    now[0] += 2
    assert grant.token() == "t1"


def test_many_threads_ask_for_one_token(docusign, pem):
    def slow(_):
        time.sleep(0.05)
        return 200, {}, '{"access_token":"t","expires_in":3600}'

    docusign.add_callback("POST", TOKEN_URL, slow)
    grant = jwt_grant(pem)
    threads = [threading.Thread(target=grant.token) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(docusign.calls) == 1


def test_a_refused_service_token_is_renewed_once(docusign, environment, pem):
    counter = itertools.count()
    docusign.add_callback(
        "POST", TOKEN_URL, lambda _: (200, {}, f'{{"access_token":"t{next(counter)}","expires_in":3600}}')
    )
    docusign.get(f"{API}/workflows", status=401)
    docusign.get(f"{API}/workflows", json={"data": []})
    grant = jwt_grant(pem)
    listing = MaestroClient(environment, ACCOUNT, grant.token, refresh=grant.refresh).list_workflows()
    assert (listing.response.attempts, grant.token()) == (2, "t1")


def test_missing_consent_carries_the_address_to_give_it(docusign, pem):
    docusign.post(TOKEN_URL, json={"error": "consent_required"}, status=400)
    with pytest.raises(ConsentRequired) as caught:
        jwt_grant(pem).token()
    query = query_of(caught.value.consent_url)
    assert query == {
        "response_type": "code",
        "scope": "signature aow_manage impersonation",
        "client_id": "integration-key",
        "redirect_uri": CALLBACK,
    }
    assert "scope=signature%20aow_manage%20impersonation" in caught.value.consent_url


def test_a_key_that_is_no_rsa_key_is_refused_without_showing_it():
    elliptic = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for bad in ("not a key", elliptic):
        with pytest.raises(MaestroError) as caught:
            jwt_grant(bad)
        assert "BEGIN" not in str(caught.value)
