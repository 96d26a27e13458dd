"""Events as the simulator sends them."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from maestro_api.simulator import MAIN_ACCOUNT_ID, Simulator, SimulatorServer
from tests.maestro_api.simulator_calls import Caller, control


class Listener(ThreadingHTTPServer):
    """Records what it gets and answers what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hook)
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hooks/docusign/"

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


class _Hook(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers.items()), body))
        self.send_response(self.server.answers.pop(0) if self.server.answers else 204)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def ada(listener: Listener) -> Caller:
    sim = Simulator(instances=30)
    sim.set_profile(fail_percent=0, step_seconds=[1, 1])
    control(sim, "POST", "/connect", {"url": listener.url, "keys": ["first key", "zweiter Schlüssel"]})
    return Caller(sim)


def signatures(headers: dict[str, str], body: bytes, *keys: str) -> bool:
    """Worked out here from the published rule: base64 of HMAC-SHA256 over the raw body."""
    return all(
        headers[f"X-DocuSign-Signature-{number}"]
        == base64.b64encode(hmac.digest(key.encode(), body, hashlib.sha256)).decode()
        for number, key in enumerate(keys, start=1)
    )


def test_each_key_signs_the_bytes_as_sent(ada: Caller, listener: Listener) -> None:
    """W-1: one header a key, over the raw body."""
    control(ada.sim, "POST", "/connect/send", {"instance_id": ada.started()})
    headers, body = listener.got[0]
    assert signatures(headers, body, "first key", "zweiter Schlüssel")
    assert "X-DocuSign-Signature-3" not in headers
    assert headers["X-Authorization-Digest"] == "HMACSHA256"
    assert headers["X-DocuSign-AccountId"] == MAIN_ACCOUNT_ID


def test_an_event_has_the_published_envelope(ada: Caller, listener: Listener) -> None:
    new = ada.started("an event")
    control(ada.sim, "POST", "/connect/send", {"instance_id": new, "event": "workflow-started"})
    (body,) = listener.bodies
    assert {"event", "uri", "retryCount", "configurationId", "apiVersion", "generatedDateTime", "data"} == body.keys()
    assert (body["event"], body["retryCount"], body["apiVersion"]) == ("workflow-started", 0, "v2.1")
    assert {"accountId", "userId"} <= body["data"].keys()
    assert body["data"]["instanceId"] == new


def test_a_repeated_event_differs_only_in_its_retry_count(ada: Caller, listener: Listener) -> None:
    """W-5: a redelivery is the same event."""
    control(ada.sim, "POST", "/connect/send", {"instance_id": ada.started(), "repeat": 3})
    assert [body.pop("retryCount") for body in listener.bodies] == [0, 1, 2]
    rest = [{key: value for key, value in body.items() if key != "retryCount"} for body in listener.bodies]
    assert rest[0] == rest[1] == rest[2]


def test_events_can_come_in_the_wrong_order(ada: Caller, listener: Listener) -> None:
    order = {"instance_id": ada.started(), "events": ["workflow-started", "workflow-completed"], "reorder": True}
    control(ada.sim, "POST", "/connect/send", order)
    assert [body["event"] for body in listener.bodies] == ["workflow-completed", "workflow-started"]


def test_a_tampered_event_has_a_signature_that_does_not_fit(ada: Caller, listener: Listener) -> None:
    control(ada.sim, "POST", "/connect/send", {"instance_id": ada.started(), "tamper": True})
    headers, body = listener.got[0]
    assert not signatures(headers, body, "first key")
    assert json.loads(body)["event"]


def test_an_event_can_be_old_or_signed_with_another_key(ada: Caller, listener: Listener) -> None:
    order = {"instance_id": ada.started(), "age_seconds": 20 * 86_400, "keys": ["foreign"]}
    control(ada.sim, "POST", "/connect/send", order)
    headers, body = listener.got[0]
    assert signatures(headers, body, "foreign")
    control(ada.sim, "POST", "/connect/send", {"instance_id": order["instance_id"]})
    assert listener.bodies[0]["generatedDateTime"] < listener.bodies[1]["generatedDateTime"]


def test_an_event_may_name_another_account(ada: Caller, listener: Listener) -> None:
    control(ada.sim, "POST", "/connect/send", {"instance_id": ada.started(), "account_id": "somewhere-else"})
    assert listener.bodies[0]["data"]["accountId"] == "somewhere-else"


def test_the_answer_of_the_receiver_is_told(ada: Caller, listener: Listener) -> None:
    listener.answers = [401]
    (entry,) = control(ada.sim, "POST", "/connect/send", {"instance_id": ada.started()})
    assert entry["status"] == 401
    assert control(ada.sim, "GET", "/connect")["log"][-1]["status"] == 401


def test_events_follow_the_instances(ada: Caller, listener: Listener) -> None:
    """W-10: started and completed are told, the steps between and a cancel are not."""
    ada.sim.clock.freeze()
    finished, canceled = ada.started("finished"), ada.started("canceled")
    ada.sim.clock.advance(1.5)
    ada.sim.tick()
    ada.send("POST", ada.path_of(canceled) + "/actions/cancel")
    ada.sim.clock.advance(30)
    ada.sim.tick()
    told = [(body["event"], body["data"]["instanceId"]) for body in listener.bodies]
    assert [event for event, instance in told if instance == finished] == ["workflow-started", "workflow-completed"]
    assert [event for event, instance in told if instance == canceled] == ["workflow-started"]


def test_a_failed_event_is_sent_again_after_the_next_success(ada: Caller, listener: Listener) -> None:
    ada.sim.clock.freeze()
    listener.answers = [500]
    first = ada.started()
    ada.sim.clock.advance(1)
    ada.sim.tick()
    ada.sim.clock.advance(1)
    ada.sim.tick()
    ada.sim.clock.advance(10)
    ada.sim.tick()
    started = [b for b in listener.bodies if b["event"] == "workflow-started" and b["data"]["instanceId"] == first]
    assert [body["retryCount"] for body in started] == [0, 1]


def test_a_running_server_sends_events_though_nobody_looks(listener: Listener) -> None:
    sim = Simulator(instances=0)
    sim.connect.configure({"url": listener.url, "keys": ["k"]})
    server = SimulatorServer(sim).start()
    try:
        new = Caller(sim).started()
        until = time.monotonic() + 10
        while not listener.got and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        server.stop()
    assert [(body["event"], body["data"]["instanceId"]) for body in listener.bodies] == [("workflow-started", new)]


def test_nothing_is_sent_without_an_address(listener: Listener) -> None:
    ada = Caller(Simulator(instances=0))
    (entry,) = control(ada.sim, "POST", "/connect/send", {"instance_id": ada.started()})
    assert (entry["status"], entry["error"]) == (None, "No address is configured.")
    assert listener.got == []
