"""Takes in one file of rows and checks it against a mirror with key inputs; in a process of its own.

`python -m tests.benchmarks.sheet_check prepare 0` makes the mirror; `… csv 10000` prints the seconds from the file's bytes to the frozen
list, the memory that it took on top, and the rows that can go. The one rule: the peak counts from after a small file was checked.
"""

import csv
import io
import json
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

django.setup()

import xlsxwriter  # noqa: E402  # after Django, as the imports below
from django.core.management import call_command  # noqa: E402  # models can be imported only once Django is set up
from django.utils import timezone  # noqa: E402

from dashboard.models import (  # noqa: E402
    Batch,
    BatchState,
    Instance,
    KeyInput,
    Membership,
    OperationKind,
    Role,
    Workflow,
)
from dashboard.services import findable, sheet_rows, sheets  # noqa: E402
from tests.factories import AccountFactory, BatchFactory, ContractFactory, WorkflowFactory, lists, person  # noqa: E402

INSTANCES = 5_000
KINDS = {
    "Supplier name": "string",
    "Contact email": "string",
    "Street": "string",
    "Town": "string",
    "Amount": "number",
    "Start": "date",
    "Renews": "boolean",
    "Note": "string",
}
KEYS = ["Supplier name", "Contact email"]


def cells(number: int) -> list[str]:
    return [
        f"Supplier {number} GmbH & Co. KG",
        f"contact.{number}@example.com",
        f"Lange Straße {number % 300}",
        "Hamburg",
        f"{number}.5",
        "2026-06-01",
        "true" if number % 2 else "false",
        f"Framework agreement {number}, as agreed with purchasing in the meeting of last week",
    ]


def content(kind: str, rows: int) -> bytes:
    lines = [["Instance name", *KINDS], *([f"NDA {number}", *cells(number)] for number in range(rows))]
    if kind == "csv":
        text = io.StringIO(newline="")
        csv.writer(text).writerows(lines)
        return text.getvalue().encode()
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
        sheet = book.add_worksheet("Rows")
        for place, line in enumerate(lines):
            sheet.write_row(place, 0, line)
    return file.getvalue()


def prepare() -> None:
    """A manager, a workflow with two key inputs, and instances that some rows look like."""
    call_command("migrate", verbosity=0)
    account = AccountFactory()
    membership = person(account, Role.OPERATOR)
    workflow = WorkflowFactory(account=account)
    lists(membership, workflow)
    fields: list[dict[str, Any]] = [
        {"name": name, "data_type": kind, "kind": kind, "default": None, "has_default": False, "is_system": False}
        for name, kind in KINDS.items()
    ]
    ContractFactory(workflow=workflow, fields=fields)
    now = timezone.now()
    for name in KEYS:
        KeyInput.objects.create(workflow=workflow, name=name, made_with=findable.made_with(), filled_at=now)
    rows = [
        Instance(
            id=f"00000000-0000-4000-8000-{number:012d}",
            account=account,
            workflow=workflow,
            name=f"NDA {number}",
            status="completed",
            started_at=now - timedelta(days=number % 200),
            sort_at=now,
            trigger_inputs=dict(zip(KINDS, cells(number), strict=True)),
        )
        for number in range(INSTANCES)
    ]
    Instance.objects.bulk_create(rows, batch_size=200)
    findable.store_keys(rows)


def check(membership: Membership, workflow: Workflow, name: str, data: bytes) -> sheet_rows.CheckReport:
    batch = BatchFactory(
        account=membership.account,
        actor=membership.user,
        workflow=workflow,
        kind=OperationKind.TRIGGER,
        source=Batch.Source.SHEET,
        state=BatchState.PLANNED,
        confirmed_at=None,
    )
    table = sheets.read_sheet(name, data)
    sheet_rows.start_sheet(batch, table, name)
    mapping = sheet_rows.guess_mapping(table.columns, batch.workflow.contracts.get().fields)
    del table
    return sheet_rows.check_sheet(
        batch, membership=membership, mapping=mapping, name_column="Instance name", key_columns=KEYS
    )


def held(line: str) -> float:
    """VmRSS or VmHWM of this process in MB."""
    status = Path("/proc/self/status").read_text()
    return int(next(text.split()[1] for text in status.splitlines() if text.startswith(f"{line}:"))) / 1000


def main(kind: str, rows: int) -> None:
    if kind == "prepare":
        prepare()  # in a process of its own, whose memory is none of the check's
        return
    membership, workflow = Membership.objects.get(), Workflow.objects.get()
    name = f"rows.{kind}"
    check(membership, workflow, name, content(kind, 20))
    Batch.objects.all().delete()
    data = content(kind, rows)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew
    before = held("VmRSS")
    started = time.monotonic()
    report = check(membership, workflow, name, data)
    seconds = time.monotonic() - started
    for figure, value in (("seconds", seconds), ("megabytes", held("VmHWM") - before), ("good", report.good)):
        print(json.dumps({"name": figure, "value": value}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
