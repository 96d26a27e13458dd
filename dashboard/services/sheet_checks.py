"""One row of a file: the name and the inputs that it becomes, or what is wrong with it, column by column.

The one rule: a cell means what the same text means in the trigger form, and whoever reads a problem can tell which cell to change.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from dashboard import crypto
from dashboard.models import InputRule
from dashboard.services import input_rules
from dashboard.services.errors import Refused
from dashboard.services.findable import digest_of, folded
from dashboard.services.input_values import LEFT_OUT, MAX_INPUT_BYTES, MAX_NAME, BadValue, Spec, quoted, value_of
from dashboard.services.marker import clean_name

NAME_COLUMN = "Instance name"
OTHER_NAME_COLUMN = "Instance name (here)"  # in templates where an input is called as our column
MAX_PATTERN = 255
PLACE = re.compile(r"\{([^{}]+)\}")
Problem = tuple[str, str]


@dataclass(slots=True)
class Row:
    """A checked row: what would be sent, or the problems that stand against it, each with its column."""

    position: int
    number: int
    label: str = ""
    payload: str = ""
    problems: list[Problem] = field(default_factory=list)
    key_digest: str = ""
    exact_digest: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """How the columns of a file are read."""

    account_id: UUID
    workflow_id: UUID
    specs: Sequence[Spec]
    rules: Mapping[str, InputRule]
    columns: Sequence[str]
    mapping: Mapping[str, str | None]
    name_column: str
    name_pattern: str
    key_names: Sequence[str]

    def refuse_gaps(self) -> None:
        """What is wrong with the plan itself. Raises Refused."""
        known = {spec["name"] for spec in self.specs}
        for spec in self.specs:
            column = self.mapping.get(spec["name"])
            if column is not None and column not in self.columns:
                raise Refused(f"The file has no column {quoted(column)}.", field=spec["name"])
            rule = self.rules.get(spec["name"])
            if column is None and (not spec["has_default"] or (rule is not None and rule.is_required)):
                raise Refused(
                    f"No column fills {quoted(spec['name'])}, which must not be left out.", field=spec["name"]
                )
        if strange := [name for name in (*self.mapping, *self.key_names) if name not in known]:
            raise Refused(f"{quoted(strange[0])} is not an input of this workflow.", field="key_columns")
        if self.name_column:
            if self.name_column not in self.columns:
                raise Refused(f"The file has no column {quoted(self.name_column)}.", field="name_column")
            return
        if not self.name_pattern.strip():
            raise Refused("Choose the column of the instance name, or write a pattern.", field="name_pattern")
        if len(self.name_pattern) > MAX_PATTERN:
            raise Refused(f"Use at most {MAX_PATTERN} characters for the pattern.", field="name_pattern")
        for name in PLACE.findall(self.name_pattern):
            if self._column_of(name) is None:
                message = f"The file has no column {quoted(name)}, and no column fills an input of this name."
                raise Refused(message, field="name_pattern")

    def _column_of(self, name: str) -> str | None:
        return name if name in self.columns else self.mapping.get(name)

    def unused(self) -> list[str]:
        """Columns that fill nothing."""
        named = {self._column_of(name) for name in PLACE.findall(self.name_pattern)} if not self.name_column else set()
        used = {*self.mapping.values(), *named, self.name_column}
        return [column for column in self.columns if column not in used]


class RowReader:
    """Checks row after row by one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        place_of = {column: place for place, column in enumerate(plan.columns)}
        self.fields = [
            (spec, plan.rules.get(spec["name"]), None if column is None else place_of[column])
            for spec in plan.specs
            for column in [plan.mapping.get(spec["name"])]
        ]
        self.name_place = place_of[plan.name_column] if plan.name_column else None
        # Texts and places of cells in turn.
        self.pattern: list[str | int] = []
        for index, part in enumerate(PLACE.split(plan.name_pattern)):
            column = plan._column_of(part) if index % 2 else None
            self.pattern.append(part if column is None else place_of[column])

    def read(self, position: int, number: int, cells: Sequence[str]) -> Row:
        row = Row(position, number)
        inputs: dict[str, Any] = {}
        for spec, rule, place in self.fields:
            self._read_input(row, inputs, spec, rule, None if place is None else cells[place])
        self._read_name(row, cells)
        payload = json.dumps(inputs, sort_keys=True, ensure_ascii=False)
        if len(payload) > MAX_INPUT_BYTES // 4 and len(payload.encode()) > MAX_INPUT_BYTES:
            size = len(payload.encode()) / 1024
            limit = MAX_INPUT_BYTES // 1024
            row.problems.append(
                ("", f"The inputs are {size:,.0f} KB together; at most {limit} KB can be sent. Shorten them.")
            )
        if not row.problems:
            row.payload = payload
            self._digest(row, inputs)
        return row

    def _read_input(
        self, row: Row, inputs: dict[str, Any], spec: Spec, rule: InputRule | None, text: str | None
    ) -> None:
        name = spec["name"]
        column = self.plan.mapping.get(name) or name
        try:
            value = value_of(spec, text or "")
        except BadValue as error:
            row.problems.append((column, error.message))
            return
        said = input_rules.problems(rule, spec, None if value is LEFT_OUT else value) if rule else []
        row.problems.extend((column, sentence) for sentence in said)
        if value is not LEFT_OUT:
            inputs[name] = value

    def _read_name(self, row: Row, cells: Sequence[str]) -> None:
        if self.name_place is not None:
            text = cells[self.name_place]
        else:
            text = "".join(cells[part] if isinstance(part, int) else part for part in self.pattern)
        row.label = clean_name(" ".join(text.split()))
        column = self.plan.name_column or NAME_COLUMN
        if not row.label:
            row.problems.append((column, "The instance would have no name. Write one."))
        elif len(row.label) > MAX_NAME:
            sentence = f"Use at most {MAX_NAME} characters for the instance name; these are {len(row.label)}."
            row.problems.append((column, sentence))
            row.label = row.label[:MAX_NAME]

    def _digest(self, row: Row, inputs: Mapping[str, Any]) -> None:
        plan = self.plan
        row.exact_digest = crypto.keyed_digest("payload", f"{plan.workflow_id}\n{row.label}\n{row.payload}")
        values = [(name, _compared(inputs.get(name))) for name in plan.key_names]
        if any(text for _, text in values):
            row.key_digest = crypto.keyed_digest("batch key", json.dumps([str(plan.workflow_id), sorted(values)]))
            row.digests = {name: digest_of(plan.account_id, name, inputs.get(name)) for name in plan.key_names}


def _compared(value: Any) -> str:
    """A value as keys are compared: without case and without blanks around it."""
    if value is None:
        return ""
    return folded((value if isinstance(value, str) else json.dumps(value, sort_keys=True)).strip())


def note_repeats(rows: Sequence[Row], plan: Plan) -> None:
    """Within the file the first row with its key may go; each later one is an error. Without keys, exact twins are warned of."""
    first: dict[str, int] = {}
    named = " and ".join(quoted(name) for name in plan.key_names)
    for row in rows:
        digest = row.key_digest or ("" if plan.key_names else row.exact_digest)
        if not digest:
            continue
        number = first.setdefault(digest, row.number)
        if number == row.number:
            continue
        if plan.key_names:
            column = plan.mapping.get(plan.key_names[0]) or plan.key_names[0]
            row.problems.append((column, f"Row {number:,} has the same {named}. Keep one of the two."))
        else:
            row.warnings.append(f"Row {number:,} has the same name and inputs.")
