"""People and Docusign Connect as a load: kept connections in one light process, since it shares the cores with what it measures.

The one rule: every request that was begun is accounted for, by its status or as broken; nothing that took long is left out. What a
browser does unasked is done here, too: a kept connection that turns out to be closed is opened once more.
"""

import itertools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from tests.benchmarks.events import message, signed
from tests.processes import ROOT

PATIENCE = 30.0
EVENT = "event"
MOST_NOTES = 20
UNKNOWN, IN_PIECES = -1, -2  # how long an answer is


@dataclass(slots=True)
class Tally:
    """What became of the requests of one kind."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def add(self, status: int, taken: float) -> None:
        self.statuses[status] += 1
        self.milliseconds.append(taken * 1000)
        if not 200 <= status < 300 and len(self.notes) < MOST_NOTES:
            self.notes.append(f"{status or 'broken'} at {datetime.now(UTC):%H:%M:%S}")

    def record(self) -> dict[str, Any]:
        values = sorted(self.milliseconds)
        ranks = {f"p{share}": values[min(len(values) - 1, len(values) * share // 100)] for share in (50, 95, 99)}
        return ranks | {"answers": len(values), "statuses": dict(self.statuses), "notes": self.notes}


class Visitor:
    """One connection and what goes over it, one request after the other; `every` seconds apart, or as soon as it is answered."""

    def __init__(self, port: int, asks: Iterator[tuple[str, bytes]], every: float, start: float) -> None:
        self.port, self.every, self._asks = port, every, asks
        self.due = start
        self.socket: socket.socket | None = None
        self.is_waiting = False
        self._data, self._left, self._is_fresh = bytearray(), UNKNOWN, True
        self._began, self._kind, self._request = 0.0, "", b""

    def ask(self) -> None:
        """Send the next request."""
        self._kind, self._request = next(self._asks)
        self._began = time.perf_counter()
        self.is_waiting = True
        self._send()

    def _send(self) -> None:
        self._data, self._left = bytearray(), UNKNOWN
        self._is_fresh = self.socket is None
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(self._request)

    def hear(self) -> tuple[str, int, float] | None:
        """Take what has come; kind, status and seconds once the answer is whole."""
        assert self.socket is not None
        piece = self.socket.recv(262_144)
        if not piece:
            raise ConnectionError("closed")
        self._data += piece
        if self._left == UNKNOWN:
            head, mark, _ = bytes(self._data).partition(b"\r\n\r\n")
            if not mark:
                return None
            body = length_in(head)
            self._left = IN_PIECES if body is None else len(head) + 4 + body
        if not (self._data.endswith(b"\n0\r\n\r\n") if self._left == IN_PIECES else len(self._data) >= self._left):
            return None
        is_last = b"\r\nconnection: close" in bytes(self._data[:4096]).partition(b"\r\n\r\n")[0].lower()
        if is_last:
            self.close()
        return self._end(int(self._data[9:12]))

    def fail(self) -> tuple[str, int, float] | None:
        """The connection broke: try once more on a new one where a kept one was closed before it answered, else give up."""
        is_stale = not self._is_fresh and not self._data
        self.close()
        if is_stale:
            try:
                self._send()
            except OSError:
                self.close()
            else:
                return None
        return self._end(0)

    def is_late(self, now: float) -> bool:
        return self.is_waiting and now - self._began > PATIENCE

    def _end(self, status: int) -> tuple[str, int, float]:
        now = time.perf_counter()
        self.is_waiting = False
        self.due = max(self.due + self.every, now) if self.every else now
        return self._kind, status, now - self._began

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def length_in(head: bytes) -> int | None:
    """The bytes of the body; None where it comes in pieces and says itself when it ends."""
    low = head.lower()
    if b" 204 " in low[:14] or b" 304 " in low[:14]:
        return 0
    name = b"\r\ncontent-length:"
    return int(low.split(name, 1)[1].split(b"\r\n", 1)[0]) if name in low else None


def serve(visitors: list[Visitor], seconds: float) -> dict[str, Tally]:
    """Let all visitors ask until the time is over or SIGTERM comes, and wait for the answers that are still out."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    until = time.perf_counter() + seconds

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal until
        until = 0.0

    signal.signal(signal.SIGTERM, end)
    while (now := time.perf_counter()) < until or any(visitor.is_waiting for visitor in visitors):
        for visitor in visitors:
            if not visitor.is_waiting and now < until and visitor.due <= now:
                _take(tallies, visitor, visitor.ask)
            elif visitor.is_late(now):
                visitor._is_fresh = True
                _take(tallies, visitor, visitor.fail)
        with selectors.DefaultSelector() as selector:
            for visitor in visitors:
                if visitor.is_waiting and visitor.socket is not None:
                    selector.register(visitor.socket, selectors.EVENT_READ, visitor)
            due = min((visitor.due for visitor in visitors if not visitor.is_waiting), default=now + 1)
            for key, _ in selector.select(max(0.0, min(due - now, 1.0))):
                _take(tallies, key.data, key.data.hear)
    for visitor in visitors:
        visitor.close()
    return tallies


def _take(tallies: dict[str, Tally], visitor: Visitor, deed: Any) -> None:
    try:
        found = deed()
    except OSError:
        found = visitor.fail()
    if found:
        kind, status, taken = found
        tallies[kind].add(status, taken)


def asks_of(order: dict[str, Any], person: dict[str, Any], place: int) -> Iterator[tuple[str, bytes]]:
    """The requests of one visitor for ever, each visitor beginning at another place."""
    host = f"Host: 127.0.0.1:{order['port']}\r\n"
    asks = person["asks"]
    for number in itertools.count(place * 7):
        kind, path = asks[number % len(asks)]
        if kind == EVENT:
            yield kind, event(path, host, person["key"])
        else:
            yield kind, f"GET {path} HTTP/1.1\r\n{host}Cookie: {person['cookie']}\r\n\r\n".encode()


def event(path: str, host: str, key: str) -> bytes:
    """An event as Docusign Connect sends it, each with an instance of its own."""
    body = message()
    headers = signed(body, key) | {"Content-Length": str(len(body))}
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST {path} HTTP/1.1\r\n{host}{head}\r\n".encode() + body


@contextmanager
def visiting(order: dict[str, Any]) -> Iterator[subprocess.Popen[str]]:
    """The load in a process of its own; whoever started it may do other things meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.visitors"],
        cwd=ROOT,
        env=dict(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(order))
    process.stdin.close()
    process.stdin = None
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def visited(process: subprocess.Popen[str]) -> dict[str, dict[str, Any]]:
    """What the load counted, by kind, once it has ended."""
    out, _ = process.communicate()
    assert process.returncode == 0, "the load ended by itself"
    return dict(json.loads(out))


def main() -> None:
    order = json.load(sys.stdin)
    now = time.perf_counter()
    people = order["people"]
    visitors = [
        # Not all in the same moment.
        Visitor(
            order["port"],
            asks_of(order, person, place),
            person.get("every", 0.0),
            now + place / len(people) * person.get("every", 0.0),
        )
        for place, person in enumerate(people)
    ]
    tallies = serve(visitors, order["seconds"])
    sys.stdout.write(json.dumps({kind: tally.record() for kind, tally in tallies.items()}))


if __name__ == "__main__":
    main()
