"""The queue: signed, without results, with the request's id; a broken job ends nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django_tasks import task_backends
from huey.serializer import SignedSerializer

from dashboard import tasks
from dashboard.facts import RequestFacts, current_facts, set_facts
from dashboard.queue import HueyBackend, huey_for
from dashboard.services import jobs, worker_jobs


@pytest.fixture
def backend(settings: Any, tmp_path: Path) -> Iterator[HueyBackend]:
    """The product's own queue on a file."""
    url = f"sqlite:///{tmp_path / 'queue.sqlite3'}"
    settings.TASKS = {"default": {"BACKEND": "dashboard.queue.HueyBackend", "QUEUES": [], "OPTIONS": {"url": url}}}
    made = task_backends["default"]
    assert isinstance(made, HueyBackend)
    yield made
    made.huey.storage.close()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the jobs were called with, and under which request id."""
    calls: list[Any] = []
    monkeypatch.setattr(worker_jobs, "settle_operation", lambda pk: calls.append((pk, current_facts().request_id)))
    return calls


def test_a_job_runs_once_under_the_id_of_its_request(backend: HueyBackend, done: list[Any], db: None) -> None:
    """E-11: one id from the request through the job."""
    set_facts(RequestFacts(request_id="request-17"))
    jobs.enqueue("settle_operation", "some-id")
    set_facts(None)
    assert [backend.drain(), backend.drain()] == [1, 0]
    assert done == [("some-id", "request-17")]
    assert current_facts().request_id != "request-17"


def test_people_come_before_the_background(backend: HueyBackend, done: list[Any], db: None) -> None:
    jobs.enqueue("settle_operation", "background")
    jobs.enqueue("settle_operation", "person", priority=jobs.PEOPLE_FIRST)
    backend.drain()
    assert [pk for pk, _ in done] == ["person", "background"]


def test_nothing_of_a_finished_job_stays_behind(backend: HueyBackend, done: list[Any], db: None) -> None:
    jobs.enqueue("settle_operation", "some-id")
    backend.drain()
    store = backend.huey.storage
    assert [store.queue_size(), store.result_store_size(), store.schedule_size()] == [0, 0, 0]


def test_a_job_that_fails_is_logged_and_the_next_one_runs(
    backend: HueyBackend, done: list[Any], db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(pk: int) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(worker_jobs, "sync_membership", broken)
    jobs.enqueue("sync_membership", 1, priority=jobs.PEOPLE_FIRST)
    jobs.enqueue("settle_operation", "next")
    backend.drain()
    assert [pk for pk, _ in done] == ["next"]
    assert "A job failed" in caplog.text


def test_an_entry_that_was_not_signed_here_is_not_read(backend: HueyBackend) -> None:
    """A queue file that somebody else wrote to must not run code."""
    jobs.enqueue("settle_operation", "some-id")
    backend.huey.serializer = SignedSerializer("another secret", "maestro console queue")
    with pytest.raises(ValueError, match="mismatch"):
        backend.huey.dequeue()


def test_an_unknown_kind_of_queue_is_named() -> None:
    with pytest.raises(ImproperlyConfigured, match="QUEUE_URL: carrier-pigeon"):
        huey_for("carrier-pigeon://coop")


def test_every_task_is_one_line_that_calls_a_service() -> None:
    names = {name for name in vars(tasks) if hasattr(getattr(tasks, name), "enqueue")}
    people = {"sync_membership", "read_instance", "read_contract", "read_triggered", "settle_operation"}
    assert names >= people | {"sync_account", "read_due_contract", "apply_deliveries"}
    assert all(callable(getattr(worker_jobs, name)) for name in names)
