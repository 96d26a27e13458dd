"""How many calls to Docusign a page costs (none), and how many a trigger costs (two)."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from uuid import UUID

import requests

from tests.benchmarks.figures import Figure
from tests.processes import RunningConsole, csrf_token, wait_until

ROUNDS = 100
SAMPLES = {"string": "Benchmark", "number": "5", "boolean": "true", "date": "2027-01-15"}
# The schedule is put out of the way, so that every call in the ledger is one that a page caused.
QUIET = {"SYNC_INTERVAL_SECONDS": "86400"}


def figures() -> Iterator[Figure]:
    with RunningConsole(env=QUIET) as console:
        session = console.sign_in()
        first = session.get(f"{console.url}/workflows/", timeout=30)
        first.raise_for_status()
        wait_until(
            "the mirror is full",
            lambda: console.query("SELECT 1 FROM dashboard_membership WHERE synced_at IS NOT NULL"),
        )
        workflow, form = triggerable(console, session)
        instance = UUID(console.query("SELECT id FROM dashboard_instance LIMIT 1")[0][0])
        settle(console)
        for name, path in {
            "overview": "/",
            "workflows": "/workflows/",
            "workflow": f"/workflows/{workflow}/",
            "trigger_form": f"/workflows/{workflow}/trigger/",
            "instances": "/instances/",
            "instance": f"/instances/{instance}/",
            "audit": "/audit/",
        }.items():
            yield Figure(f"calls_of_100_visits_{name}", calls_of(console, session, path), "calls", "== 0")
        yield Figure("calls_of_one_trigger", calls_of_trigger(console, session, workflow, form), "calls", "== 2")


def settle(console: RunningConsole) -> None:
    """Wait until the worker has nothing left to do at Docusign."""
    seen = [-1]

    def is_quiet() -> bool:
        count = len(console.ledger())
        quiet, seen[0] = count == seen[0], count
        return quiet

    wait_until("the worker is quiet", is_quiet, seconds=60, every=2)
    console.control("DELETE", "/ledger")


def calls_of(console: RunningConsole, session: requests.Session, path: str) -> int:
    console.control("DELETE", "/ledger")
    for number in range(ROUNDS):
        headers = {"HX-Request": "true"} if number % 2 else {}
        answer = session.get(console.url + path, headers=headers, timeout=30)
        assert answer.status_code in (200, 204), (path, answer.status_code)
    return len(console.ledger())


def triggerable(console: RunningConsole, session: requests.Session) -> tuple[str, dict[str, str]]:
    """A workflow that can be started by the API, and its form filled as a person would."""
    for (found,) in console.query("SELECT id FROM dashboard_workflow WHERE raw_status = 'active' AND asked_state = ''"):
        workflow = str(UUID(found))
        url = f"{console.url}/workflows/{workflow}/trigger/"

        def form(url: str = url) -> str:
            page = session.get(url, timeout=30).text
            return page if 'name="instance_name"' in page else ""

        page = wait_until("the form is there", form, seconds=60, every=0.5)
        fields, notes = console.query("SELECT fields, notes FROM dashboard_contract WHERE workflow_id = ?", found)[-1]
        asked = [field for field in json.loads(fields) if not field["is_system"]]
        # A note says that the workflow may not be one that can be started by the API.
        if not json.loads(notes) and all(field["has_default"] or field["kind"] in SAMPLES for field in asked):
            return workflow, filled(page, asked)
    raise AssertionError("no workflow can be started by the API")


def filled(page: str, asked: list[dict[str, Any]]) -> dict[str, str]:
    """The form's fields: what is hidden in it, and a value for each input without a default."""
    form = re.search(r'<form[^>]*id="trigger-form".*?</form>', page, re.S)
    assert form, "the page holds the form"
    hidden = re.findall(r'<input[^>]*type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"', form.group(0))
    data = {name: unescape(value) for name, value in hidden} | {"instance_name": "Benchmark"}
    for place, field in enumerate(asked):
        if not field["has_default"]:
            data[f"input-{place}"] = SAMPLES[field["kind"]]
    return data | {"csrfmiddlewaretoken": csrf_token(page)}


def calls_of_trigger(console: RunningConsole, session: requests.Session, workflow: str, data: dict[str, str]) -> int:
    """Send the form, and count what reached Docusign until the answer was there."""
    console.control("DELETE", "/ledger")
    url = f"{console.url}/workflows/{workflow}/trigger/"
    answer = session.post(url, data=data, headers={"Referer": url}, allow_redirects=False, timeout=30)
    assert answer.status_code == 302, f"the trigger was refused: {answer.status_code} {refusal(answer.text)}"
    entries = [entry for entry in console.ledger() if "/v1/" in entry["path"]]
    posts = [number for number, entry in enumerate(entries) if entry["method"] == "POST"]
    assert len(posts) == 1, entries
    return posts[0] + 1


def refusal(page: str) -> str:
    """What the error summary of a page says."""
    return " ".join(re.sub(r"<[^>]+>", " ", "".join(re.findall(r'role="alert".*?</div>', page, re.S))).split())
