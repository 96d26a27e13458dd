"""What is sent again, and what never is."""

import time
from collections import Counter

import pytest
import requests
import responses
import urllib3

from maestro_api import (
    PROCESS_BUDGET,
    ConnectFailed,
    ConnectionLost,
    Forbidden,
    InvalidRequest,
    MaestroClient,
    MaestroError,
    RateLimited,
    RetryBudget,
    RetryPolicy,
    ServerError,
    Unauthorized,
    UnreadableResponse,
)
from tests.maestro_api.conftest import ACCOUNT, API, INSTANCE, TOKEN, WORKFLOW, RawServer

LIST = f"{API}/workflows"
TRIGGER = f"{LIST}/{WORKFLOW}/actions/trigger"
HOURLY = {"errorCode": "HOURLY_APIINVOCATION_LIMIT_EXCEEDED", "message": "The hourly limit is 3000."}


def trigger(client):
    return client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={})


def answers(docusign, method, url, *each):
    """One answer after the other; the last one stays."""
    for one in each:
        docusign.add(responses.Response(method, url, **one))


GOOD = {"json": {"data": []}}


@pytest.mark.parametrize("status", [502, 503, 504])
def test_reading_is_tried_three_times(docusign, client, waits, status):
    """R-6: at most three attempts, E-10: the ledger equals our attempts."""
    answers(docusign, "GET", LIST, {"status": status})
    with pytest.raises(ServerError) as caught:
        client.list_workflows()
    assert (caught.value.attempts, len(docusign.calls), len(waits.seconds)) == (3, 3, 2)


def test_reading_after_500_is_tried_once_more(docusign, client):
    """R-6: 500 once."""
    answers(docusign, "GET", LIST, {"status": 500})
    with pytest.raises(ServerError):
        client.list_workflows()
    assert len(docusign.calls) == 2


def test_a_success_after_failures_counts_all_attempts(docusign, client):
    answers(docusign, "GET", LIST, {"status": 503}, {"status": 504}, GOOD)
    assert client.list_workflows().response.attempts == 3


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 422, 444, 501])
def test_other_refusals_are_not_repeated(docusign, client, status):
    """R-6: only what can pass by itself."""
    answers(docusign, "GET", LIST, {"status": status})
    with pytest.raises(MaestroError) as caught:
        client.list_workflows()
    assert (caught.value.status, len(docusign.calls)) == (status, 1)


def test_the_waits_are_spread_over_the_whole_interval():
    """R-6: full jitter between 0 and 1 s, then 0 and 2 s, never above 30 s."""
    policy = RetryPolicy(attempts=10)
    error = ConnectionLost()
    first = [policy.wait_before_next(error, 1, reading=True) for _ in range(2000)]
    second = [policy.wait_before_next(error, 2, reading=True) for _ in range(2000)]
    late = [policy.wait_before_next(error, 9, reading=True) for _ in range(2000)]
    assert 0 <= min(first) < 0.05 < 0.95 < max(first) <= 1
    assert 1.9 < max(second) <= 2
    assert 28 < max(late) <= 30
    buckets = Counter(int(wait * 10) for wait in first)
    assert max(buckets.values()) < 0.25 * len(first)


def test_a_stated_wait_is_kept_in_full(docusign, client, waits):
    """R-6: eight seconds mean eight seconds."""
    answers(docusign, "GET", LIST, {"status": 503, "headers": {"Retry-After": "8"}}, GOOD)
    client.list_workflows()
    assert waits.seconds == [8.0]


def test_a_wait_beyond_the_deadline_is_told_instead_of_waited_for(docusign, client, waits):
    """R-6: no worker sleeps for a day; the error says when."""
    answers(docusign, "GET", LIST, {"status": 503, "headers": {"Retry-After": "86400"}})
    with pytest.raises(ServerError) as caught:
        client.list_workflows()
    assert caught.value.retry_after == 86400
    assert (waits.seconds, len(docusign.calls)) == ([], 1)


def test_a_dead_docusign_gets_at_most_a_tenth_more_calls(docusign, environment, waits):
    """R-6: once the savings of the process are used up, retries are a tenth of the calls."""
    answers(docusign, "GET", LIST, {"status": 503})
    client = MaestroClient(environment, ACCOUNT, TOKEN, retry=RetryPolicy(sleep=waits, budget=RetryBudget()))
    for _ in range(50):
        with pytest.raises(ServerError):
            client.list_workflows()
    before = len(docusign.calls)
    for _ in range(200):
        with pytest.raises(ServerError):
            client.list_workflows()
    assert 200 <= len(docusign.calls) - before <= 221


def test_all_clients_of_a_process_share_one_allowance():
    """R-6: whole process."""
    assert RetryPolicy().budget is PROCESS_BUDGET


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408, 444])
def test_an_unclear_answer_to_a_trigger_is_never_repeated(docusign, client, status):
    """U-2: sent once, also with Retry-After; the outcome is open."""
    answers(docusign, "POST", TRIGGER, {"status": status, "headers": {"Retry-After": "1"}})
    with pytest.raises(MaestroError) as caught:
        trigger(client)
    assert caught.value.may_have_happened
    assert len(docusign.calls) == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429])
def test_a_clear_refusal_of_a_trigger_means_that_nothing_ran(docusign, client, status):
    """U-2: these are rejections, not open outcomes."""
    answers(docusign, "POST", TRIGGER, {"status": status})
    with pytest.raises(MaestroError) as caught:
        trigger(client)
    assert not caught.value.may_have_happened
    assert len(docusign.calls) == 1


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"instance_url":"x"}', b'{"instance_id":null}', b"[]", b'{"instance_id":7}', b"NaN"]
)
def test_a_success_that_cannot_be_read_leaves_the_outcome_open(docusign, client, body):
    """U-2, E-9: an unreadable 2xx."""
    answers(docusign, "POST", TRIGGER, {"status": 201, "body": body, "content_type": "application/json"})
    with pytest.raises(UnreadableResponse) as caught:
        trigger(client)
    assert caught.value.may_have_happened
    assert len(docusign.calls) == 1


def test_a_refused_connection_lets_a_trigger_be_sent_again(client_of, waits):
    """U-2: nothing was sent, proven by the socket and not by the kind of error."""
    server = RawServer(lambda connection, _: None)
    server.stop()
    time.sleep(0.05)
    with pytest.raises(ConnectFailed) as caught:
        trigger(client_of(server))
    assert not caught.value.may_have_happened
    assert caught.value.attempts == 3
    assert len(waits.seconds) == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectTimeout(), ConnectFailed),
        (
            requests.ConnectionError(
                urllib3.exceptions.MaxRetryError(None, "/", urllib3.exceptions.NewConnectionError(None, "refused"))
            ),
            ConnectFailed,
        ),
        (requests.ConnectionError("reset by peer"), ConnectionLost),
        (requests.exceptions.ChunkedEncodingError(), ConnectionLost),
        (ConnectionResetError(), ConnectionLost),
    ],
)
def test_only_a_proven_failure_to_connect_counts_as_not_sent(docusign, client, error, kind):
    """U-2: a bare connection error may have come after sending."""
    answers(docusign, "POST", TRIGGER, {"body": error})
    with pytest.raises(kind) as caught:
        trigger(client)
    assert caught.value.may_have_happened == (kind is ConnectionLost)
    assert len(docusign.calls) == (1 if kind is ConnectionLost else 3)


@pytest.mark.parametrize("name", ["cancel_instance", "pause_workflow", "resume_workflow"])
def test_the_other_writes_are_sent_once_too(docusign, client, name):
    """U-2: the caller reads the state back instead."""
    docusign.post(f"{LIST}/{WORKFLOW}/instances/{INSTANCE}/actions/cancel", status=502)
    docusign.post(f"{LIST}/{WORKFLOW}/actions/pause", status=502)
    docusign.post(f"{LIST}/{WORKFLOW}/actions/resume", status=502)
    ids = [WORKFLOW, INSTANCE] if name == "cancel_instance" else [WORKFLOW]
    with pytest.raises(ServerError) as caught:
        getattr(client, name)(*ids)
    assert caught.value.may_have_happened
    assert len(docusign.calls) == 1


@pytest.mark.parametrize("status", [400, 429])
def test_a_limit_code_counts_whatever_its_status(docusign, client, status):
    """R-5: the code first; 400 in the past, 429 now."""
    answers(docusign, "POST", TRIGGER, {"status": status, "json": HOURLY})
    with pytest.raises(RateLimited) as caught:
        trigger(client)
    assert caught.value.window == "hourly"
    assert 1 <= caught.value.retry_after <= 3600
    assert not caught.value.may_have_happened
    assert len(docusign.calls) == 1


def test_a_bare_429_is_a_limit_too(docusign, client, waits):
    """R-5: 30 s when nothing is stated; nobody sleeps for it within the call."""
    answers(docusign, "GET", LIST, {"status": 429})
    with pytest.raises(RateLimited) as caught:
        client.list_workflows(deadline=10)
    assert (caught.value.retry_after, caught.value.window) == (30.0, None)
    assert (len(docusign.calls), waits.seconds) == (1, [])


def test_a_short_stated_limit_is_waited_for_when_reading(docusign, client, waits):
    """R-5, R-6: no call before the time."""
    answers(docusign, "GET", LIST, {"status": 429, "headers": {"Retry-After": "2"}}, GOOD)
    client.list_workflows()
    assert waits.seconds == [2.0]


def test_an_expired_token_is_refreshed_once_and_the_call_repeated_once(docusign, environment):
    """O-13, U-2: a 401 means that nothing ran, for writing as for reading; exactly two calls."""
    answers(docusign, "POST", TRIGGER, {"status": 401, "body": "Unauthorized"}, {"json": {"instance_id": INSTANCE}})
    dead = []
    client = MaestroClient(environment, ACCOUNT, lambda: "old", refresh=lambda token: dead.append(token) or "new")
    assert trigger(client).response.attempts == 2
    assert [call.request.headers["Authorization"] for call in docusign.calls] == ["Bearer old", "Bearer new"]
    assert dead == ["old"]


def test_a_second_401_is_the_end(docusign, environment):
    answers(docusign, "GET", LIST, {"status": 401})
    refreshed = []
    client = MaestroClient(environment, ACCOUNT, "old", refresh=lambda token: refreshed.append(token) or "new")
    with pytest.raises(Unauthorized) as caught:
        client.list_workflows()
    assert (len(docusign.calls), refreshed) == (2, ["old"])
    assert not caught.value.may_have_happened


def test_a_callable_token_is_asked_again_after_a_401(docusign, environment):
    answers(docusign, "GET", LIST, {"status": 401}, GOOD)
    tokens = iter(["old", "new"])
    assert MaestroClient(environment, ACCOUNT, lambda: next(tokens)).list_workflows().response.status == 200


def test_a_fixed_token_is_not_tried_twice(docusign, client):
    answers(docusign, "GET", LIST, {"status": 401})
    with pytest.raises(Unauthorized):
        client.list_workflows()
    assert len(docusign.calls) == 1


def test_what_the_refresh_raises_comes_through(docusign, environment):
    answers(docusign, "GET", LIST, {"status": 401})

    def refuse(_):
        raise Forbidden("reconnect")

    with pytest.raises(Forbidden):
        MaestroClient(environment, ACCOUNT, "old", refresh=refuse).list_workflows()


@pytest.mark.parametrize("token", ["", "  ", "a\r\nX-Evil: 1", "tökén", None])
def test_without_a_usable_token_nothing_is_sent(docusign, environment, token):
    with pytest.raises(InvalidRequest):
        MaestroClient(environment, ACCOUNT, token or "").list_workflows()
    assert len(docusign.calls) == 0
