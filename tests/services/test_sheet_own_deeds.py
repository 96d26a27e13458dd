"""A row and a click that start the very same thing are known by the same digest."""

import json
from collections.abc import Callable

import pytest

from dashboard.models import BatchItem, Contract, Membership, Operation, OperationState, Workflow
from dashboard.services.input_values import asked
from dashboard.services.sheet_rows import CheckReport, check_sheet, start_sheet
from dashboard.services.sheets import Table
from tests.services.conftest import inputs_for
from tests.services.test_sheet_rows import planned


@pytest.fixture
def check_row(ada: Membership, workflow: Workflow, contract: Contract) -> Callable[[str], CheckReport]:
    """Check a file with one row: this name, and the inputs of the trigger fixture."""
    inputs = inputs_for(contract)
    names = [spec["name"] for spec in asked(contract.fields)]
    cells = [text if isinstance(text := inputs.get(name, ""), str) else json.dumps(text) for name in names]

    def checked(title: str) -> CheckReport:
        batch = planned(ada, workflow)
        start_sheet(batch, Table(["Title", *names], [[title, *cells]], [2]), "rows.csv")
        mapping: dict[str, str | None] = {name: name for name in names}
        return check_sheet(batch, membership=ada, mapping=mapping, name_column="Title")

    return checked


def test_a_row_that_was_clicked_before_is_warned_of(
    trigger: Callable[..., Operation], check_row: Callable[[str], CheckReport]
) -> None:
    """U-7: also without key columns the very same start is not made twice in silence."""
    trigger()
    report = check_row("NDA Lindqvist")
    assert (report.good, report.warned) == (1, 1)
    assert BatchItem.objects.get().message.startswith("You triggered the same name and inputs on ")


def test_another_name_or_a_refused_click_is_no_duplicate(
    trigger: Callable[..., Operation], check_row: Callable[[str], CheckReport]
) -> None:
    trigger()
    assert check_row("NDA Berg").warned == 0
    Operation.objects.update(state=OperationState.REJECTED)
    assert check_row("NDA Lindqvist").warned == 0
