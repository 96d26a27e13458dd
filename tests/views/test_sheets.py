"""Trigger from a file, up to its columns: what a file or a person can get wrong."""

import io
import json
import uuid
import zipfile
from collections.abc import Callable
from csv import reader

import pytest
from django.test import Client
from django.urls import reverse
from python_calamine import CalamineWorkbook

from dashboard.models import AuditEntry, Batch, Contract, Membership, Operation, Workflow
from maestro_api.simulator import Simulator
from tests.factories import WorkflowFactory
from tests.sheet_files import CANARY, BulkFile, csv, error_of, pasted, sent


@pytest.fixture
def address(workflow: Workflow, contract: Contract) -> str:
    return reverse("bulk-start", args=[workflow.pk])


def test_the_page_says_what_each_row_gives_and_asks_docusign_nothing(
    browser_of_ada: Client, address: str, contract: Contract, simulator: Simulator, bulk: BulkFile
) -> None:
    answer = browser_of_ada.get(address)
    body = answer.content.decode()
    assert answer.status_code == 200
    assert "sheets/index.html" in [template.name for template in answer.templates]
    assert [each["name"] for each in answer.context["inputs"]] == [spec["name"] for spec in bulk.specs]
    assert 'enctype="multipart/form-data"' in body
    assert simulator.ledger() == []


def test_the_workflow_and_its_form_lead_to_it(browser_of_ada: Client, address: str, workflow: Workflow) -> None:
    for name in ("workflow", "workflow-trigger"):
        assert f'href="{address}"' in browser_of_ada.get(reverse(name, args=[workflow.pk])).content.decode()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_template_has_the_inputs_as_its_header(
    browser_of_ada: Client, workflow: Workflow, kind: str, bulk: BulkFile
) -> None:
    answer = browser_of_ada.get(f"{reverse('bulk-template', args=[workflow.pk])}?format={kind}")
    content = b"".join(answer) if answer.streaming else answer.content
    if kind == "csv":
        [first] = reader(content.decode("utf-8-sig").splitlines())
    else:
        first = CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()[0]
    assert first == bulk.header
    assert "attachment" in answer.headers["Content-Disposition"]


def test_a_template_of_another_kind_is_refused(browser_of_ada: Client, workflow: Workflow, contract: Contract) -> None:
    assert browser_of_ada.get(f"{reverse('bulk-template', args=[workflow.pk])}?format=exe").status_code == 422


def test_a_file_becomes_a_run_that_is_not_started(
    browser_of_ada: Client, address: str, ada: Membership, simulator: Simulator, bulk: BulkFile
) -> None:
    """U-8: rows are taken in, nothing is sent; A-1, V-4: the audit names how many and no value."""
    content = pasted(bulk.header, bulk.row("NDA one", CANARY)).replace("\t", ",").encode()
    answer = browser_of_ada.post(address, sent(file=csv(content)))
    batch = Batch.objects.get()
    assert answer.headers["Location"] == reverse("batch-columns", args=[batch.pk])
    assert (batch.kind, batch.source, batch.state, batch.actor_id) == ("trigger", "sheet", "planned", ada.user_id)
    assert batch.reason == "LEG-412"
    assert CANARY not in batch.sheet.sealed_table
    entry = AuditEntry.objects.get(action="batch.uploaded")
    assert entry.detail["count"] == 1
    assert CANARY not in json.dumps(entry.detail)
    assert simulator.ledger() == []
    assert not Operation.objects.exists()


HOSTILE = {
    "zip": ("rows.csv", "zip", "zip file"),
    "utf-16": ("rows.csv", "A\tB\n1\t2\n".encode("utf-16"), "UTF-16"),
    "latin-1": ("rows.csv", "A,B\n1,é\n".encode("latin-1"), "Row 2, column “B”"),
    "nul": ("rows.csv", b"A,B\n1,x\x00y\n", "Row 2, column “B”"),
    "open quote": ("rows.csv", b'A,B\n1,"x\n2,y\n', "Row"),
    "twice": ("rows.csv", b"A,A\n1,2\n", "Row 1, column “A”"),
    "ragged": ("rows.csv", b"A,B\n1,2\n1,2,3\n", "Row 3"),
    "wide": ("rows.csv", b",".join(b"c%d" % n for n in range(200_000)) + b"\n", "columns"),
    "no rows": ("rows.csv", b"A,B\n", "only a header"),
    "empty": ("rows.csv", b"", "empty"),
    "exe": ("rows.exe", b"MZ", ".xlsx"),
    "no workbook": ("rows.xlsx", b"A,B\n1,2\n", ""),
}


@pytest.mark.parametrize("case", sorted(HOSTILE))
def test_a_hostile_file_comes_back_with_what_is_wrong_and_where(
    browser_of_ada: Client, address: str, case: str, simulator: Simulator
) -> None:
    """S-13: a 4xx with row and column, and nothing of the file is kept."""
    name, content, said = HOSTILE[case]
    if content == "zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("rows.csv", "A,B\n1,2\n")
        content = packed.getvalue()
    answer = browser_of_ada.post(address, sent(file=csv(content, name)))
    assert answer.status_code == 422
    assert error_of(answer, "file")
    assert said in error_of(answer, "file")
    assert 'value="Suppliers of March"' in answer.content.decode()
    assert not Batch.objects.exists()
    assert simulator.ledger() == []


def test_a_wrong_row_of_pasted_text_comes_back_with_all_that_was_typed(browser_of_ada: Client, address: str) -> None:
    answer = browser_of_ada.post(address, sent(pasted="A\tB\n1\t2\n<b>kept</b>\t2\t3\n"))
    body = answer.content.decode()
    assert answer.status_code == 422
    assert "Row 3" in error_of(answer, "pasted")
    assert "&lt;b&gt;kept&lt;/b&gt;" in body
    assert 'value="LEG-412"' in body
    assert '<a href="#pasted">' in body


PARTS = "multipart/form-data; boundary=x"


class Endless:
    """The body of a request that counts how much of it was read."""

    def __init__(self, head: bytes, size: int) -> None:
        self.head, self.left, self.taken = head, size, 0

    def read(self, size: int = -1) -> bytes:
        piece, self.head = self.head[:size], self.head[size:]
        if not piece:
            piece = b"x" * min(size if size >= 0 else 65536, self.left)
            self.left -= len(piece)
        self.taken += len(piece)
        return piece

    def readline(self, size: int = -1) -> bytes:
        raise AssertionError("a body of parts is read in pieces")


def upload_of(size: int, values: dict[str, str]) -> tuple[Endless, int]:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in values.items()
    ]
    parts.append('--x\r\nContent-Disposition: form-data; name="file"; filename="big.csv"\r\n\r\n')
    head = "".join(parts).encode()
    return Endless(head, size), len(head) + size


@pytest.mark.parametrize("megabytes", [6, 52])
def test_a_file_that_is_too_large_is_refused_beside_its_field_and_the_rest_is_kept(
    browser_of_ada: Client, address: str, megabytes: int
) -> None:
    """S-13: of 52 MB no more than the first 5 are read."""
    body, length = upload_of(megabytes * 1024 * 1024, sent())
    answer = browser_of_ada.generic(
        "POST",
        address,
        b"",
        **{"wsgi.input": body, "CONTENT_LENGTH": str(length), "CONTENT_TYPE": PARTS},
    )
    assert answer.status_code == 422
    assert "larger than 5 MB" in error_of(answer, "file")
    assert 'value="Suppliers of March"' in answer.content.decode()
    assert not Batch.objects.exists()
    if megabytes > 20:
        assert body.taken < 6 * 1024 * 1024


def test_a_large_body_is_taken_only_where_a_file_is_asked_for(browser_of_ada: Client, workflow: Workflow) -> None:
    """S-13: the limit of forms holds everywhere else."""
    body, length = upload_of(3 * 1024 * 1024, {})
    for name in ("workflow-trigger", "workflow-pause"):
        answer = browser_of_ada.generic(
            "POST",
            reverse(name, args=[workflow.pk]),
            b"",
            **{"wsgi.input": body, "CONTENT_LENGTH": str(length), "CONTENT_TYPE": PARTS},
        )
        assert answer.status_code == 400
    assert body.taken == 0


@pytest.mark.parametrize("other", [{"workflow": "x"}, {"state": "done"}])
def test_a_field_that_the_page_does_not_have_is_refused(
    browser_of_ada: Client, address: str, prepared: Batch, other: dict[str, str], bulk: BulkFile
) -> None:
    """S-12: on every form of the way."""
    before = prepared.sheet.checked_at
    pages = {
        address: sent(pasted="A\n1"),
        reverse("batch-columns", args=[prepared.pk]): bulk.choice(),
        reverse("batch-rows", args=[prepared.pk]): {"key": uuid.uuid4().hex, "pasted": "A\n1"},
        reverse("batch-check", args=[prepared.pk]): {"again": "yes"},
    }
    for page, data in pages.items():
        assert browser_of_ada.post(page, {**data, **other}).status_code == 422
    prepared.sheet.refresh_from_db()
    assert (Batch.objects.count(), prepared.sheet.checked_at) == (1, before)


def test_columns_are_guessed_and_the_first_rows_are_shown(browser_of_ada: Client, address: str, bulk: BulkFile) -> None:
    shouted = [name.upper().replace(" ", "  ") for name in bulk.header]
    text = pasted(shouted, *(bulk.row(f"NDA {n}", f"Firm {n}") for n in range(5)))
    browser_of_ada.post(address, sent(pasted=text))
    answer = browser_of_ada.get(reverse("batch-columns", args=[Batch.objects.get().pk]))
    body = answer.content.decode()
    assert [field.value() for field in answer.context["form"].column_fields()] == [
        str(place + 1) for place in range(len(bulk.header) - 1)
    ]
    assert answer.context["unmatched"] == 0
    assert "Firm 2" in body
    assert "Firm 3" not in body
    assert answer.context["form"]["name_column"].value() == "0"


def test_an_input_without_a_column_is_marked_and_the_check_refused(
    browser_of_ada: Client, address: str, bulk: BulkFile
) -> None:
    browser_of_ada.post(address, sent(pasted=pasted(["Instance name", "Else", *bulk.header[2:]], bulk.row("NDA"))))
    page = reverse("batch-columns", args=[Batch.objects.get().pk])
    shown = browser_of_ada.get(page)
    assert shown.context["unmatched"] == 1
    assert "No column of the file has this name." in shown.content.decode()
    answer = browser_of_ada.post(page, bulk.choice(**{"column-0": ""}))
    assert answer.status_code == 422
    assert "No column fills this input" in error_of(answer, "column-0")
    assert browser_of_ada.post(page, bulk.choice(contract="\0")).status_code == 422


def test_the_same_form_sent_twice_makes_one_run(browser_of_ada: Client, address: str, bulk: BulkFile) -> None:
    """U-7: a double submit gives the first result."""
    data = sent(pasted=pasted(bulk.header, bulk.row("NDA one")))
    first, second = browser_of_ada.post(address, data), browser_of_ada.post(address, data)
    assert first.headers["Location"] == second.headers["Location"]
    assert Batch.objects.count() == 1
    assert AuditEntry.objects.filter(action="batch.uploaded").count() == 1


def test_a_workflow_of_others_takes_no_file(operator: Membership, signed_in: Callable[..., Client]) -> None:
    foreign = WorkflowFactory()
    client = signed_in(operator)
    assert client.post(reverse("bulk-start", args=[foreign.pk]), {}).status_code == 404
    assert client.get(reverse("bulk-template", args=[foreign.pk])).status_code == 404


def test_what_was_pasted_survives_the_end_of_the_session(browser_of_ada: Client, ada: Membership, address: str) -> None:
    """S-6: signed out in mid-form, signed in again, the rows are back."""
    token = browser_of_ada.get(address).context["draft_owner"]
    gone = Client()
    assert gone.post(address, sent(pasted="A\tB\nkept\t2", draft_owner=token)).status_code == 302
    gone.force_login(ada.user, backend="dashboard.authentication.DocusignBackend")
    assert gone.get(address).context["form"]["pasted"].value() == "A\tB\nkept\t2"
