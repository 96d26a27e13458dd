"""Faults, limits and the ledger of the simulator."""

import gzip
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from maestro_api.simulator import SimRequest, Simulator, SimulatorServer
from tests.maestro_api.simulator_calls import NDA, Caller, json_of, redeem
from tests.processes import wait_until


@pytest.fixture
def ada() -> Caller:
    return Caller(Simulator(instances=60))


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    running = SimulatorServer(Simulator(instances=60)).start()
    yield running
    running.stop()


@pytest.fixture
def session(server: SimulatorServer) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        opened.headers["Authorization"] = f"Bearer {server.sim.token('Ada Admin')['access_token']}"
        yield opened


def fault(sim: Simulator, do: dict[str, Any], **match: Any) -> None:
    sim.set_faults([{"match": match, "do": do}])


def url_of(server: SimulatorServer, path: str) -> str:
    return f"{server.url}{Caller(server.sim).base}{path}"


def test_a_fault_hits_as_often_as_it_says(ada: Caller) -> None:
    fault(ada.sim, {"status": 503}, path="/workflows$", times=2)
    assert [ada.send("GET", "/workflows").status for _ in range(3)] == [503, 503, 200]


def test_a_fault_hits_only_its_method_and_path(ada: Caller) -> None:
    fault(ada.sim, {"status": 500}, method="POST", path="actions/trigger$")
    assert ada.send("GET", "/workflows").status == 200
    assert ada.trigger().status == 500


def test_a_fault_with_a_probability_hits_some(ada: Caller) -> None:
    fault(ada.sim, {"status": 502}, probability=0.3)
    hits = [ada.send("GET", "/nothing").status for _ in range(100)].count(502)
    assert 10 < hits < 60


def test_status_headers_and_body_can_be_chosen(ada: Caller) -> None:
    fault(ada.sim, {"status": 502, "headers": {"Retry-After": "7"}, "body": "<html>Bad gateway</html>"})
    response = ada.send("GET", "/workflows")
    assert (response.status, response.body) == (502, b"<html>Bad gateway</html>")
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers["Retry-After"] == "7"


def test_a_good_answer_can_come_with_another_content_type(ada: Caller) -> None:
    fault(ada.sim, {"content_type": "text/html"})
    response = ada.send("GET", "/workflows")
    assert (response.status, response.headers["Content-Type"]) == (200, "text/html")
    assert len(json_of(response)["data"]) == 12


def test_a_status_fault_does_not_run_the_operation_unless_told_to_commit(ada: Caller) -> None:
    fault(ada.sim, {"status": 500}, method="POST", times=1)
    assert ada.trigger("not run").status == 500
    fault(ada.sim, {"status": 500, "commit": True}, method="POST", times=1)
    assert ada.trigger("run").status == 500
    names = [row["name"] for row in ada.get(f"/workflows/{ada.workflow_id()}/instances")["data"]]
    assert "run" in names
    assert "not run" not in names


@pytest.mark.parametrize(("when", "runs"), [("before", False), ("after", True), ("mid_body", True)])
def test_a_reset_leaves_the_operation_undone_or_done(ada: Caller, when: str, runs: bool) -> None:
    fault(ada.sim, {"reset": when}, method="POST", times=1)
    assert ada.trigger("reset").reset == when
    names = [row["name"] for row in ada.get(f"/workflows/{ada.workflow_id()}/instances")["data"]]
    assert ("reset" in names) is runs


@pytest.mark.parametrize("when", ["before", "after", "mid_body"])
def test_a_reset_breaks_the_connection_on_the_wire(
    server: SimulatorServer, session: requests.Session, when: str
) -> None:
    fault(server.sim, {"reset": when}, times=1)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        session.get(url_of(server, "/workflows"), timeout=5)
    assert session.get(url_of(server, "/workflows"), timeout=5).status_code == 200


@pytest.mark.parametrize("when", ["before", "after", "mid_body"])
def test_a_reset_in_process_is_a_connection_error(simulator: Simulator, when: str) -> None:
    fault(simulator, {"reset": when})
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{simulator.base_url}/oauth/userinfo", timeout=5)


def test_a_latency_in_process_times_out_without_waiting(simulator: Simulator) -> None:
    fault(simulator, {"latency_ms": 60_000})
    began = time.monotonic()
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{simulator.base_url}/oauth/userinfo", timeout=(3, 30))
    assert time.monotonic() - began < 20


def test_a_latency_comes_after_the_operation_ran(server: SimulatorServer, session: requests.Session) -> None:
    ada = Caller(server.sim)
    fault(server.sim, {"latency_ms": 120_000}, method="POST", times=1)
    url = url_of(server, f"/workflows/{ada.workflow_id()}/actions/trigger")
    with pytest.raises(requests.ReadTimeout):
        session.post(url, json={"instance_name": "slow", "trigger_inputs": NDA}, timeout=0.4)

    def is_made() -> bool:
        return "slow" in [row["name"] for row in ada.get(f"/workflows/{ada.workflow_id()}/instances")["data"]]

    wait_until("the instance is there, long before the answer", is_made, seconds=30)


def test_a_drip_sends_a_byte_at_a_time(server: SimulatorServer, session: requests.Session) -> None:
    fault(server.sim, {"drip": {"bytes": 1, "interval_ms": 20}, "body": "0123456789"})
    began = time.monotonic()
    assert session.get(url_of(server, "/workflows"), timeout=5).text == "0123456789"
    assert time.monotonic() - began > 0.18


def test_a_truncated_gzip_looks_like_a_whole_answer(server: SimulatorServer, session: requests.Session) -> None:
    """E-9: the body ends early without a length that would tell."""
    fault(server.sim, {"truncate_gzip": True})
    with session.get(url_of(server, "/workflows"), timeout=5, stream=True) as response:
        raw = response.raw.read(decode_content=False)
    assert "Content-Length" not in response.headers
    assert not zlib.decompressobj(31).decompress(raw).endswith(b"}")
    with pytest.raises(EOFError):
        gzip.decompress(raw)


def test_a_gzip_bomb_is_small_on_the_wire_and_large_behind(ada: Caller) -> None:
    """E-7: thirty megabytes of filler in some thirty kilobytes."""
    fault(ada.sim, {"gzip_bomb": 30})
    response = ada.send("GET", "/workflows")
    assert len(response.body) < 100_000
    assert len(gzip.decompress(response.body)) > 30 << 20


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_goes_where_it_is_told(ada: Caller, status: int) -> None:
    fault(ada.sim, {"redirect_to": "https://evil.example/", "status": status})
    response = ada.send("GET", "/workflows")
    assert (response.status, response.headers["Location"]) == (status, "https://evil.example/")


def test_lists_lag_behind_while_single_reads_do_not(ada: Caller) -> None:
    """U-4: a new instance shows up in lists only after the lag."""
    fault(ada.sim, {"list_lag_seconds": 20})
    new = ada.started()
    path = f"/workflows/{ada.workflow_id()}/instances"
    assert new not in [row["id"] for row in ada.get(path)["data"]]
    assert new not in [row["id"] for row in ada.get("/workflow-instances")["instances"]]
    assert ada.get(ada.path_of(new))["id"] == new
    ada.sim.clock.advance(21)
    assert new in [row["id"] for row in ada.get(path)["data"]]
    assert new in [row["id"] for row in ada.get("/workflow-instances")["instances"]]


def test_a_page_token_can_be_made_to_repeat(ada: Caller) -> None:
    fault(ada.sim, {"repeat_ctoken": True})
    token = ada.get("/workflow-instances?page_size=5")["ctoken"]
    assert ada.get(f"/workflow-instances?page_size=5&ctoken={token}")["ctoken"] == token


def test_a_latency_and_a_failure_may_come_together(ada: Caller) -> None:
    ada.sim.set_faults([{"match": {}, "do": {"latency_ms": 40}}, {"match": {}, "do": {"status": 500}}])
    response = ada.send("GET", "/workflows")
    assert (response.status, response.latency_ms) == (500, 40)


@pytest.mark.parametrize(
    "rule",
    [{}, {"do": {}}, {"do": {"stat": 1}}, {"do": {"reset": "never"}}, {"match": {"path": "("}, "do": {"status": 500}}],
)
def test_a_fault_that_makes_no_sense_is_refused(ada: Caller, rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"A fault is|Unknown members|reset must be|path: "):
        ada.sim.set_faults([rule])


def test_every_answer_tells_what_is_left(ada: Caller) -> None:
    headers = ada.send("GET", "/workflows").headers
    assert (headers["X-RateLimit-Limit"], headers["X-RateLimit-Remaining"]) == ("3000", "2999")
    assert (headers["X-BurstLimit-Limit"], headers["X-BurstLimit-Remaining"]) == ("200", "199")
    assert int(headers["X-RateLimit-Reset"]) % 3600 == 0


@pytest.mark.parametrize(("member", "code", "wait"), [("hourly", "HOURLY", 3600), ("burst", "BURST", 30)])
def test_a_limit_refuses_and_is_over_with_its_window(ada: Caller, member: str, code: str, wait: int) -> None:
    """R-5: the refusal carries the code by which it is known."""
    ada.sim.clock.freeze()
    ada.sim.set_limits(**{member: 2}, retry_after=True)
    answers = [ada.send("GET", "/workflows") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert json_of(answers[2])["errorCode"] == f"{code}_APIINVOCATION_LIMIT_EXCEEDED"
    assert 0 < int(answers[2].headers["Retry-After"]) <= wait + 1
    ada.sim.clock.advance(wait)
    assert ada.send("GET", "/workflows").status == 200


def test_a_limit_may_answer_400_without_any_header(ada: Caller) -> None:
    ada.sim.set_limits(hourly=0, status=400, headers=False)
    response = ada.send("GET", "/workflows")
    assert response.status == 400
    assert not [name for name in response.headers if "limit" in name.lower() or name == "Retry-After"]


def test_calls_of_other_applications_count(ada: Caller) -> None:
    ada.sim.set_limits(spent_hourly=2995)
    assert ada.send("GET", "/workflows").headers["X-RateLimit-Remaining"] == "4"


def test_a_trigger_refused_by_a_limit_did_not_run(ada: Caller) -> None:
    before = ada.sim.state(counts_only=True)["counts"]["instances"]
    workflow_id = ada.workflow_id()
    ada.sim.set_limits(burst=0)
    assert ada.trigger(workflow_id=workflow_id).status == 429
    assert ada.sim.state(counts_only=True)["counts"]["instances"] == before


def test_the_ledger_holds_every_request_with_a_fingerprint_in_place_of_the_token(ada: Caller) -> None:
    """V-5: who wrote can be told from the ledger without the token being in it."""
    ada.trigger("seen")
    entry = ada.sim.ledger()[-1]
    assert (entry["method"], entry["status"], entry["body"]["instance_name"]) == ("POST", 201, "seen")
    assert entry["path"].endswith("/actions/trigger")
    assert entry["token"] not in (None, ada.token["access_token"])
    assert ada.token["access_token"] not in str(ada.sim.ledger())
    Caller(ada.sim, "Olu Operator").send("GET", "/workflows")
    assert ada.sim.ledger()[-1]["token"] != entry["token"]


def test_the_ledger_keeps_no_code_or_secret(ada: Caller) -> None:
    """O-15: not even the simulator writes a code down."""
    redeem(ada.sim, "the-secret-code", code_verifier="the-secret-verifier")
    text = str(ada.sim.ledger())
    assert "authorization_code" in text
    assert "the-secret" not in text


def test_the_ledger_goes_on_from_a_number_and_names_the_fault(ada: Caller) -> None:
    ada.send("GET", "/workflows")
    last = ada.sim.ledger()[-1]["seq"]
    fault(ada.sim, {"reset": "before"})
    ada.send("GET", "/workflows")
    (entry,) = ada.sim.ledger(since=last)
    assert (entry["seq"], entry["status"], entry["fault"]) == (last + 1, None, "reset:before")


def test_the_server_counts_right_under_many_callers(server: SimulatorServer, session: requests.Session) -> None:
    server.sim.set_limits(enabled=False)
    workflow_id = Caller(server.sim).workflow_id()
    before = server.sim.state(counts_only=True)["counts"]["instances"]
    token = session.headers["Authorization"]

    def work() -> None:
        with requests.Session() as own:
            for number in range(10):
                body = {"instance_name": f"{number}", "trigger_inputs": NDA}
                url = url_of(server, f"/workflows/{workflow_id}/actions/trigger")
                assert own.post(url, json=body, headers={"Authorization": token}, timeout=10).status_code == 201

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.sim.state(counts_only=True)["counts"]["instances"] == before + 80


def test_one_connection_serves_many_calls_without_delay(server: SimulatorServer, session: requests.Session) -> None:
    server.sim.set_limits(enabled=False)
    url = url_of(server, "/workflows")
    session.get(url, timeout=5)
    took = []
    for _ in range(100):
        began = time.monotonic()
        session.get(url, timeout=5)
        took.append(time.monotonic() - began)
    # Nagle with a delayed acknowledgement adds 40 ms to each of them, a busy machine never to all.
    assert min(took) < 0.03


def test_a_large_answer_comes_compressed_to_those_who_ask(ada: Caller) -> None:
    plain = ada.send("GET", "/workflows")
    packed = ada.send("GET", "/workflows", Accept_Encoding="gzip, deflate")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body)[:8] == plain.body[:8]


def test_a_chunked_body_is_read(server: SimulatorServer, session: requests.Session) -> None:
    ada = Caller(server.sim)
    url = url_of(server, f"/workflows/{ada.workflow_id()}/actions/trigger")
    parts = iter([b'{"instance_name":"chunked",', b'"trigger_inputs":{}}'])
    response = session.post(url, data=parts, headers={"Content-Type": "application/json"}, timeout=5)
    assert response.status_code == 400
    assert server.sim.ledger()[-1]["body"]["instance_name"] == "chunked"


def test_a_second_listener_records_whoever_is_led_astray(server: SimulatorServer, session: requests.Session) -> None:
    """E-2: with it a test sees what a followed redirect would give away."""
    evil = server.sim.evil
    assert evil is not None
    fault(server.sim, {"redirect_to": f"{evil.url}/trap"}, times=1)
    session.post(url_of(server, "/workflows"), data=b"the body", timeout=5)
    (got,) = evil.received
    assert (got["method"], got["path"], got["body"]) == ("POST", "/trap", "the body")


def test_stopping_frees_the_port() -> None:
    server = SimulatorServer(Simulator(instances=0)).start()
    port = int(server.url.rpartition(":")[2])
    server.stop()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=1):
        pass


def test_a_request_for_nothing_known_is_a_404() -> None:
    assert Simulator(instances=0).handle(SimRequest("GET", "/somewhere")).status == 404
