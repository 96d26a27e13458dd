"""The audit chain: one chain, nothing changed, nothing missing, refused by the database itself."""

from pathlib import Path

import pytest
from django.db import DatabaseError, connection, transaction

from dashboard import append_only
from dashboard.facts import RequestFacts, set_facts
from dashboard.models import AuditEntry, AuditHead, Role
from dashboard.services import audit
from tests.factories import AccountFactory, InstanceFactory, person
from tests.services.file_console import FileConsole

TAMPERING = {
    "changed": "UPDATE dashboard_auditentry SET reason = 'nothing to see' WHERE seq = 4",
    "renamed": "UPDATE dashboard_auditentry SET actor_name = 'Somebody else' WHERE seq = 4",
    "deleted": "DELETE FROM dashboard_auditentry WHERE seq = 4",
    "hash replaced": "UPDATE dashboard_auditentry SET hash = prev_hash WHERE seq = 4",
    "end cut off": "DELETE FROM dashboard_auditentry WHERE seq >= 4",
}


def write(number: int) -> None:
    account = AccountFactory()
    actor = person(account, Role.OPERATOR).user
    for count in range(number):
        with transaction.atomic():
            audit.record("test.done", actor=actor, account=account, reason=f"number {count}")


@pytest.mark.django_db
def test_an_untouched_chain_holds() -> None:
    """A-3: every entry, in order, up to the head."""
    write(6)
    assert audit.verify_chain() == audit.ChainReport(True, 6)


@pytest.mark.django_db
@pytest.mark.parametrize("how", TAMPERING)
def test_tampering_names_the_first_bad_entry(how: str) -> None:
    """A-3: changed, deleted, re-hashed or cut off by SQL: found at entry 4."""
    write(6)
    append_only.remove(connection)
    with connection.cursor() as cursor:
        cursor.execute(TAMPERING[how])
    report = audit.verify_chain()
    assert (report.is_ok, report.first_bad_seq) == (False, 4)


@pytest.mark.django_db
def test_two_swapped_entries_are_found() -> None:
    """A-3: order is part of the chain."""
    write(6)
    append_only.remove(connection)
    with connection.cursor() as cursor:
        for old, new in ((4, 100), (5, 4), (100, 5)):
            cursor.execute("UPDATE dashboard_auditentry SET seq = %s WHERE seq = %s", [new, old])
    assert audit.verify_chain().first_bad_seq == 4


@pytest.mark.django_db
def test_an_inserted_entry_is_found() -> None:
    """A-3: an entry that no key of ours signed does not belong."""
    write(3)
    forged = AuditEntry.objects.get(seq=3)
    forged.seq, forged.action = 4, "test.forged"
    forged.save(force_insert=True)
    AuditHead.objects.update(seq=4, hash=forged.hash)
    assert audit.verify_chain().first_bad_seq == 4


@pytest.mark.django_db
@pytest.mark.parametrize("sql", ["UPDATE dashboard_auditentry SET reason = 'x'", "DELETE FROM dashboard_auditentry"])
def test_the_database_refuses_to_change_entries(sql: str) -> None:
    """A-4: append-only by trigger, whoever asks."""
    append_only.remove(connection)
    append_only.install(connection)
    write(1)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert audit.verify_chain().is_ok


@pytest.mark.django_db
def test_an_entry_cannot_be_deleted_as_an_object() -> None:
    """A-4: nor through the ORM."""
    write(1)
    with pytest.raises(TypeError, match="never deleted"):
        AuditEntry.objects.get().delete()


@pytest.mark.django_db(transaction=True)
def test_an_entry_outside_a_transaction_is_a_bug() -> None:
    """A-2: an entry belongs to what it records."""
    with pytest.raises(transaction.TransactionManagementError):
        audit.record("test.done", actor=None, account=None)


@pytest.mark.django_db
def test_an_entry_says_who_from_where_and_to_what() -> None:
    """A-1: frozen as text, with request, session and address."""
    set_facts(RequestFacts(request_id="abc123", ip="192.0.2.7", session_hash="5e55"))
    instance = InstanceFactory(name="NDA Lindqvist")
    actor = person(instance.account, Role.ADMIN, name="Alma Admin").user
    entry = audit.record("instance.link_revealed", actor=actor, account=instance.account, subject=instance)
    instance.delete()
    entry.refresh_from_db()
    assert (entry.actor_name, entry.actor_sub, entry.object_type, entry.object_name) == (
        *("Alma Admin", actor.sub),
        *("instance", "NDA Lindqvist"),
    )
    assert (entry.request_id, entry.ip, entry.session_hash) == ("abc123", "192.0.2.7", "5e55")


@pytest.mark.processes
@pytest.mark.timeout(300)
def test_sixteen_writers_keep_one_chain(tmp_path: Path) -> None:
    """A-4: four processes with four threads each write 25 entries at the same time; no fork, no gap."""
    console = FileConsole(tmp_path)
    code = """
from django.db import OperationalError
def once(number, tries=10):
    try:
        with transaction.atomic():
            audit.record("test.done", actor=None, account=None, reason=str(number))
    except OperationalError:  # a busy database; the whole unit is tried again, as the console does (D-3)
        if tries == 1:
            raise
        once(number, tries - 1)
def write():
    for number in range(25):
        once(number)
    connection.close()
threads = [threading.Thread(target=write) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"""
    writers = [console.start(code) for _ in range(4)]
    assert [(writer.communicate(timeout=200)[1], writer.returncode) for writer in writers] == [("", 0)] * 4
    report = console.run("report = audit.verify_chain()\nprint(report.is_ok, report.count)")
    assert report == "True 400"
