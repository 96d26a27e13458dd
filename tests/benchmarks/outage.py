"""Docusign answers 503 to everything for five minutes: what that costs in calls, and whether pages and events mind (R-6, R-9, W-4).

The one rule: beside the console whose Docusign is away stands one whose Docusign is there, looked at by as many people, so that
normal is measured too. The first minute is not counted: until the breaker opens, each call is tried. For the minute after it
Docusign sends its events to the console all the same. `OUTAGE_SECONDS` makes it short for a trial.
"""

import http.client
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit
from uuid import UUID

import requests

from tests.benchmarks.events import ENDED, message, secret_of, signed
from tests.benchmarks.figures import Figure, p95, p99
from tests.processes import RunningConsole, wait_until

SECONDS = float(os.environ.get("OUTAGE_SECONDS", "300"))
UNCOUNTED = min(60.0, SECONDS / 3)
SENDING = min(60.0, SECONDS / 3)
SENDERS, EACH = 5, 20  # connections, and events a second of each
EVERY = 2.0  # seconds between two looks of the person
SERVER = {"GUNICORN_CMD_ARGS": "--workers 2 --worker-class gthread --threads 4 --keep-alive 30"}
AWAY = [{"match": {}, "do": {"status": 503}}]


@dataclass
class Seen:
    """What happened at one console: when the calls to Docusign began, and how its pages answered."""

    calls: list[float] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


def figures() -> Iterator[Figure]:
    with (
        RunningConsole(env=SERVER) as away,
        RunningConsole(env=SERVER) as usual,
        ThreadPoolExecutor(SENDERS + 2) as pool,
    ):
        sessions = {each: ready(each) for each in (away, usual)}
        begun, wall = time.monotonic(), time.time()
        away.control("POST", "/faults", AWAY)
        looks = {each: pool.submit(look, each, sessions[each], begun) for each in sessions}
        path, key = urlsplit(away.control("GET", "/connect")["url"]).path, secret_of(away)
        sent = [pool.submit(send, away.port, path, key, begun + UNCOUNTED) for _ in range(SENDERS)]
        answers = [answer for each in sent for answer in each.result()]
        took = time.monotonic() - begun - UNCOUNTED
        kept = {
            str(UUID(pk))
            for (pk,) in away.query("SELECT instance_id FROM dashboard_delivery WHERE instance_id NOTNULL")
        }
        seen = {each: looks[each].result() for each in sessions}
        for each in sessions:
            seen[each].calls = [at - wall for at in calls(each) if UNCOUNTED <= at - wall < SECONDS]
    yield from told(seen[away], seen[usual])
    statuses = Counter(answer.status for answer in answers)
    lost = [answer for answer in answers if answer.status == 204 and answer.instance not in kept]
    yield Figure("outage_event_answer_p99", p99(answer.milliseconds for answer in answers), "ms", "<= 1000")
    yield Figure("outage_events_a_second", len(answers) / took, "1/s", f">= {SENDERS * EACH * 0.95}")
    yield Figure("outage_events_put_off", statuses[503], "events")
    yield Figure("outage_events_refused", len(answers) - statuses[204] - statuses[503], "events", "== 0")
    yield Figure("outage_events_lost", len(lost), "events", "== 0")


def told(away: Seen, usual: Seen) -> Iterator[Figure]:
    fullest = max(Counter(int(at) for at in away.calls).values(), default=0)
    yield Figure("outage_seconds", SECONDS, "s")
    yield Figure("outage_calls_usually", len(usual.calls), "calls", ">= 1")
    yield Figure("outage_calls", len(away.calls), "calls", ">= 1")
    yield Figure("outage_calls_to_usual", len(away.calls) / max(1, len(usual.calls)), "ratio", "<= 1.1")
    yield Figure("outage_fullest_second", fullest / max(1, len(away.calls)), "ratio", "<= 0.25")
    yield Figure("outage_pages_p95", p95(away.pages), "ms", "<= 500")
    yield Figure("outage_pages_not_200", sum(away.statuses.values()) - away.statuses[200], "pages", "== 0")


def ready(console: RunningConsole) -> requests.Session:
    """Somebody signed in, before whom the mirror is full."""
    session = console.sign_in()
    session.get(f"{console.url}/instances/", timeout=30)
    wait_until("the mirror is full", lambda: console.query(ENDED), seconds=120)
    return session


def look(console: RunningConsole, session: requests.Session, begun: float) -> Seen:
    """Somebody goes from page to page until the end."""
    seen, pages = Seen(), ("/instances/", "/", "/workflows/")
    for number in range(int(SECONDS / EVERY)):
        time.sleep(max(0.0, begun + number * EVERY - time.monotonic()))
        start = time.monotonic()
        answer = session.get(f"{console.url}{pages[number % len(pages)]}", timeout=30)
        seen.pages.append((time.monotonic() - start) * 1000)
        seen.statuses[answer.status_code] += 1
    time.sleep(max(0.0, begun + SECONDS - time.monotonic()))
    return seen


def calls(console: RunningConsole) -> list[float]:
    return [datetime.fromisoformat(call["at"]).timestamp() for call in console.ledger()]


@dataclass(frozen=True, slots=True)
class Answer:
    """How the console took one event, and after how long since it was due."""

    status: int
    milliseconds: float
    instance: str


def send(port: int, path: str, key: str, first: float) -> list[Answer]:
    """One connection's events, each at its time however late the one before was answered."""
    connection, found = http.client.HTTPConnection("127.0.0.1", port, timeout=30), []
    for number in range(int(SENDING * EACH)):
        due = first + number / EACH
        time.sleep(max(0.0, due - time.monotonic()))
        body = message()
        connection.request("POST", path, body, signed(body, key))
        answer = connection.getresponse()
        answer.read()
        instance = json.loads(body)["data"]["instanceId"]
        found.append(Answer(answer.status, (time.monotonic() - due) * 1000, instance))
    connection.close()
    return found
