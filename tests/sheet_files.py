"""Rows and forms for tests of "trigger from a file". The one rule: the first text input is the one that a test may name."""

import uuid
from dataclasses import dataclass
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse

from dashboard.models import Contract
from dashboard.services.input_values import asked

GOOD = {"string": "Lindqvist Print AB", "number": "7", "boolean": "true", "date": "2026-12-01"}
CANARY = "canary.person@example.com"


@dataclass(frozen=True, slots=True)
class BulkFile:
    """A file for a contract: its header, rows that are good unless told otherwise, and how its columns are chosen."""

    contract: Contract

    @property
    def specs(self) -> list[Any]:
        return list(asked(self.contract.fields))

    @property
    def header(self) -> list[str]:
        return ["Instance name", *(spec["name"] for spec in self.specs)]

    def row(self, name: str, first: str = "", **others: str) -> list[str]:
        """Cells of a row; `others` are values by the kind of input."""
        cells = [others.get(spec["kind"], GOOD.get(spec["kind"], "x")) for spec in self.specs]
        place = next(place for place, spec in enumerate(self.specs) if spec["kind"] == "string")
        cells[place] = first or cells[place]
        return [name, *cells]

    def choice(self, **values: Any) -> dict[str, Any]:
        """What the page of columns sends."""
        columns = {f"column-{place}": str(place + 1) for place, _ in enumerate(self.specs)}
        data = {"key": uuid.uuid4().hex, "contract": self.contract.digest, "name_column": "0", "name_pattern": ""}
        return {**data, **columns, **values}


def pasted(*rows: list[str]) -> str:
    return "\n".join("\t".join(cells) for cells in rows)


def sent(**values: Any) -> dict[str, Any]:
    """What the first page sends."""
    return {"key": uuid.uuid4().hex, "name": "Suppliers of March", "reason": "LEG-412", **values}


def csv(content: bytes, name: str = "rows.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="text/csv")


def error_of(answer: HttpResponse, field: str) -> str:
    return " ".join(answer.context["form"].errors.get(field, []))
