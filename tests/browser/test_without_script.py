"""Everything that matters with JavaScript switched off: sign in, trigger, cancel, pause, resume."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.steps import (
    INSTANCE_URL,
    LEASE,
    fill,
    open_form,
    page_of,
    running_instance,
    send,
    state_in_title,
    triggers,
)
from tests.processes import RunningConsole

Person = Callable[..., Page]


@pytest.fixture
def plain(person: Person) -> Page:
    return person("Olu Operator", is_fresh=True, java_script_enabled=False)


def test_a_workflow_is_triggered_without_script(console: RunningConsole, plain: Page, person: Person) -> None:
    open_form(person("Olu Operator"), console, "Lease renewal")  # the inputs are read
    open_form(plain, console, "Lease renewal")
    fill(plain, LEASE | {"New monthly rent": "much"}, name="Lease without script")
    send(plain)
    expect(plain.locator("#error-summary")).to_contain_text("is not a number")
    assert triggers(console) == []
    fill(plain, {"New monthly rent": "900"})
    send(plain)
    expect(plain).to_have_url(INSTANCE_URL)
    expect(plain.locator(".toasts")).to_contain_text("Triggered: Lease without script")
    plain.get_by_role("button", name="Reveal link").click()
    expect(plain.get_by_role("heading", level=1)).to_have_text("Participant link")
    assert len(triggers(console)) == 1


def test_an_instance_is_canceled_without_script(console: RunningConsole, plain: Page) -> None:
    instance = running_instance(console)
    plain.goto(f"{console.url}/instances/{instance['id']}/")
    plain.get_by_role("link", name="Cancel instance…").click()
    expect(plain.get_by_role("heading", level=1)).to_have_text("Cancel this instance?")
    plain.get_by_label("Reason").fill("No script here")
    plain.get_by_role("button", name="Cancel 1 instance").click()
    expect(plain).to_have_url(INSTANCE_URL)
    expect(plain.get_by_role("heading", name=re.compile(r"Canceling in \d+ s"))).to_be_visible()
    plain.get_by_role("button", name="Undo").click()
    expect(plain.locator(".toasts")).to_contain_text("Undone. Nothing was sent to Docusign.")
    plain.get_by_role("link", name="Cancel instance…").click()
    plain.get_by_label("Reason").fill("No script here")
    plain.get_by_role("button", name="Cancel 1 instance").click()
    plain.get_by_role("button", name="Cancel now").click()
    expect(state_in_title(plain)).to_have_text(re.compile("Canceled"))


def test_ticked_rows_lead_to_their_question_without_script(console: RunningConsole, plain: Page) -> None:
    plain.goto(f"{console.url}/instances/?state=running")
    names = [plain.locator("tbody .tick input:enabled").nth(number) for number in (0, 1)]
    for box in names:
        box.check()
    plain.get_by_role("button", name="Cancel selected instances…").click()
    expect(plain.get_by_role("heading", level=1)).to_have_text("Cancel 2 instances?")
    expect(plain.get_by_role("link", name="Keep them running")).to_be_visible()


def test_a_workflow_is_paused_and_resumed_without_script(console: RunningConsole, plain: Page) -> None:
    plain.goto(page_of(console, "Invoice approval"))
    for item, verb, state in (
        ("Pause new triggers…", "Pause workflow", "Paused"),
        ("Resume…", "Resume workflow", "Active"),
    ):
        plain.get_by_role("button", name="More for Invoice approval", exact=True).click()
        plain.get_by_role("link", name=item).click()
        plain.get_by_role("button", name=verb).click()
        expect(state_in_title(plain)).to_have_text(re.compile(state))


def test_the_theme_changes_without_script(console: RunningConsole, plain: Page) -> None:
    plain.goto(f"{console.url}/workflows/")
    plain.locator(".foot").get_by_role("button", name="Dark").click()
    expect(plain).to_have_url(f"{console.url}/workflows/")
    expect(plain.locator("html")).to_have_attribute("data-theme", "dark")
