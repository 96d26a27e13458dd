"""Puts the simulator on a socket. Rule: faults that live on the wire (resets, drips, cut bodies) happen here and nowhere else."""

from __future__ import annotations

import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .core import Simulator
from .evil import EvilListener
from .messages import SimRequest, SimResponse

BODY_LIMIT = 32 << 20
TICK_SECONDS = 0.5


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = 120
    server: _Server

    def _serve(self) -> None:
        body = self._read_body()
        if body is None:
            return
        request = SimRequest(self.command, self.path, dict(self.headers.items()), body, self.client_address[0])
        response = self.server.simulator.handle(request)
        if response.latency_ms:
            time.sleep(response.latency_ms / 1000)
        try:
            self._write(response)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_OPTIONS = _serve

    def _read_body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > BODY_LIMIT:
            self._write(SimResponse(413, {"Connection": "close"}))
            self.close_connection = True
            return None
        return self.rfile.read(int(length))

    def _read_chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := int(self.rfile.readline(64).split(b";")[0] or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline(8)
        while self.rfile.readline(1024).strip():
            continue
        return b"".join(parts)

    def _write(self, response: SimResponse) -> None:
        if response.reset in ("before", "after"):
            self._reset()
            return
        self.send_response_only(response.status)
        self.send_header("Date", self.date_time_string())
        for name, value in response.headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        if response.no_length:
            self.send_header("Connection", "close")
            self.close_connection = True
        elif response.status >= 200 and response.status != 204:
            self.send_header("Content-Length", str(len(response.body)))
        body = b"" if self.command == "HEAD" else response.body
        if response.drip is not None:
            self._drip(body, response.drip)
            return
        self.end_headers()
        if response.reset == "mid_body":
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            time.sleep(0.02)
            self._reset()
            return
        self.wfile.write(body)
        self.wfile.flush()

    def _drip(self, body: bytes, drip: tuple[int, float, bool]) -> None:
        size, pause, with_headers = drip
        head = self._headers_buffer
        head.append(b"\r\n")
        raw = b"".join(head)
        self._headers_buffer: list[bytes] = []
        if with_headers:
            body = raw + body
        else:
            self.wfile.write(raw)
            self.wfile.flush()
        for first in range(0, len(body), size):
            self.wfile.write(body[first : first + size])
            self.wfile.flush()
            if self.server.stopping.wait(pause):
                break

    def _reset(self) -> None:
        """End the connection with a RST instead of a polite FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):
            self.close_connection = True

    def log_message(self, *args: Any) -> None:
        """The ledger is the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], simulator: Simulator) -> None:
        self.simulator = simulator
        self.stopping = threading.Event()
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that goes away is an ordinary thing here."""


class SimulatorServer:
    """`start` binds and serves in a thread; `url` is then also the simulator's base URL."""

    def __init__(self, sim: Simulator, host: str = "127.0.0.1", port: int = 0) -> None:
        self.sim = sim
        self._address = (host, port)
        self._server: _Server | None = None

    def start(self) -> SimulatorServer:
        self._server = _Server(self._address, self.sim)
        self.sim.evil = EvilListener()
        host, port = self._server.server_address[:2]
        self.sim.base_url = f"http://{host!s}:{port}"
        threading.Thread(target=self._tick, args=(self._server.stopping,), name="simulator-clock", daemon=True).start()
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="simulator", daemon=True).start()
        return self

    def _tick(self, stopping: threading.Event) -> None:
        """Events are sent when they happen, also when nobody looks."""
        while not stopping.wait(TICK_SECONDS):
            if self.sim.connect.settings.url is not None:
                self.sim.tick()

    @property
    def url(self) -> str:
        return self.sim.base_url

    def stop(self) -> None:
        if self._server is not None:
            self._server.stopping.set()
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        if self.sim.evil is not None:
            self.sim.evil.stop()
            self.sim.evil = None
