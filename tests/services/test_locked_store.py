"""A database that takes no writes: the person is told, nothing is sent, and what can be read is read (D-3)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from dashboard.models import Contract, Instance, Membership, Operation, OperationState, Workflow
from dashboard.services.errors import StoreBusy
from dashboard.services.store import in_turn
from tests.services.conftest import inputs_for

pytestmark = pytest.mark.django_db(transaction=True)
Posts = Callable[[], list[dict[str, Any]]]
SignedIn = Callable[..., Client]
KEY = "0123456789abcdef0123456789abcdef"


@contextmanager
def locked(*, only: str = "") -> Iterator[None]:
    """As if another process held the database: writes (to the table `only`) fail, reads do not."""

    def refuse(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.split(" ", 1)[0] in {"INSERT", "UPDATE", "DELETE"} and only in sql:
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


def test_a_trigger_is_not_sent_when_its_intent_cannot_be_written(
    trigger: Callable[..., Operation], posts: Posts
) -> None:
    """D-3, A-2: no intent, no call."""
    with locked(), pytest.raises(StoreBusy, match="Nothing was sent"):
        trigger()
    assert posts() == []
    assert not Operation.objects.exists()


def test_the_trigger_form_comes_back_with_what_was_typed(
    ada: Membership, workflow: Workflow, contract: Contract, posts: Posts, signed_in: SignedIn
) -> None:
    page = reverse("workflow-trigger", args=[workflow.pk])
    values = list(inputs_for(contract).items())
    fields = {f"name-{place}": f'"{name}"' for place, (name, _) in enumerate(values)}
    fields |= {
        f"input-{place}": str(value).lower() if isinstance(value, bool) else str(value)
        for place, (_, value) in enumerate(values)
    }
    client = signed_in(ada)
    with locked():
        answer = client.post(page, fields | {"key": KEY, "contract": contract.digest, "instance_name": "Typed name"})
    assert answer.status_code == 503
    assert "cannot write to its own database" in answer.content.decode()
    assert "Typed name" in answer.content.decode()
    assert posts() == []


@pytest.mark.parametrize("is_htmx", [True, False])
def test_a_cancel_is_not_sent(is_htmx: bool, ada: Membership, posts: Posts, signed_in: SignedIn) -> None:
    instance = Instance.objects.filter(status="in_progress").first()
    assert instance is not None
    page = reverse("instance-cancel", args=[instance.pk])
    client = signed_in(ada, htmx=is_htmx)
    with locked():
        answer = client.post(page, {"key": KEY, "reason": "Wrong supplier"})
    assert answer.status_code == 503
    assert "Nothing was sent or changed" in answer.headers.get("HX-Trigger", answer.content.decode())
    assert posts() == []


@pytest.mark.parametrize("is_htmx", [True, False])
def test_a_write_that_fails_after_the_call_is_never_told_as_nothing(
    is_htmx: bool, ada: Membership, posts: Posts, signed_in: SignedIn
) -> None:
    """D-3: the row stays sent, so that the sweeper finds out what happened."""
    workflow = Workflow.objects.filter(status="active").first()
    assert workflow is not None
    client = signed_in(ada, htmx=is_htmx)
    with locked(only='UPDATE "dashboard_operation"'):
        answer = client.post(reverse("workflow-pause", args=[workflow.pk]), {"key": KEY})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    told = answer.headers.get("HX-Trigger", "") + answer.content.decode()
    assert "before you send" in told or "before you send anything" in told
    assert "Nothing was" not in told
    assert len([post for post in posts() if "pause" in post["path"]]) == 1
    assert Operation.objects.get().state == OperationState.SENT


@pytest.mark.parametrize("name", ["overview", "workflows", "instances", "audit"])
def test_pages_are_read_while_nothing_can_be_written(name: str, ada: Membership, signed_in: SignedIn) -> None:
    client = signed_in(ada)
    Membership.objects.update(looked_at=None, synced_at=None)
    with locked():
        assert client.get(reverse(name)).status_code == 200


@pytest.mark.skipif(connection.vendor != "sqlite", reason="other databases take many writers")
def test_threads_of_a_process_write_one_after_the_other_and_none_waits_for_ever() -> None:
    """W-4: who waits by lot for SQLite's one writer may wait for seconds; here the next one has the next turn."""
    with in_turn(1_000), ThreadPoolExecutor(1) as other:

        def turn() -> None:
            with in_turn(20):
                pass

        with pytest.raises(OperationalError):
            other.submit(turn).result(5)
    with in_turn(20):
        pass
