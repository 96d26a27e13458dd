"""Keyboard and theme on real pages with real rows."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.steps import go_by_keys
from tests.processes import RunningConsole

Person = Callable[..., Page]


def test_rows_are_walked_and_opened_by_keyboard(console: RunningConsole, person: Person) -> None:
    page = person("Olu Operator")
    page.goto(f"{console.url}/workflows/")
    links = page.get_by_role("rowheader").get_by_role("link")
    page.keyboard.press("j")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(links.nth(0)).to_be_focused()
    target = links.nth(0).get_attribute("href")
    page.keyboard.press("o")
    expect(page).to_have_url(f"{console.url}{target}")
    page.wait_for_load_state()  # its keys are bound once it is there
    go_by_keys(page, "i", "/instances/")
    page.wait_for_load_state()
    page.keyboard.press("/")
    search = page.get_by_label("Search instances")
    expect(search).to_be_focused()
    page.keyboard.type("gw?")
    expect(search).to_have_value("gw?")
    expect(page).to_have_url(f"{console.url}/instances/")


def test_a_chosen_theme_is_there_from_the_first_paint(console: RunningConsole, person: Person) -> None:
    page = person("Olu Operator", color_scheme="light")
    page.goto(f"{console.url}/workflows/")
    with page.expect_response(lambda answer: answer.url.endswith("/preferences/theme/")):
        page.locator(".foot").get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.querySelector('h1')).color")
    answer = page.goto(f"{console.url}/instances/")
    assert answer is not None
    assert '<html lang="en" data-theme="dark">' in answer.text()  # by the server, so that nothing flashes
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == dark
    with page.expect_response(lambda answer: answer.url.endswith("/preferences/theme/")):
        page.locator(".foot").get_by_role("button", name="Follow the system").click()
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") != dark
