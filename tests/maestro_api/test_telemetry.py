"""What a call leaves behind: one line an attempt, hooks, limits; never a secret."""

import contextlib
import logging

import pytest

from maestro_api import (
    BadRequest,
    Hook,
    LimitState,
    MaestroClient,
    MaestroError,
    OAuthClient,
    RetryPolicy,
    ServerError,
)
from maestro_api.transport import Call
from tests.maestro_api.conftest import ACCOUNT, API, BASE, INSTANCE, TOKEN, WORKFLOW

LIST = f"{API}/workflows"
FIELDS = {
    "maestro_operation",
    "maestro_method",
    "maestro_path",
    "maestro_status",
    "maestro_ms",
    "maestro_bytes",
    "maestro_attempt",
    "maestro_remaining",
    "maestro_error",
    "maestro_correlation_id",
    "maestro_request_id",
}


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.DEBUG, logger="maestro_api")
    return lambda: [record for record in caplog.records if record.name == "maestro_api"]


def test_every_attempt_leaves_one_line_with_the_agreed_fields(docusign, client, lines):
    """E-11: operation, method, path template, status, ms, bytes, attempt, remaining quota, correlation id."""
    docusign.get(LIST, status=503)
    docusign.get(LIST, json={"data": []}, headers={"X-RateLimit-Remaining": "2999"})
    client.list_workflows()
    first, second = lines()
    for record in (first, second):
        assert set(vars(record)) >= FIELDS
        assert record.maestro_path == "/v1/accounts/{account_id}/workflows"
        assert record.maestro_ms >= 0
    assert (first.maestro_status, first.maestro_attempt, first.maestro_error) == (503, 1, "ServerError")
    assert (second.maestro_status, second.maestro_attempt, second.maestro_remaining) == (200, 2, 2999)
    assert second.maestro_bytes == len(b'{"data": []}')
    assert first.maestro_correlation_id == second.maestro_correlation_id
    sent = {call.request.headers["X-Correlation-Id"] for call in docusign.calls}
    assert sent == {first.maestro_correlation_id}


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ({"json": {"data": [], "request_id": "top"}}, "top"),
        ({"json": {"data": [], "metadata": {"request_id": "inside"}}}, "inside"),
        ({"json": {"data": [{"request_id": "of a row"}]}}, ""),
        ({"json": {"data": [], "request_id": 17}}, ""),
        ({"json": {"data": []}, "headers": {"X-DocuSign-TraceToken": "header"}}, "header"),
        ({"json": {"request_id": "refusal"}, "status": 400}, "refusal"),
    ],
)
def test_the_line_of_a_call_holds_docusigns_own_number(docusign, client, lines, answer, number):
    """E-11: what Docusign's support asks for, wherever it stands; never a value out of the data."""
    docusign.get(LIST, **answer)
    with contextlib.suppress(MaestroError):
        client.list_workflows()
    [record] = lines()
    assert record.maestro_request_id == number


def test_a_thousand_calls_leave_a_thousand_lines_of_one_form(docusign, client, lines):
    """E-11: the schema holds call after call."""
    docusign.get(LIST, json={"data": []})
    for _ in range(1000):
        client.list_workflows()
    records = lines()
    assert len(records) == 1000
    assert all(set(vars(record)) >= FIELDS for record in records)
    assert len({record.maestro_correlation_id for record in records}) == 1000


def test_no_secret_and_no_user_data_reaches_a_log_or_an_error(docusign, environment, caplog):
    """E-11, O-15: canaries in token, secret, code, query, body, answer and link appear nowhere."""
    caplog.set_level(logging.DEBUG)
    link = f"{BASE}/api/maestro/v1/accounts/{ACCOUNT}/instances/{INSTANCE}/execution?mtid=canary1&mtsec=canary2"
    trigger = f"{LIST}/{WORKFLOW}/actions/trigger"
    docusign.post(trigger, json={"instance_id": INSTANCE, "instance_url": link}, status=201)
    docusign.post(trigger, json={"error": "bad value canary3"}, status=400)
    docusign.get(f"{API}/workflow-instances", json={"instances": [], "ctoken": "canary4"})
    docusign.get(f"{LIST}/{WORKFLOW}/trigger-requirements", json={"trigger_http_config": {"url": link}})
    docusign.post(f"{BASE}/oauth/token", json={"access_token": "canary5", "refresh_token": "canary6"})
    docusign.post(f"{BASE}/oauth/token", json={"error": "invalid_grant"}, status=400)
    client = MaestroClient(environment, ACCOUNT, "canary-token")
    oauth = OAuthClient(environment, "key", "canary-secret", "https://us/cb")
    shown = [repr(client), repr(oauth)]
    shown.append(repr(client.trigger_workflow(WORKFLOW, instance_name="canary7", trigger_inputs={"a": "canary8"})))
    with pytest.raises(BadRequest) as caught:
        client.trigger_workflow(WORKFLOW, instance_name="canary7", trigger_inputs={"a": "canary8"})
    shown += [str(caught.value), repr(caught.value), caught.value.user_message]
    shown += [repr(client.list_account_instances(ctoken="canary9"))]
    shown += [repr(client.get_trigger_requirements(WORKFLOW))]
    shown += [repr(oauth.exchange_code("canary10", "canary11")), repr(oauth.authorization())]
    with pytest.raises(Exception, match="invalid_grant") as refused:
        oauth.refresh("canary12")
    shown += [str(refused.value), repr(refused.value)]
    ours = [record for record in caplog.records if record.name.startswith("maestro_api")]
    shown += [repr(vars(record)) + record.getMessage() for record in ours]
    assert len(ours) == 6
    assert "canary" not in "".join(shown)


def test_errors_keep_no_chain_to_the_request(docusign, client):
    """O-15: an error page that walks the chain finds no Authorization header."""
    docusign.get(LIST, body=ConnectionResetError("x"))
    with pytest.raises(Exception, match="ConnectionLost") as caught:
        client.list_workflows()
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_a_call_hides_its_credentials_in_a_repr():
    call = Call("x", "POST", "https://h/?ctoken=canary", "/", True, authorization="Bearer canary", body=b"canary")
    assert "canary" not in repr(call)


class Recorder(Hook):
    def __init__(self):
        self.seen = []

    def before(self, event):
        self.seen.append(("before", event.attempt, event.status))

    def after(self, event):
        self.seen.append(("after", event.attempt, event.status))

    def error(self, event):
        self.seen.append(("error", event.attempt, event.error))


def test_hooks_see_each_attempt(docusign, environment, waits):
    docusign.get(LIST, status=502)
    docusign.get(LIST, json={"data": []})
    recorder = Recorder()
    MaestroClient(environment, ACCOUNT, TOKEN, hooks=[recorder], retry=RetryPolicy(sleep=waits)).list_workflows()
    assert recorder.seen == [("before", 1, None), ("error", 1, "ServerError"), ("before", 2, None), ("after", 2, 200)]


def test_a_failing_hook_changes_nothing(docusign, environment):
    class Broken(Hook):
        def before(self, event):
            raise RuntimeError("broken")

        after = error = before

    def broken(_):
        raise RuntimeError("broken")

    docusign.post(
        f"{LIST}/{WORKFLOW}/actions/trigger", json={"instance_id": INSTANCE}, headers={"X-RateLimit-Remaining": "1"}
    )
    client = MaestroClient(environment, ACCOUNT, TOKEN, hooks=[Broken()], on_limits=broken)
    assert client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={}).instance_id == INSTANCE


def test_stated_limits_are_told_and_kept(docusign, environment):
    """R-2: also with an error; not when nothing is stated."""
    heard: list[LimitState] = []
    docusign.get(LIST, json={"data": []}, headers={"X-RateLimit-Remaining": "7", "X-BurstLimit-Remaining": "3"})
    docusign.get(LIST, status=501, headers={"X-RateLimit-Remaining": "6"})
    docusign.get(LIST, json={"data": []})
    client = MaestroClient(environment, ACCOUNT, TOKEN, on_limits=heard.append)
    response = client.list_workflows().response
    with pytest.raises(ServerError):
        client.list_workflows()
    client.list_workflows()
    assert [state.hourly_remaining for state in heard] == [7, 6]
    assert response.limits.burst_remaining == 3


def test_a_given_correlation_id_is_used(docusign, environment):
    docusign.get(LIST, json={"data": []})
    MaestroClient(environment, ACCOUNT, TOKEN, correlation_id="page-7", user_agent="mine/1").list_workflows()
    headers = docusign.calls[0].request.headers
    assert (headers["X-Correlation-Id"], headers["User-Agent"]) == ("page-7", "mine/1")
