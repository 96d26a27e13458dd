"""What a report to Sentry holds, and what it never does."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.processes import collect_static
from tests.services.file_console import FileConsole

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]
# A request and a job that fail, with canaries wherever the library would look.
CODE = """
import logging
import sentry_sdk
from django.test import Client
from sentry_sdk.transport import Transport
from dashboard import queue
from dashboard.services import health, worker_jobs

class Kept(Transport):
    events = []
    def capture_envelope(self, envelope):
        self.events.extend(item.payload.json for item in envelope.items)

sentry_sdk.get_client().transport = Kept()

def broken(*args):
    secret = "CANARY-local"
    raise RuntimeError("CANARY-text " + secret)

health.readiness = worker_jobs.settle_operation = broken
client = Client(raise_request_exception=False)
client.cookies["other"] = "CANARY-cookie"
answer = client.generic("GET", "/readyz?code=CANARY-query&state=CANARY-state", b'{"inputs": "CANARY-body"}',
    content_type="application/json", headers={"Host": "127.0.0.1", "Authorization": "Bearer CANARY-header-123", "X-Odd": "CANARY-odd"})
assert answer.status_code == 500
queue.run_task("dashboard.tasks.settle_operation", ["CANARY-argument"], {}, "request-17")
logging.getLogger("x").error("Something with %s failed", "CANARY-value", extra={"inputs": "CANARY-extra"})
print(json.dumps({"events": Kept.events, "id": answer.headers["X-Request-ID"]}))
"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    collect_static()  # without the folder a warning is an error
    console = FileConsole(tmp_path_factory.mktemp("reports"))
    console.environment["SENTRY_DSN"] = "http://key@127.0.0.1:9/1"
    console.environment["LOG_LEVEL"] = "CRITICAL"
    return dict(json.loads(console.run(CODE).splitlines()[-1]))


def test_a_report_names_the_place_and_the_request(reports: dict[str, Any]) -> None:
    """E-11: whoever reads it finds the log lines."""
    request, job, line = reports["events"]
    assert request["exception"]["values"][0]["type"] == "RuntimeError"
    assert request["exception"]["values"][0]["stacktrace"]["frames"][-1]["function"] == "broken"
    assert request["tags"]["request_id"] == reports["id"]
    assert (job["tags"]["request_id"], job["logentry"]["message"]) == ("request-17", "A job failed")
    assert line["logentry"]["message"] == "Something with %s failed"


def test_no_body_cookie_header_query_argument_local_or_text_goes_out(reports: dict[str, Any]) -> None:
    """O-15: a canary in each place where the library would take it from."""
    assert len(reports["events"]) == 3
    assert "CANARY" not in json.dumps(reports)


def test_without_an_address_nothing_of_it_is_loaded(tmp_path: Path) -> None:
    loaded = FileConsole(tmp_path).run('print([name for name in sys.modules if name.startswith("sentry_sdk")])')
    assert loaded == "[]"
