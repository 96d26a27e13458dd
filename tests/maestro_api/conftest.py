"""What tests of the client share: ids, a client without waiting, and servers on real sockets that misbehave."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import responses

from maestro_api import PROCESS_BUDGET, Environment, MaestroClient, RetryPolicy, simulator_environment

ACCOUNT = "11111111-1111-4111-8111-111111111111"
WORKFLOW = "22222222-2222-4222-8222-222222222222"
INSTANCE = "33333333-3333-4333-8333-333333333333"
USER = "44444444-4444-4444-8444-444444444444"
BASE = "http://127.0.0.1:9000"
API = f"{BASE}/v1/accounts/{ACCOUNT}"
TOKEN = "canary-access-token"

Serve = Callable[[socket.socket, bytes], None]


@pytest.fixture(autouse=True)
def _full_retry_budget() -> Iterator[None]:
    PROCESS_BUDGET.reset()
    yield
    PROCESS_BUDGET.reset()


@pytest.fixture
def environment() -> Environment:
    return simulator_environment(BASE)


@dataclass
class Waits:
    """Stands in for time.sleep and remembers."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def client(environment: Environment, waits: Waits) -> MaestroClient:
    return MaestroClient(environment, ACCOUNT, TOKEN, retry=RetryPolicy(sleep=waits))


@pytest.fixture
def docusign() -> Iterator[responses.RequestsMock]:
    """Answers made by hand; any address that is not registered fails."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


class RawServer:
    """Reads one request a connection and lets `serve` write whatever bytes it likes."""

    def __init__(self, serve: Serve, context: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self.failures: list[str] = []
        self._stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(10)
            try:
                if self._context is not None:
                    connection = self._context.wrap_socket(connection, server_side=True)
                with connection:
                    request = read_request(connection)
                    if request:
                        self.requests.append(request)
                        self._serve(connection, request)
            except OSError as error:
                self.failures.append(repr(error))

    def stop(self) -> None:
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    wanted = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            wanted = int(line.split(b":")[1])
    while len(body) < wanted:
        part = connection.recv(65536)
        if not part:
            break
        body += part
    return head + b"\r\n\r\n" + body


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        connection.close()


def answer(body: bytes, *, status: str = "200 OK", headers: tuple[str, ...] = (), length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", *headers]
    if length != -1:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@pytest.fixture
def raw_server() -> Iterator[Callable[..., RawServer]]:
    started: list[RawServer] = []

    def start(serve: Serve | bytes, context: ssl.SSLContext | None = None) -> RawServer:
        if isinstance(serve, bytes):
            fixed = serve
            server = RawServer(lambda connection, _: connection.sendall(fixed), context)
        else:
            server = RawServer(serve, context)
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def client_of(waits: Waits) -> Callable[..., MaestroClient]:
    """A client of a raw server."""

    def make(server: RawServer, **options: Any) -> MaestroClient:
        options.setdefault("retry", RetryPolicy(sleep=waits))
        return MaestroClient(simulator_environment(server.url), ACCOUNT, TOKEN, **options)

    return make
