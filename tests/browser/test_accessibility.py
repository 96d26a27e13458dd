"""Every page in both themes, wide and narrow, on paper and in forced colours. Its one rule: axe finds nothing."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.steps import LEAVER, fill, open_form, running_instance, send, workflow
from tests.processes import RunningConsole, csrf_token

Person = Callable[..., Page]
OPTIONS: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
CONTRAST = {"runOnly": {"type": "rule", "values": ["color-contrast"]}, "resultTypes": ["violations"]}
PATHS = (
    "/",
    "/workflows/",
    "/instances/",
    "/audit/",
    "/team/",
    "/connections/",
    "/connect/",
    "/preferences/",
    "/instances/?name=nothing-like-it",
    "/instances/?name=ab&workflow=e&steps=x&started_from=y",
    "/instances/?cols=name,workflow,state,steps,by,started,changed,expires,ended,origin,id,last_step",
    "/instances/workflows/?q=e",
    "/instances/views/",
    "/instances/views/new/?state=failed",
    "/batches/",
    "/batches/?state=done",
)
DEEP = (
    "workflow",
    "trigger",
    "trigger-wrong",
    "trigger-json",
    "bulk",
    "pause",
    "instance",
    "cancel",
    "batch",
    "batch-stop",
    "operation",
    "404",
    "signin",
)


@pytest.fixture(scope="module")
def addresses(running: RunningConsole) -> dict[str, str]:
    """Pages that hang on something known: a workflow, an instance, an operation."""
    found = workflow(running, "Employee leaver checklist")["id"]
    instance = running_instance(running)["id"]
    batch = planned_batch(running, instance)
    return {
        "batch": f"/batches/{batch}/",
        "batch-stop": f"/batches/{batch}/stop/",
        "workflow": f"/workflows/{found}/",
        "trigger": f"/workflows/{found}/trigger/",
        "trigger-wrong": f"/workflows/{found}/trigger/",
        "trigger-json": f"/workflows/{found}/trigger/?as=json",
        "bulk": f"/workflows/{found}/bulk/",
        "pause": f"/workflows/{found}/pause/",
        "instance": f"/instances/{instance}/",
        "cancel": f"/instances/{instance}/cancel/",
        "404": "/nowhere/",
        "signin": "/signin/?next=/",
    }


def planned_batch(console: RunningConsole, instance: str) -> str:
    """A bulk run of one instance that nobody starts."""
    session = console.sign_in()
    list_url = f"{console.url}/instances/"
    token = csrf_token(session.get(list_url, timeout=30).text)
    ticked = {"csrfmiddlewaretoken": token, "pick": instance}
    answer = session.post(f"{list_url}selection/", data=ticked, headers={"Referer": list_url}, timeout=30)
    return answer.url.partition("/batches/")[2].partition("/")[0]


def violations(page: Page, options: dict[str, Any] = OPTIONS) -> list[str]:
    """What axe found, one line a rule and place."""
    response: dict[str, Any] = Axe().run(page, options=options).response
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))} — {node['failureSummary'].splitlines()[-1].strip()}"
        for rule in response["violations"]
        for node in rule["nodes"]
    ]


def operation_path(page: Page, console: RunningConsole) -> str:
    """The page of a trigger; one is made when there is none yet."""
    done = "SELECT id FROM dashboard_operation WHERE kind = 'trigger' AND state = 'confirmed' LIMIT 1"
    if not console.query(done):
        open_form(page, console, "Employee leaver checklist")
        fill(page, LEAVER, name="Leaver for a look")
        send(page)
        page.wait_for_url("**/instances/*/")
    key = console.query(done)[0][0].replace("-", "")
    return f"/operations/{key[:8]}-{key[8:12]}-{key[12:16]}-{key[16:20]}-{key[20:]}/"


def show(page: Page, console: RunningConsole, addresses: dict[str, str], name: str) -> None:
    """Open a page of the list, by its path or its name in `addresses`."""
    if name.startswith("trigger"):
        open_form(page, console, "Employee leaver checklist")
    path = operation_path(page, console) if name == "operation" else addresses.get(name, name)
    page.goto(f"{console.url}{path}")
    if name == "trigger-wrong":
        send(page)
        expect(page.locator("#error-summary")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_on_any_page_in_both_themes(
    console: RunningConsole, person: Person, addresses: dict[str, str], width: int
) -> None:
    """A desk and a phone; the second theme differs only in its colours, so only these are looked at again, and at one width."""
    page = person("Ada Admin", viewport={"width": width, "height": 900}, color_scheme="light", reduced_motion="reduce")
    found = {}
    for name in (*PATHS, *DEEP):
        show(page, console, addresses, name)
        lines = violations(page)
        if width == 1440:
            page.evaluate("document.documentElement.dataset.theme = 'dark'")
            lines += violations(page, CONTRAST)
        if lines:
            found[name] = lines
    assert found == {}


def test_axe_would_find_a_fault(console: RunningConsole, person: Person) -> None:
    """The proof that the other tests of this file can fail."""
    page = person("Ada Admin", color_scheme="dark")
    page.goto(f"{console.url}/preferences/")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<input><p id=faint>faint</p>')")
    page.evaluate("document.getElementById('faint').style.color = '#333'")
    assert [line.split(":")[0] for line in violations(page)] == ["color-contrast", "label"]
    assert [line.split(":")[0] for line in violations(page, CONTRAST)] == ["color-contrast"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_what_opens_on_a_page(
    console: RunningConsole, person: Person, addresses: dict[str, str], theme: str
) -> None:
    page = person("Ada Admin", color_scheme=theme, reduced_motion="reduce")
    page.goto(f"{console.url}{addresses['instance']}")
    page.get_by_role("link", name="Cancel instance…").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.goto(f"{console.url}/workflows/")
    page.get_by_role("button", name=re.compile("^More for")).first.click()
    expect(page.locator(".menu:popover-open")).to_be_visible()
    assert violations(page) == []


def test_nothing_scrolls_sideways_at_320_pixels(
    console: RunningConsole, person: Person, addresses: dict[str, str]
) -> None:
    """WCAG 1.4.10: reflow."""
    page = person("Ada Admin", viewport={"width": 320, "height": 640})
    wide = {}
    for name in (*PATHS, *DEEP):
        show(page, console, addresses, name)
        over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if over > 0:
            wide[name] = over
    assert wide == {}


# Text inside main that takes no place although nothing means to hide it; paper has no controls, so neither ticks nor actions.
LOST_TEXT = """() => [...document.querySelectorAll("main :is(h1, h2, h3, th, td, dt, dd, p, label)")]
    .filter((each) => each.textContent.trim()
        && !each.closest(".vh, [hidden], details:not([open]), [popover], thead, .c-actions, .c-tick, .filters")
        && !each.querySelector(":scope > .vh:only-child"))
    .filter((each) => !each.checkVisibility({ opacityProperty: true, visibilityProperty: true }))
    .map((each) => `${each.tagName} ${each.className} ${each.textContent.trim().slice(0, 40)}`)"""


def test_on_paper_all_text_of_the_page_is_there(
    console: RunningConsole, person: Person, addresses: dict[str, str]
) -> None:
    page = person("Ada Admin")
    for name in ("/", "/workflows/", "/audit/", "instance", "workflow"):
        show(page, console, addresses, name)
        page.emulate_media(media="print")
        expect(page.locator("main")).to_be_visible()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".rail")).to_be_hidden()
        assert page.evaluate(LOST_TEXT) == [], name
        assert page.pdf(format="A4").startswith(b"%PDF")
        page.emulate_media(media="screen")


def test_with_forced_colors_all_text_and_every_border_of_a_control_is_there(
    console: RunningConsole, person: Person, addresses: dict[str, str]
) -> None:
    page = person("Ada Admin", forced_colors="active")
    for name in ("/", "/workflows/", "trigger", "instance", "cancel"):
        show(page, console, addresses, name)
        expect(page.locator("main")).to_be_visible()
        assert page.evaluate(LOST_TEXT) == [], name
        bare = page.evaluate(
            """() => [...document.querySelectorAll("main :is(.btn:not(.link, .quiet), .input)")]
                .filter((each) => each.checkVisibility() && parseFloat(getComputedStyle(each).borderTopWidth) === 0)
                .map((each) => each.outerHTML.slice(0, 80))"""
        )
        assert bare == [], name


def test_the_first_tab_stop_leads_past_the_navigation(console: RunningConsole, person: Person) -> None:
    """WCAG 2.4.1: bypass blocks."""
    page = person("Ada Admin")
    page.goto(f"{console.url}/instances/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
