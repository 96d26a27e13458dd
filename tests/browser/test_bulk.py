"""Ticked rows in a real browser: from the filter over the ticks and the question to what Docusign got, and back."""

import re
from collections.abc import Callable

from playwright.sync_api import Locator, Page, expect

from tests.processes import RunningConsole, wait_until

Person = Callable[..., Page]
RUN_URL = re.compile(r"/batches/[0-9a-f-]{36}/$")


def boxes(page: Page) -> Locator:
    return page.locator("tbody .tick input:enabled")


def bar(page: Page) -> Locator:
    return page.get_by_role("form", name="Selection")


def tick_three_and_ask(page: Page, console: RunningConsole) -> list[str]:
    """Filter, tick three, answer the question; the ids of what was ticked."""
    page.goto(f"{console.url}/instances/?state=running&expires=3650&size=100")
    for number in range(3):
        boxes(page).nth(number).check()
    expect(bar(page)).to_contain_text("3 selected")
    ids = [boxes(page).nth(number).input_value() for number in range(3)]
    bar(page).get_by_role("button", name="Cancel 3 instances…").click()
    dialog = page.get_by_role("dialog", name="Cancel 3 instances?")
    expect(dialog.get_by_role("link", name="Keep them running")).to_be_focused()
    expect(dialog.locator(".names li")).to_have_count(3)
    dialog.get_by_label("Reason").fill("Template recalled")
    dialog.get_by_role("button", name="Cancel 3 instances").dblclick()
    expect(page).to_have_url(RUN_URL)
    return ids


def test_three_ticked_instances_are_undone_and_then_canceled_exactly_once_each(
    console: RunningConsole, person: Person
) -> None:
    """U-1, U-7, U-8: within the window nothing is sent; after it each is sent once, whatever was clicked twice."""
    page = person("Ada Admin")
    tick_three_and_ask(page, console)
    page.get_by_role("button", name=re.compile("Undo")).first.click()
    expect(page.locator("h1 .state")).to_have_text(re.compile("Done|Undone"))
    assert console.ledger("POST", "/actions/cancel") == []
    ids = tick_three_and_ask(page, console)
    expect(page.locator("h1 .state")).to_have_text(re.compile("Done"), timeout=120_000)
    every = console.control("GET", "/state")["workflows"]
    states = {each["id"]: each["status"] for place in every for each in place["instances"]}
    assert [states[pk] for pk in ids] == ["Canceled"] * 3
    assert len(console.ledger("POST", "/actions/cancel")) == 3


def test_ticks_tell_how_many_and_survive_what_changes_meanwhile(console: RunningConsole, person: Person) -> None:
    page = person("Ada Admin")
    page.goto(f"{console.url}/instances/?state=running&expires=3650")
    expect(bar(page)).to_be_hidden()
    boxes(page).nth(1).check()
    head = page.get_by_label("Select all on this page")
    assert head.evaluate("box => box.indeterminate")
    ticked = boxes(page).nth(1).input_value()
    other = boxes(page).nth(4).input_value()
    console.control("POST", f"/instances/{other}", {"name": "Seen by a tick"})
    row = page.locator(f'tr[data-id="{other}"]')
    wait_until(
        "the mirror knows",
        lambda: console.query("SELECT 1 FROM dashboard_instance WHERE name = 'Seen by a tick'"),
        seconds=60,
    )
    page.evaluate("document.dispatchEvent(new Event('instanceChanged'))")
    expect(row).to_contain_text("Seen by a tick")
    expect(page.locator(f'input[value="{ticked}"]')).to_be_checked()
    expect(bar(page)).to_contain_text("1 selected")
    bar(page).get_by_role("button", name="Clear").click()
    expect(bar(page)).to_be_hidden()


def test_all_matching_is_offered_after_the_whole_page_and_ends_with_the_first_untick(
    console: RunningConsole, person: Person
) -> None:
    page = person("Ada Admin")
    page.goto(f"{console.url}/instances/?state=running&expires=3650")
    page.get_by_label("Select all on this page").check()
    expect(bar(page)).to_contain_text("25 on this page selected")
    bar(page).get_by_role("button", name=re.compile(r"Select all \d+ matching")).click()
    expect(bar(page)).to_contain_text(re.compile(r"All \d+ matching selected"))
    boxes(page).nth(0).uncheck()
    expect(bar(page)).to_contain_text("24 selected")
    expect(bar(page).get_by_role("button", name="Cancel 24 instances…")).to_be_visible()


def test_the_key_x_ticks_the_row_and_the_question_opens_for_workflows_too(
    console: RunningConsole, person: Person
) -> None:
    page = person("Ada Admin")
    page.goto(f"{console.url}/workflows/")
    names = page.locator("tbody tr", has=page.locator(".tick input:enabled")).locator("a.name").filter(has_text=" ")
    names.first.focus()
    page.keyboard.press("x")
    expect(bar(page)).to_contain_text("1 selected")
    bar(page).get_by_role("button", name="Pause 1 workflow…").click()
    dialog = page.get_by_role("dialog", name="Pause 1 workflow?")
    expect(dialog.get_by_role("link", name="Keep them active")).to_be_focused()
    page.keyboard.press("Escape")
    expect(bar(page).get_by_role("button", name="Pause 1 workflow…")).to_be_focused()


def test_a_cancel_from_the_row_shows_its_way_back_in_the_row_and_as_a_toast(
    console: RunningConsole, person: Person
) -> None:
    page = person("Ada Admin")
    page.goto(f"{console.url}/instances/?state=running&expires=3650")
    row = page.locator(f'tr[data-id="{boxes(page).nth(2).input_value()}"]')
    row.get_by_role("button", name=re.compile("^More for")).click()
    row.get_by_role("link", name="Cancel instance…").click()
    dialog = page.get_by_role("dialog", name="Cancel this instance?")
    dialog.get_by_label("Reason").fill("Duplicate")
    dialog.get_by_role("button", name="Cancel 1 instance").click()
    expect(row).to_contain_text(re.compile(r"Canceling in \d+ s"))
    toast = page.locator(".toast[data-undo-seconds]")
    expect(toast.get_by_role("button", name="Cancel now")).to_be_visible()
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast", has_text="Undone. Nothing was sent to Docusign.")).to_be_visible()
    expect(row).not_to_contain_text("Canceling")
    assert console.ledger("POST", "/actions/cancel") == []
