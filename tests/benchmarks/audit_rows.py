"""Fills the audit with a chain that holds, and measures it; in a process of its own, since Django takes one database a process.

`python -m tests.benchmarks.audit_rows fill ROWS` or `... measure`; figures are printed as JSON, one a line.
"""

import hashlib
import hmac
import json
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta

import django

django.setup()

from django.db import connection  # noqa: E402  # models can be imported only once Django is set up
from django.utils import timezone  # noqa: E402

from dashboard.models import Account, AuditEntry, AuditHead, User  # noqa: E402
from dashboard.services import audit, audit_retention  # noqa: E402
from tests.benchmarks import scale_rows  # noqa: E402
from tests.benchmarks.figures import milliseconds, p95  # noqa: E402
from tests.benchmarks.scale_pages import client_of, visit  # noqa: E402

DAYS = 820  # so that three months are old enough to go
PEOPLE, DEEDS, OBJECTS, WORKFLOWS = 50, 20, 50_000, 200
READERS = ("Ada Admin", "Pia Preparer")  # one sees the whole account, the other what is hers and what is about people
TYPES = ("membership", "account", "batch", *["instance"] * 17)
AT_ONCE, ROUNDS = 2000, 5


def fill(rows: int) -> None:
    """People and workflows as everywhere, and entries of all of them, oldest first; one of them is rare in every way."""
    scale_rows.fill(WORKFLOWS)
    account, now, previous, found = Account.objects.get(), timezone.now(), "", []
    subs = [User.objects.get(name=READERS[1]).sub, *(str(uuid.UUID(int=number)) for number in range(1, PEOPLE))]
    for seq in range(1, rows + 1):
        rare, place = seq == rows // 2, uuid.UUID(int=seq % OBJECTS + 1)
        entry = AuditEntry(
            seq=seq, prev_hash=previous, at=now - timedelta(days=DAYS) * (rows - seq + 1) / rows,
            action="test.rare" if rare else f"test.deed_{seq % DEEDS:02}", result="refused" if seq % 97 == 0 else "ok",
            actor_id="rare" if rare else str(seq % PEOPLE), actor_name="Rare" if rare else f"Person {seq % PEOPLE:02}",
            actor_sub=subs[seq % PEOPLE], started_by=subs[seq // PEOPLE % PEOPLE], account_id=str(account.pk),
            object_type=TYPES[seq % len(TYPES)], object_id=str(place), object_name=f"NDA {seq % OBJECTS}",
            workflow_id=str(uuid.UUID(int=seq % WORKFLOWS + 1)), operation_id=str(uuid.UUID(int=seq)),
            request_id=f"{seq:032x}", ip="192.0.2.1", reason="As agreed with purchasing", detail={"count": seq % 7},
        )  # fmt: skip
        entry.hash = previous = audit.chain_hash(entry)
        found.append(entry)
        if len(found) == AT_ONCE or seq == rows:
            AuditEntry.objects.bulk_create(found)
            found.clear()
    AuditHead.objects.update_or_create(pk=1, defaults={"seq": rows, "hash": previous})
    connection.cursor().execute("ANALYZE")


def queries() -> list[str]:
    """One of each filter, some for much and some for next to nothing, and two at once."""
    day = {days: f"{timezone.now() - timedelta(days=days):%Y-%m-%d}" for days in (3, 300)}
    single = ["", "who=7", "who=rare", "deed=test.deed_07", "deed=test.rare", "result=refused"]
    single += [f"object={uuid.UUID(int=number)}" for number in (7, OBJECTS + 1)]
    times = [f"since={day[3]}", f"until={day[300]}", f"since={day[300]}&until={day[300]}"]
    return [*single, *times, "who=7&deed=test.rare", f"who=rare&since={day[300]}", f"until={day[300]}&result=refused"]


def pages() -> Iterator[tuple[str, float]]:
    taken: list[list[float]] = []
    for reader in READERS:
        client = client_of(reader)
        scale_rows.refresh_proofs()
        visit(client, "/audit/")
        taken += [
            milliseconds(lambda query=query, client=client: visit(client, f"/audit/?{query}"), ROUNDS)
            for query in queries()
        ]
    yield "filter_p95", p95([each for values in taken for each in values])
    yield "filter_worst", max(statistics.median(values) for values in taken)


def seconds(deed: Callable[[], object]) -> float:
    begun = time.perf_counter()
    deed()
    return time.perf_counter() - begun


def read_bare() -> None:
    """Every entry once from the database, and one HMAC each: less cannot prove a chain."""
    for row in AuditEntry.objects.order_by("seq").values_list().iterator(chunk_size=AT_ONCE):
        hmac.new(b"key", repr(row).encode(), hashlib.sha256).hexdigest()


def purging() -> Iterator[tuple[str, float]]:
    """A turn of the purge against a bare DELETE of as many entries behind it; then what stays is checked."""
    gone: list[int] = []
    turn = seconds(lambda: gone.append(audit_retention.purge()))
    first, last = AuditEntry.objects.order_by("seq")[: gone[0]][:: gone[0] - 1]
    audit.close_at(last, first=first)
    with connection.cursor() as cursor:
        bare = seconds(lambda: cursor.execute("DELETE FROM dashboard_auditentry WHERE seq <= %s", [last.seq]))
    while more := audit_retention.purge():
        gone.append(more)
    yield "purge_to_floor", turn / bare
    yield "purged", sum(gone)
    yield "holds_after_the_purge", float(audit.verify_chain().is_ok)


def measure() -> Iterator[tuple[str, float]]:
    yield from pages()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET statement_timeout = 0")  # as the worker and verify_audit have it
    reports: list[audit.ChainReport] = []
    floor = min(seconds(read_bare) for _ in range(2))
    whole = seconds(lambda: reports.append(audit.verify_chain()))
    assert reports[0].is_ok, reports[0].problem
    yield "verify_to_floor", whole / floor
    yield from purging()


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(int(sys.argv[2]))
    for name, value in measure() if sys.argv[1] == "measure" else ():
        print(json.dumps({"name": name, "value": value}), flush=True)
