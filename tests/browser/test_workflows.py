"""Pausing and resuming in a real browser: both truths on the screen, and a disabled control says why."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.steps import page_of, send_button, state_in_title
from tests.processes import RunningConsole

Person = Callable[..., Page]


def choose(page: Page, item: str) -> None:
    page.get_by_role("button", name=re.compile("^More for")).first.click()
    page.locator(":popover-open").get_by_text(item).click()


def test_a_paused_workflow_says_so_takes_no_trigger_and_can_be_resumed(console: RunningConsole, person: Person) -> None:
    """U-6: pause and resume are safe to repeat; what we did and what Docusign says are both shown."""
    page = person("Olu Operator")
    page.goto(page_of(console, "Sales contract"))
    choose(page, "Pause new triggers…")
    dialog = page.get_by_role("dialog", name="Pause Sales contract?")
    expect(dialog.get_by_role("link", name="Keep it active")).to_be_focused()
    expect(dialog.locator(".effects")).to_contain_text("Running instances go on")
    dialog.get_by_role("button", name="Pause workflow").click()
    expect(dialog).to_be_hidden()
    expect(state_in_title(page)).to_have_text(re.compile("Paused"))
    expect(page.get_by_role("button", name="More for Sales contract", exact=True)).to_be_focused()
    facts = page.get_by_role("complementary", name="About this workflow")
    expect(facts).to_contain_text(re.compile("Docusign says"))
    expect(facts).to_contain_text(re.compile("paused it.*Olu Operator", re.S))
    trigger = page.locator("main").get_by_role("button", name="Trigger", exact=True)
    expect(trigger).to_have_attribute("aria-disabled", "true")
    expect(trigger).to_have_accessible_description(re.compile("It is paused, so it takes no new instances"))
    expect(page.get_by_text("It is paused, so it takes no new instances").first).to_be_visible()
    page.goto(f"{console.url}/workflows/")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="Sales contract"))
    expect(row).to_contain_text("Paused")
    expect(row.get_by_role("button", name="Trigger Sales contract")).to_have_accessible_description("Resume first")
    page.goto(f"{page_of(console, 'Sales contract')}trigger/")
    expect(send_button(page)).to_be_disabled()
    page.goto(page_of(console, "Sales contract"))
    choose(page, "Resume…")
    page.get_by_role("dialog").get_by_role("button", name="Resume workflow").click()
    expect(state_in_title(page)).to_have_text(re.compile("Active"))
    expect(page.locator("main").get_by_role("link", name="Trigger", exact=True)).to_be_visible()
    assert len(console.ledger("POST", "/actions/pause")) == 1
    assert len(console.ledger("POST", "/actions/resume")) == 1


def test_a_pause_in_two_tabs_ends_paused_and_alarms_nobody(console: RunningConsole, person: Person) -> None:
    """U-6: a conflict with the state that was wanted counts as done."""
    page = person("Olu Operator")
    address = page_of(console, "Purchase order")
    page.goto(f"{address}pause/")
    other = person("Ada Admin")
    other.goto(f"{address}pause/")
    page.get_by_role("button", name="Pause workflow").click()
    expect(state_in_title(page)).to_have_text(re.compile("Paused"))
    other.get_by_role("button", name="Pause workflow").click()
    expect(other.get_by_role("alert")).to_contain_text("This workflow is already paused.")
    other.goto(address)
    expect(state_in_title(other)).to_have_text(re.compile("Paused"))
    other.goto(f"{address}resume/")
    other.get_by_role("button", name="Resume workflow").click()
    expect(state_in_title(other)).to_have_text(re.compile("Active"))
