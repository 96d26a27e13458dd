"""What a hundred open tabs cost: 204 answers a second of the console's own server, and calls to Docusign (none).

The one rule: it is the product's server under the product's stamps, with the load made on the same cores; the same server's health
page, which loads no person and asks no table, stands beside it as what the machine gives at all.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape

import requests

from tests.benchmarks.calls import QUIET, settle
from tests.benchmarks.figures import Figure
from tests.processes import ROOT, RunningConsole, wait_until

TABS = 100
SECONDS = 10.0
SERVER = {"GUNICORN_CMD_ARGS": "--workers 2 --worker-class gthread --threads 4 --keep-alive 30"}
POLL = re.compile(r'data-poll="([^"]+)"')
PAGES = ("/", "/workflows/", "/instances/")
CLIENTS = 2  # processes that make the load, each with half of the tabs


def figures() -> Iterator[Figure]:
    with RunningConsole(env=QUIET | SERVER) as console:
        session = console.sign_in()
        session.get(f"{console.url}/instances/", timeout=30)
        wait_until(
            "the mirror is full",
            lambda: console.query("SELECT 1 FROM dashboard_accountsync WHERE ended_at IS NOT NULL"),
        )
        settle(console)
        tabs = opened(console, session)
        rate, wrong = load(console.port, tabs)
        yield Figure("polls_answered_204", rate, "1/s", ">= 1000")
        yield Figure("polls_answered_otherwise", wrong, "answers", f"<= {TABS}")
        yield Figure("polls_calls_to_docusign", len(console.ledger(path="/v1/")), "calls", "== 0")
        bare, _ = load(console.port, [("/livez", "")] * TABS, wanted=200)
        yield Figure("polls_to_health_page", rate / bare, "ratio")


def opened(console: RunningConsole, session: requests.Session) -> list[tuple[str, str]]:
    """The address that each open tab polls, with its cookies."""
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
    addresses = []
    for page in PAGES:
        session.get(console.url + page, timeout=30).raise_for_status()
        answer = session.get(console.url + page, timeout=30)
        found = POLL.search(answer.text)
        assert found, f"{page} does not poll"
        addresses.append((unescape(found.group(1)), cookies))
    return [addresses[number % len(addresses)] for number in range(TABS)]


def load(port: int, tabs: list[tuple[str, str]], *, wanted: int = 204) -> tuple[float, int]:
    """Answers a second over all tabs, each asking again as soon as it is answered; and how many were not as wanted."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.polls", str(port), str(wanted), str(SECONDS)],
            cwd=ROOT,
            env=dict(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(CLIENTS)
    ]
    for place, process in enumerate(started):
        assert process.stdin is not None
        process.stdin.write("\n".join("\t".join(tab) for tab in tabs[place::CLIENTS]) + "\n")
        process.stdin.close()
    right = wrong = 0
    for process in started:
        assert process.stdout is not None
        counted = process.stdout.read().split()
        assert process.wait(60) == 0
        right, wrong = right + int(counted[0]), wrong + int(counted[1])
    return right / SECONDS, wrong


def ask(port: int, tabs: list[tuple[str, str]], wanted: int, seconds: float) -> tuple[int, int]:
    """Ask in turn over a few kept connections, as a proxy in front of the console would; how many answers were as wanted."""
    requests_ = [
        f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHX-Request: true\r\nCookie: {cookies}\r\n\r\n".encode()
        for address, cookies in tabs
    ]
    connections = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(4)]
    expected = f"HTTP/1.1 {wanted} ".encode()
    right = wrong = turn = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for place, connection in enumerate(connections):
            connection.sendall(requests_[(turn + place) % len(requests_)])
        for connection in connections:
            if answer_of(connection).startswith(expected):
                right += 1
            else:
                wrong += 1
        turn += len(connections)
    for connection in connections:
        connection.close()
    return right, wrong


def answer_of(connection: socket.socket) -> bytes:
    """One whole answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            raise ConnectionError("the server closed the connection")
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.I)
    missing = int(length.group(1)) - len(body) if length and b" 204 " not in head[:16] else 0
    while missing > 0:
        missing -= len(connection.recv(65536))
    return data


def main(arguments: list[str]) -> None:
    """One of the processes that make the load: tabs come on the standard input."""
    port, wanted, seconds = int(arguments[0]), int(arguments[1]), float(arguments[2])
    tabs = [tuple(line.rstrip("\n").split("\t")) for line in sys.stdin]
    right, wrong = ask(port, [(tab[0], tab[1]) for tab in tabs], wanted, seconds)
    sys.stdout.write(f"{right} {wrong}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
