"""Trigger from a file: the check, corrected rows, the dry run, and who may see them."""

import json
import re
import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.models import Approval, Batch, Contract, Membership, Operation, Workflow
from dashboard.services import contracts
from maestro_api.simulator import Simulator
from tests.factories import lists
from tests.sheet_files import CANARY, BulkFile, error_of, pasted, sent


@pytest.fixture
def address(workflow: Workflow, contract: Contract) -> str:
    return reverse("bulk-start", args=[workflow.pk])


def test_the_check_names_row_and_column_of_each_error_and_sends_nothing(
    browser_of_ada: Client, prepared: Batch, simulator: Simulator
) -> None:
    """U-8: a dry run with the errors of each row."""
    answer = browser_of_ada.get(reverse("batch-check", args=[prepared.pk]))
    body = answer.content.decode()
    report = answer.context["report"]
    assert (report.good, report.bad, report.total) == (2, 1, 3)
    [(item, column, sentence)] = answer.context["errors"]
    assert item.row_number == 4
    assert "soon" in sentence
    assert column in body
    assert "Go without the 1 row that has errors" in body
    assert [item.label for item in answer.context["ready"]] == ["NDA one", "NDA two"]
    assert simulator.ledger() == []
    assert not Operation.objects.exists()


def test_going_on_leads_to_the_question_and_starts_nothing(
    browser_of_ada: Client, prepared: Batch, simulator: Simulator
) -> None:
    answer = browser_of_ada.post(reverse("batch-check", args=[prepared.pk]), {"go": "2"})
    prepared.refresh_from_db()
    assert answer.headers["Location"] == reverse("batch-confirm", args=[prepared.pk])
    assert (prepared.state, prepared.confirmed_at) == ("planned", None)
    assert prepared.frozen_at is not None
    assert simulator.ledger() == []


def test_going_on_with_another_number_than_the_page_said_shows_the_page_again(
    browser_of_ada: Client, prepared: Batch
) -> None:
    assert browser_of_ada.post(reverse("batch-check", args=[prepared.pk]), {"go": "3"}).status_code == 422


def test_a_row_is_shown_as_the_json_that_will_be_sent(
    browser_of_ada: Client, prepared: Batch, contract: Contract, bulk: BulkFile
) -> None:
    answer = browser_of_ada.get(reverse("batch-item", args=[prepared.pk, 1]))
    shown = json.loads(answer.context["preview"])
    assert shown["instance_name"] == "NDA one ·⟨code⟩"
    assert "Firm one" in shown["trigger_inputs"].values()
    assert set(shown["trigger_inputs"]) <= {spec["name"] for spec in bulk.specs}
    for other in (0, 99, 10**30):
        assert browser_of_ada.get(reverse("batch-item", args=[prepared.pk, other])).status_code == 404


def test_the_page_of_a_checked_run_leads_back_to_its_check_until_somebody_is_asked(
    browser_of_ada: Client, prepared: Batch
) -> None:
    """Rows can be corrected as long as nobody judges or started them."""
    page, check = reverse("batch", args=[prepared.pk]), reverse("batch-check", args=[prepared.pk])
    assert check in browser_of_ada.get(page).content.decode()
    later = timezone.now() + timedelta(hours=1)
    approval = Approval.objects.create(batch=prepared, expires_at=later, list_digest="0" * 64)
    for state, is_open in (("waiting", False), ("approved", False), ("declined", True)):
        Approval.objects.filter(pk=approval.pk).update(state=state)
        assert (check in browser_of_ada.get(page).content.decode()) is is_open
        assert (browser_of_ada.get(check).status_code == 200) is is_open
    Batch.objects.filter(pk=prepared.pk).update(state="running", confirmed_at=timezone.now())
    assert check not in browser_of_ada.get(page).content.decode()


def test_a_row_with_errors_says_why_it_cannot_go(browser_of_ada: Client, prepared: Batch) -> None:
    body = browser_of_ada.get(reverse("batch-item", args=[prepared.pk, 3])).content.decode()
    assert "This row cannot go" in body


def test_corrected_rows_join_the_good_ones(browser_of_ada: Client, prepared: Batch, bulk: BulkFile) -> None:
    data = {"key": uuid.uuid4().hex, "pasted": pasted(bulk.header, bulk.row("NDA three", CANARY))}
    answer = browser_of_ada.post(reverse("batch-rows", args=[prepared.pk]), data)
    assert answer.headers["Location"] == reverse("batch-check", args=[prepared.pk])
    shown = browser_of_ada.get(reverse("batch-check", args=[prepared.pk]))
    assert shown.context["report"].good == 3


def test_corrected_rows_sent_twice_are_added_once(browser_of_ada: Client, prepared: Batch, bulk: BulkFile) -> None:
    """U-7: a double click on the button."""
    data = {"key": uuid.uuid4().hex, "pasted": pasted(bulk.header, bulk.row("NDA three", CANARY))}
    for _ in range(2):
        browser_of_ada.post(reverse("batch-rows", args=[prepared.pk]), data)
    assert browser_of_ada.get(reverse("batch-check", args=[prepared.pk])).context["report"].good == 3


def test_corrected_rows_that_cannot_be_read_come_back_as_typed(browser_of_ada: Client, prepared: Batch) -> None:
    data = {"key": uuid.uuid4().hex, "pasted": "Other\theader\nkept\tx\ty\n"}
    answer = browser_of_ada.post(reverse("batch-rows", args=[prepared.pk]), data)
    assert answer.status_code == 422
    assert "Row 2" in error_of(answer, "pasted")
    assert "kept" in answer.content.decode()


def drift(simulator: Simulator, workflow: Workflow, contract: Contract, ada: Membership) -> None:
    """The workflow asks for one input more, and the mirror knows."""
    schema = [{"field_name": spec["name"], "field_data_type": spec["data_type"]} for spec in contract.fields]
    schema.append({"field_name": "Cost centre", "field_data_type": "String"})
    simulator.set_workflow(str(workflow.pk), trigger_input_schema=schema)
    contracts.read_contract(workflow, membership=ada)


def test_a_change_of_the_workflow_after_the_check_is_told_with_what_changed(
    browser_of_ada: Client,
    prepared: Batch,
    workflow: Workflow,
    contract: Contract,
    ada: Membership,
    simulator: Simulator,
) -> None:
    """U-8: nothing goes on with rows that were checked against something else."""
    drift(simulator, workflow, contract, ada)
    page = reverse("batch-check", args=[prepared.pk])
    body = browser_of_ada.get(page).content.decode()
    assert "“Cost centre” is new" in body
    assert "Check again" in body
    assert browser_of_ada.post(page, {"go": "2"}).status_code == 422
    again = browser_of_ada.post(page, {"again": "yes"})
    assert again.headers["Location"] == reverse("batch-columns", args=[prepared.pk])


def test_a_change_of_the_workflow_while_columns_are_chosen_keeps_what_was_chosen(
    browser_of_ada: Client,
    prepared: Batch,
    workflow: Workflow,
    contract: Contract,
    ada: Membership,
    simulator: Simulator,
    bulk: BulkFile,
) -> None:
    drift(simulator, workflow, contract, ada)
    answer = browser_of_ada.post(reverse("batch-columns", args=[prepared.pk]), bulk.choice(**{"column-0": "2"}))
    assert answer.status_code == 422
    assert "“Cost centre” is new" in answer.content.decode()
    kept = {field.label: field.value() for field in answer.context["form"].column_fields()}
    assert kept[bulk.specs[0]["name"]] == "2"


def test_only_its_own_person_sees_the_values(
    prepared: Batch,
    browser_of_ada: Client,
    operator: Membership,
    admin: Membership,
    workflow: Workflow,
    signed_in: Callable[..., Client],
) -> None:
    """V-4: an admin may look the list through, without a value of it; for others it does not exist."""
    lists(admin, workflow)
    lists(operator, workflow)
    names = ("batch-columns", "batch-check")
    assert CANARY in browser_of_ada.get(reverse("batch-columns", args=[prepared.pk])).content.decode()
    for name in names:
        answer = signed_in(admin).get(reverse(name, args=[prepared.pk]))
        assert answer.status_code == 200
        assert not {word for word in (CANARY, "Firm one", "soon") if word in answer.content.decode()}
        assert signed_in(operator).get(reverse(name, args=[prepared.pk])).status_code == 404
    for client in (signed_in(admin), signed_in(operator)):
        assert client.get(reverse("batch-item", args=[prepared.pk, 1])).status_code == 404


def test_another_account_finds_nothing(prepared: Batch, outsider: Membership, signed_in: Callable[..., Client]) -> None:
    """S-11: a foreign id is a 404 on every page and method."""
    client = signed_in(outsider)
    for name in ("batch-columns", "batch-check", "batch-rows"):
        page = reverse(name, args=[prepared.pk])
        assert {client.get(page).status_code, client.post(page, {}).status_code} == {404}
    assert client.get(reverse("batch-item", args=[prepared.pk, 1])).status_code == 404


def test_a_run_that_was_started_is_prepared_no_longer(browser_of_ada: Client, prepared: Batch) -> None:
    Batch.objects.filter(pk=prepared.pk).update(state="running", confirmed_at=prepared.created_at)
    for name in ("batch-columns", "batch-check", "batch-rows"):
        for method in (browser_of_ada.get, browser_of_ada.post):
            answer = method(reverse(name, args=[prepared.pk]))
            assert answer.headers["Location"] == reverse("batch", args=[prepared.pk])


def test_hostile_cells_stay_text(browser_of_ada: Client, address: str, bulk: BulkFile) -> None:
    """S-3: names, values and headings of a file are text on every page."""
    evil = "<img src=x onerror=a> hx-get=/"
    text = pasted([*bulk.header, evil], [*bulk.row(evil, evil), evil], [*bulk.row("good", evil, date=evil), evil])
    browser_of_ada.post(address, sent(pasted=text, name=evil))
    batch = Batch.objects.get()
    bodies = [browser_of_ada.get(reverse("batch-columns", args=[batch.pk])).content.decode()]
    browser_of_ada.post(reverse("batch-columns", args=[batch.pk]), bulk.choice())
    bodies.append(browser_of_ada.get(reverse("batch-check", args=[batch.pk])).content.decode())
    bodies.append(browser_of_ada.get(reverse("batch-item", args=[batch.pk, 1])).content.decode())
    for body in bodies:
        assert "&lt;img" in body
        assert "<img" not in body
        assert not re.search(r"<[^>&]*\shx-get=/", body)
