"""Empty files whose header is what a workflow asks for. Its one rule: what they hold is read back by the console without a question."""

import io
from collections.abc import Sequence
from typing import Any

import xlsxwriter
from django.conf import settings

from dashboard.models import Contract, InputRule
from dashboard.services import input_rules
from dashboard.services.input_values import Spec, asked
from dashboard.services.json_values import as_json
from dashboard.services.sheet_checks import NAME_COLUMN, OTHER_NAME_COLUMN
from dashboard.services.workbooks import CELL_LETTERS, csv_head

WORDS = {
    "string": "text",
    "number": "number, with a point for decimals",
    "boolean": "true or false",
    "date": "date, such as 2026-06-01",
    "datetime": "date and time, such as 2026-06-01T09:30:00",
    "object": 'JSON object, such as {"city": "Hamburg"}',
    "array": 'JSON list, such as ["EU", "UK"]',
}


def headings(contract: Contract) -> list[str]:
    """The column of the instance's name, then the inputs in the workflow's order."""
    names = [spec["name"] for spec in asked(contract.fields)]
    return [OTHER_NAME_COLUMN if NAME_COLUMN in names else NAME_COLUMN, *names]


def csv_template(contract: Contract) -> bytes:
    """One line: UTF-8 with its mark, CRLF, every cell quoted and none of them a formula (S-14)."""
    return csv_head(headings(contract))


def xlsx_template(contract: Contract) -> bytes:
    """A sheet for the rows, one that explains the inputs, and one with the choices that the team keeps."""
    rules = input_rules.rules_of(contract.workflow)
    specs = asked(contract.fields)
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(file, options) as book:
        bold = book.add_format({"bold": True})
        plain = book.add_format({"num_format": "@"})
        rows = book.add_worksheet("Rows")
        rows.freeze_panes(1, 0)
        rows.set_column(0, len(specs), 24, plain)  # as text, so that Excel changes nothing that is typed
        for place, name in enumerate(headings(contract)):
            rows.write_string(0, place, name[:CELL_LETTERS], bold)
        _explain(book.add_worksheet("Inputs"), specs, rules, bold)
        _offer_choices(book, rows, specs, rules)
    return file.getvalue()


def _explain(sheet: Any, specs: Sequence[Spec], rules: dict[str, InputRule], bold: Any) -> None:
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 5, 40)
    for place, heading in enumerate(("Input", "Label", "Kind", "Required", "Default", "Help")):
        sheet.write_string(0, place, heading, bold)
    for line, spec in enumerate(specs, start=1):
        rule = rules.get(spec["name"])
        is_required = not spec["has_default"] or bool(rule and rule.is_required)
        default = spec["default"] if spec["has_default"] else ""
        cells = (
            spec["name"],
            rule.label if rule else "",
            WORDS.get(spec["kind"], f"as the workflow expects it ({spec['data_type'] or 'no type given'})"),
            "yes" if is_required else "no",
            default if isinstance(default, str) else as_json(default),
            " ".join(input_rules.hints(rule, spec)),
        )
        for place, cell in enumerate(cells):
            sheet.write_string(line, place, cell[:CELL_LETTERS])


def _offer_choices(book: Any, rows: Any, specs: Sequence[Spec], rules: dict[str, InputRule]) -> None:
    """Lists on a sheet of their own: Excel takes no more than 255 letters in a validation itself."""
    narrowed = [(place, rules[spec["name"]]) for place, spec in enumerate(specs, start=1) if spec["name"] in rules]
    narrowed = [(place, rule) for place, rule in narrowed if input_rules.has_choices(rule, specs[place - 1])]
    if not narrowed:
        return
    choices = book.add_worksheet("Choices")
    for column, (place, rule) in enumerate(narrowed):
        for line, choice in enumerate(rule.choices):
            choices.write_string(line, column, str(choice)[:CELL_LETTERS])
        letters = xlsxwriter.utility.xl_col_to_name(column, col_abs=True)
        source = f"=Choices!{letters}$1:{letters}${len(rule.choices)}"
        rows.data_validation(1, place, settings.BATCH_MAX_ROWS, place, {"validate": "list", "source": source})
