"""The list as a file: exactly what is on the screen, for exactly who may see it, and written down."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.http import StreamingHttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from python_calamine import CalamineWorkbook

from dashboard.forms.instance_filter import COLUMNS
from dashboard.models import (
    Account,
    AuditEntry,
    Connection,
    Instance,
    InstanceState,
    Membership,
    Rights,
    Role,
    Workflow,
)
from dashboard.services import exports, visibility, workbooks
from dashboard.services.cells import CELLS
from dashboard.services.exports import BrokenOff, Export
from dashboard.services.instance_lists import Search
from tests.factories import InstanceFactory, WorkflowFactory, lists, person
from tests.services.test_cells import HOSTILE

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]
URL = "/instances/export/"
AT = datetime(2026, 5, 12, 8, 31, 40, tzinfo=UTC)


@pytest.fixture
def workflow(account: Account, viewer: Membership) -> Workflow:
    made = WorkflowFactory(account=account, name="Supplier NDA")
    lists(viewer, made)
    return made


@pytest.fixture
def console(viewer: Membership, signed_in: SignedIn) -> Client:
    return signed_in(viewer)


def body(answer: Any) -> bytes:
    assert isinstance(answer, StreamingHttpResponse), answer.content
    return b"".join(answer.streaming_content)  # type: ignore[arg-type]


def read(answer: Any) -> list[list[str]]:
    text = body(answer).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def sheet(content: bytes, path: Path) -> list[list[Any]]:
    path.write_bytes(content)
    return CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python(skip_empty_area=False)


def entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("seq"))


def test_the_columns_and_words_of_the_list_come_out_as_csv(console: Client, workflow: Workflow) -> None:
    InstanceFactory(
        workflow=workflow,
        name="NDA Lindqvist",
        started_at=AT,
        last_modified_at=AT + timedelta(hours=1),
        expires_at=None,
    )
    assert read(console.get(URL)) == [
        ["Name", "Workflow", "State", "Progress", "Started by", "Started", "Last changed", "Expires"],
        [
            "NDA Lindqvist", "Supplier NDA", "In progress", "3 of 7 steps done, last Manager review", "Emma Berg",
            "2026-05-12T08:31:40Z", "2026-05-12T09:31:40Z", "",
        ],
    ]  # fmt: skip


def test_a_spreadsheet_is_told_the_codec_and_every_cell_is_quoted(console: Client, workflow: Workflow) -> None:
    """S-14: with the byte order mark, CRLF and quotes, no program has to guess."""
    InstanceFactory(workflow=workflow, name="Räksmörgås")
    content = body(console.get(URL, {"cols": "name"}))
    assert content == '\ufeff"Name"\r\n"Räksmörgås"\r\n'.encode()


@time_machine.travel(datetime(2026, 11, 22, 3, 4, tzinfo=UTC), tick=False)
@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_the_answer_is_a_download_that_nobody_keeps(kind: str, console: Client, workflow: Workflow) -> None:
    answer = console.get(URL, {"format": kind})
    assert answer.headers["Content-Disposition"] == f'attachment; filename="instances-2026-11-22-0304.{kind}"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in answer.headers["Cache-Control"]
    body(answer)


def test_tab_filters_order_and_columns_are_those_of_the_screen(console: Client, workflow: Workflow) -> None:
    InstanceFactory(workflow=workflow, name="NDA b", status=InstanceState.FAILED, raw_status="Failed")
    InstanceFactory(workflow=workflow, name="NDA a", status=InstanceState.FAILED, raw_status="Failed")
    InstanceFactory(workflow=workflow, name="NDA c")
    InstanceFactory(workflow=workflow, name="Order a", status=InstanceState.FAILED, raw_status="Failed")
    query = {"state": "failed", "name": "nda", "sort": "name", "cols": "name,state,last_step"}
    assert read(console.get(URL, query)) == [
        ["Name", "State", "Last step done"],
        ["NDA a", "Failed", "Manager review"],
        ["NDA b", "Failed", "Manager review"],
    ]


def test_all_pages_come_out_however_small_the_page_and_wherever_it_stands(
    console: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BATCH", 7)
    names = {InstanceFactory(workflow=workflow).name for _ in range(30)}
    page = console.get("/instances/", {"size": 25})
    older = page.context["older_url"]
    rows = read(console.get(f"{URL}{older}&size=25&cols=name"))
    assert len(rows) == 31
    assert {row[0] for row in rows[1:]} == names


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_no_cell_is_a_formula(kind: str, console: Client, workflow: Workflow, tmp_path: Path) -> None:
    """S-14: the corpus, opened by programs that are not ours."""
    for name in HOSTILE:
        InstanceFactory(workflow=workflow, name=name, started_by_name=name, last_completed_step_name=name)
    content = body(console.get(URL, {"format": kind, "cols": "name,by,last_step", "sort": "name"}))
    if kind == "xlsx":
        rows = sheet(content, tmp_path / "list.xlsx")
        formulas = CalamineWorkbook.from_path(str(tmp_path / "list.xlsx")).get_sheet_by_index(0)
        assert b"<f>" not in b"".join(parts_of(content))
        assert {str(type(cell)) for row in formulas.to_python() for cell in row} == {str(str)}
    else:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        assert not [
            cell for row in rows for cell in row if cell.lstrip(" \u00a0\u2003\ufeff\u200b")[:1] in set("=+-@\t\r＝")
        ]
    assert len(rows) == len(HOSTILE) + 1


def parts_of(content: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        yield from (archive.read(name) for name in archive.namelist())


def test_a_sheet_holds_the_same_rows_as_the_csv(console: Client, workflow: Workflow, tmp_path: Path) -> None:
    for number in range(5):
        InstanceFactory(workflow=workflow, name=f"NDA {number}", started_at=AT)
    query = {"cols": "name,state,started,id", "sort": "name"}
    rows = sheet(body(console.get(URL, {**query, "format": "xlsx"})), tmp_path / "list.xlsx")
    assert rows == read(console.get(URL, query))


def test_a_list_longer_than_a_sheet_is_refused_in_plain_words(
    console: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbooks, "SHEET_ROWS", 3)
    for _ in range(4):
        InstanceFactory(workflow=workflow)
    answer = console.get(URL, {"format": "xlsx"})
    assert answer.status_code == 422
    assert "An Excel sheet holds 3 rows, and this list has more." in answer.content.decode()
    assert entries()[-1].action == "instances.export_broken_off"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("format", "pdf"),
        ("name", "x"),
        ("workflow", "00000000-0000-0000-0000-000000000000"),
        ("key", "broken"),
        ("state", "x"),
        ("started_from", "x"),
    ],
)
def test_an_unknown_format_or_a_filter_that_is_not_understood_exports_nothing(
    name: str, value: str, console: Client, workflow: Workflow
) -> None:
    InstanceFactory(workflow=workflow)
    assert console.get(URL, {name: value}).status_code == 422
    assert entries() == []


def test_each_person_exports_what_they_see(account: Account, workflow: Workflow, signed_in: SignedIn) -> None:
    """V-1, V-3: like the screen, row by row."""
    preparer = person(account, Role.VIEWER, rights=Rights.OWN, name="Pia Preparer")
    lists(preparer, workflow)
    InstanceFactory(workflow=workflow, name="Hers", started_by=visibility.own_id(preparer))
    InstanceFactory(workflow=workflow, name="Somebody's", started_by_name="Canary Carla")
    content = body(signed_in(preparer).get(URL))
    assert b"Hers" in content
    assert b"Somebody" not in content
    assert b"Canary" not in content


def chunks_of(viewer: Membership, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Iterator[bytes]:
    monkeypatch.setattr(exports, "BATCH", 2)
    export = Export(viewer, Search(sort="name"), (("name", "Name"),), **options)
    exports.begin(export)
    return exports.csv_chunks(export)


@pytest.fixture
def six(workflow: Workflow) -> list[Instance]:
    return [InstanceFactory(workflow=workflow, name=f"NDA {number}") for number in range(6)]


def test_rights_that_narrow_in_the_middle_narrow_the_rest(
    viewer: Membership, six: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """V-6: each batch is asked for with the rights of its moment."""
    Instance.objects.filter(pk=six[4].pk).update(started_by=visibility.own_id(viewer))
    chunks = chunks_of(viewer, monkeypatch)
    assert [next(chunks), next(chunks)][1] == b'"NDA 0"\r\n"NDA 1"\r\n'
    Membership.objects.filter(pk=viewer.pk).update(rights=Rights.OWN)
    assert b"".join(chunks) == b'"NDA 4"\r\n'
    assert entries()[-1].detail["rows"] == 3


@pytest.mark.parametrize("how", ["disconnected", "signed out"])
def test_a_person_who_is_gone_in_the_middle_gets_a_failed_download(
    how: str, viewer: Membership, six: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """V-6: it breaks, so that nobody takes half a list for the whole."""
    is_here = {"": True}
    chunks = chunks_of(viewer, monkeypatch, is_signed_in=lambda: is_here[""])
    next(chunks)
    next(chunks)
    if how == "disconnected":
        Connection.objects.filter(user=viewer.user).update(state=Connection.State.DISCONNECTED)
    else:
        is_here[""] = False
    with pytest.raises(BrokenOff, match="signed out"):
        next(chunks)
    assert (entries()[-1].action, entries()[-1].detail["rows"]) == ("instances.export_broken_off", 2)


def test_signing_out_in_another_tab_ends_the_export(
    viewer: Membership, six: list[Instance], signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BATCH", 2)
    client = signed_in(viewer)
    answer = client.get(URL)
    parts = iter(answer.streaming_content)
    next(parts)
    client.session.flush()
    with pytest.raises(BrokenOff):
        list(parts)


def test_signing_out_ends_a_sheet_as_well(
    viewer: Membership, six: list[Instance], signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V-6: it was written whole, and leaves the console a piece at a time."""
    monkeypatch.setattr(exports, "CHUNK_BYTES", 100)
    client = signed_in(viewer)
    parts = iter(client.get(URL, {"format": "xlsx"}).streaming_content)
    next(parts)
    client.session.flush()
    with pytest.raises(BrokenOff):
        list(parts)


def test_what_was_asked_for_and_what_left_is_in_the_audit(
    console: Client, viewer: Membership, six: list[Instance]
) -> None:
    """A-1: the intent before the first row, the number of rows after the last."""
    answer = console.get(URL, {"state": "running", "cols": "name,id", "started_from": "2020-01-01"})
    assert [(entry.action, entry.result) for entry in entries()] == [("instances.export_asked", "intent")]
    body(answer)
    asked, done = entries()
    assert (done.action, done.result, done.actor_name) == ("instances.exported", "ok", "Vera Viewer")
    assert done.object_id == str(viewer.account_id)
    assert done.detail == {
        "format": "csv",
        "columns": ["name", "id"],
        "filters": {"state": "running", "sort": "-changed", "started_from": "2020-01-01T00:00:00Z"},
        "rows": 6,
    }
    assert "rows" not in asked.detail


def test_a_download_that_is_broken_off_is_told_as_such(
    viewer: Membership, six: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = chunks_of(viewer, monkeypatch)
    next(chunks)
    next(chunks)
    next(chunks)
    chunks.close()  # type: ignore[attr-defined]  # what the server does when the console has gone
    last = entries()[-1]
    assert (last.action, last.result, last.detail["rows"]) == ("instances.export_broken_off", "failed", 2)


def test_the_audit_holds_no_searched_name_and_no_value(console: Client, six: list[Instance]) -> None:
    """A-5, V-4: only that there was a search."""
    body(console.get(URL, {"name": "canary person", "key": f"email:{'a' * 64}"}))
    said = json.dumps([entry.detail for entry in entries()])
    assert "canary" not in said
    assert "a" * 64 not in said
    assert '"key_input": "email"' in said


def test_a_batch_takes_a_few_queries_however_many_rows_it_has(
    console: Client, workflow: Workflow, django_assert_max_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "BATCH", 20)
    for _ in range(40):
        InstanceFactory(workflow=workflow)
    with django_assert_max_num_queries(50):
        assert len(read(console.get(URL))) == 41


@pytest.mark.parametrize("column", [key for key in COLUMNS if key != "name"])
def test_an_export_reads_what_its_columns_need_and_nothing_row_by_row(
    column: str, console: Client, six: list[Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read(console.get(URL, {"cols": column}))
    monkeypatch.setattr("dashboard.services.instance_lists.MANY_ROWS", 0)
    with CaptureQueriesContext(connection) as captured:
        assert read(console.get(URL, {"cols": column})) == whole
    rows = [
        query["sql"]
        for query in captured.captured_queries
        if re.match('SELECT "dashboard_instance"."id"', query["sql"])
    ]
    assert len(whole) == len(six) + 1
    assert len(rows) == 1
    assert ("ended_at" in rows[0]) == (column == "ended")


def test_every_column_that_can_be_shown_can_be_exported(console: Client, workflow: Workflow) -> None:
    assert set(CELLS) == set(COLUMNS)
    InstanceFactory(workflow=workflow, started_at=timezone.now())
    heading, row = read(console.get(URL, {"cols": ",".join(COLUMNS)}))
    assert len(heading) == len(row) == len(COLUMNS)


def test_the_list_offers_its_export_with_the_number_of_rows(console: Client, six: list[Instance]) -> None:
    text = console.get("/instances/", {"state": "running", "sort": "name", "size": 25}).content.decode()
    assert "Export 6 rows" in text
    assert 'href="/instances/export/?state=running&amp;sort=name&amp;format=csv"' in text
    assert 'href="/instances/export/?state=running&amp;sort=name&amp;format=xlsx"' in text


def test_the_page_of_a_workflow_exports_its_own_instances(console: Client, six: list[Instance]) -> None:
    """With the columns of that page, which does not repeat the workflow in each row."""
    InstanceFactory(workflow=WorkflowFactory(account=six[0].account))
    found = console.get(f"/workflows/{six[0].workflow_id}/").context["export_url"]
    rows = read(console.get(f"{found}csv"))
    assert "Workflow" not in rows[0]
    assert len(rows) == 7
