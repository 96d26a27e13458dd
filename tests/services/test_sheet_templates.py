"""Template files: what they hold is read back by the console without a question."""

import io
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from dashboard.models import Contract, InputRule
from dashboard.services import sheet_templates
from dashboard.services.sheet_rows import guess_mapping, guess_name_column
from dashboard.services.sheets import SheetError, read_sheet
from tests.factories import ContractFactory, WorkflowFactory


def asks(name: str, kind: str = "string", default: Any = None, *, is_system: bool = False) -> dict[str, Any]:
    return {
        "name": name, "data_type": kind, "kind": kind, "default": default,
        "has_default": default is not None, "is_system": is_system,
    }  # fmt: skip


FIELDS = [asks("Supplier, name"), asks("=Amount", "number"), asks("Country", default="DE"), asks("id", is_system=True)]


@pytest.fixture
def contract(db: None) -> Contract:
    return ContractFactory(workflow=WorkflowFactory(), fields=FIELDS)


def test_the_header_of_the_csv_fills_every_input_by_itself(contract: Contract) -> None:
    """S-14: a heading that could be a formula is guarded, and still found."""
    data = sheet_templates.csv_template(contract)
    assert data == '\ufeff"Instance name","Supplier, name","\'=Amount","Country"\r\n'.encode()
    table = read_sheet("template.csv", data + b'"NDA 1","A","1",""\r\n')
    mapping = guess_mapping(table.columns, contract.fields)
    assert mapping == {"Supplier, name": "Supplier, name", "=Amount": "'=Amount", "Country": "Country"}
    assert guess_name_column(table.columns, mapping) == "Instance name"


def test_the_workbook_has_the_same_header_and_explains_the_inputs(contract: Contract) -> None:
    data = sheet_templates.xlsx_template(contract)
    book = CalamineWorkbook.from_filelike(io.BytesIO(data))
    assert book.sheet_names == ["Rows", "Inputs"]
    assert book.get_sheet_by_index(0).to_python() == [["Instance name", "Supplier, name", "=Amount", "Country"]]
    explained = book.get_sheet_by_index(1).to_python()
    assert [row[:5] for row in explained] == [
        ["Input", "Label", "Kind", "Required", "Default"],
        ["Supplier, name", "", "text", "yes", ""],
        ["=Amount", "", "number, with a point for decimals", "yes", ""],
        ["Country", "", "text", "no", "DE"],
    ]


def test_an_empty_template_is_told_to_hold_no_rows(contract: Contract) -> None:
    for name, data in (
        ("a.csv", sheet_templates.csv_template(contract)),
        ("a.xlsx", sheet_templates.xlsx_template(contract)),
    ):
        with pytest.raises(SheetError, match="only a header"):
            read_sheet(name, data)


def test_choices_of_the_team_are_offered_in_the_workbook(contract: Contract) -> None:
    choices = [f"Country {number}" for number in range(60)]  # far more than a validation takes by itself
    words = {"label": "Seat", "help": "Where it is"}
    InputRule.objects.create(workflow=contract.workflow, input_name="Country", choices=choices, **words)
    book = CalamineWorkbook.from_filelike(io.BytesIO(sheet_templates.xlsx_template(contract)))
    assert book.sheet_names == ["Rows", "Inputs", "Choices"]
    assert book.get_sheet_by_index(2).to_python() == [[choice] for choice in choices]
    explained = book.get_sheet_by_index(1).to_python()[3]
    assert (explained[1], explained[5]) == ("Seat", "Where it is")


def test_an_input_called_like_our_column_leaves_the_name_a_column_of_its_own(db: None) -> None:
    contract = ContractFactory(workflow=WorkflowFactory(), fields=[asks("Instance name")])
    assert sheet_templates.headings(contract) == ["Instance name (here)", "Instance name"]
