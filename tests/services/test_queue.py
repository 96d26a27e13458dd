"""The queue on each engine: signed, without results, with the request's id; a broken job ends nothing."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core import signing
from django.core.exceptions import ImproperlyConfigured
from django_tasks import task_backends
from huey.serializer import SignedSerializer

from dashboard import celery_queue, tasks
from dashboard.facts import RequestFacts, current_facts, set_facts
from dashboard.queue import HueyBackend, QueueBackend, huey_for
from dashboard.services import jobs, worker_jobs
from dashboard.startup import queue_backend
from tests.engines import ENGINES, own_store, server_of


@pytest.fixture(scope="module", params=ENGINES)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    with server_of(request.param) as url:
        yield url


@pytest.fixture
def backend(server: str, settings: Any, tmp_path: Path) -> Iterator[QueueBackend]:
    """The product's own queue, on each engine."""
    url = own_store(server, tmp_path)
    settings.TASKS = {"default": {"BACKEND": queue_backend(url), "QUEUES": [], "OPTIONS": {"url": url}}}
    made = task_backends["default"]
    assert isinstance(made, QueueBackend)
    yield made
    made.close()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the jobs were called with, and under which request id."""
    calls: list[Any] = []
    monkeypatch.setattr(worker_jobs, "settle_operation", lambda pk: calls.append((pk, current_facts().request_id)))
    return calls


def test_a_job_runs_once_under_the_id_of_its_request(backend: QueueBackend, done: list[Any], db: None) -> None:
    """E-11: one id from the request through the job."""
    set_facts(RequestFacts(request_id="request-17"))
    jobs.enqueue("settle_operation", "some-id")
    set_facts(None)
    assert [backend.drain(), backend.drain()] == [1, 0]
    assert done == [("some-id", "request-17")]
    assert current_facts().request_id != "request-17"


def test_people_come_before_the_background(backend: QueueBackend, done: list[Any], db: None) -> None:
    jobs.enqueue("settle_operation", "background")
    jobs.enqueue("settle_operation", "person", priority=jobs.PEOPLE_FIRST)
    backend.drain()
    assert [pk for pk, _ in done] == ["person", "background"]


def test_nothing_of_a_finished_job_stays_behind(backend: QueueBackend, done: list[Any], db: None) -> None:
    jobs.enqueue("settle_operation", "some-id")
    assert backend.depth() == 1
    backend.drain()
    assert backend.depth() == 0
    if isinstance(backend, HueyBackend):
        store = backend.huey.storage
        assert [store.queue_size(), store.result_store_size(), store.schedule_size()] == [0, 0, 0]


def test_a_job_that_fails_is_logged_and_the_next_one_runs(
    backend: QueueBackend, done: list[Any], db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(pk: int) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(worker_jobs, "sync_membership", broken)
    jobs.enqueue("sync_membership", 1, priority=jobs.PEOPLE_FIRST)
    jobs.enqueue("settle_operation", "next")
    backend.drain()
    assert [pk for pk, _ in done] == ["next"]
    assert "A job failed" in caplog.text


def test_an_entry_that_was_not_signed_here_is_not_read(
    backend: QueueBackend, done: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that somebody else wrote to must not run code."""
    with monkeypatch.context() as stranger:
        if isinstance(backend, HueyBackend):
            stranger.setattr(backend.huey, "serializer", SignedSerializer("another secret", "maestro console queue"))
        else:
            stranger.setattr(celery_queue, "SALT", "another secret")
        jobs.enqueue("settle_operation", "some-id")
    with pytest.raises((ValueError, signing.BadSignature), match=r"mismatch|does not match"):
        backend.drain()
    assert done == []


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:9/1", "celery+redis://127.0.0.1:9/1", "postgres://nobody@127.0.0.1:9/nothing"]
)
def test_a_queue_that_cannot_be_reached_costs_no_page(
    url: str, settings: Any, done: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """The row is stored already, and a schedule queues it again: the person sees no error."""
    settings.TASKS = {"default": {"BACKEND": queue_backend(url), "QUEUES": [], "OPTIONS": {"url": url}}}
    began = time.monotonic()
    jobs.enqueue("settle_operation", "some-id", priority=jobs.PEOPLE_FIRST)
    assert time.monotonic() - began < 20
    assert "The queue cannot be reached" in caplog.text


def test_an_unknown_kind_of_queue_is_named() -> None:
    with pytest.raises(ImproperlyConfigured, match="QUEUE_URL: carrier-pigeon"):
        huey_for("carrier-pigeon://coop")


def test_every_task_is_one_line_that_calls_a_service() -> None:
    names = {name for name in vars(tasks) if hasattr(getattr(tasks, name), "enqueue")}
    people = {"sync_membership", "read_instance", "read_contract", "read_triggered", "settle_operation"}
    assert names >= people | {"sync_account", "read_due_contract", "apply_deliveries"}
    assert all(callable(getattr(worker_jobs, name)) for name in names)


def test_processes_that_start_at_once_make_the_tables_of_postgresql_in_turn(tmp_path: Path) -> None:
    """A worker must not end because another one began at the same moment."""
    with server_of("postgres") as server, ThreadPoolExecutor(8) as pool:
        url = own_store(server, tmp_path)
        hueys = list(pool.map(huey_for, [url] * 8))
    assert len(hueys) == 8
