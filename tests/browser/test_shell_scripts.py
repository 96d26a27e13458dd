"""The scripts of the shell in a real Chromium: theme, dialog, toasts, regions, keys. No page needs them to work."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, Page, Route, expect

from dashboard.models import Membership, Role
from tests.browser.conftest import watch
from tests.browser.steps import go_by_keys, hold_time
from tests.factories import AccountFactory, person
from tests.processes import wait_until

SLOW = 30_000


@pytest.fixture
def admin(transactional_db: None) -> Membership:
    return person(AccountFactory(), Role.ADMIN)


@pytest.fixture
def opened(admin: Membership, live_server: object, browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A signed-in page whose console stays free of errors and of breaches of the content security policy."""
    client = Client()
    client.force_login(admin.user)
    session = {
        "name": settings.SESSION_COOKIE_NAME,
        "value": client.cookies[settings.SESSION_COOKIE_NAME].value,
        "url": str(live_server),
    }
    context = browser.new_context(base_url=str(live_server), viewport={"width": 1280, "height": 800})
    context.add_cookies([session])  # type: ignore[list-item]
    page = context.new_page()
    page.set_default_timeout(SLOW)
    watch(page, complaints)
    yield page
    context.close()
    assert complaints == []


def add_region(page: Page, markup: str) -> None:
    page.evaluate("markup => document.querySelector('main').insertAdjacentHTML('beforeend', markup)", markup)


def test_a_question_opens_as_a_dialog_with_the_focus_on_keeping(opened: Page) -> None:
    opened.goto("/connections/")
    link = opened.get_by_role("link", name="Disconnect…")
    link.click()
    dialog = opened.locator("#dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("link", name="Stay connected")).to_be_focused()
    opened.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()
    assert opened.url.endswith("/connections/")


def test_the_theme_changes_at_once_and_stays(opened: Page) -> None:
    opened.goto("/preferences/")
    with opened.expect_response(lambda response: "theme" in response.url):
        opened.locator(".foot").get_by_role("button", name="Dark").click()
    expect(opened.locator("html")).to_have_attribute("data-theme", "dark")
    opened.reload()
    expect(opened.locator("html")).to_have_attribute("data-theme", "dark")


def test_browsing_leaves_nothing_in_the_stores_of_the_browser(opened: Page) -> None:
    """S-2: what a person searched for must not lie about after they leave."""
    opened.goto("/connections/?q=secret")
    opened.get_by_role("link", name="Disconnect…").click()
    expect(opened.locator("#dialog")).to_be_visible()
    opened.goto("/preferences/?q=secret")
    assert opened.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]


def test_a_toast_is_text_and_links_only_to_this_console(opened: Page) -> None:
    """S-3: a toast may quote a name from Docusign."""
    opened.goto("/preferences/")
    opened.evaluate(
        """() => document.dispatchEvent(new CustomEvent("toast", { detail: { toasts: [
            { level: "error", text: "<img src=x onerror=alert(1)>", url: "javascript:alert(1)" },
        ] } }))"""
    )
    toast = opened.locator(".toast")
    expect(toast.locator(".text")).to_have_text("<img src=x onerror=alert(1)>")
    expect(toast.locator("a")).to_be_hidden()
    toast.get_by_role("button", name="Close").click()
    expect(toast).to_have_count(0)


def test_a_region_is_asked_for_again_only_while_it_is_not_final(opened: Page) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        asked.append(route.request.headers.get("x-poll", ""))
        body = '<div id="region" data-poll="/fake/" data-poll-final><label><input type="checkbox" name="pick" value="7">new</label></div>'
        route.fulfill(
            status=204 if len(asked) == 1 else 200, content_type="text/html", body="" if len(asked) == 1 else body
        )

    opened.route("**/fake/", answer)
    hold_time(opened)
    opened.goto("/preferences/")
    tick = '<input type="checkbox" name="pick" value="7" checked>'
    add_region(opened, f'<div id="region" data-poll="/fake/" data-poll-seconds="5"><label>{tick}old</label></div>')
    opened.evaluate("document.addEventListener('htmx:afterRequest', () => { window.isAnswered = true; })")
    opened.clock.run_for(7000)
    wait_until("the first answer is in the page", lambda: opened.evaluate("window.isAnswered"))
    expect(opened.locator("#region")).to_have_text("old")
    opened.clock.run_for(7000)
    expect(opened.locator("#region")).to_have_text("new")
    expect(opened.locator("#region input")).to_be_checked()
    opened.clock.run_for(60_000)
    assert asked == ["1", "1"]


def test_a_region_waits_while_somebody_types_in_it(opened: Page) -> None:
    asked: list[str] = []
    opened.route("**/fake/", lambda route: (asked.append(route.request.url), route.fulfill(status=204))[-1])
    hold_time(opened)
    opened.goto("/preferences/")
    add_region(opened, '<div id="region" data-poll="/fake/" data-poll-seconds="5"><input id="typed" type="text"></div>')
    opened.locator("#typed").focus()
    opened.clock.run_for(20_000)
    assert asked == []


def polled(page: Page, region: str) -> Route:
    """The first poll of a region that is put into the page; it is under way until the test answers it."""
    held: list[Route] = []
    page.route("**/fake/", lambda route: held.append(route))  # Playwright marks what it is given
    page.clock.install()
    page.goto("/preferences/")
    add_region(page, region)
    page.evaluate("htmx.trigger(document.body, 'htmx:load')")
    page.evaluate("document.addEventListener('htmx:afterRequest', () => { window.isAnswered = true; })")
    page.clock.run_for(7000)
    wait_until("the region is asked for", lambda: page.evaluate("true") and held)
    return held[0]


def fulfill(route: Route, body: str) -> None:
    route.fulfill(content_type="text/html", body=body)


def reveal(page: Page) -> None:
    page.locator("#_link").evaluate("part => { part.textContent = 'the link'; part.dataset.carried = ''; }")


def test_an_answer_that_comes_when_somebody_has_begun_to_type_waits_for_the_next_turn(opened: Page) -> None:
    poll = polled(
        opened, '<div id="region" data-poll="/fake/" data-poll-seconds="5"><input id="typed" type="text"></div>'
    )
    opened.locator("#typed").fill("half a word")
    fulfill(poll, '<div id="region" data-poll="/fake/" data-poll-seconds="5"><input id="typed" type="text"></div>')
    wait_until("the answer is in the page", lambda: opened.evaluate("window.isAnswered"))
    expect(opened.locator("#typed")).to_have_value("half a word")
    expect(opened.locator("#typed")).to_be_focused()


def test_a_deed_while_a_poll_is_under_way_is_shown_though_the_poll_knows_nothing_of_it(opened: Page) -> None:
    asked: list[Route] = []
    opened.route("**/own/", lambda route: asked.append(route))
    attributes = (
        'id="region" data-poll="/fake/" data-poll-seconds="5" data-reload-on="instanceChanged" data-url="/own/"'
    )
    parts = '<details id="more"><summary>More</summary></details> <b id="_link">Reveal</b>'
    poll = polled(opened, f"<div {attributes}>before the deeds {parts}</div>")
    opened.evaluate("document.dispatchEvent(new CustomEvent('instanceChanged'))")
    fulfill(poll, f"<div {attributes}>before the deeds {parts}</div>")
    wait_until("the region is loaded for the first deed", lambda: opened.evaluate("true") and len(asked) == 1)
    opened.locator("#more summary").click()
    reveal(opened)
    opened.evaluate("document.dispatchEvent(new CustomEvent('instanceChanged'))")  # another deed
    fulfill(asked[0], f"<div {attributes}>after the first deed {parts}</div>")
    wait_until("the region is loaded for the second deed", lambda: opened.evaluate("true") and len(asked) == 2)
    expect(opened.locator("#region")).to_contain_text("before the deeds")
    fulfill(asked[1], f"<div {attributes}>after both deeds {parts}</div>")
    expect(opened.locator("#region")).to_contain_text("after both deeds")
    expect(opened.locator("#_link")).to_have_text("the link")
    expect(opened.locator("#more")).to_have_attribute("open", "")


def test_a_tick_that_was_taken_away_while_a_poll_was_under_way_stays_away(opened: Page) -> None:
    region = '<div id="region" data-poll="/fake/" data-poll-seconds="5">{}<input type="checkbox" name="pick" value="7" {}></div>'
    poll = polled(opened, region.format("old", "checked"))
    opened.locator("#region input").uncheck()
    fulfill(poll, region.format("new", ""))
    expect(opened.locator("#region")).to_have_text("new")
    expect(opened.locator("#region input")).not_to_be_checked()


@pytest.mark.parametrize(
    ("part", "shown"),
    [('<form id="_link">Reveal link</form>', "fresh the link"), ("", "fresh")],
    ids=["offered", "over"],
)
def test_what_was_revealed_stays_as_long_as_the_page_offers_it(opened: Page, part: str, shown: str) -> None:
    """O-16: each reveal is recorded, so nobody is made to do it again by a page that brings itself up to date."""
    poll = polled(
        opened, '<div id="region" data-poll="/fake/" data-poll-seconds="5">old <b id="_link">Reveal</b></div>'
    )
    reveal(opened)
    fulfill(poll, f'<div id="region" data-poll-final>fresh {part}</div>')
    expect(opened.locator("#region")).to_have_text(shown)


def test_a_named_event_reloads_the_regions_that_wait_for_it(opened: Page) -> None:
    opened.route("**/fake/", lambda route: route.fulfill(content_type="text/html", body='<p id="region">reloaded</p>'))
    opened.goto("/preferences/")
    add_region(opened, '<p id="region" data-reload-on="instanceChanged" data-url="/fake/">old</p>')
    opened.evaluate("htmx.trigger(document.body, 'htmx:load')")
    opened.evaluate("document.dispatchEvent(new CustomEvent('instanceChanged'))")
    expect(opened.locator("#region")).to_have_text("reloaded")


def test_a_form_is_sent_once_however_often_it_is_clicked(opened: Page) -> None:
    sent: list[str] = []
    opened.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    opened.goto("/preferences/")
    opened.get_by_role("button", name="Keep these preferences").evaluate("each => { each.click(); each.click(); }")
    expect(opened.locator(".toast")).to_contain_text("Your preferences are kept.")
    assert len(sent) == 1


def test_shortcuts_lead_about_and_can_be_switched_off(opened: Page) -> None:
    opened.goto("/preferences/")
    opened.keyboard.press("?")
    keys = opened.locator("#keys")
    expect(keys).to_be_visible()
    keys.get_by_label("Use these shortcuts in this browser").uncheck()
    opened.keyboard.press("Escape")
    opened.keyboard.press("?")
    expect(keys).to_be_hidden()
    opened.locator("[data-open-dialog=keys]").click()
    keys.get_by_label("Use these shortcuts in this browser").check()
    opened.keyboard.press("Escape")
    go_by_keys(opened, "w", "/workflows/")
    assert opened.url.endswith("/workflows/")
