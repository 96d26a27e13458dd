"""Rows of a file on their way to a bulk run: matched, checked all together, corrected, frozen."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from dashboard import crypto
from dashboard.models import (
    Batch,
    BatchItem,
    BatchState,
    InputRule,
    ItemState,
    Membership,
    OperationKind,
    Sheet,
    Workflow,
)
from dashboard.services import sheet_rows
from dashboard.services.errors import Refused
from dashboard.services.sheet_rows import CheckReport, check_sheet, guess_mapping, guess_name_column
from dashboard.services.sheets import Table, read_sheet
from tests.factories import BatchFactory, ContractFactory, WorkflowFactory, lists


def asks(name: str, kind: str = "string", default: Any = None, *, is_system: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "data_type": kind,
        "kind": kind,
        "default": default,
        "has_default": default is not None,
        "is_system": is_system,
    }


FIELDS = [
    asks("Supplier name"),
    asks("Amount", "number"),
    asks("Country", default="DE"),
    asks("startDate", is_system=True),
]
COLUMNS = ["Supplier name", "Amount", "Country"]
MAPPING: dict[str, str | None] = {name: name for name in COLUMNS}


@pytest.fixture
def workflow(operator: Membership) -> Workflow:
    workflow = WorkflowFactory(account=operator.account, name="Supplier NDA")
    ContractFactory(workflow=workflow, fields=FIELDS)
    lists(operator, workflow)
    return workflow


@pytest.fixture
def batch(operator: Membership, workflow: Workflow) -> Batch:
    return planned(operator, workflow)


def planned(membership: Membership, workflow: Workflow) -> Batch:
    return BatchFactory(
        account=membership.account,
        actor=membership.user,
        workflow=workflow,
        kind=OperationKind.TRIGGER,
        source=Batch.Source.SHEET,
        state=BatchState.PLANNED,
        frozen_at=None,
        confirmed_at=None,
    )


def table(*rows: list[str], columns: list[str] | None = None) -> Table:
    return Table(columns or COLUMNS, list(rows), list(range(2, 2 + len(rows))))


def check(batch: Batch, membership: Membership, *rows: list[str], **plan: Any) -> CheckReport:
    if rows:
        sheet_rows.start_sheet(batch, table(*rows), "rows.csv")
    chosen = {"mapping": MAPPING, "name_pattern": "NDA {Supplier name}", **plan}
    return check_sheet(batch, membership=membership, **chosen)


def items(batch: Batch) -> list[BatchItem]:
    return list(BatchItem.objects.filter(batch=batch).order_by("position"))


def test_columns_are_found_by_their_names_exactly_before_nearly() -> None:
    fields = [asks("Email"), asks("E-Mail"), asks("Supplier name"), asks("startDate", is_system=True)]
    assert guess_mapping(["e-mail", "Email", "SUPPLIER_Name "], fields) == {
        "Email": "Email",
        "E-Mail": "e-mail",
        "Supplier name": "SUPPLIER_Name ",
    }


def test_a_column_fills_one_input_and_strange_ones_fill_none() -> None:
    mapping = guess_mapping(["name", "instance-name"], [asks("Name"), asks("NAME"), asks("Other")])
    assert mapping == {"Name": "name", "NAME": None, "Other": None}
    assert guess_name_column(["name", "instance-name"], mapping) == "instance-name"


def test_good_rows_wait_with_their_inputs_sealed_and_typed(batch: Batch, operator: Membership) -> None:
    """U-8, V-4: what will be sent is fixed by the check, and readable only where it belongs."""
    report = check(batch, operator, ["Brightwater", "12500", ""], ["Ä, B", "-7.5", "UK"])
    assert (report.total, report.good, report.bad) == (2, 2, 0)
    first, second = items(batch)
    assert (first.state, first.label, first.row_number) == (ItemState.WAITING, "NDA Brightwater", 2)
    assert json.loads(crypto.unseal(first.sealed_inputs, "batch", str(batch.pk), "1")) == {
        "Supplier name": "Brightwater",
        "Amount": 12500,
    }
    assert sheet_rows.preview_item(second) == {
        "instance_name": "NDA Ä, B ·⟨code⟩",
        "trigger_inputs": {"Supplier name": "Ä, B", "Amount": -7.5, "Country": "UK"},
    }
    with pytest.raises(crypto.SealBroken):
        crypto.unseal(first.sealed_inputs, "batch", str(batch.pk), "2")


def test_the_check_freezes_the_list_against_a_contract(batch: Batch, operator: Membership) -> None:
    check(batch, operator, ["A", "1", ""], ["B", "x", ""])
    batch.refresh_from_db()
    assert batch.contract is not None
    assert (batch.total, batch.frozen_at is not None, batch.contract.fields) == (2, True, FIELDS)


def test_errors_are_told_by_row_and_column(batch: Batch, operator: Membership) -> None:
    """U-8: each with the sentence that the trigger form would say."""
    report = check(
        batch, operator, ["", "12,5", ""], ["A", "1", ""], ["·0123456789a", "", ""], name_column="Supplier name"
    )
    assert (report.good, report.bad) == (1, 2)
    first, good, third = items(batch)
    assert first.problems == [
        ["Supplier name", "The workflow has no default for this, so write a value."],
        ["Amount", "“12,5” is not a number. Write 12.5"],
        ["Supplier name", "The instance would have no name. Write one."],
    ]
    assert third.problems == [
        ["Amount", "The workflow has no default for this, so write a value."],
        ["Supplier name", "The instance would have no name. Write one."],
    ]
    assert (first.sealed_inputs, first.message) == ("", "Errors in: Supplier name, Amount.")
    assert good.problems == []


def test_rules_of_the_team_are_checked_as_in_the_form(batch: Batch, operator: Membership, workflow: Workflow) -> None:
    InputRule.objects.create(workflow=workflow, input_name="Country", is_required=True, choices=["DE", "UK"])
    report = check(batch, operator, ["A", "1", ""], ["B", "1", "FR"], ["C", "1", "UK"])
    assert report.bad == 2
    assert [item.problems[0][0] for item in items(batch)[:2]] == ["Country", "Country"]


def test_a_name_that_is_too_long_and_inputs_that_are_too_large_are_errors(batch: Batch, operator: Membership) -> None:
    """U-8: 64 KB a row."""
    large = "x" * 30_000
    report = check(
        batch, operator, ["n" * 200, "1", ""], [large + "ä" * 20_000, "1", large], name_column="Supplier name"
    )
    assert report.good == 1
    assert [problem[1][:30] for problem in items(batch)[1].problems] == [
        "Use at most 200 characters for",
        "The inputs are 98 KB together;",
    ]


@pytest.mark.parametrize(
    ("plan", "field"),
    [
        ({"mapping": {**MAPPING, "Amount": None}}, "Amount"),
        ({"mapping": {**MAPPING, "Amount": "Price"}}, "Amount"),
        ({"name_pattern": ""}, "name_pattern"),
        ({"name_pattern": "NDA {Suplier}"}, "name_pattern"),
        ({"name_pattern": "x" * 300}, "name_pattern"),
        ({"name_column": "Title"}, "name_column"),
        ({"key_columns": ["startDate"]}, "key_columns"),
    ],
)
def test_a_plan_that_cannot_work_is_refused_beside_its_field(
    batch: Batch, operator: Membership, plan: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as caught:
        check(batch, operator, ["A", "1", ""], **plan)
    assert caught.value.field == field
    assert items(batch) == []


def test_the_second_row_of_the_same_key_is_an_error(batch: Batch, operator: Membership) -> None:
    rows = (["Brightwater", "1", "DE"], [" brightwater", "2", "DE"], ["Brightwater", "3", "UK"], ["", "4", "DE"])
    report = check(batch, operator, *rows, key_columns=["Supplier name", "Country"])
    assert [item.state for item in items(batch)] == ["waiting", "invalid", "waiting", "invalid"]
    assert items(batch)[1].problems == [
        ["Supplier name", "Row 2 has the same “Supplier name” and “Country”. Keep one of the two."]
    ]
    assert report.good == 2


def test_a_row_with_errors_takes_no_key_from_a_good_one(batch: Batch, operator: Membership) -> None:
    check(batch, operator, ["A", "no number", ""], ["A", "1", ""], key_columns=["Supplier name"])
    assert [item.state for item in items(batch)] == ["invalid", "waiting"]


def test_checking_again_replaces_the_items(batch: Batch, operator: Membership) -> None:
    check(batch, operator, ["A", "1", ""], ["B", "x", ""])
    check(batch, operator, name_pattern="Again {Supplier name}")
    assert [item.label for item in items(batch)] == ["Again A", "Again B"]


@pytest.mark.parametrize("state", [BatchState.RUNNING, BatchState.PAUSED, BatchState.STOPPING, BatchState.DONE])
def test_a_list_that_was_confirmed_does_not_change_any_more(
    batch: Batch, operator: Membership, state: BatchState
) -> None:
    """U-8: what was confirmed is what is sent."""
    check(batch, operator, ["A", "1", ""], ["B", "x", ""])
    before = [(item.pk, item.state) for item in items(batch)]
    Batch.objects.filter(pk=batch.pk).update(state=state, confirmed_at=timezone.now())
    for deed in (
        lambda: check(batch, operator),
        lambda: sheet_rows.start_sheet(batch, table(["C", "1", ""]), "other.csv"),
        lambda: sheet_rows.add_rows(batch, table(["C", "1", ""]), membership=operator),
        lambda: sheet_rows.drop_invalid(batch),
    ):
        with pytest.raises(Refused, match="cannot change any more"):
            deed()
    assert [(item.pk, item.state) for item in items(batch)] == before


def test_somebody_of_another_account_checks_nothing(batch: Batch, outsider: Membership, operator: Membership) -> None:
    """S-13: rows stay within their account."""
    sheet_rows.start_sheet(batch, table(["A", "1", ""]), "rows.csv")
    with pytest.raises(Refused):
        check(batch, outsider)
    assert items(batch) == []


def test_good_rows_can_go_without_the_bad(batch: Batch, operator: Membership) -> None:
    check(batch, operator, ["A", "1", ""], ["B", "x", ""], ["C", "y", ""])
    assert sheet_rows.drop_invalid(batch) == 2
    assert [item.state for item in items(batch)] == ["waiting", "left_out", "left_out"]
    report = sheet_rows.report_of(batch)
    assert (report.total, report.good, report.bad, report.left_out) == (3, 1, 0, 2)


def test_corrected_rows_are_added_and_checked_with_the_others(batch: Batch, operator: Membership) -> None:
    check(batch, operator, ["A", "1", ""], ["B", "x", ""], key_columns=["Supplier name"])
    more = table(["2", "B", "DE"], ["3", "a", "DE"], columns=["Amount", "Supplier name", "Country"])
    report = sheet_rows.add_rows(batch, more, membership=operator)
    assert (report.total, report.good, report.bad) == (4, 2, 2)
    assert [(item.row_number, item.label, item.state) for item in items(batch)] == [
        (2, "NDA A", "waiting"),
        (3, "NDA B", "invalid"),
        (4, "NDA B", "waiting"),
        (5, "NDA a", "invalid"),
    ]


def test_the_file_of_errors_comes_back_corrected_in_place(batch: Batch, operator: Membership) -> None:
    """S-14: what could be a formula is guarded on the way out and itself again on the way in."""
    check(batch, operator, ["A", "1", ""], ["=B", "12,5", "-x"], ["C", "3", ""])
    sent = sheet_rows.corrections(batch)
    assert b'"\'=B"' in sent
    read = read_sheet("errors.csv", sent.replace(b'"12,5"', b'"12.5"'))
    assert read.columns == ["Row", "What is wrong", *COLUMNS]
    report = sheet_rows.add_rows(batch, read, membership=operator)
    assert (report.total, report.good) == (3, 3)
    assert sheet_rows.preview_item(items(batch)[1])["trigger_inputs"] == {
        "Supplier name": "=B",
        "Amount": 12.5,
        "Country": "-x",
    }


def test_a_good_row_is_not_replaced_by_a_corrected_one(batch: Batch, operator: Membership) -> None:
    check(batch, operator, ["A", "1", ""], ["B", "x", ""])
    for number in ("2", "9", "x", ""):
        more = table([number, "C", "1", ""], columns=["Row", *COLUMNS])
        with pytest.raises(Refused, match="not the number of a row with errors"):
            sheet_rows.add_rows(batch, more, membership=operator)
    assert sheet_rows.table_of(batch).rows[0] == ["A", "1", ""]


def test_corrected_rows_need_the_same_header_and_stay_within_the_limit(
    batch: Batch, operator: Membership, settings: Any
) -> None:
    check(batch, operator, ["A", "1", ""], ["B", "x", ""])
    with pytest.raises(Refused, match="same header"):
        sheet_rows.add_rows(batch, table(["C", "1"], columns=["Supplier name", "Amount"]), membership=operator)
    settings.BATCH_MAX_ROWS = 2
    with pytest.raises(Refused, match="at most 2"):
        sheet_rows.add_rows(batch, table(["C", "1", ""]), membership=operator)


def test_a_changed_contract_is_told_until_the_rows_are_checked_again(
    batch: Batch, operator: Membership, workflow: Workflow
) -> None:
    check(batch, operator, ["A", "1", ""])
    assert sheet_rows.drift_of(batch) == []
    later = timezone.now() + timedelta(minutes=1)
    changed = [FIELDS[0], asks("Amount", "string"), *FIELDS[2:], asks("Region", default="EU")]
    ContractFactory(workflow=workflow, fields=changed, first_seen_at=later, last_seen_at=later)
    assert sheet_rows.drift_of(batch) == [
        "“Amount” was number and is now string.",
        "“Region” is new (string, with a default).",
    ]
    check(batch, operator)
    assert sheet_rows.drift_of(batch) == []


def test_what_stood_in_the_file_is_in_no_column_in_plain(batch: Batch, operator: Membership) -> None:
    """V-4: the rows are sealed; only names of instances are kept as they are."""
    canary = "canary.person@example.com"
    check(batch, operator, ["A", "1", canary], name_pattern="NDA {Supplier name}", key_columns=["Country"])
    with connection.cursor() as cursor:
        for model in (Batch, BatchItem, Sheet):
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")  # noqa: S608  # a name of our own
            assert canary not in repr(cursor.fetchall())
    assert canary in repr(sheet_rows.table_of(batch))


HOSTILE = [
    "<script>alert(1)</script>",
    "{{ 7*7 }}{% debug %}",
    '"><img src=x onerror=alert(1)>',
    "=cmd|'/c calc'!A1",
    "'; DROP TABLE dashboard_batch; --",
    "\u202etxt.exe",
    "{Amount}",
    "a\u200bb",
    "😀" * 20,
    "${jndi:ldap://x}",
    "../../etc/passwd",
]


def test_hostile_strings_pass_through_as_text(batch: Batch, operator: Membership) -> None:
    """S-3: a cell is never a template, a formula or a statement; it is sent letter by letter."""
    check(batch, operator, *([text, "1", text] for text in HOSTILE))
    sent = [sheet_rows.preview_item(item)["trigger_inputs"]["Supplier name"] for item in items(batch)]
    assert sent == HOSTILE
    assert [item.label for item in items(batch)] == [f"NDA {' '.join(text.split())}" for text in HOSTILE]
