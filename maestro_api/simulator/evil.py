"""A second listener that nobody has any reason to call. Rule: whatever reaches it is a fault of the caller, and is kept."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BODY_LIMIT = 1 << 20


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _record(self) -> None:
        length = self.headers.get("Content-Length", "0")
        body = self.rfile.read(min(int(length), BODY_LIMIT)) if length.isdecimal() else b""
        self.server.received.append(
            {
                "method": self.command,
                "path": self.path,
                "headers": dict(self.headers.items()),
                "body": body.decode("utf-8", "replace"),
            }
        )
        self.send_response_only(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    do_GET = do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = _record

    def log_message(self, *args: Any) -> None:
        """`received` is the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class EvilListener:
    """Answers 200 to everything, so that a caller led astray goes on and shows all it would give away."""

    def __init__(self) -> None:
        self._server = _Server()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="evil listener", daemon=True).start()

    @property
    def received(self) -> list[dict[str, Any]]:
        return list(self._server.received)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
