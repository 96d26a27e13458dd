"""What probes are told."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from dashboard.models import ApiBudget, Heartbeat
from tests.factories import AccountFactory, MembershipFactory

pytestmark = pytest.mark.django_db


def beat(seconds_ago: int = 0) -> None:
    now = timezone.now()
    Heartbeat.objects.create(worker="w", started_at=now, beat_at=now - timedelta(seconds=seconds_ago))


def test_a_living_process_says_so_without_a_query(client: Client, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(0):  # type: ignore[operator]
        answer = client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


def test_with_database_migrations_and_worker_it_is_ready(client: Client) -> None:
    beat()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "database": "ok",
        "migrations": "ok",
        "worker": "ok",
        "docusign": "unknown",
    }


@pytest.mark.parametrize("seconds_ago", [None, 31])
def test_without_a_worker_it_is_not_ready(client: Client, seconds_ago: int | None) -> None:
    if seconds_ago:
        beat(seconds_ago)
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["worker"] == "silent"


def test_with_a_missing_migration_it_is_not_ready(client: Client) -> None:
    beat()
    MigrationRecorder(connection).record_unapplied(*MigrationLoader(connection).graph.leaf_nodes("dashboard")[0])
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["migrations"] == "missing"


def test_docusign_being_away_is_told_but_takes_no_page_away(client: Client) -> None:
    beat()
    now = timezone.now()
    MembershipFactory(synced_at=now - timedelta(hours=1), sync_failed_at=now)
    assert client.get("/readyz").json()["docusign"] == "degraded"
    ApiBudget.objects.create(account=AccountFactory(), blocked_until=now + timedelta(minutes=1))
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["docusign"]) == (200, "asked to wait")


def test_probes_read_only(client: Client) -> None:
    assert client.post("/livez").status_code == 405
    assert client.post("/readyz").status_code == 405
