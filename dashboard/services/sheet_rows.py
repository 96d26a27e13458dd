"""The rows of a file on their way to a bulk run: kept sealed, matched to inputs, checked all together, corrected, frozen.

The one rule: every row is checked before any goes, and the list can change only as long as nobody confirmed it or was asked to.
"""

import base64
import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from dashboard import crypto
from dashboard.models import FREEZING, Batch, BatchItem, BatchState, Contract, ItemState, Membership, Sheet
from dashboard.services import audit, contracts, input_rules, sheet_duplicates
from dashboard.services.batch_inputs import inputs_place
from dashboard.services.errors import Refused
from dashboard.services.input_values import Spec, asked, quoted
from dashboard.services.instances import lock_mirror
from dashboard.services.marker import SIGN
from dashboard.services.sheet_checks import NAME_COLUMN, OTHER_NAME_COLUMN, Plan, Row, RowReader, note_repeats
from dashboard.services.sheet_corrections import corrections_csv, merged
from dashboard.services.sheet_tables import Table
from dashboard.services.store import before_sending

CHUNK = 500
CODE = f" {SIGN}⟨code⟩"
FROZEN = "This list was confirmed, or somebody was asked to approve it, so its rows cannot change any more."
NO_SHEET = "The rows of this bulk run are no longer kept. Start a new one."
NOT_CHECKED = "Choose first which columns fill the inputs."
CHANGED = "The rows were changed in another window meanwhile. Load the page again."
NO_CONTRACT = "The inputs of this workflow have not been read yet. Open its page, and try again in a moment."


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What the check found: rows that can go, rows with errors, rows with a warning; notes are sentences about all."""

    total: int
    good: int
    bad: int
    warned: int = 0
    left_out: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Chosen:
    """How the columns are read, as it is kept with the rows."""

    mapping: Mapping[str, str | None]
    name_column: str
    name_pattern: str
    key_columns: list[str]


def start_sheet(batch: Batch, table: Table, file_name: str) -> Sheet:
    """Keep the rows of a file, in place of those that the run had. Raises Refused once the list is fixed.

    The audit says how many there are, and nothing of what stands in them (A-1, V-4).
    """
    with before_sending(), transaction.atomic():
        _keep_open(batch, total=0, frozen_at=None)
        BatchItem.objects.filter(batch=batch).delete()
        columns: dict[str, Any] = {
            "file_name": file_name[-255:],
            "sealed_table": _sealed(batch, table),
            "mapping": {},
            "name_column": "",
            "name_pattern": "",
            "key_columns": [],
            "checked_at": None,
            "notes": [],
        }
        sheet, _ = Sheet.objects.update_or_create(batch=batch, defaults=columns)
        audit.record(
            "batch.uploaded",
            actor=batch.actor,
            account=batch.account,
            subject=batch,
            reason=batch.reason,
            detail={"kind": batch.kind, "count": len(table.rows), "workflow": str(batch.workflow or "")},
        )
    return sheet


def table_of(batch: Batch) -> Table:
    """The rows as they were brought. Raises Refused when they are gone."""
    return opened(_sheet_of(batch))


def _sheet_of(batch: Batch) -> Sheet:
    sheet = Sheet.objects.filter(batch=batch).first()
    if sheet is None:
        raise Refused(NO_SHEET)
    return sheet


def opened(sheet: Sheet) -> Table:
    """The rows of a file. Raises crypto.SealBroken."""
    packed = base64.b64decode(crypto.unseal(sheet.sealed_table, *table_place(sheet.pk)))
    kept = json.loads(zlib.decompress(packed))
    return Table(kept["columns"], kept["rows"], kept["numbers"])


def _sealed(batch: Batch, table: Table) -> str:
    text = json.dumps({"columns": table.columns, "rows": table.rows, "numbers": table.numbers}, ensure_ascii=False)
    return crypto.seal(base64.b64encode(zlib.compress(text.encode(), 1)).decode(), *table_place(batch.pk))


def table_place(batch_id: UUID) -> tuple[str, str, str]:
    """Where the rows of a file are sealed to."""
    return "batch", str(batch_id), "table"


def item_place(item: BatchItem) -> tuple[str, str, str]:
    """Where the inputs of an item are sealed to."""
    return inputs_place(item.batch, item.position)


def _keep_open(batch: Batch, **columns: Any) -> None:
    """Change the run within this transaction, if its list may still change: others wait for the row, or find it confirmed."""
    lock_mirror(
        batch.account_id
    )  # the confirm weighs the policies under it, so they are those for the list that starts
    rows = Batch.objects.filter(pk=batch.pk, state=BatchState.PLANNED, confirmed_at=None, source=Batch.Source.SHEET)
    if not rows.exclude(approval__state__in=FREEZING).update(**columns):
        raise Refused(FROZEN)
    for name, value in columns.items():
        setattr(batch, name, value)


def guess_mapping(columns: Sequence[str], fields: Sequence[Spec]) -> dict[str, str | None]:
    """For each input the column of its name: exactly, then without case, blanks and punctuation; else None."""
    specs = asked(fields)
    free = list(columns)
    found: dict[str, str | None] = {spec["name"]: None for spec in specs}
    for alike in (str, _loosely):
        for name in [name for name, column in found.items() if column is None]:
            match = [column for column in free if alike(column) == alike(name) and alike(name)]
            if match:
                found[name] = match[0]
                free.remove(match[0])
    return found


def guess_name_column(columns: Sequence[str], mapping: Mapping[str, str | None]) -> str:
    """The column of the template that holds the instance's name, unless it fills an input; else an empty text."""
    free = [column for column in columns if column not in mapping.values()]
    ours = {_loosely(NAME_COLUMN), _loosely(OTHER_NAME_COLUMN)}
    return next((column for column in free if _loosely(column) in ours), "")


def _loosely(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def check_sheet(
    batch: Batch,
    *,
    membership: Membership,
    mapping: Mapping[str, str | None],
    name_column: str = "",
    name_pattern: str = "",
    key_columns: Sequence[str] = (),
) -> CheckReport:
    """Check every row and freeze the list: good rows wait, the others carry their problems. `key_columns` are names of inputs.

    Raises Refused where the plan itself cannot work (`field` names the part), or the list is fixed already.
    """
    sheet = _sheet_of(batch)
    chosen = Chosen(dict(mapping), name_column, name_pattern, list(dict.fromkeys(key_columns)))
    return _check(batch, membership, sheet, opened(sheet), chosen)


def _check(
    batch: Batch, membership: Membership, sheet: Sheet, table: Table, chosen: Chosen, *, is_new: bool = False
) -> CheckReport:
    workflow = batch.workflow
    if workflow is None or batch.account_id != membership.account_id:
        raise Refused(NO_SHEET)
    contract = contracts.current_contract(workflow)
    if contract is None:
        raise Refused(NO_CONTRACT)
    plan = Plan(
        account_id=batch.account_id,
        workflow_id=workflow.pk,
        specs=asked(contract.fields),
        rules=input_rules.rules_of(workflow),
        columns=table.columns,
        mapping=chosen.mapping,
        name_column=chosen.name_column,
        name_pattern=chosen.name_pattern,
        key_names=chosen.key_columns,
    )
    plan.refuse_gaps()
    columns: dict[str, Any] = asdict(chosen)
    if is_new:
        columns["sealed_table"] = _sealed(batch, table)
    rows = _checked(batch, plan, table)
    del table  # the largest thing here, and not needed any more
    note_repeats(rows, plan)
    # What it warns of stays with the run, so it is what its own person may see, whoever has it checked (V-3).
    people = Membership.objects.select_related("user", "user__connection", "account")
    owner = people.filter(user_id=batch.actor_id, account_id=batch.account_id).first() or membership
    columns["notes"] = sheet_duplicates.warn(rows, batch=batch, membership=owner, key_names=plan.key_names)
    if unused := [quoted(column) for column in plan.unused()]:
        columns["notes"].append(f"Not used: {', '.join(unused)}.")
    _freeze(batch, contract, sheet, rows, columns)
    return report_of(batch)


def _checked(batch: Batch, plan: Plan, table: Table) -> list[Row]:
    """The rows, their inputs sealed at once: what was typed is not held a second time."""
    reader = RowReader(plan)
    rows = []
    for position, (number, cells) in enumerate(zip(table.numbers, table.rows, strict=True), start=1):
        row = reader.read(position, number, cells)
        if row.payload:
            row.payload = crypto.seal(row.payload, *inputs_place(batch, position))
        rows.append(row)
    return rows


def _freeze(batch: Batch, contract: Contract, seen: Sheet, rows: Sequence[Row], columns: Mapping[str, Any]) -> None:
    """Put the new list in place of the old one, unless the rows were changed by somebody else since they were read."""
    now = timezone.now()
    with before_sending(), transaction.atomic():
        _keep_open(batch, total=len(rows), frozen_at=now, contract=contract)
        mine = Sheet.objects.filter(batch=batch, sealed_table=seen.sealed_table)
        if not mine.update(**columns, checked_at=now):
            raise Refused(CHANGED)
        BatchItem.objects.filter(batch=batch).delete()
        for start in range(0, len(rows), CHUNK):
            BatchItem.objects.bulk_create(_items(batch, contract, rows[start : start + CHUNK]))


def _items(batch: Batch, contract: Contract, rows: Sequence[Row]) -> Iterator[BatchItem]:
    for row in rows:
        is_good = not row.problems
        wrong = ", ".join(dict.fromkeys(column or "the whole row" for column, _ in row.problems))
        yield BatchItem(
            batch=batch,
            position=row.position,
            state=ItemState.WAITING if is_good else ItemState.INVALID,
            label=row.label,
            workflow_id=contract.workflow_id,
            row_number=row.number,
            sealed_inputs=row.payload if is_good else "",
            problems=[list(problem) for problem in row.problems],
            key_digest=row.key_digest if is_good else "",
            message=" ".join(row.warnings) if is_good else f"Errors in: {wrong}.",
        )


def report_of(batch: Batch) -> CheckReport:
    """What the last check found, as it stands now."""
    states = list(BatchItem.objects.filter(batch=batch).values_list("state", flat=True))
    waiting = BatchItem.objects.filter(batch=batch, state=ItemState.WAITING)
    sheet = Sheet.objects.filter(batch=batch).only("notes").first()
    return CheckReport(
        total=len(states),
        good=states.count(ItemState.WAITING),
        bad=states.count(ItemState.INVALID),
        warned=waiting.exclude(message="").count(),
        left_out=states.count(ItemState.LEFT_OUT),
        notes=list(sheet.notes) if sheet else [],
    )


def add_rows(batch: Batch, table: Table, *, membership: Membership) -> CheckReport:
    """Take corrected rows in and check everything again, with the columns as they were chosen. Raises Refused.

    Where the rows have a column “Row”, each takes the place of the row with errors of that number; else they are added at the end.
    """
    sheet = _sheet_of(batch)
    if sheet.checked_at is None:
        raise Refused(NOT_CHECKED)
    chosen = Chosen(sheet.mapping, sheet.name_column, sheet.name_pattern, sheet.key_columns)
    return _check(batch, membership, sheet, merged(batch, opened(sheet), table), chosen, is_new=True)


def corrections(batch: Batch) -> bytes:
    """The rows with errors as a CSV file that `add_rows` takes back once they are corrected."""
    return corrections_csv(batch, table_of(batch))


def drop_invalid(batch: Batch) -> int:
    """Let the good rows go without those with errors; how many are left out."""
    with before_sending(), transaction.atomic():
        _keep_open(batch, source=Batch.Source.SHEET)
        return BatchItem.objects.filter(batch=batch, state=ItemState.INVALID).update(state=ItemState.LEFT_OUT)


def preview_item(item: BatchItem) -> dict[str, Any]:
    """What will be sent for a row; the code at the end of the name is made when it goes."""
    if not item.sealed_inputs:
        raise Refused("The inputs of this row are not kept: it has errors, or it was sent already.")
    inputs = json.loads(crypto.unseal(item.sealed_inputs, *item_place(item)))
    return {"instance_name": item.label + CODE, "trigger_inputs": inputs}


def drift_of(batch: Batch) -> list[str]:
    """What the workflow asks for now and did not when the rows were checked, in sentences; empty when nothing changed."""
    if batch.workflow is None or batch.contract is None:
        return []
    present = contracts.current_contract(batch.workflow)
    if present is None or present.digest == batch.contract.digest:
        return []
    changes = [change.sentence for change in contracts.diff(batch.contract, present)]
    return changes or ["The workflow's trigger changed."]
