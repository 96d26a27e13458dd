"""Views, key inputs and export as a person uses them. Its one rule: each journey ends with rows on the screen or in a file."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from dashboard.models import InstanceState, Membership, SavedView, ViewUse, Workflow
from dashboard.services import key_inputs
from tests.browser.test_accessibility import OPTIONS
from tests.factories import ContractFactory, InstanceFactory, WorkflowFactory, lists

pytestmark = pytest.mark.django_db(transaction=True)
Visit = Callable[..., Page]
ASKED = {"data_type": "String", "kind": "string", "default": None, "has_default": False, "is_system": False}


@pytest.fixture
def workflow(admin: Membership) -> Workflow:
    made = WorkflowFactory(account=admin.account, name="Supplier NDA")
    ContractFactory(workflow=made, fields=[{**ASKED, "name": "Email"}, {**ASKED, "name": "Amount"}])
    lists(admin, made)
    for number in range(4):
        InstanceFactory(workflow=made, name=f"NDA {number}", trigger_inputs={"Email": f"p{number}@example.com"})
    InstanceFactory(workflow=made, name="NDA failed", status=InstanceState.FAILED, raw_status="Failed")
    return made


def test_a_view_is_saved_pinned_and_opened_again(admin: Membership, workflow: Workflow, visit: Visit) -> None:
    page = visit(admin)
    page.goto("/instances/?state=failed")
    page.get_by_role("link", name="Save view…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Failed ones")
    dialog.get_by_label("Pin it above the list").check()
    dialog.get_by_role("button", name="Save view").click()
    expect(dialog).to_be_hidden()
    page.goto("/instances/?state=all")
    page.get_by_role("navigation", name="Pinned views").get_by_role("link", name="Failed ones 1").click()
    expect(page.locator("main .table tbody tr")).to_have_count(1)


def test_an_instance_is_found_by_a_key_input(admin: Membership, workflow: Workflow, visit: Visit) -> None:
    page = visit(admin)
    page.goto(f"/workflows/{workflow.pk}/")
    page.get_by_role("button", name="Use as key Email").click()
    expect(page.get_by_role("button", name="Stop using as key Email")).to_be_visible()
    key_inputs.work_on(key_inputs.marked(workflow)["Email"].pk)
    page.goto("/instances/?state=all")
    page.get_by_role("link", name="Find by key input…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Value").fill("P2@example.com")
    dialog.get_by_role("button", name="Find instances").click()
    expect(page.get_by_text("Email equals a value you searched for")).to_be_visible()
    expect(page.locator("main .table tbody tr")).to_have_count(1)
    assert "example.com" not in page.url


def test_the_list_is_downloaded(admin: Membership, workflow: Workflow, visit: Visit, tmp_path: Path) -> None:
    page = visit(admin)
    page.goto("/instances/?state=running&sort=name")
    page.get_by_role("button", name="Export 4 rows").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export CSV").click()
    download.value.save_as(tmp_path / "list.csv")
    rows = list(csv.reader((tmp_path / "list.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert [row[0] for row in rows] == ["Name", "NDA 0", "NDA 1", "NDA 2", "NDA 3"]


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_axe_finds_nothing(admin: Membership, workflow: Workflow, visit: Visit, theme: Any, width: int) -> None:
    views = [
        SavedView.objects.create(account=workflow.account, owner=admin.user, name=name, query=query, is_shared=True)
        for name, query in (
            ("Failed ones", "state=failed"),
            ("Broken", "workflow=00000000-0000-4000-8000-000000000000"),
        )
    ]
    for view in views:
        ViewUse.objects.create(membership=admin, view=view, is_pinned=True)
    key_inputs.mark(workflow, "Email", membership=admin)
    page = visit(admin, color_scheme=theme, viewport={"width": width, "height": 900})
    change = f"/instances/views/{views[0].pk}/change/"
    key = f"/instances/?state=all&key=Email:{'a' * 64}"
    for path in (
        "/instances/views/",
        "/instances/views/new/?state=failed",
        change,
        "/instances/find/",
        key,
        f"/workflows/{workflow.pk}/",
    ):
        page.goto(path)
        found = Axe().run(page, options=OPTIONS).response["violations"]
        assert [(path, each["id"], each["nodes"][0]["html"]) for each in found] == []
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
