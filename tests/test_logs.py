"""What a log line never holds."""

import json
import logging

import pytest
from django.conf import settings
from django.test import Client

from dashboard import logs
from maestro_api.simulator import Simulator

SECRETS = [
    "GET /oauth/callback/?code=CANARY&state=CANARY",
    "/oauth/callback/%3Fcode%3DCANARY",
    '{"access_token": "CANARY", "refresh_token":"CANARY"}',
    "{'code_verifier': 'CANARY'}",
    "Authorization: Bearer CANARY-123456",
    "Authorization: Basic CANARYabc123==",
    "https://apps-d.docusign.com/x?mtid=CANARY&mtsec=CANARY",
    "client_secret=CANARY grant_type=refresh_token",
    "eyJCANARYCANARY.eyJCANARYCANARY.CANARY",
]


def written(record: logging.LogRecord) -> str:
    return logs.formatter().format(record)


def made(message: str, *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("test").makeRecord("test", logging.INFO, __file__, 1, message, args, None, extra=extra)


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_hidden_however_it_is_written(text: str) -> None:
    """O-15: in the message, in an extra, and in something that only has a text."""
    assert "CANARY" not in written(made(text))
    assert "CANARY" not in written(made("x %s", text))
    assert "CANARY" not in written(made("x", url=text))
    assert "CANARY" not in written(made("x", error=ValueError(text)))


def test_a_traceback_holds_no_secret() -> None:
    """O-15: neither does the message of an exception."""
    record = made("failed")
    try:
        raise ValueError(SECRETS[0])
    except ValueError as error:
        record.exc_info = (type(error), error, error.__traceback__)
    line = written(record)
    assert "ValueError" in line
    assert "CANARY" not in line


def test_a_queue_that_is_away_is_told_once_a_minute_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thread of a worker would say so each second, with a traceback."""
    passes = logs.QueueAway().filter

    def told(at: float) -> list[str]:
        monkeypatch.setattr(logs.time, "monotonic", lambda: at)
        records = [
            made(message) for message in ("Error reading from queue", "Error reading schedule.", "Another error")
        ]
        for record in records:
            error = ConnectionError("redis://:CANARY@host")
            record.exc_info = (type(error), error, None)
        return [written(record) for record in records if passes(record)]

    queue, other = told(1000)
    assert (json.loads(queue)["error"], "CANARY" in queue, "Another error" in other) == ("ConnectionError", False, True)
    assert [json.loads(line)["event"] for line in told(1059)] == ["Another error"]
    assert [json.loads(line)["event"] for line in told(1061)] == ["Error reading from queue", "Another error"]
    assert settings.LOGGING["handlers"]["console"]["filters"] == ["queue_away"]


@pytest.mark.parametrize("text", ["2026 ok\n2026 admin signed in", "a\r\nb", "\x1b[31mred", "a\u2028b", "a\x00b"])
def test_a_hostile_name_stays_inside_one_line(text: str) -> None:
    """S-4: line breaks and escapes are written out."""
    line = written(made("name is %s", text))
    assert len(line.splitlines()) == 1
    assert all(character.isprintable() for character in line)
    assert text in json.loads(line)["event"]


@pytest.mark.django_db
def test_a_refused_sign_in_logs_neither_code_nor_state(
    client: Client, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """O-15: Django's own record of the answer carries the request; its query does not reach the line."""
    client.get("/oauth/callback/?code=CANARY-code&state=CANARY-state")
    lines = [written(record) for record in caplog.records]
    assert any("/oauth/callback/" in line for line in lines)
    assert not any("CANARY" in line for line in lines)


def test_ordinary_words_and_figures_stay(caplog: pytest.LogCaptureFixture) -> None:
    entry = json.loads(written(made("state of the code is good", status=200, path="/v1/x", ok=True, nothing=None)))
    assert entry["event"] == "state of the code is good"
    assert (entry["status"], entry["path"], entry["ok"], entry["nothing"]) == (200, "/v1/x", True, None)
    assert entry["request_id"]
