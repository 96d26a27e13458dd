"""Where a token may go, and over what: the exact allow-list, TLS, no redirects, nothing from the environment."""

import contextlib
import ipaddress
import socket
from dataclasses import replace

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from maestro_api import (
    DEMO,
    NO_RETRY,
    PRODUCTION,
    ConnectFailed,
    Environment,
    InvalidRequest,
    MaestroClient,
    OAuthClient,
    RedirectRefused,
    simulator_environment,
)
from maestro_api.environments import origin_of
from maestro_api.session import DeadlineAdapter
from maestro_api.transport import Call, Transport
from tests.maestro_api.conftest import ACCOUNT, API, BASE, TOKEN, WORKFLOW, answer

EMPTY_LIST = b'{"data":[]}'

HOSTILE = [
    "https://evil.test/v1",
    "http://api.docusign.com/v1",
    "//api.docusign.com/v1",
    "https://api.docusign.com.evil.test/v1",
    "https://api.docusign.com@evil.test/v1",
    "https://evil.test#@api.docusign.com/v1",
    "https://evil.test\\@api.docusign.com/v1",
    "https://evil.test/https://api.docusign.com",
    "https://api.docusign.com:8443/v1",
    "https://api.docusign.com:/v1",
    "https://api.docusign.com./v1",
    "https://api-d.docusign.com/v1",
    "https://xapi.docusign.com/v1",
    "https://api.docusign.com%2eevil.test/v1",
    "https://api.docusign.com%00.evil.test/v1",
    "https://user:pass@api.docusign.com/v1",
    "https://аpi.docusign.com/v1",  # a Cyrillic letter
    "https://api。docusign。com/v1",
    "https://127.0.0.1/v1",
    "https://[::1]/v1",
    "https://2130706433/v1",
    "https://169.254.169.254/latest",
    "ftp://api.docusign.com/v1",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https:api.docusign.com/v1",
    "https:///v1",
    "https://api.docusign.com:99999/v1",
    "https://api.docusign.com:abc/v1",
    "https://api.docusign.com /v1",
    "https://api.docusign.com\t/v1",
    "https://api.docusign.com\r\nX: y/v1",
    " https://api.docusign.com/v1",
    "https://[api.docusign.com]/v1",
    "https://api.docusign.com,evil.test/v1",
    "https://api_docusign.com/v1",
    "https://docusign.com/v1",
    "https://apps.docusign.com/v1",
    "",
    "api.docusign.com",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_token_never_goes_to_a_hostile_address(docusign, url):
    """E-1, E-5: exact scheme, host and port, or nothing is sent (the mock fails on any request)."""
    call = Call("list_workflows", "GET", url, "/v1", writes=False, authorization="Bearer x")
    with pytest.raises(InvalidRequest):
        Transport(PRODUCTION).request(call)
    assert len(docusign.calls) == 0


@given(prefix=st.text(max_size=12), suffix=st.text(max_size=12))
def test_no_text_around_the_host_gets_past_the_list(prefix, suffix):
    """E-1: whatever is put before or after the host, an allowed origin parses as that very host for requests too."""
    url = f"https://{prefix}api.docusign.com{suffix}"
    origin = origin_of(url)
    if origin in PRODUCTION.allowed_origins:
        prepared = requests.Request("GET", url).prepare()
        parsed = urllib3.util.parse_url(prepared.url)
        assert (parsed.scheme, parsed.host, parsed.port or 443) == ("https", "api.docusign.com", 443)


@given(url=st.text(alphabet="https:/@.#?\\apidocusgnmevl-[]%0:42", max_size=60))
def test_the_list_agrees_with_what_is_connected_to(url):
    """E-1: our parser and the one that opens the connection never disagree about an allowed address."""
    origin = origin_of(url)
    if origin is not None:
        with contextlib.suppress(urllib3.exceptions.LocationParseError):
            parsed = urllib3.util.parse_url(url)
            assert parsed.scheme == origin[0]
            assert (parsed.host or "").strip("[]").lower() == origin[1]


def test_the_address_of_an_answer_is_compared_and_never_called(docusign, client):
    """E-1: the trigger goes to the configured host only, and the difference is told without its secrets."""
    secret_url = f"https://evil.test/v1/accounts/{ACCOUNT}/workflows/{WORKFLOW}/actions/trigger?mtid=a&mtsec=canary"
    docusign.get(
        f"{API}/workflows/{WORKFLOW}/trigger-requirements",
        json={"trigger_id": WORKFLOW, "trigger_http_config": {"method": "PUT", "url": secret_url}},
    )
    docusign.post(f"{API}/workflows/{WORKFLOW}/actions/trigger", json={"instance_id": WORKFLOW}, status=201)
    requirements = client.get_trigger_requirements(WORKFLOW)
    notes = requirements.differs_from(client.trigger_url(WORKFLOW))
    client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={})
    assert [call.request.url.partition("/v1")[0] for call in docusign.calls] == [BASE, BASE]
    assert any("evil.test" in note for note in notes)
    assert any("PUT" in note for note in notes)
    assert "canary" not in "".join(notes) + repr(requirements)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000@evil.test/v1",
        "//evil",
        "http://[bad/",
        f"{BASE}/v1/accounts/99999999-1111-4111-8111-111111111111/workflows/{WORKFLOW}/actions/trigger",
    ],
)
def test_every_other_address_is_noted(docusign, client, url):
    """E-1: another host, no scheme, an unreadable one, another account."""
    docusign.get(
        f"{API}/workflows/{WORKFLOW}/trigger-requirements",
        json={"trigger_http_config": {"method": "POST", "url": url}},
    )
    assert client.get_trigger_requirements(WORKFLOW).differs_from(client.trigger_url(WORKFLOW))


def test_our_own_address_is_no_difference(docusign, client):
    docusign.get(
        f"{API}/workflows/{WORKFLOW}/trigger-requirements",
        json={"trigger_http_config": {"method": "POST", "url": f"{API}/workflows/{WORKFLOW}/actions/trigger"}},
    )
    assert client.get_trigger_requirements(WORKFLOW).differs_from(client.trigger_url(WORKFLOW)) == ()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("where", ["same", "other"])
def test_redirects_are_never_followed(raw_server, client_of, status, where):
    """E-2: neither for reading nor for writing, neither to the same nor to another host."""
    other = raw_server(answer(EMPTY_LIST))
    target = "/elsewhere" if where == "same" else f"{other.url}/elsewhere"
    server = raw_server(answer(b"", status=f"{status} Go", headers=(f"Location: {target}",)))
    client = client_of(server)
    with pytest.raises(RedirectRefused):
        client.list_workflows()
    with pytest.raises(RedirectRefused) as caught:
        client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={})
    assert caught.value.may_have_happened
    assert len(server.requests) == 2
    assert other.requests == []


def test_the_body_of_a_redirect_is_not_read(raw_server, client_of):
    """E-2, E-7: requests itself would load it all."""
    sent = []

    def serve(connection, _):
        connection.sendall(answer(b"", status="302 Found", headers=("Location: /x",), length=10**9))
        for _ in range(200):
            connection.sendall(bytes(1024 * 1024))
            sent.append(1)

    with pytest.raises(RedirectRefused):
        client_of(raw_server(serve)).list_workflows()
    assert len(sent) < 100


def test_nothing_is_taken_from_the_environment(raw_server, client_of, monkeypatch, tmp_path):
    """E-3: planted netrc, proxy and CA bundle change nothing; the bearer token arrives as it is."""
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login evil password evil\n")
    netrc.chmod(0o600)
    proxy = raw_server(answer(EMPTY_LIST))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    monkeypatch.delenv("NO_PROXY", raising=False)
    server = raw_server(answer(EMPTY_LIST))
    client_of(server, session=requests.Session()).list_workflows()
    assert proxy.requests == []
    assert f"authorization: bearer {TOKEN}".encode() in server.requests[0].lower()


def test_cookies_are_not_kept(raw_server, client_of):
    """E-3: a cookie that was set never comes back, and is not shown in the headers either."""
    server = raw_server(answer(EMPTY_LIST, headers=("Set-Cookie: a=b; Path=/",)))
    session = requests.Session()
    client = client_of(server, session=session)
    assert "Set-Cookie" not in client.list_workflows().response.headers
    client.list_workflows()
    assert b"cookie" not in server.requests[1].lower()
    assert len(session.cookies) == 0


def test_a_session_that_is_handed_in_obeys_the_same_rules():
    """E-10: retries, environment and redirects of a foreign session are switched off."""
    session = requests.Session()
    session.mount("https://", requests.adapters.HTTPAdapter(max_retries=7))
    session.mount("https://api-d.docusign.com/", requests.adapters.HTTPAdapter(max_retries=7))
    MaestroClient(DEMO, ACCOUNT, TOKEN, session=session)
    adapter = session.get_adapter("https://api-d.docusign.com/v1")
    assert isinstance(adapter, DeadlineAdapter)
    assert adapter.max_retries.total == 0
    assert not session.trust_env


@pytest.mark.parametrize(
    "environment",
    [
        replace(PRODUCTION, api_url="http://api.docusign.com"),
        replace(DEMO, oauth_url="http://127.0.0.1:9000"),
        Environment("simulator", "https://account.docusign.com", "http://127.0.0.1", frozenset()),
    ],
)
def test_plain_http_exists_only_for_a_simulator_on_loopback(environment):
    """E-4: any other combination does not even make a client."""
    with pytest.raises(ValueError, match="not an address"):
        MaestroClient(environment, ACCOUNT, TOKEN)


def resolving_to(monkeypatch, *addresses):
    connects = []

    def resolve(host, port, *_, **__):
        family = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (family[ipaddress.ip_address(each).version], socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses
        ]

    def connect(self, address):
        connects.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    return connects


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", str(ipaddress.IPv4Address(0)), "100.64.0.1", "224.0.0.1",
     "::1", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::"],
)  # fmt: skip
def test_a_name_rebound_to_an_inner_address_is_not_connected_to(monkeypatch, address):
    """E-5: checked at connect, for each address the name resolves to."""
    connects = resolving_to(monkeypatch, address)
    with pytest.raises(ConnectFailed):
        MaestroClient(PRODUCTION, ACCOUNT, TOKEN, session=requests.Session(), retry=NO_RETRY).list_workflows()
    assert connects == []


def test_every_public_address_of_a_name_is_tried(monkeypatch):
    """E-5: the check does not keep us from real addresses."""
    connects = resolving_to(monkeypatch, "127.0.0.1", "93.184.216.34", "2606:2800:220:1::1")
    with pytest.raises(ConnectFailed):
        MaestroClient(PRODUCTION, ACCOUNT, TOKEN, session=requests.Session(), retry=NO_RETRY).list_workflows()
    assert [address[0] for address in connects] == ["93.184.216.34", "2606:2800:220:1::1"]


def test_a_simulator_connects_to_loopback_only(monkeypatch):
    """E-4: even if "localhost" were made to mean something else."""
    connects = resolving_to(monkeypatch, "93.184.216.34")
    environment = simulator_environment("http://localhost:9000")
    with pytest.raises(ConnectFailed):
        MaestroClient(environment, ACCOUNT, TOKEN, retry=NO_RETRY).list_workflows()
    assert connects == []


def test_the_address_of_userinfo_is_never_called(docusign):
    """E-5: base_uri is kept as text."""
    docusign.get(
        f"{BASE}/oauth/userinfo",
        json={"sub": ACCOUNT, "accounts": [{"account_id": ACCOUNT, "base_uri": "https://evil.test"}]},
    )
    OAuthClient(simulator_environment(BASE), "id", "secret", "https://us/callback").userinfo(TOKEN)
    assert len(docusign.calls) == 1


def test_the_libraries_are_recent_enough():
    """E-8: below these, urllib3 unpacks without bounds."""
    assert tuple(int(part) for part in urllib3.__version__.split(".")[:3]) >= (2, 6, 3)
    assert tuple(int(part) for part in requests.__version__.split(".")[:2]) >= (2, 32)


@pytest.mark.parametrize("url", ["http://example.com", "http://10.0.0.1", "http://127.0.0.1.evil.test", "ftp://localhost",
                                 "http://localhost@evil.test", "http://localhost?x=1", ""])  # fmt: skip
def test_a_simulator_elsewhere_is_refused(url):
    """E-4: loopback or nothing."""
    with pytest.raises(ValueError, match="simulator"):
        simulator_environment(url)


def test_a_simulator_address_keeps_its_prefix_and_may_have_another_api_host(docusign):
    environment = simulator_environment(BASE + "/", "http://localhost:9100/mock/")
    docusign.get(f"http://localhost:9100/mock/v1/accounts/{ACCOUNT}/workflows", json={"data": []})
    MaestroClient(environment, ACCOUNT, TOKEN).list_workflows()
    assert len(docusign.calls) == 1
