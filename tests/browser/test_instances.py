"""Instances in a real browser: the list fills by itself, one is canceled, and what ended cannot be canceled."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import running_instance, state_in_title
from tests.processes import RunningConsole, wait_until

Person = Callable[..., Page]


@pytest.fixture
def cancels(console: RunningConsole) -> Callable[[], int]:
    return lambda: len(console.ledger("POST", "/actions/cancel"))


def test_a_question_before_a_cancel_names_everything_and_the_focus_is_on_keeping(
    console: RunningConsole, person: Person, cancels: Callable[[], int]
) -> None:
    """S-4: the question names what it is about, so that nobody cancels another one."""
    instance = running_instance(console)
    page = person("Olu Operator")
    page.goto(f"{console.url}/instances/{instance['id']}/")
    page.get_by_role("link", name="Cancel instance…").click()
    dialog = page.get_by_role("dialog", name="Cancel this instance?")
    expect(dialog.get_by_role("link", name="Keep it running")).to_be_focused()
    expect(dialog.locator(".env")).to_have_text("Simulator")
    expect(dialog.locator(".names")).to_contain_text(instance["name"].split(" ·")[0])
    expect(dialog.locator(".effects")).to_contain_text("Docusign cannot undo this.")
    expect(dialog.locator(".effects")).to_contain_text("2 to 3 API calls")
    dialog.get_by_role("link", name="Keep it running").click()
    expect(dialog).to_be_hidden()
    assert cancels() == 0


def test_a_cancel_needs_a_reason_and_ends_the_instance_once(
    console: RunningConsole, person: Person, cancels: Callable[[], int]
) -> None:
    """U-6: the state is read back, and the page shows what Docusign says."""
    instance = running_instance(console)
    page = person("Olu Operator")
    page.goto(f"{console.url}/instances/{instance['id']}/")
    page.get_by_role("link", name="Cancel instance…").click()
    dialog = page.get_by_role("dialog")
    verb = dialog.get_by_role("button", name="Cancel 1 instance")
    verb.click()
    expect(dialog.get_by_label("Reason")).to_have_accessible_description(re.compile("Write why"))
    assert cancels() == 0
    dialog.get_by_label("Reason").fill("Duplicate of another one")
    verb.dblclick()
    expect(dialog).to_be_hidden()
    expect(page.locator("main").get_by_role("heading", name=re.compile(r"Canceling in \d+ s"))).to_be_visible()
    assert cancels() == 0
    page.locator("main").get_by_role("button", name="Cancel now").dblclick()
    expect(state_in_title(page)).to_have_text(re.compile("Canceled"))
    expect(page.get_by_text("It has ended: Canceled.")).to_be_visible()
    assert cancels() == 1
    page.goto(f"{console.url}/audit/?q=Duplicate+of+another+one")
    expect(page.get_by_role("row").filter(has_text="Duplicate of another one").first).to_be_visible()


def test_after_a_deed_that_is_offered_no_more_the_focus_is_on_the_heading(
    console: RunningConsole, person: Person
) -> None:
    page = person("Olu Operator")
    page.goto(f"{console.url}/instances/{running_instance(console)['id']}/")
    page.get_by_role("link", name="Cancel instance…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Duplicate")
    dialog.get_by_role("button", name="Cancel 1 instance").click()
    expect(page.get_by_text("A cancel of it waits to be sent.")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    page.locator("main").get_by_role("button", name="Undo").click()
    expect(page.locator("main").get_by_role("link", name="Cancel instance…")).to_be_visible()


def test_a_cancel_is_sent_by_itself_at_the_end_of_its_window_and_the_page_follows(
    console: RunningConsole, person: Person, cancels: Callable[[], int]
) -> None:
    """The countdown is the server's; nobody has to load the page again."""
    instance = running_instance(console)
    page = person("Olu Operator")
    page.goto(f"{console.url}/instances/{instance['id']}/cancel/")
    page.get_by_label("Reason").fill("Duplicate")
    page.get_by_role("button", name="Cancel 1 instance").click()
    expect(page.locator("[data-countdown]").first).to_have_text(re.compile(r"Canceling in 2?[0-7] s"))
    assert cancels() == 0
    expect(state_in_title(page)).to_have_text(re.compile("Canceled"), timeout=120_000)
    assert cancels() == 1


def test_canceling_what_has_ended_meanwhile_is_told_and_shown(console: RunningConsole, person: Person) -> None:
    """U-6: Docusign's state wins over what the page still showed."""
    instance = running_instance(console)
    page = person("Olu Operator")
    page.goto(f"{console.url}/instances/{instance['id']}/")
    page.get_by_role("link", name="Cancel instance…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Too late")
    dialog.get_by_role("button", name="Cancel 1 instance").click()
    now = page.locator("main").get_by_role("button", name="Cancel now")
    expect(now).to_be_visible()
    console.control("POST", f"/instances/{instance['id']}", {"workflow_status": "Completed"})
    now.click()
    expect(page.locator(".toast", has_text=re.compile("completed", re.I))).to_be_visible()
    expect(page.locator(".toast[data-undo-seconds]")).to_have_count(0)  # nor is an Undo offered any more
    expect(state_in_title(page)).to_have_text(re.compile("Completed"))
    expect(page.get_by_text("It has ended: Completed.")).to_be_visible()


def test_a_cancel_with_a_lost_answer_is_read_back(
    console: RunningConsole, person: Person, cancels: Callable[[], int]
) -> None:
    """U-6: an answer that did not come is neither a failure nor sent a second time blindly."""
    instance = running_instance(console)
    page = person("Olu Operator")
    page.goto(f"{console.url}/instances/{instance['id']}/cancel/")
    page.get_by_label("Reason").fill("Answer will be lost")
    fault = {"match": {"method": "POST", "path": "/actions/cancel", "times": 1}, "do": {"reset": "after"}}
    console.control("POST", "/faults", [fault])
    page.get_by_role("button", name="Cancel 1 instance").click()
    page.wait_for_url(lambda url: not url.endswith("/cancel/"))
    page.locator("main").get_by_role("button", name="Cancel now").click()
    wait_until(
        "the outcome is known",
        lambda: (
            console.query("SELECT state FROM dashboard_operation WHERE reason = 'Answer will be lost'")
            == [("confirmed",)]
        ),
        seconds=60,
    )
    page.goto(f"{console.url}/instances/{instance['id']}/")
    expect(state_in_title(page)).to_have_text(re.compile("Canceled"), timeout=120_000)
    assert cancels() == 1


def test_opening_pages_again_and_again_costs_docusign_nothing(console: RunningConsole, person: Person) -> None:
    """Only the worker's own sync calls Docusign, and only when it is due."""
    page = person("Olu Operator")
    instance = running_instance(console)
    console.control("DELETE", "/ledger")
    for path in ("/", "/workflows/", "/instances/", "/audit/", f"/instances/{instance['id']}/"):
        page.goto(f"{console.url}{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert [each["path"] for each in console.ledger(None, f"/instances/{instance['id']}")] == []
