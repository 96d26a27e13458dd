"""How soon an event of Docusign Connect shows in a row, and how many events a second the receiver takes without losing one."""

import base64
import hashlib
import hmac
import http.client
import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.benchmarks.figures import Figure, p95
from tests.processes import RunningConsole, wait_until

MOVED = 5
SENT = 2_000
SENDERS = 8
QUIET = {"SYNC_INTERVAL_SECONDS": "86400"}


def figures() -> Iterator[Figure]:
    with RunningConsole(env=QUIET) as console:
        console.control("POST", "/profile", {"moving": False})  # what is to complete must not end otherwise before
        session = console.sign_in()
        session.get(f"{console.url}/instances/", timeout=30)
        wait_until("the mirror is full", lambda: console.query(ENDED), seconds=120)
        rows = console.query("SELECT id FROM dashboard_instance WHERE status = 'in_progress' LIMIT ?", MOVED)
        yield Figure("event_to_visible_row", max(seconds_until_seen(console, row[0]) for row in rows), "s", "<= 5")
        yield from flood(console)


ENDED = "SELECT 1 FROM dashboard_accountsync WHERE full_at IS NOT NULL"


def seconds_until_seen(console: RunningConsole, key: str) -> float:
    """From the moment when Docusign sends the event until the row says so."""
    instance = str(uuid.UUID(key))
    console.control("POST", f"/instances/{instance}", {"workflow_status": "Completed"})
    start = time.monotonic()
    console.control("POST", "/connect/send", {"event": "workflow-completed", "instance_id": instance})
    seen = "SELECT 1 FROM dashboard_instance WHERE id = ? AND status = 'completed'"
    wait_until("the row shows the event", lambda: console.query(seen, key), seconds=30, every=0.05)
    return time.monotonic() - start


def flood(console: RunningConsole) -> Iterator[Figure]:
    """Different events from several connections at once; each must be stored when it was answered with 2xx."""
    path = urlsplit(console.control("GET", "/connect")["url"]).path
    key = secret_of(console)
    before = console.query("SELECT COUNT(*) FROM dashboard_delivery")[0][0]
    start = time.perf_counter()
    with ThreadPoolExecutor(SENDERS) as pool:
        results = [each for part in pool.map(lambda _: send(console, path, key), range(SENDERS)) for each in part]
    taken = time.perf_counter() - start
    accepted = sum(status == 204 for status, _ in results)
    stored = console.query("SELECT COUNT(*) FROM dashboard_delivery")[0][0] - before
    yield Figure("events_a_second", accepted / taken, "events/s", ">= 100")
    yield Figure("event_answer_p95", p95(milliseconds for _, milliseconds in results), "ms", "<= 500")
    yield Figure("events_lost", accepted - stored, "events", "== 0")
    yield Figure(
        "events_put_off", len(results) - accepted, "events"
    )  # 503 while the store was busy: Docusign sends them again


def secret_of(console: RunningConsole) -> str:
    """The key that the demo made for its receiver."""
    variables = Path(f"/proc/{console.pids()['console'][0]}/environ").read_bytes().decode().split("\0")
    return next(line.partition("=")[2] for line in variables if line.startswith("CONNECT_HMAC_KEYS="))


def send(console: RunningConsole, path: str, key: str) -> list[tuple[int, float]]:
    """One connection's share of the events: status and milliseconds of each."""
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=30)
    found = []
    for _ in range(SENT // SENDERS):
        body = message()
        headers = signed(body, key)
        start = time.perf_counter()
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        found.append((answer.status, (time.perf_counter() - start) * 1000))
    connection.close()
    return found


def signed(body: bytes, key: str) -> dict[str, str]:
    """The headers with which Docusign Connect sends it."""
    digest = base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()
    return {"Content-Type": "application/json", "X-DocuSign-Signature-1": digest}


def message() -> bytes:
    data = {"accountId": MAIN_ACCOUNT_ID, "instanceId": str(uuid.uuid4()), "status": "Completed"}
    moment = datetime.now(UTC).isoformat()
    return json.dumps(
        {
            "event": "workflow-completed",
            "configurationId": 1,
            "retryCount": 0,
            "generatedDateTime": moment,
            "data": data,
        }
    ).encode()
