"""What operations sees of a console under two web processes and real workers: one id all the way, counts, probes."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import requests

from tests.benchmarks.calls import filled
from tests.processes import wait_until
from tests.services.bulk_console import EARLIER
from tests.services.file_console import until
from tests.services.served_console import ServedConsole

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
# More than the thirty seconds after which a worker counts as gone.
A_MINUTE_LATER = "UPDATE dashboard_heartbeat SET beat_at = {beat_at}"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedConsole]:
    folder = tmp_path_factory.mktemp("metrics")
    made = ServedConsole(
        tmp_path_factory.mktemp("watching"), METRICS_DIR=str(folder), METRICS_ALLOWED="127.0.0.1", LOG_LEVEL="INFO"
    )
    yield made
    made.close()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def trigger(console: ServedConsole, session: requests.Session) -> requests.Response:
    """Fill and send the form as a person would."""
    [(workflow, fields)] = console.rows(
        "SELECT w.id, CAST(c.fields AS TEXT) FROM dashboard_workflow w JOIN dashboard_contract c ON c.workflow_id = w.id "
        "WHERE w.name = 'Supplier NDA'"
    )
    url = f"{console.url}/workflows/{UUID(str(workflow))}/trigger/"
    asked = [field for field in json.loads(fields) if not field["is_system"]]

    def form() -> str:
        page = session.get(url, timeout=30).text
        return page if 'name="instance_name"' in page else ""

    data = filled(wait_until("the form is there", form, seconds=40, every=0.5), asked)
    return session.post(url, data=data, headers={"Referer": url}, allow_redirects=False, timeout=30)


def test_one_id_leads_from_the_request_through_job_and_call_to_the_page(console: ServedConsole) -> None:
    """E-11, O-15: web log, audit, job log, API call log with Docusign's own number, and the page of the operation."""
    session = console.sign_in()
    worker = console.start_worker()
    answer = trigger(console, session)
    assert answer.status_code == 302, answer.text[:2000]
    number = answer.headers["X-Request-ID"]
    until(lambda: any("/instances/" in entry["path"] for entry in console.server.sim.ledger()), seconds=90)
    console.end(worker)
    job_log = lines(console.worker_log())
    web_log = [line for line in lines(console.web_log()) if line["request_id"] == number]
    [web] = [line for line in web_log if line["event"] == "request"]
    assert (web["method"], web["route"], web["status"]) == ("POST", "workflow-trigger", 302)
    [call] = [line for line in web_log if line.get("maestro_method") == "POST"]
    assert call["maestro_correlation_id"] == number
    [(stored, docusign, operation)] = console.rows(
        "SELECT request_id, docusign_request_id, id FROM dashboard_operation"
    )
    assert stored == number
    assert call["maestro_request_id"] == docusign != ""
    [job] = [line for line in job_log if line["event"] == "job" and line["job"] == "read_triggered"]
    assert job["request_id"] == number
    reads = [line for line in job_log if line.get("maestro_correlation_id") == number]
    assert [line["maestro_method"] for line in reads] == ["GET"]
    assert console.rows(f"SELECT COUNT(*) FROM dashboard_auditentry WHERE request_id = '{number}'")[0][0] >= 1  # noqa: S608
    assert number in session.get(f"{console.url}/operations/{UUID(str(operation))}/", timeout=30).text
    sent = [e for e in console.server.sim.ledger() if e["path"].endswith("/actions/trigger")]
    values = [str(value) for value in sent[0]["body"]["trigger_inputs"].values() if len(str(value)) > 5]
    everything = console.web_log() + json.dumps(job_log)
    assert values
    assert not any(value in everything for value in values)


def test_requests_are_counted_for_all_processes_together(console: ServedConsole) -> None:
    """Whichever process is asked, it tells what all of them did."""
    counted = re.compile(r'^maestro_console_requests_total\{method="GET",route="livez",status="200"\} (\d+)', re.M)

    def count() -> int:
        found = counted.search(requests.get(f"{console.url}/metrics", timeout=30).text)
        return int(float(found[1])) if found else 0

    before = count()
    for _ in range(60):
        requests.get(f"{console.url}/livez", timeout=30)
    assert {count() for _ in range(10)} == {before + 60}


def test_readyz_is_red_soon_after_the_worker_is_gone_and_green_when_it_is_back(console: ServedConsole) -> None:
    """R-12: at once after SIGTERM, once the last beat is half a minute old after kill -9; Docusign being down takes no page away."""
    worker = console.start_worker()
    console.seconds_until("/readyz", 200, most=60)
    console.end(worker)
    assert console.seconds_until("/readyz", 503, most=20) < 20
    worker = console.start_worker()
    console.seconds_until("/readyz", 200, most=60)
    console.server.sim.set_faults([{"match": {"path": "/v1/"}, "do": {"status": 503}}])
    assert console.status("/readyz") == 200
    console.kill(worker)
    assert console.status("/readyz") == 200
    console.change(A_MINUTE_LATER.format(beat_at=EARLIER[console.is_on_sqlite].format("beat_at")))
    assert console.status("/readyz") == 503
    assert (console.status("/livez"), console.status("/instances/")) == (200, 302)
    console.server.sim.set_faults([])
