"""Backups of the database: made while people work, proven by restoring them (D-5).

The one rule: a backup counts as good only after it was opened, filled into a database of its own and checked there. The queue is
not part of it: whatever must not be lost is in the tables.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from django.apps import apps
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from dashboard.models import Account, AuditEntry, AuditHead, User
from dashboard.services import archives, audit, postgres_copies, restores, sqlite_copies
from dashboard.services.archives import BackupFailed, Manifest
from dashboard.services.database_copies import Copies

FORM = 1
NOT_EMPTY = "The database holds people, accounts, audit entries or tables of something else. With --force it is put aside and replaced."
NOT_HELD = (
    "If DJANGO_SECRET_KEY was changed, put the old value into OLD_SECRET_KEYS; --audit-broken restores it all the same."
)


@dataclass(frozen=True, slots=True)
class Backup:
    """A file and what is in it."""

    path: Path
    manifest: Manifest

    @property
    def rows(self) -> int:
        return sum(self.manifest["counts"].values())


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did: how many rows came back, what is held, and where the old database is."""

    manifest: Manifest
    found: restores.Found
    kept: str
    audit_problem: str = ""


def _copies() -> Copies:
    return postgres_copies if connection.vendor == "postgresql" else sqlite_copies


def take_backup(folder: Path) -> Backup:
    """Copy the database as it is now into a new sealed file of the folder."""
    if not folder.is_dir():
        raise BackupFailed(f"{folder} is no folder.")
    at, vendor = timezone.now().astimezone(UTC), connection.vendor
    with _copies().snapshot() as data:
        manifest = _describe(at, vendor)
        path = archives.write_archive(folder, at, data, lambda: manifest)
    return Backup(path, manifest)


def _describe(at: datetime, vendor: str) -> Manifest:
    head = AuditHead.objects.filter(pk=1).first()
    tables = sorted(model._meta.db_table for model in apps.get_app_config("dashboard").get_models())
    return {
        "form": FORM,
        "made_at": at.isoformat(),
        "vendor": vendor,
        "migrations": _migrations(),
        "counts": {table: _count(table) for table in tables},
        "audit": {"seq": head.seq if head else 0, "hash": head.hash if head else ""},
    }


def _migrations() -> list[str]:
    return sorted(".".join(key) for key in MigrationRecorder(connection).applied_migrations())


def _count(table: str) -> int:
    # Without the models: a backup may be older than these.
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(table)}")  # noqa: S608  # a table of ours
        return int(cursor.fetchone()[0])


def check_backup(path: Path) -> Manifest:
    """Fill the backup into a database of its own and check it there; nothing of it stays. Raises BackupFailed."""
    with _copies().beside() as place:
        manifest = archives.read_archive(path, place.take)
        _refuse_foreign(manifest)
        with place.open():
            _make_current(manifest)
            if problem := _audit_problem():
                raise BackupFailed(problem)
    return manifest


def restore(path: Path, *, is_forced: bool = False, takes_broken_audit: bool = False) -> Restored:
    """Replace the database by the backup: checked, migrated and declared restored before it takes the name (U-12).

    An audit that does not hold is taken only where somebody says so: then it is in the audit itself.
    """
    copies, at = _copies(), timezone.now().astimezone(UTC)
    copies.refuse_in_use()
    if not is_forced and copies.is_there() and not _is_empty():
        raise BackupFailed(NOT_EMPTY)
    with copies.beside() as place:
        manifest = archives.read_archive(path, place.take)
        _refuse_foreign(manifest)
        with place.open():
            _make_current(manifest)
            problem = _audit_problem()
            if problem and not takes_broken_audit:
                raise BackupFailed(f"{problem} {NOT_HELD}")
            detail = {"backup": path.name, "made_at": manifest["made_at"]}
            found = restores.declare_console(detail | ({"audit_problem": problem} if problem else {}))
        return Restored(manifest, found, place.put_in_place(at), problem)


def _refuse_foreign(manifest: Manifest) -> None:
    if manifest["form"] != FORM:
        raise BackupFailed(
            "The backup was made by another version of this console, in a form that this one does not know."
        )
    if manifest["vendor"] != connection.vendor:
        raise BackupFailed(f"The backup is of {manifest['vendor']}, and DATABASE_URL names {connection.vendor}.")


def _is_empty() -> bool:
    """Whether nothing was kept in it yet: it has no tables at all, or those of this console without anybody and anything done."""
    try:
        if not connection.introspection.table_names():
            return True
        return not any(model._default_manager.exists() for model in (User, Account, AuditEntry))
    except DatabaseError:  # other tables, or no database any more: nobody can say what is in it
        return False


def _make_current(manifest: Manifest) -> None:
    """Everything that the manifest says is there, and this code knows it; then its tables are those of this version."""
    known = {".".join(key) for key in MigrationLoader(connection).disk_migrations}
    if unknown := set(manifest["migrations"]) - known:
        raise BackupFailed(f"The backup was made by a newer version of this console ({min(unknown)}).")
    wrong = [table for table, number in manifest["counts"].items() if _count(table) != number]
    if wrong or _migrations() != manifest["migrations"]:
        raise BackupFailed(f"The backup does not hold what its manifest says of {[*wrong, 'migrations'][0]}.")
    call_command("migrate", verbosity=0, interactive=False)
    head = AuditHead.objects.filter(pk=1).first()
    if manifest["audit"] != {"seq": head.seq if head else 0, "hash": head.hash if head else ""}:
        raise BackupFailed("The backup does not hold what its manifest says of the audit.")


def _audit_problem() -> str:
    report = audit.verify_chain()
    return (
        "" if report.is_ok else f"The audit in the backup is broken at entry {report.first_bad_seq}: {report.problem}"
    )
