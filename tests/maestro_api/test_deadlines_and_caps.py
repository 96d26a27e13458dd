"""The transport on real sockets: time and size hold whatever the other side does."""

import contextlib
import gzip
import io
import json
import resource
import socket
import threading
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maestro_api import (
    NO_RETRY,
    ConnectionLost,
    DeadlineExceeded,
    MaestroClient,
    RequestTimedOut,
    ResponseTooLarge,
    TransportError,
    UnreadableResponse,
    simulator_environment,
)
from maestro_api import transport as transport_module
from maestro_api.bodies import BODY_CAP, CHUNK, BodyIncomplete, read_body
from maestro_api.session import Attempt, DeadlineReader, watched
from tests.maestro_api.conftest import ACCOUNT, WORKFLOW, answer, reset

EMPTY_LIST = b'{"data":[]}'


def drip(head_too, pause=0.05):
    """Serve a good answer one byte at a time."""

    def serve(connection, _):
        data = answer(EMPTY_LIST.ljust(4000), headers=("X-Slow: " + "y" * 4000,))
        if not head_too:
            head, _, body = data.partition(b"\r\n\r\n")
            connection.sendall(head + b"\r\n\r\n")
            data = body
        for index in range(len(data)):
            connection.sendall(data[index : index + 1])
            time.sleep(pause)

    return serve


@pytest.mark.parametrize("head_too", [True, False], ids=["headers", "body"])
def test_a_dripping_server_cannot_hold_a_call_past_its_deadline(raw_server, client_of, head_too):
    """E-6: the wall clock holds although every single read succeeds."""
    client = client_of(raw_server(drip(head_too)), retry=NO_RETRY)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        client.list_workflows(deadline=0.6)
    assert 0.5 <= time.monotonic() - started < 20


def test_a_silent_server_ends_the_call_at_the_deadline(raw_server, client_of):
    """E-6: accept and never answer."""
    silence = threading.Event()
    client = client_of(raw_server(lambda connection, _: silence.wait(60)), retry=NO_RETRY)
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        client.list_workflows(deadline=0.4)
    silence.set()
    assert time.monotonic() - started < 20


def test_a_server_silent_for_the_read_timeout_is_a_timeout_of_its_own(raw_server, client_of, monkeypatch):
    """E-6: the read timeout is shorter than the wall clock, and differs for reading and writing."""
    monkeypatch.setitem(transport_module.READ_TIMEOUT, "GET", 0.2)
    silence = threading.Event()
    client = client_of(raw_server(lambda connection, _: silence.wait(60)), retry=NO_RETRY)
    with pytest.raises(RequestTimedOut) as caught:
        client.list_workflows(deadline=30)
    silence.set()
    assert not caught.value.may_have_happened


def test_the_timeouts_are_the_agreed_ones():
    """E-6: connect 3.05 s, read 10 s (GET) or 20 s (POST), 30 s in all."""
    assert transport_module.CONNECT_TIMEOUT == 3.05
    assert transport_module.READ_TIMEOUT == {"GET": 10.0, "POST": 20.0}
    assert transport_module.DEADLINE == 30.0


def test_a_timed_out_trigger_may_have_happened(raw_server, client_of):
    """U-2: a trigger without an answer is sent once and its outcome is open."""
    silence = threading.Event()
    server = raw_server(lambda connection, _: silence.wait(5))
    with pytest.raises(DeadlineExceeded) as caught:
        client_of(server).trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={}, deadline=1.5)
    silence.set()
    assert caught.value.may_have_happened
    assert len(server.requests) == 1


@pytest.mark.parametrize("when", ["before", "headers", "body"])
def test_a_reset_trigger_is_sent_once_and_its_outcome_is_open(raw_server, client_of, when):
    """U-2: reset before the headers, within them and within the body."""

    def serve(connection, _):
        whole = answer(json.dumps({"instance_id": WORKFLOW, "pad": "x" * 500}).encode(), status="201 Created")
        connection.sendall({"before": b"", "headers": whole[:30], "body": whole[:200]}[when])
        time.sleep(0.05)
        reset(connection)

    server = raw_server(serve)
    with pytest.raises(ConnectionLost) as caught:
        client_of(server).trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={})
    assert caught.value.may_have_happened
    assert caught.value.attempts == 1
    assert len(server.requests) == 1


def test_a_reset_list_is_read_again(raw_server, client_of, waits):
    """R-6: reading survives a broken connection; E-10: the server sees exactly our attempts."""

    def serve(connection, _):
        if len(server.requests) < 3:
            reset(connection)
        else:
            connection.sendall(answer(EMPTY_LIST))

    server = raw_server(serve)
    listing = client_of(server).list_workflows()
    assert listing.response.attempts == 3
    assert len(server.requests) == 3
    assert len(waits.seconds) == 2


def test_a_body_shorter_than_announced_does_not_count(raw_server, client_of):
    """E-9: the connection ends cleanly, but early."""
    server = raw_server(answer(EMPTY_LIST, length=500))
    with pytest.raises(UnreadableResponse):
        client_of(server).list_workflows()


def test_a_chunked_body_that_ends_early_does_not_count(raw_server, client_of):
    """E-9: without its last chunk a chunked answer is incomplete, even if what came parses."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    server = raw_server(head + b"b\r\n" + EMPTY_LIST + b"\r\n")
    with pytest.raises((UnreadableResponse, ConnectionLost)):
        client_of(server, retry=NO_RETRY).list_workflows()


def test_truncated_gzip_does_not_count(raw_server, client_of):
    """E-9: half of a compressed list without a length is not half a list."""
    packed = gzip.compress(json.dumps({"data": [{"id": WORKFLOW, "name": str(n)} for n in range(500)]}).encode())
    server = raw_server(answer(packed[: len(packed) // 2], headers=("Content-Encoding: gzip",), length=-1))
    with pytest.raises(UnreadableResponse):
        client_of(server).list_workflows()
    assert len(server.requests) == 1


def test_a_whole_gzip_answer_is_read(raw_server, client_of):
    rows = [{"id": WORKFLOW, "name": f"name {n}"} for n in range(500)]
    server = raw_server(answer(gzip.compress(json.dumps({"data": rows}).encode()), headers=("Content-Encoding: gzip",)))
    listing = client_of(server).list_workflows()
    assert [workflow.name for workflow in listing][-1] == "name 499"
    assert b"accept-encoding: gzip\r\n" in server.requests[0].lower()


def test_gzip_of_several_members_is_read_whole(raw_server, client_of):
    packed = gzip.compress(b'{"data":') + gzip.compress(b"[]}")
    server = raw_server(answer(packed, headers=("Content-Encoding: gzip",)))
    assert len(client_of(server).list_workflows()) == 0


def test_no_read_begins_after_the_deadline():
    """E-6: data that is always ready gives no timeout of its own, so the clock is looked at before each read."""
    ours, theirs = socket.socketpair()
    with ours, theirs, io.BufferedReader(DeadlineReader(ours)) as reader:
        theirs.sendall(b"always ready")
        with watched(Attempt(deadline=time.monotonic() - 1, read_timeout=10)), pytest.raises(TimeoutError):
            reader.read(1)


class Packets:
    """The streamed side of an answer, in packets of a given size."""

    headers = {"Content-Encoding": "gzip"}

    def __init__(self, data, size):
        self.raw = self
        self._left = [data[start : start + size] for start in range(0, len(data), size)]

    def read(self, amount, decode_content):
        return self._left.pop(0) if self._left else b""


@settings(deadline=None, max_examples=150)
@given(
    size=st.integers(0, 3).flatmap(lambda n: st.integers(max(0, n * CHUNK - 300), n * CHUNK + 300)),
    packet=st.sampled_from([1, 7, 1000, CHUNK]),
    seed=st.binary(min_size=1, max_size=40),
)
def test_whatever_was_packed_comes_out_whole(size, packet, seed):
    """E-9: no size, packet or content makes a whole body look half, or the other way round."""
    body = (seed * (size // len(seed) + 1))[:size]
    packed = gzip.compress(body)
    assert read_body(Packets(packed, packet), BODY_CAP) == body
    with pytest.raises(BodyIncomplete):
        read_body(Packets(packed[:-1], packet), BODY_CAP)


def test_a_host_that_takes_no_connection_ends_the_call_in_time(monkeypatch):
    """E-6: with its queue full, the listener ignores us; nothing was sent, so nothing can have happened."""
    monkeypatch.setattr(transport_module, "CONNECT_TIMEOUT", 30)  # far away, so that only the deadline ends it soon
    with contextlib.ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        client = MaestroClient(
            simulator_environment(f"http://127.0.0.1:{listener.getsockname()[1]}"), WORKFLOW, "token"
        )
        started = time.monotonic()
        with pytest.raises(TransportError) as caught:
            client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={}, deadline=0.4)
        assert time.monotonic() - started < 20
        assert not caught.value.may_have_happened


def bomb(mebibytes):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1024 * 1024)
    return b"".join([*(packer.compress(zeros) for _ in range(mebibytes)), packer.flush()])


def test_a_gzip_bomb_is_stopped_at_the_cap(raw_server, client_of):
    """E-7: 100 MiB behind 100 KB: a typed error, quickly, with little memory."""
    server = raw_server(answer(bomb(100), headers=("Content-Encoding: gzip",)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.monotonic()
    with pytest.raises(ResponseTooLarge):
        client_of(server).list_workflows()
    assert time.monotonic() - started < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_a_ratio_beyond_a_hundred_is_refused_even_below_the_size_cap(raw_server, client_of):
    """E-7: 2 MiB are allowed, but not out of 2 KB."""
    server = raw_server(answer(bomb(2), headers=("Content-Encoding: gzip",)))
    with pytest.raises(ResponseTooLarge):
        client_of(server).list_workflows()


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", ", ".join(["gzip"] * 20)])
def test_an_encoding_that_was_not_asked_for_is_refused(raw_server, client_of, encoding):
    """E-7: no chained or foreign encodings."""
    server = raw_server(answer(EMPTY_LIST, headers=(f"Content-Encoding: {encoding}",)))
    with pytest.raises(UnreadableResponse):
        client_of(server).list_workflows()


def test_an_endless_plain_body_is_stopped_at_the_cap(raw_server, client_of):
    """E-7: 5 MiB for a call, without trusting a length."""
    sent = []

    def serve(connection, _):
        connection.sendall(answer(b'{"data":[', length=-1))
        for _ in range(64):
            connection.sendall(b" " * 1024 * 1024)
            sent.append(1)

    with pytest.raises(ResponseTooLarge):
        client_of(raw_server(serve)).list_workflows()
    assert len(sent) < 32


def test_the_list_of_instances_may_be_larger_than_other_answers(raw_server, client_of):
    """E-7: 32 MiB for the list that comes in one piece."""
    body = b'{"data":[]' + b" " * (6 * 1024 * 1024) + b"}"
    server = raw_server(answer(body))
    assert len(client_of(server).list_instances(WORKFLOW)) == 0
    with pytest.raises(ResponseTooLarge):
        client_of(server).list_workflows()


def test_the_connection_is_used_again(raw_server, client_of):
    def serve(connection, request):
        while request:
            connection.sendall(answer(EMPTY_LIST))
            server.requests.append(request)
            request = read_next(connection)

    server = raw_server(serve)
    client = client_of(server)
    for _ in range(3):
        client.list_workflows()
    assert server.connections == 1


def read_next(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            part = connection.recv(65536)
        except OSError:
            return b""
        if not part:
            return b""
        data += part
    return data


def test_a_write_whose_time_ran_out_before_sending_is_not_sent(raw_server):
    """U-9: a process that was stopped while it fetched the token does not send when it wakes up."""
    server = raw_server(lambda connection, _: connection.sendall(answer(EMPTY_LIST)))
    client = MaestroClient(simulator_environment(server.url), ACCOUNT, lambda: time.sleep(0.3) or "token", deadline=0.2)
    with pytest.raises(DeadlineExceeded) as caught:
        client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={})
    assert server.requests == []
    assert not caught.value.may_have_happened
