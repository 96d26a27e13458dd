"""Finding instances in a real browser: filters in the address, typeahead, columns; by mouse, by keyboard and without script."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from dashboard.models import InstanceState, Membership, Role, Workflow
from tests.browser.test_accessibility import CONTRAST, violations
from tests.factories import AccountFactory, InstanceFactory, WorkflowFactory, lists, person

Visit = Callable[..., Page]
METTE, BEN = "1f0e7c9a-58a8-4c1b-8a51-0f2f7a6b1d02", "7b9c2d4e-3f51-4a7c-9d1e-5e6f7a8b9c03"


@pytest.fixture
def admin(transactional_db: None) -> Membership:
    return person(AccountFactory(), Role.ADMIN, name="Alma Admin")


@pytest.fixture
def workflows(admin: Membership) -> list[Workflow]:
    made = [
        WorkflowFactory(account=admin.account, name=name)
        for name in ("Invoice approval", "Offer letter", "Offer to a supplier")
    ]
    lists(admin, *made)
    for workflow in made:
        InstanceFactory(workflow=workflow, name=f"{workflow.name} one", started_by=METTE, started_by_name="Mette Berg")
        InstanceFactory(
            workflow=workflow,
            name=f"{workflow.name} two",
            started_by=BEN,
            started_by_name="Ben Carter",
            status=InstanceState.FAILED,
        )
    return made


@pytest.fixture
def page(admin: Membership, workflows: list[Workflow], visit: Visit) -> Page:
    page = visit(admin)
    page.goto("/instances/")
    return page


def shows(page: Page, *names: str) -> None:
    """The list comes to hold exactly these rows, in whatever order."""
    rows = page.locator("main tbody th")
    expect(rows).to_have_count(len(names))
    for name in names:
        expect(rows.get_by_text(name, exact=True)).to_have_count(1)


def offers(page: Page, **options: Any) -> Locator:
    return page.get_by_role("listbox").get_by_role("option", **options)


def test_filters_are_in_the_address_and_survive_back_and_copying(page: Page, admin: Membership, visit: Visit) -> None:
    page.get_by_label("Search instances").fill("offer")
    page.get_by_text("More filters").click()
    page.get_by_label("Steps done, at least").fill("2")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page).to_have_url(re.compile(r"/instances/\?name=offer&steps=2$"))
    page.get_by_role("navigation", name="State").get_by_role("link", name="Failed").click()
    expect(page).to_have_url(re.compile(r"\?name=offer&steps=2&state=failed$"))
    shows(page, "Offer letter two", "Offer to a supplier two")
    address = page.url
    page.get_by_role("link", name="Offer letter two").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Offer letter two")
    page.go_back()
    expect(page).to_have_url(address)
    expect(page.get_by_label("Search instances")).to_have_value("offer")
    expect(page.get_by_label("Steps done, at least")).to_have_value("2")
    other = visit(admin)
    other.goto(address)
    shows(other, "Offer letter two", "Offer to a supplier two")


def test_a_chip_takes_its_filter_away(page: Page) -> None:
    page.goto("/instances/?name=letter&steps=2")
    page.get_by_role("link", name="Name has: letter , remove this filter").click()
    expect(page).to_have_url(re.compile(r"\?steps=2$"))
    expect(page.locator("main tbody th")).to_have_count(6)


def test_a_workflow_is_chosen_by_keyboard_alone(page: Page) -> None:
    page.get_by_label("Search instances").fill("one")
    field = page.get_by_role("combobox", name="Workflow")
    field.focus()
    page.keyboard.insert_text("offer")  # at once, so that one answer comes
    expect(offers(page)).to_have_text(["Offer letter", "Offer to a supplier"])
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    chosen = offers(page, selected=True)
    expect(chosen).to_have_text("Offer to a supplier")
    expect(field).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "")
    expect(field).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name=re.compile("Workflow: Offer to a supplier"))).to_be_visible()
    shows(page, "Offer to a supplier one")  # what was typed into the other field counts too
    expect(page.get_by_label("Search instances")).to_have_value("one")


def test_escape_closes_the_offers_and_leaves_the_text(page: Page) -> None:
    field = page.get_by_role("combobox", name="Started by")
    field.press_sequentially("me")
    expect(offers(page).first).to_have_text("Me")
    page.keyboard.press("Escape")
    expect(offers(page)).to_have_count(0)
    expect(field).to_have_value("me")
    expect(field).to_have_attribute("aria-expanded", "false")


def test_a_person_is_chosen_by_mouse(page: Page) -> None:
    page.get_by_role("combobox", name="Started by").fill("ber")
    offers(page, name="Mette Berg").click()
    expect(page.get_by_role("link", name=re.compile("Started by: Mette Berg"))).to_be_visible()


def test_text_that_is_sent_at_once_is_asked_about(page: Page) -> None:
    page.get_by_role("combobox", name="Workflow").fill("offer")
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Workflow")).to_have_accessible_description(
        re.compile("more than one workflow")
    )
    expect(page.get_by_role("heading", name="Nothing is listed yet")).to_be_visible()
    page.get_by_role("link", name="Offer letter", exact=True).click()
    shows(page, "Offer letter one", "Offer letter two")


def test_filters_work_without_script(admin: Membership, workflows: list[Workflow], visit: Visit) -> None:
    page = visit(admin, java_script_enabled=False)
    page.goto("/instances/")
    page.get_by_label("Search instances").fill("offer")
    page.get_by_role("textbox", name="Workflow").fill("supplier")
    page.get_by_role("textbox", name="Started by").fill("ben")
    page.get_by_role("button", name="Filter", exact=True).click()
    shows(page, "Offer to a supplier two")
    page.get_by_role("textbox", name="Workflow").fill("offer")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("link", name="Offer letter", exact=True).click()
    shows(page, "Offer letter two", "Offer to a supplier two")
    page.get_by_role("button", name="Columns", exact=True).click()
    page.get_by_role("checkbox", name="Progress").uncheck()
    page.get_by_role("button", name="Show these columns").click()
    expect(page.get_by_role("columnheader", name="Progress")).to_have_count(0)
    shows(page, "Offer letter two", "Offer to a supplier two")


def test_columns_are_chosen_and_stay_in_the_address(page: Page) -> None:
    page.goto("/instances/?name=letter")
    page.get_by_role("button", name="Columns", exact=True).click()
    page.get_by_role("checkbox", name="Started by").uncheck()
    page.get_by_role("checkbox", name="Ended").check()
    page.get_by_role("button", name="Show these columns").click()
    expect(page).to_have_url(re.compile(r"name=letter&cols=name(,|%2C)workflow(,|%2C)state"))
    expect(page.get_by_role("columnheader", name="Ended")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Started by")).to_have_count(0)
    page.get_by_role("link", name="Name", exact=True).click()
    expect(page.get_by_role("columnheader", name="Ended")).to_be_visible()
    page.get_by_role("button", name="Columns", exact=True).click()
    page.get_by_role("link", name="Standard columns").click()
    expect(page.get_by_role("columnheader", name="Started by")).to_be_visible()
    expect(page).to_have_url(re.compile(r"\?name=letter&sort=name$"))


def test_the_pager_and_the_size_keep_the_filter(page: Page, workflows: list[Workflow]) -> None:
    now = timezone.now()
    for number in range(60):
        InstanceFactory(
            workflow=workflows[0], name=f"Bulk {number:02}", last_modified_at=now - timedelta(days=number + 1)
        )
    page.goto("/instances/?name=bulk")
    page.get_by_role("link", name="Older").click()
    expect(page.locator("main tbody th").first).to_have_text("Bulk 25")
    page.get_by_role("link", name="Newer").click()
    expect(page.locator("main tbody th").first).to_have_text("Bulk 00")
    page.get_by_role("link", name="100 rows").click()
    expect(page).to_have_url(re.compile(r"\?name=bulk&size=100$"))
    expect(page.locator("main tbody th")).to_have_count(60)


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_in_what_the_filters_open(
    width: int, admin: Membership, workflows: list[Workflow], visit: Visit
) -> None:
    page = visit(admin, viewport={"width": width, "height": 900}, color_scheme="light", reduced_motion="reduce")
    page.goto("/instances/?steps=1")
    found = []

    def look() -> None:
        found.extend(violations(page))
        page.evaluate("document.documentElement.dataset.theme = 'dark'")
        found.extend(violations(page, CONTRAST))
        page.evaluate("document.documentElement.dataset.theme = 'light'")

    page.get_by_role("combobox", name="Workflow").press_sequentially("o")
    page.keyboard.press("ArrowDown")
    expect(offers(page, selected=True)).to_be_visible()
    look()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Columns", exact=True).click()
    look()
    assert found == []


def test_chosen_columns_scroll_in_their_own_box_with_the_menu_in_sight(page: Page) -> None:
    page.goto("/instances/?cols=name,workflow,state,steps,by,started,changed,expires,ended,origin,id,last_step")
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(over) == 0
    box = page.locator(".table-box")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    expect(page.get_by_role("button", name="More for Offer letter one")).to_be_in_viewport()
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate(over) == 0
    assert box.evaluate("box => box.scrollWidth - box.clientWidth") == 0
