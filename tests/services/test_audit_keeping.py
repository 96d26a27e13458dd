"""The audit over the years: heads outside the database find what was cut off, and a purge leaves a chain that still holds."""

import json
import logging
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from dashboard import append_only
from dashboard.models import AuditCheckpoint, AuditEntry, AuditHead
from dashboard.services import audit, audit_anchors, audit_retention, restores

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _triggers() -> None:
    append_only.remove(connection)
    append_only.install(connection)


@pytest.fixture
def anchor_file(tmp_path: Path, settings: Any) -> Path:
    settings.AUDIT_ANCHOR_FILE = str(tmp_path / "heads.jsonl")
    return tmp_path / "heads.jsonl"


def write(number: int, *, days_ago: float = 0) -> None:
    with time_machine.travel(timezone.now() - timedelta(days=days_ago), tick=False), transaction.atomic():
        for count in range(number):
            audit.record("test.done", actor=None, account=None, reason=f"number {count}")


def execute(*statements: str) -> None:
    """What somebody with full rights to the database may do."""
    append_only.remove(connection)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def heads_of(path: Path) -> list[audit.OutsideHead]:
    return audit_anchors.read_heads(path.read_text().splitlines())


def test_the_head_goes_to_the_log_and_to_the_file(anchor_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A-3: number, hash and time, and nothing else."""
    write(3)
    with caplog.at_level(logging.INFO, logger=audit_anchors.log.name):
        assert audit_anchors.write_head() == 1
    write(1)
    audit_anchors.write_head()
    lines = [json.loads(line) for line in anchor_file.read_text().splitlines()]
    stored = dict(AuditEntry.objects.values_list("seq", "hash"))
    assert [(line["audit_seq"], line["audit_hash"]) for line in lines] == [(3, stored[3]), (4, stored[4])]
    assert set(lines[0]) == {"audit_seq", "audit_hash", "audit_at"}
    assert anchor_file.stat().st_mode & 0o777 == 0o600
    assert caplog.records[0].audit_hash == stored[3]


def test_a_file_that_cannot_be_written_is_told_and_ends_nothing(
    tmp_path: Path, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AUDIT_ANCHOR_FILE = str(tmp_path)
    write(1)
    assert audit_anchors.write_head() == 1
    assert "AUDIT_ANCHOR_FILE cannot be written" in caplog.text


def test_an_end_cut_off_together_with_the_head_is_found_only_from_outside(anchor_file: Path) -> None:
    """A-3: truncation."""
    write(6)
    audit_anchors.write_head()
    kept = AuditEntry.objects.get(seq=3).hash
    execute("DELETE FROM dashboard_auditentry WHERE seq > 3")
    AuditHead.objects.update(seq=3, hash=kept)
    assert audit.verify_chain().is_ok
    report = audit.verify_chain(heads_of(anchor_file))
    assert (report.is_ok, report.first_bad_seq) == (False, 4)
    said = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_audit", stderr=said)
    assert "broken at entry 4: Entries at the end are missing" in said.getvalue()


def test_a_chain_made_anew_with_the_key_is_found_from_outside(anchor_file: Path) -> None:
    """A-3: who has the database and the key can write another chain, but not what was written elsewhere."""
    write(4)
    audit_anchors.write_head()
    execute("DELETE FROM dashboard_auditentry", "DELETE FROM dashboard_audithead")
    with transaction.atomic():
        for _ in range(6):
            audit.record("test.forged", actor=None, account=None)
    assert audit.verify_chain().is_ok
    report = audit.verify_chain(heads_of(anchor_file))
    assert (report.is_ok, report.first_bad_seq) == (False, 4)


def test_heads_are_found_in_a_log_with_other_lines(anchor_file: Path, tmp_path: Path) -> None:
    write(2)
    audit_anchors.write_head()
    log = tmp_path / "worker.log"
    log.write_text(f'{{"event": "Something else"}}\nnonsense audit_hash {{\nhost worker: {anchor_file.read_text()}')
    said = StringIO()
    call_command("verify_audit", "--heads", str(log), stdout=said)
    assert said.getvalue() == "The audit chain holds: 2 entries.\nIt agrees with 1 head from outside.\n"


def test_a_file_without_a_head_proves_nothing_and_is_refused(tmp_path: Path) -> None:
    (tmp_path / "worker.log").write_text("{}\n")
    with pytest.raises(CommandError, match="holds no head"):
        call_command("verify_audit", "--heads", str(tmp_path / "worker.log"))


def test_a_file_of_heads_that_went_away_is_not_taken_for_none(anchor_file: Path) -> None:
    """A-3: whoever cuts the end off may take the file away as well."""
    write(2, days_ago=1)
    audit_anchors.write_head()
    anchor_file.unlink()
    with pytest.raises(CommandError, match=r"\(AUDIT_ANCHOR_FILE\) is not there"):
        call_command("verify_audit")


def test_before_the_first_hour_there_may_be_no_file_of_heads(anchor_file: Path) -> None:
    write(2)
    said = StringIO()
    call_command("verify_audit", stdout=said)
    assert "holds: 2 entries" in said.getvalue()


def test_what_a_restore_took_away_is_told_and_not_called_tampering(anchor_file: Path) -> None:
    """A-3, U-12: the backup is of entry 3; heads up to 6 were written before the restore."""
    write(6, days_ago=1)
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        audit_anchors.write_head()
    kept = AuditEntry.objects.get(seq=3).hash
    execute("DELETE FROM dashboard_auditentry WHERE seq > 3")
    AuditHead.objects.update(seq=3, hash=kept)
    restores.declare_console({"backup": "console-20261120T100000Z.backup"})
    report = audit.verify_chain(heads_of(anchor_file))
    assert (report.is_ok, report.restored_away, report.matched) == (True, 1, 0)
    audit_anchors.write_head()
    execute("DELETE FROM dashboard_auditentry WHERE seq > 3")
    AuditHead.objects.update(seq=3, hash=kept)
    assert not audit.verify_chain(heads_of(anchor_file)).is_ok


def test_the_check_names_the_restores_that_excuse_a_gap(anchor_file: Path) -> None:
    """A-3, U-12: somebody who cut the end off and wrote of a restore that never was is found by who reads it."""

    def cut_to(seq: int, at: str, **detail: str) -> None:
        AuditHead.objects.update(seq=seq, hash=AuditEntry.objects.get(seq=seq).hash)
        execute(f"DELETE FROM dashboard_auditentry WHERE seq > {seq}")  # noqa: S608  # a number
        with time_machine.travel(at, tick=False):
            restores.declare_console(detail)
            write(3)

    def anchor(at: str) -> None:
        with time_machine.travel(at, tick=False):
            audit_anchors.write_head()

    write(6)
    anchor("2026-05-12T10:00:00+00:00")
    anchor("2026-05-12T11:00:00+00:00")
    cut_to(3, "2026-05-12T11:30:00+00:00", backup="console-one.backup")
    anchor("2026-05-12T12:00:00+00:00")
    cut_to(5, "2026-05-12T12:30:00+00:00")
    excuses = [
        "3 heads from outside belong to entries that a restore took away:",
        "  entry 4, 2026-05-12 11:30:00 UTC: console-one.backup was restored; 2 heads.",
        "  entry 6, 2026-05-12 12:30:00 UTC: a backup that nobody named was restored; 1 head.",
    ]
    said, complaint = StringIO(), StringIO()
    call_command("verify_audit", stdout=said)
    assert said.getvalue().splitlines()[1:] == excuses
    anchor("2026-05-12T13:00:00+00:00")
    execute("DELETE FROM dashboard_auditentry WHERE seq > 7")
    AuditHead.objects.update(seq=7, hash=AuditEntry.objects.get(seq=7).hash)
    with pytest.raises(SystemExit):
        call_command("verify_audit", stderr=complaint)
    assert complaint.getvalue().splitlines()[1:] == excuses


def test_a_purge_leaves_a_signed_checkpoint_and_the_chain_holds(anchor_file: Path, settings: Any) -> None:
    """A-6: what is older than the retention goes, the rest is proven as before, also from outside."""
    settings.AUDIT_RETENTION_DAYS = 400
    write(5, days_ago=401)
    audit_anchors.write_head()
    write(3, days_ago=399)
    audit_anchors.write_head()
    assert audit_retention.purge() == 5
    assert list(AuditEntry.objects.order_by("seq").values_list("seq", flat=True)) == [6, 7, 8, 9]
    assert AuditEntry.objects.get(seq=9).action == "audit.purged"
    checkpoint = AuditCheckpoint.objects.get()
    assert (checkpoint.seq, checkpoint.purged) == (5, 5)
    report = audit.verify_chain(heads_of(anchor_file))
    assert (report.is_ok, report.count, report.begins_after, report.matched) == (True, 4, 5, 2)
    assert audit_retention.purge() == 0
    said = StringIO()
    call_command("verify_audit", stdout=said)
    assert "begins after entry 5" in said.getvalue()


def test_a_second_purge_goes_on_from_the_first(settings: Any) -> None:
    settings.AUDIT_RETENTION_DAYS = 400
    write(2, days_ago=500)
    write(2, days_ago=450)
    with time_machine.travel(timezone.now() - timedelta(days=60)):
        assert audit_retention.purge() == 2
    assert audit_retention.purge() == 2
    assert list(AuditCheckpoint.objects.order_by("seq").values_list("seq", "purged")) == [(2, 2), (4, 2)]
    assert audit.verify_chain().begins_after == 4


@pytest.mark.parametrize("entries_ahead", [0, 1])
def test_a_clock_that_is_ahead_empties_no_audit(entries_ahead: int, caplog: pytest.LogCaptureFixture) -> None:
    """A-6: the daily turn of a machine whose clock stands ten years ahead takes nothing, whether or not it wrote entries itself."""
    write(5)
    write(entries_ahead, days_ago=-3651)
    with time_machine.travel(timezone.now() + timedelta(days=3652), tick=False):
        assert audit_retention.purge() == 0
    assert AuditEntry.objects.count() == 5 + entries_ahead
    assert "audit.not_purged" in caplog.text


def test_one_turn_takes_a_month_of_entries_at_most() -> None:
    """A-6: a clock that stays ahead is noticed before it has cost everything."""
    for days_ago in range(1000, 900, -10):
        write(1, days_ago=days_ago)
    write(1, days_ago=100)
    assert [audit_retention.purge() for _ in range(4)] == [4, 4, 2, 0]
    assert audit.verify_chain().is_ok


def test_a_purge_that_was_broken_off_is_finished_by_the_next() -> None:
    """A-6: also where nothing else has come of age since."""
    write(3, days_ago=800)
    write(2, days_ago=100)
    audit.close_at(AuditEntry.objects.get(seq=3), first=AuditEntry.objects.get(seq=1))
    assert audit.verify_chain().is_ok
    assert [audit_retention.purge() for _ in range(2)] == [3, 0]
    assert audit.verify_chain().is_ok
    assert AuditCheckpoint.objects.get().purged == 3
    assert AuditEntry.objects.filter(action="test.done").count() == 2


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE dashboard_auditcheckpoint SET seq = 4",
        "UPDATE dashboard_auditcheckpoint SET hash = 'another'",
        "UPDATE dashboard_auditcheckpoint SET purged = 1",
        "DELETE FROM dashboard_auditcheckpoint",
        "DELETE FROM dashboard_auditentry WHERE seq = 4",
    ],
)
def test_a_checkpoint_covers_only_what_was_really_purged(tampering: str) -> None:
    """A-6: nobody widens a purge."""
    write(3, days_ago=800)
    write(3, days_ago=100)
    assert audit_retention.purge() == 3
    execute(tampering)
    assert not audit.verify_chain().is_ok


def test_the_database_lets_go_only_what_a_checkpoint_covers() -> None:
    """A-4: with the triggers in place."""
    write(3, days_ago=800)
    write(3, days_ago=100)
    audit_retention.purge()
    for sql in (
        "DELETE FROM dashboard_auditentry WHERE seq = 4",
        "UPDATE dashboard_auditentry SET reason = '' WHERE seq = 4",
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql)
    assert audit.verify_chain().is_ok


def test_entries_of_an_older_secret_count_as_long_as_it_is_named(settings: Any) -> None:
    """O-11, A-3: the secret is changed; what it signed is still proven, and what nobody's secret signed is not."""
    write(2, days_ago=800)
    write(2, days_ago=100)
    audit_retention.purge()
    old, settings.SECRET_KEY = settings.SECRET_KEY, "another-secret-key-that-is-long-enough-to-pass-the-start-checks"
    write(2)
    assert not audit.verify_chain().is_ok
    settings.OLD_SECRET_KEYS = [old]
    assert audit.verify_chain() == audit.ChainReport(True, 5, begins_after=2)
