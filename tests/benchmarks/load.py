"""Ten people at 50,000 instances, on one machine and on many.

The one rule: each kind of page has its phase, in which ten people ask for it again as soon as they are answered, because the floors are
what one kind reaches by itself; one phase mixes all of them at the pace of people. Five phases of a minute are five minutes of ten
people. Docusign is slow all the time. LOAD_SECONDS (of a phase) and LOAD_INSTANCES make it smaller or larger.
"""

import base64
import json
import os
import random
import re
import secrets
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any
from urllib.parse import quote_plus, urlsplit

import requests

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.benchmarks.figures import Figure
from tests.benchmarks.one_machine import OneMachine
from tests.benchmarks.visitors import EVENT, visited, visiting
from tests.installation import Installation
from tests.processes import wait_until
from tests.scale_demo import ScaleDemo

SECONDS = float(os.environ.get("LOAD_SECONDS", "60"))
INSTANCES = int(os.environ.get("LOAD_INSTANCES", "50000"))
TURNS = 8  # in which one machine and many are measured
MIXED = "mixed"
PHASES = ("list", "detail", "search", MIXED, EVENT)  # the events last, since the worker has to work off what they leave
WORKFLOWS = 60
LATENCY_MS = 800
PEOPLE = (
    "Ada Admin",
    "Olu Operator",
    *(f"{name} Invented:manage" for name in ("Bea", "Cem", "Dan", "Eva", "Fay", "Gil", "Hal", "Ida")),
)
LISTS = (
    "",
    "state=running",
    "state=failed",
    "sort=name",
    "sort=-started",
    "state=completed&sort=workflow",
    "name=nda",
    "expires=7",
)
WORDS = ("nda", "lease", "supplier", "offer", "invoice", "policy", "order", "renewal", "xyz", "agreement 1")
CLICK_SECONDS = 0.5
EVENT_SECONDS = 0.1
WARM_UP_SECONDS = min(4.0, SECONDS)  # each process compiles its pages once
SAMPLES = """
import json
from dashboard.models import Instance
keys = Instance.objects.filter(account_id=sys.argv[1]).order_by("id").values_list("pk", flat=True)
print(json.dumps([str(key) for key in keys[: int(sys.argv[2])]]))
"""
# What a page asks the database, with the second visit, since the first one of a process looks up what it keeps.
QUERIES = """
import json
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from dashboard.models import Membership
client = Client(SERVER_NAME="127.0.0.1")
client.force_login(Membership.objects.get(user__name="Ada Admin", is_default=True).user, backend="dashboard.authentication.DocusignBackend")
found = {}
for name, path in json.loads(sys.argv[1]).items():
    for _ in range(2):
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
    found[name] = len(captured)
print(json.dumps(found))
"""
Counted = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a load needs to know of a console that is filled and signed in to."""

    console: Installation
    cookies: list[str]
    details: list[str]
    hook: str
    key: str
    taken: Counter[str] = field(default_factory=Counter)  # events that the console took, by the answer

    def paths(self, kind: str) -> list[str]:
        """All addresses of one kind, the same for each run."""
        dice = random.Random(5)  # which page comes next
        made: dict[str, Callable[[], list[str]]] = {
            "list": lambda: [f"/instances/?{query}" for query in LISTS],
            "detail": lambda: self.details,
            "search": lambda: [
                f"/instances/?name={quote_plus(dice.choice(WORDS))}+{dice.randrange(100)}" for _ in range(300)
            ],
            EVENT: lambda: [self.hook],
        }
        return made[kind]()

    def phase(self, kind: str, seconds: float) -> Counted:
        """Ten connections that ask for nothing else, each again as soon as it is answered."""
        asks = [(kind, path) for path in self.paths(kind)]
        people = [{"cookie": cookie, "asks": asks, "key": self.key} for cookie in self.cookies]
        return self.load(people, seconds)

    def mixed(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> Counted:
        """People who click twice a second each, ten events a second from each of two senders, and something that happens meanwhile."""
        kinds = [[(kind, path) for path in self.paths(kind)[:8]] for kind in ("list", "detail", "search")]
        asks = [ask for turn in zip(*kinds, strict=False) for ask in turn]
        people: list[dict[str, Any]] = [{"cookie": each, "asks": asks, "every": CLICK_SECONDS} for each in self.cookies]
        people += [{"asks": [(EVENT, self.hook)], "key": self.key, "every": EVENT_SECONDS}] * 2
        return self.load(people, seconds, meanwhile)

    def load(
        self, people: list[dict[str, Any]], seconds: float, meanwhile: Callable[[], None] = lambda: None
    ) -> Counted:
        with visiting({"port": self.console.port, "seconds": seconds, "people": people}) as process:
            meanwhile()
            counted = visited(process)
        self.taken.update(counted.get(EVENT, {}).get("statuses", {}))
        for kind, record in counted.items():
            if record["notes"]:
                print(f"  {kind}: {', '.join(record['notes'])}", file=sys.stderr, flush=True)
        return counted


def figures() -> Iterator[Figure]:
    """One machine."""
    with installed(OneMachine) as console:
        scene = prepared(console)
        yield from queries(scene)
        yield from _told(scene, measured(scene))
        print(f"  {console.logs()}" if "Traceback" in console.logs() else "", file=sys.stderr)


def figures_of_many() -> Iterator[Figure]:
    """Many machines on the same two cores, against one machine in the same run; then a web master and a worker die and come back.

    They take turns of a few seconds in each kind of page, and who waits stands still, since two virtual cores are not equally quick
    from one minute to the next.
    """
    with installed(OneMachine) as one, installed(ScaleDemo) as many:
        scenes = [prepared(console) for console in (one, many)]
        with held(one), held(many):
            alone, shared = in_turns(scenes)
        yield from queries(scenes[1], "load_many")
        yield from _told(scenes[1], shared, "load_many", has_bars=False)
        for kind in ("list", "detail", EVENT):
            ratio = rate(shared, kind) / rate(alone, kind)
            yield Figure(f"load_many_{kind}_to_one_machine", ratio, "ratio", ">= 0.8")
        quicker = alone["search"]["p95"] / shared["search"]["p95"]
        yield Figure("load_many_search_to_one_machine", quicker, "ratio", ">= 0.8")
        wrongly = wrong(alone, lambda status: not 200 <= status < 300)
        yield Figure("load_many_answers_of_one_machine_wrong", wrongly, "answers", "== 0")
        with held(one):
            yield from killed(scenes[1], many)


def in_turns(scenes: list[Scene]) -> list[Counted]:
    """What was counted of each, after one turn that only warms up."""
    found: list[list[Counted]] = [[] for _ in scenes]
    for kind in PHASES:
        for turn in range(TURNS + 1):
            for scene, counted in zip(scenes, found, strict=True):
                with awake(scene.console):
                    if not turn:
                        warm_up(scene, kind)
                        continue
                    counted.append(phase_of(scene, kind, SECONDS / TURNS))
                    wait_until("its events are dealt with", lambda scene=scene: not waiting(scene), seconds=300)
    return [together(each) for each in found]


@contextmanager
def held(console: Installation) -> Iterator[None]:
    """Let everything stand still but the simulator and the stores, until somebody is `awake`; whatever comes, it can be stopped after."""
    _signal(console, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(console, signal.SIGCONT)


@contextmanager
def awake(console: Installation) -> Iterator[None]:
    _signal(console, signal.SIGCONT)
    wait_until("the console is ready", console.is_ready, seconds=90)
    yield
    _signal(console, signal.SIGSTOP)


def _signal(console: Installation, number: signal.Signals) -> None:
    for name, process in console.parts.items():
        if name.startswith(("worker", "web")) and process.poll() is None:
            os.killpg(process.pid, number)


def warm_up(scene: Scene, kind: str) -> None:
    """Everybody's rights are proven again, what the rest made due is read, and each process has drawn such a page."""
    for cookies in scene.cookies:
        wait_until("a person sees rows", lambda cookies=cookies: _sees_rows(scene.console, cookies), seconds=120)
    phase_of(scene, kind, WARM_UP_SECONDS)
    wait_until("nothing is being read", lambda: not reading(scene) and not waiting(scene), seconds=300, every=1)


def waiting(scene: Scene) -> int:
    """Events that the workers still have to deal with: who rests must leave none to its next turn."""
    return int(scene.console.query("SELECT COUNT(*) FROM dashboard_delivery WHERE state = 'waiting'")[0][0])


def reading(scene: Scene) -> int:
    """Accounts and people whose pages of Docusign are being read just now."""
    passes = "SELECT COUNT(*) FROM dashboard_accountsync WHERE kind <> ''"
    people = "SELECT COUNT(*) FROM dashboard_membership WHERE sync_lease <> ''"
    return int(scene.console.query(f"SELECT ({passes}) + ({people})")[0][0])


def together(turns: list[Counted]) -> Counted:
    """All answers of all turns; of what is no count the median of them."""
    found: Counted = {}
    for kind in {kind for each in turns for kind in each}:
        records = [each[kind] for each in turns if kind in each]
        counts: Counter[str] = sum((Counter(each["statuses"]) for each in records), Counter())
        shares = {name: median(each[name] for each in records) for name in ("p50", "p95", "p99")}
        found[kind] = shares | {"statuses": dict(counts), "answers": sum(each["answers"] for each in records)}
    return found


def installed(kind: type[Installation]) -> Installation:
    words = (f"--people={','.join(PEOPLE)}", f"--instances={INSTANCES}", f"--workflows={WORKFLOWS}")
    key = base64.b64encode(secrets.token_bytes(24)).decode()
    return kind(*words, f"--latency-ms={LATENCY_MS}", CONNECT_HMAC_KEYS=key)


def prepared(console: Installation) -> Scene:
    """Sign everybody in, and wait until the worker has read the whole mirror."""
    read = "SELECT (SELECT COUNT(*) FROM dashboard_instance), (SELECT COUNT(*) FROM dashboard_accountsync WHERE full_at IS NULL)"

    def is_full() -> bool:
        rows, unread = console.query(read)[0]
        return bool(rows >= INSTANCES and unread == 0)

    sessions = [console.sign_in(PEOPLE[0])]
    wait_until("the mirror is full", is_full, seconds=900, every=1)
    sessions += [console.sign_in(name.partition(":")[0]) for name in PEOPLE[1:]]
    cookies = ["; ".join(f"{each.name}={each.value}" for each in session.cookies) for session in sessions]
    for each in cookies:
        wait_until("a person sees rows", lambda each=each: _sees_rows(console, each), seconds=120, every=1)
    keys = json.loads(console.run(SAMPLES, MAIN_ACCOUNT_ID, "500"))
    address = console.manage("create_hook", MAIN_ACCOUNT_ID).splitlines()[-1]
    return Scene(
        console,
        cookies,
        [f"/instances/{key}/" for key in keys],
        urlsplit(address).path,
        console.variables["CONNECT_HMAC_KEYS"],
    )


def _sees_rows(console: Installation, cookies: str) -> bool:
    text = requests.get(f"{console.url}/instances/", headers={"Cookie": cookies}, timeout=30).text
    return len(set(re.findall(r"/instances/[0-9a-f-]{36}/", text))) >= 20


def queries(scene: Scene, name: str = "load") -> Iterator[Figure]:
    paths = {kind: scene.paths(kind)[0] for kind in ("list", "detail", "search")}
    for kind, number in json.loads(scene.console.run(QUERIES, json.dumps(paths))).items():
        yield Figure(f"{name}_queries_{kind}", number, "queries", "<= 12")


def measured(scene: Scene) -> Counted:
    for kind in ("list", "detail"):
        scene.phase(kind, WARM_UP_SECONDS)
    found: Counted = {}
    for kind in PHASES:
        found |= phase_of(scene, kind, SECONDS)
    return found


def phase_of(scene: Scene, kind: str, seconds: float) -> Counted:
    if kind == MIXED:
        return {f"{MIXED}_{name}": record for name, record in scene.mixed(seconds).items()}
    return scene.phase(kind, seconds)


BARS = {
    "list_a_second": ">= 50",
    "list_p95": "<= 400",
    "list_p99": "<= 1000",
    "detail_a_second": ">= 80",
    "event_a_second": ">= 100",
    "event_p95": "<= 500",
    "search_p95": "<= 500",
}


def _told(scene: Scene, found: Counted, name: str = "load", *, has_bars: bool = True) -> Iterator[Figure]:
    bars = BARS if has_bars else {}
    for kind, record in found.items():
        if not kind.startswith(MIXED):
            yield Figure(f"{name}_{kind}_a_second", rate(found, kind), "1/s", bars.get(f"{kind}_a_second", ""))
        for share in ("p95", "p99"):
            yield Figure(f"{name}_{kind}_{share}", record[share], "ms", bars.get(f"{kind}_{share}", ""))
    yield Figure(f"{name}_answers_of_5xx", wrong(found, lambda status: status >= 500), "answers", "== 0")
    yield Figure(
        f"{name}_answers_otherwise_wrong",
        wrong(found, lambda status: status < 200 or 300 <= status < 500),
        "answers",
        "== 0",
    )
    yield Figure(f"{name}_events_lost", lost(scene), "events", "== 0")


def lost(scene: Scene) -> int:
    """Events that were answered as taken and are not stored; fewer than none where the answer did not arrive."""
    return int(scene.taken["204"] - scene.console.query("SELECT COUNT(*) FROM dashboard_delivery")[0][0])


def rate(found: Counted, kind: str) -> float:
    good = sum(number for status, number in found[kind]["statuses"].items() if status.startswith("2"))
    return good / SECONDS


def wrong(found: Counted, is_wrong: Callable[[int], bool]) -> int:
    pairs = ((int(status), number) for record in found.values() for status, number in record["statuses"].items())
    return sum(number for status, number in pairs if is_wrong(status))


def killed(scene: Scene, console: Installation) -> Iterator[Figure]:
    """One web master and one worker die in the middle of the mixed load, and come back a while later."""
    seconds = max(30.0, SECONDS / 3)

    def meanwhile() -> None:
        for number in (1, 2):
            time.sleep(seconds / 6)
            console.kill(f"web-{number}")
            console.kill(f"worker-{number}")
            time.sleep(seconds / 6)
            console.start(f"web-{number}")
            console.start(f"worker-{number}")
            time.sleep(seconds / 6)

    found = scene.mixed(seconds, meanwhile)
    yield Figure("load_many_killed_answers", sum(record["answers"] for record in found.values()), "answers")
    yield Figure("load_many_killed_errors", wrong(found, lambda status: not 200 <= status < 300), "answers", "== 0")
    yield Figure("load_many_killed_events_lost", lost(scene), "events", "<= 0")
    yield Figure("load_many_killed_page_p99", max(found[kind]["p99"] for kind in ("list", "detail", "search")), "ms")
