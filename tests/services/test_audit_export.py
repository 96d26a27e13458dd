"""The audit leaves as a file that proves itself (A-6)."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from dashboard.models import AuditEntry, Membership
from dashboard.services import audit, audit_export
from dashboard.services.audit_export import BrokenExport

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries(admin: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_export, "AT_ONCE", 2)
    for reason in ("first", "zwei ü\u2028", '=cmd|" /C calc"!A0', "fourth"):
        with transaction.atomic():
            audit.record(
                "batch.paused",
                actor=admin.user,
                account=admin.account,
                reason=reason,
                detail={"number": 1.5, "of": None},
            )


def written(folder: Path, *words: str) -> Path:
    path = folder / "audit"
    call_command("export_audit", str(path), *words, stdout=StringIO())
    return path


def test_an_export_holds_every_entry_and_proves_itself(entries: None, tmp_path: Path) -> None:
    """A-6: with the chain's own signatures; that it was taken is in it."""
    path = written(tmp_path)
    said = StringIO()
    call_command("export_audit", str(path), "--check", stdout=said)
    assert said.getvalue() == "The file is whole: 5 links of the chain.\n"
    rows = [json.loads(line) for line in path.read_bytes().split(b"\n")[1:-1]]
    assert [row["hash"] for row in rows] == list(AuditEntry.objects.order_by("seq").values_list("hash", flat=True))
    assert rows[-1]["action"] == "audit.exported"
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [line.replace("fourth", "fifth") for line in lines], "Entry 4 was changed"),
        (lambda lines: lines[:2] + lines[3:], "Entry 2 is missing"),
        (lambda lines: lines[:-1], "Entries after 4 are missing"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "Entry 1 is missing"),
        (lambda lines: lines[1:], "no export"),
        (lambda lines: [*lines[:3], "{"], "cannot be read"),
        (lambda lines: ["[]"], "cannot be read"),
    ],
)
def test_a_changed_export_is_found(
    entries: None, tmp_path: Path, change: Callable[[list[str]], list[str]], said: str
) -> None:
    lines = written(tmp_path).read_text(encoding="utf-8").split("\n")[:-1]
    with pytest.raises(BrokenExport, match=said):
        audit_export.check(change(lines))


def test_an_export_begins_after_what_was_purged(entries: None, tmp_path: Path) -> None:
    closing, first = AuditEntry.objects.get(seq=2), AuditEntry.objects.get(seq=1)
    audit.close_at(closing, first=first)
    audit.delete_closed()
    with written(tmp_path).open(encoding="utf-8") as lines:
        assert audit_export.check(lines) == AuditEntry.objects.count()


def test_a_table_runs_nothing_in_a_spreadsheet(entries: None, tmp_path: Path) -> None:
    """S-14: an entry holds what people typed."""
    with written(tmp_path, "--csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["seq"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert rows[2]["reason"].startswith("'=cmd")
    assert rows[0]["detail"] == '{"number": 1.5, "of": null}'


def test_no_file_is_written_over(entries: None, tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("kept")
    with pytest.raises(CommandError, match="File exists"):
        written(tmp_path)
    assert (tmp_path / "audit").read_text() == "kept"
    assert not AuditEntry.objects.filter(action="audit.exported").exists()
