"""The commands work --once, sync and verify_audit."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from dashboard import append_only
from dashboard.models import Instance, Membership, Rights
from dashboard.services import audit
from maestro_api.simulator import Simulator

Connect = Callable[..., Membership]


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=out)
    return out.getvalue()


@pytest.fixture
def queue(settings: Any, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'queue.sqlite3'}"
    settings.TASKS = {"default": {"BACKEND": "dashboard.queue.HueyBackend", "QUEUES": [], "OPTIONS": {"url": url}}}


def test_work_once_does_what_is_due_and_ends(connect: Connect, queue: None) -> None:
    ada = connect("Ada Admin")
    Membership.objects.update(synced_at=None, looked_at=timezone.now())
    run("work", "--once")
    ada.refresh_from_db()
    assert (ada.rights, Instance.objects.exists(), ada.sync_queued_at) == (Rights.MANAGE, True, None)


def test_work_once_leaves_what_is_not_due(connect: Connect, queue: None, simulator: Simulator) -> None:
    assert sync.sync_membership(connect("Ada Admin"))
    simulator.clear_ledger()
    run("work", "--once")
    assert simulator.ledger() == []


def test_work_needs_its_own_queue() -> None:
    with pytest.raises(CommandError, match="HueyBackend"):
        run("work", "--once")


def test_sync_reads_everybody(connect: Connect) -> None:
    connect("Ada Admin")
    connect("Pia Preparer")
    assert "Read 2 of 2." in run("sync")
    assert set(Membership.objects.values_list("rights", flat=True)) == {Rights.MANAGE, Rights.OWN}


def test_sync_says_who_could_not_be_read(connect: Connect, simulator: Simulator) -> None:
    connect("Ada Admin")
    simulator.set_faults([{"match": {"path": "/v1/"}, "do": {"status": 500}}])
    with pytest.raises(CommandError, match="1 of 1 could not be read"):
        run("sync")


@pytest.mark.django_db
def test_verify_audit_says_how_much_it_checked() -> None:
    """A-3: the chain can be checked by hand."""
    with transaction.atomic():
        audit.record("test.done", actor=None, account=None)
    assert "The audit chain holds: 1 entry." in run("verify_audit")


@pytest.mark.django_db
def test_verify_audit_ends_with_1_and_names_the_first_bad_entry() -> None:
    """A-3: exit 1, and where to look."""
    for _ in range(3):
        audit.record("test.done", actor=None, account=None)
    append_only.remove(connection)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE dashboard_auditentry SET action = 'test.hidden' WHERE seq = 2")
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit", stdout=out, stderr=out)
    assert ended.value.code == 1
    assert "broken at entry 2" in out.getvalue()
