"""What a hundred open tabs cost: 204 answers a second of the console's own server, and calls to Docusign (none).

The one rule: it is the product's server under the product's stamps, with the load made on the same cores, and a tab takes the new
stamp of a page that has changed, as a browser does. Meanwhile instances move and Docusign tells of it: the one call that each such
event costs is not the tabs'. Whoever looks, with one tab or a hundred, has their rights proven again every ten minutes (V-6), so a second
console with one tab stands beside it: what a hundred cost more is what tabs cost. The health page, which loads no person and asks
no table, is what the machine gives at all. POLLS_SECONDS makes it short for a trial.
"""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from html import unescape
from uuid import UUID

import requests

from tests.benchmarks.calls import QUIET, settle
from tests.benchmarks.figures import Figure
from tests.processes import ROOT, RunningConsole, wait_until

TABS, EVERY = 100, 5.0  # tabs, and the seconds between two questions of the one that is alone
SECONDS = float(os.environ.get("POLLS_SECONDS", "600"))
FLOOR_SECONDS = min(10.0, SECONDS)
SERVER = {"GUNICORN_CMD_ARGS": "--workers 2 --worker-class gthread --threads 4 --keep-alive 30"}
READ_ONCE = (
    "SELECT (SELECT COUNT(*) FROM dashboard_account) = "
    "(SELECT COUNT(*) FROM dashboard_accountsync WHERE ended_at IS NOT NULL)"
)
# The hourly reading of contracts is the worker's own; it is waited for, so that the next one is an hour away.
CONTRACTS_READ = "SELECT COUNT(*) FROM dashboard_workflow WHERE status = 'active' AND contract_read_at IS NULL"
POLL = re.compile(r'data-poll="([^"]+)"')
PAGES = ("/", "/workflows/", "/instances/")
CLIENTS = 2  # processes that make the load, each with half of the tabs


def figures() -> Iterator[Figure]:
    with RunningConsole(env=QUIET | SERVER) as console, RunningConsole(env=QUIET | SERVER) as other:
        sessions = {each: visited(each) for each in (console, other)}
        for each in sessions:
            settled(each)
        one = started(other.port, opened(other, sessions[other])[:1], SECONDS, every=EVERY)
        rate, changed = load(console.port, opened(console, sessions[console]), SECONDS)
        one.wait(60)
        calls, alone = unasked(console), unasked(other)
        yield Figure("polls_answered_204", rate, "1/s", ">= 1000")
        yield Figure("polls_seconds", SECONDS, "s")
        yield Figure("polls_told_of_a_change", changed, "answers")
        yield Figure("polls_calls_of_a_person_with_one_tab", len(alone), "calls")
        yield Figure("polls_calls_by_more_tabs", len(calls) - len(alone), "calls", "== 0")
        for name, paths in (("a hundred", calls), ("one", alone)):
            print("".join(f"  {name}: {path}\n" for path in paths), file=sys.stderr, end="")
        bare, _ = load(console.port, [("/livez", "")] * TABS, FLOOR_SECONDS, wanted=200)
        yield Figure("polls_to_health_page", rate / bare, "ratio")


def visited(console: RunningConsole) -> requests.Session:
    session = console.sign_in()
    session.get(f"{console.url}/instances/", timeout=30)
    return session


def settled(console: RunningConsole) -> None:
    """Wait until the worker has read what it reads of its own accord."""
    wait_until("each account was read once", lambda: console.query(READ_ONCE) == [(1,)], seconds=120)
    wait_until("each contract was read", lambda: console.query(CONTRACTS_READ) == [(0,)], seconds=600, every=2)
    settle(console)


def unasked(console: RunningConsole) -> list[str]:
    """Calls to the API that no event of Docusign was the reason of."""
    told = "SELECT instance_id FROM dashboard_delivery WHERE instance_id NOTNULL"
    known = {str(UUID(pk)) for (pk,) in console.query(told)}
    paths = [call["path"] for call in console.ledger(path="/v1/")]
    return [path for path in paths if path.rpartition("/")[2] not in known]


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


def load(port: int, tabs: list[tuple[str, str]], seconds: float, *, wanted: int = 204) -> tuple[float, int]:
    """Answers a second as wanted over all tabs, which ask again as soon as they are answered; and how many brought a new page."""
    clients = [started(port, tabs[place::CLIENTS], seconds, wanted=wanted) for place in range(CLIENTS)]
    right = changed = 0
    for process in clients:
        assert process.stdout is not None
        counted = process.stdout.read().split()
        assert process.wait(60) == 0
        right, changed = right + int(counted[0]), changed + int(counted[1])
    return right / seconds, changed


def started(
    port: int, tabs: list[tuple[str, str]], seconds: float, *, wanted: int = 204, every: float = 0.0
) -> subprocess.Popen[str]:
    """A process that holds these tabs open."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.polls", str(port), str(wanted), str(seconds), str(every)],
        cwd=ROOT,
        env=dict(os.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write("\n".join("\t".join(tab) for tab in tabs) + "\n")
    process.stdin.close()
    return process


def ask(port: int, tabs: list[tuple[str, str]], wanted: int, seconds: float, every: float = 0.0) -> tuple[int, int]:
    """Ask in turn over a few kept connections, as a proxy in front of the console would; answers as wanted, and new pages."""
    asked = [question(port, address, cookies) for address, cookies in tabs]
    connections = [socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(min(4, len(tabs)))]
    right = changed = turn = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sent = [(connection, (turn + place) % len(tabs)) for place, connection in enumerate(connections)]
        for connection, tab in sent:
            connection.sendall(asked[tab])
        for connection, tab in sent:
            status, body = answer_of(connection)
            if status == wanted:
                right += 1
                continue
            assert status == 200, (status, tabs[tab][0])
            found = POLL.search(body.decode())
            assert found, f"{tabs[tab][0]} does not poll any more"
            asked[tab] = question(port, unescape(found.group(1)), tabs[tab][1])
            changed += 1
        turn += len(connections)
        time.sleep(every)
    for connection in connections:
        connection.close()
    return right, changed


def question(port: int, address: str, cookies: str) -> bytes:
    """What `static/js/live.js` sends."""
    words = f"Host: 127.0.0.1:{port}\r\nHX-Request: true\r\nX-Poll: 1\r\nCookie: {cookies}"
    return f"GET {address} HTTP/1.1\r\n{words}\r\n\r\n".encode()


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of one whole answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += piece_of(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    status = int(head[9:12])
    length = re.search(rb"content-length: (\d+)", head, re.I)
    missing = int(length.group(1)) - len(body) if length and status != 204 else 0
    while missing > 0:
        piece = piece_of(connection)
        body += piece
        missing -= len(piece)
    return status, body


def piece_of(connection: socket.socket) -> bytes:
    piece = connection.recv(65536)
    if not piece:
        raise ConnectionError("the server closed the connection")
    return piece


def main(arguments: list[str]) -> None:
    """One of the processes that make the load: tabs come on the standard input."""
    port, wanted, seconds = int(arguments[0]), int(arguments[1]), float(arguments[2])
    tabs = [tuple(line.rstrip("\n").split("\t")) for line in sys.stdin]
    right, changed = ask(port, [(tab[0], tab[1]) for tab in tabs], wanted, seconds, float(arguments[3]))
    sys.stdout.write(f"{right} {changed}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
