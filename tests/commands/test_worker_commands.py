"""The commands work --once, sync and verify_audit."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from dashboard import append_only
from dashboard.facts import current_request_id
from dashboard.management.commands import work
from dashboard.management.commands.sync import bar
from dashboard.models import AccountSync, Instance, Membership, Rights, Workflow
from dashboard.services import audit, schedules, sync
from maestro_api.simulator import MAIN_ACCOUNT_ID, Simulator
from tests.services.bulk import ShiftingFlag

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


def test_each_turn_of_the_schedules_works_under_an_id_of_its_own(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """E-11: not all of a worker's life under one."""
    stopped, ids = Event(), []

    def turn() -> int:
        ids.append(current_request_id())
        if len(ids) == 2:
            stopped.set()
        return 0

    monkeypatch.setattr(schedules, "run_due", turn)
    monkeypatch.setattr(work, "close_old_connections", lambda: None)
    work.Command()._keep_time(stopped)
    assert len(set(ids)) == 2


class Clock:
    """Seconds that pass only as the test says."""

    now = 1000.0

    def shift(self, by: timedelta) -> None:
        self.now += by.total_seconds()

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize(("takes", "beats"), [(0, 2), (7, 6)])
def test_a_worker_beats_by_the_clock_however_long_its_turns_take(
    monkeypatch: pytest.MonkeyPatch, takes: int, beats: int
) -> None:
    """R-12: one that lives must not count as gone, and after half a minute without a beat it does."""
    clock, turns, seen = Clock(), [], []
    stopped = ShiftingFlag(clock)

    def turn() -> int:
        turns.append(clock.shift(timedelta(seconds=takes)))
        if len(turns) == 6:
            stopped.set()
        return 0

    monkeypatch.setattr(work, "time", clock)
    monkeypatch.setattr(schedules, "beat", seen.append)
    monkeypatch.setattr(schedules, "run_due", turn)
    monkeypatch.setattr(work, "close_old_connections", lambda: None)
    work.Command()._keep_time(stopped)
    assert len(seen) == beats


def test_work_once_leaves_what_is_not_due(connect: Connect, queue: None, simulator: Simulator) -> None:
    assert sync.sync_membership(connect("Ada Admin"))
    Workflow.objects.update(contract_read_at=timezone.now())
    simulator.clear_ledger()
    run("work", "--once")
    assert simulator.ledger() == []


def test_work_needs_its_own_queue() -> None:
    with pytest.raises(CommandError, match="HueyBackend"):
        run("work", "--once")


def test_sync_reads_each_account_once_and_all_of_it(connect: Connect, simulator: Simulator) -> None:
    """R-7: one reading for everybody, by whoever sees most."""
    connect("Ada Admin")
    connect("Pia Preparer")
    simulator.clear_ledger()
    assert "Read 1 of 1 accounts." in run("sync")
    assert Instance.objects.count() == len(simulator.world.instances.by_account[MAIN_ACCOUNT_ID])
    assert AccountSync.objects.get().full_at is not None
    assert sum(entry["path"].endswith("/workflow-instances") for entry in simulator.ledger()) <= 3


def test_sync_ends_with_1_and_says_what_could_not_be_read(connect: Connect, simulator: Simulator) -> None:
    connect("Ada Admin")
    simulator.set_faults([{"match": {"path": "/v1/"}, "do": {"status": 500}}])
    with pytest.raises(CommandError, match="1 of 1 accounts could not be read") as failure:
        run("sync")
    assert failure.value.returncode == 1


def test_sync_says_that_another_worker_reads(connect: Connect) -> None:
    """U-9: never two at once, and never silently nothing."""
    ada = connect("Ada Admin")
    later = timezone.now() + timedelta(minutes=1)
    AccountSync.objects.create(account=ada.account, lease="other", lease_until=later)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("sync", stdout=out, stderr=out)
    assert "another worker is reading it" in out.getvalue()


def test_the_bar_of_a_sync_never_claims_more_than_all(connect: Connect) -> None:
    """The announced number is about right, so the bar ends at its end whatever came."""
    account = connect("Ada Admin").account
    row = AccountSync(account=account, rows=30, pages=3, expected=20)
    assert bar(account, row).startswith(f"\r[{'#' * 30}] 30 of about 20")
    row.expected = None
    assert "30 rows" in bar(account, row)


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
