"""What a monitoring system is told, and who else is told nothing."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from dashboard.models import (
    AccountSync,
    ApiBudget,
    Heartbeat,
    Hook,
    Membership,
    Operation,
    OperationKind,
    OperationState,
)
from tests.factories import AccountFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-more-than-twenty-characters"


@pytest.fixture
def open_to_loopback(settings: Any) -> None:
    settings.METRICS_ALLOWED = ["127.0.0.1", "10.1.0.0/16"]


def figures(client: Client, **headers: str) -> dict[str, float]:
    """Each sample by its name and label."""
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    return {
        " ".join([sample.name, *sample.labels.values()]).removeprefix("maestro_console_"): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def test_unless_somebody_may_read_them_there_are_none(client: Client, settings: Any) -> None:
    settings.METRICS_ALLOWED, settings.METRICS_TOKEN = [], ""
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 404


def test_whoever_brings_the_token_may_read_from_anywhere(client: Client, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    for wrong in (f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer ü"):
        assert client.get("/metrics", headers={"Authorization": wrong}).status_code == 404


@pytest.mark.parametrize(
    ("address", "forwarded", "status"),
    [
        ("127.0.0.1", "", 200),
        ("10.1.2.3", "", 200),
        ("10.2.0.1", "", 404),
        ("203.0.113.9", "127.0.0.1", 404),
        ("127.0.0.1", "203.0.113.9", 404),
        ("127.0.0.1", "127.0.0.1", 404),
    ],
)
def test_only_allowed_addresses_may_read_and_a_proxy_lends_nobody_its_own(
    client: Client, open_to_loopback: None, address: str, forwarded: str, status: int
) -> None:
    """S-16: without TRUSTED_PROXIES, what came through a proxy comes from nobody who is known."""
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    assert client.get("/metrics", REMOTE_ADDR=address, headers=headers).status_code == status


def test_behind_a_trusted_proxy_the_address_of_who_asks_decides(
    client: Client, open_to_loopback: None, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    for asker, status in (("10.1.2.3", 200), ("203.0.113.9", 404)):
        assert client.get("/metrics", headers={"X-Forwarded-For": asker}).status_code == status


def test_the_tables_tell_deeds_sync_budget_breaker_and_workers(
    client: Client, operator: Membership, open_to_loopback: None
) -> None:
    now = timezone.now()
    workflow = WorkflowFactory(account=operator.account)
    for number, state in enumerate([OperationState.UNKNOWN, OperationState.CONFIRMED, OperationState.CONFIRMED]):
        Operation.objects.create(
            key=str(number),
            kind=OperationKind.PAUSE,
            state=state,
            account=operator.account,
            actor=operator.user,
            workflow=workflow,
        )
    Operation.objects.update(planned_at=now - timedelta(minutes=5))
    AccountSync.objects.create(account=operator.account, ended_at=now - timedelta(minutes=20), failed_at=now)
    ApiBudget.objects.create(
        account=operator.account,
        hour_began_at=now - timedelta(minutes=1),
        hour_used=1500,
        open_until=now + timedelta(seconds=30),
    )
    Heartbeat.objects.create(worker="a", started_at=now, beat_at=now)
    Heartbeat.objects.create(worker="b", started_at=now, beat_at=now - timedelta(seconds=31))
    found = figures(client)
    assert (found["operations unknown"], found["operations sent"], "operations confirmed" in found) == (1, 0, False)
    assert 300 <= found["oldest_open_operation_seconds"] < 330
    assert 1200 <= found["sync_age_seconds"] < 1230
    assert found["sync_failing_accounts"] == 1
    assert (found["api_calls_this_hour"], found["api_budget_left_ratio"]) == (1500, 0.5)
    assert (found["breaker_open_accounts"], found["workers"], found["database_up"]) == (1, 1, 1)


def test_forged_events_are_a_counter(client: Client, operator: Membership, open_to_loopback: None) -> None:
    """So that `rate()` may be asked of it."""
    for number, account in enumerate((operator.account, AccountFactory())):
        Hook.objects.create(account=account, token=f"token-{number}", refused=number + 2)
    assert figures(client)["deliveries_refused_total"] == 5
    assert "# TYPE maestro_console_deliveries_refused_total counter" in client.get("/metrics").content.decode()


def test_requests_are_counted_by_the_name_of_their_address_and_not_by_it(
    client: Client, open_to_loopback: None
) -> None:
    client.get("/instances/0c5e7a94-2b61-4d3f-9e8a-5f1c6b7d2a10/")
    client.get("/no-such-page-canary/")
    client.generic("BREW", "/livez")
    found = figures(client)
    assert found["requests_total GET instance 302"] >= 1
    assert found["requests_total GET none 404"] >= 1
    assert found["requests_total other livez 405"] >= 1
    assert not any("canary" in name or "0c5e7a94" in name for name in found)


def test_no_label_names_an_account_a_person_or_a_workflow(
    client: Client, operator: Membership, open_to_loopback: None
) -> None:
    """V-3: whoever watches the machine need not know who works with it."""
    AccountSync.objects.create(account=AccountFactory(name="Canary Company"), ended_at=timezone.now())
    workflow = WorkflowFactory(account=operator.account, name="Canary flow")
    text = client.get("/metrics").content.decode()
    for word in ("Canary", operator.user.name, str(operator.account_id), str(workflow.pk), operator.user.sub):
        assert word not in text


def test_a_queue_that_cannot_be_reached_is_a_figure(
    client: Client, open_to_loopback: None, settings: Any, tmp_path: Path
) -> None:
    def queue(url: str) -> dict[str, Any]:
        return {"default": {"BACKEND": "dashboard.queue.HueyBackend", "QUEUES": [], "OPTIONS": {"url": url}}}

    settings.TASKS = queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}")
    found = figures(client)
    assert (found["queue_up"], found["queue_depth"]) == (1, 0)
    settings.TASKS = queue("redis://127.0.0.1:9/0")
    found = figures(client)
    assert (found["queue_up"], found["database_up"]) == (0, 1)
    assert "queue_depth" not in found
