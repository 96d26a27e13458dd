"""Docusign dead, slow, lying or closed to us: pages stay up with their age, writes are told honestly, nothing is lost.

These tests have a console of their own: what they break would stand in the way of others.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.steps import (
    INSTANCE_URL,
    LEAVER,
    OPERATION_URL,
    SLOW,
    field,
    fill,
    open_form,
    running_instance,
    send,
    triggers,
)
from tests.processes import RunningConsole, wait_until

Person = Callable[..., Page]
API = {"path": "/v1/accounts/"}
HOSTILE = "Zz <img src=x onerror=\"document.title='owned'\"> {{ 7*7 }} \u202egnp.live\u202c"


@pytest.fixture(scope="module")
def fragile() -> Iterator[RunningConsole]:
    with RunningConsole("--instances=30") as running:
        running.control("POST", "/profile", {"moving": False})
        session = running.sign_in("Ada Admin")
        session.get(f"{running.url}/instances/", timeout=30)
        count = "SELECT COUNT(*) FROM dashboard_instance"
        wait_until("the mirror is full", lambda: running.query(count)[0][0] >= 30, seconds=120)
        yield running


@pytest.fixture
def broken(fragile: RunningConsole) -> Iterator[RunningConsole]:
    """The console of this module; Docusign is mended after each test, and its breaker has closed again."""
    fragile.control("DELETE", "/ledger")
    yield fragile
    fragile.control("DELETE", "/faults")
    health = "SELECT COALESCE(MAX(failures), 0) FROM dashboard_apibudget"
    wait_until("Docusign answers again", lambda: fragile.query(health) == [(0,)], seconds=90)


def test_hostile_names_are_text_and_unseen_characters_are_shown(broken: RunningConsole, person: Person) -> None:
    """S-3, S-4: a name from Docusign is never markup, never a script, and cannot turn the reading direction."""
    instance = running_instance(broken)
    places = broken.control("GET", "/state")["workflows"]
    found = next(each for each in places if instance["id"] in [row["id"] for row in each["instances"]])
    broken.control("POST", f"/workflows/{found['id']}", {"name": HOSTILE})
    broken.control("POST", f"/instances/{instance['id']}", {"name": HOSTILE})
    page = person("Ada Admin", at=broken)
    page.goto(f"{broken.url}/workflows/{found['id']}/")
    with page.expect_response(re.compile("/refresh/")):  # leaving the page would take the question back
        page.get_by_role("button", name=re.compile("Refresh now")).first.click()
    for path in (
        *(f"/workflows/{found['id']}/", "/workflows/", "/instances/", f"/instances/{instance['id']}/", "/"),
        *(f"/workflows/{found['id']}/pause/", f"/instances/{instance['id']}/cancel/", "/audit/"),
    ):
        page.goto(f"{broken.url}{path}")
        if path in ("/workflows/", "/instances/", f"/instances/{instance['id']}/", f"/workflows/{found['id']}/pause/"):
            # First what no other name has: the simulator has a hostile one of its own.
            expect(page.locator("main")).to_contain_text("{{ 7*7 }}", timeout=SLOW)
            expect(page.locator("main")).to_contain_text("<img src=x onerror=\"document.title='owned'\">")
            expect(page.locator("main")).to_contain_text("U+202E")
        expect(page.locator("main img")).to_have_count(0)
        assert "\u202e" not in page.locator("body").inner_text()
        assert page.title() != "owned"
    assert "\u202e" not in page.title()


def test_a_trigger_while_docusign_is_down_is_refused_and_loses_nothing_typed(
    broken: RunningConsole, person: Person
) -> None:
    """U-2: nothing can have been sent, so it is said, and the typed values stay."""
    page = person("Ada Admin", at=broken)
    open_form(page, broken, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver on a bad day")
    broken.control("POST", "/faults", [{"match": API, "do": {"status": 503}}])
    send(page)
    expect(page.locator("#error-summary")).to_be_visible(timeout=SLOW)
    expect(page.locator("#error-summary")).to_contain_text("Nothing was sent to Docusign.")
    for label, value in LEAVER.items():
        expect(field(page, label)).to_have_value(value)
    assert triggers(broken) == []
    broken.control("DELETE", "/faults")
    wait_until("Docusign answers again", lambda: can_call(broken), seconds=90)
    send(page)
    expect(page).to_have_url(INSTANCE_URL, timeout=SLOW)
    assert len(triggers(broken)) == 1


def can_call(console: RunningConsole) -> bool:
    return console.query("SELECT COALESCE(MAX(failures), 0) FROM dashboard_apibudget") == [(0,)]


def test_pages_stay_up_with_their_age_while_docusign_is_down(broken: RunningConsole, person: Person) -> None:
    """The mirror answers, says how old it is, and a banner says why."""
    page = person("Ada Admin", at=broken)
    broken.control("POST", "/faults", [{"match": API, "do": {"reset": "before"}}])
    instance = running_instance(broken)
    for path in ("/", "/workflows/", "/instances/", f"/instances/{instance['id']}/"):
        answer = page.goto(f"{broken.url}{path}")
        assert answer is not None
        assert answer.status == 200
        expect(page.locator(".fresh").first).to_contain_text(re.compile(r"\d\d:\d\d"))
    banner = page.locator(".banner[data-tone=danger]")

    def is_told() -> bool:
        page.goto(f"{broken.url}/instances/")
        return banner.count() > 0

    wait_until("the look of this account failed and the page says so", is_told, seconds=60, every=1)
    expect(banner).to_contain_text("You see what was known before")
    page.goto(f"{broken.url}/instances/{instance['id']}/cancel/")
    page.get_by_label("Reason").fill("On a bad day")
    page.get_by_role("button", name="Cancel 1 instance").click()
    told = page.locator("main").get_by_text("could not be asked for the present state").first
    # Where enough calls failed meanwhile, nobody asks Docusign for now, and the cancel is refused at once.
    refused = page.locator("#error-summary").get_by_text("did not answer several times in a row")
    now = page.locator("main").get_by_role("button", name="Cancel now")
    expect(now.or_(told).or_(refused).first).to_be_visible()
    if not refused.is_visible():
        with suppress(PlaywrightTimeout):  # on a slow machine the window may be over by now
            now.click(timeout=3_000)
        expect(told).to_be_visible(timeout=150_000)
    assert [each for each in broken.ledger("POST", "/actions/cancel") if each["status"] == 200] == []


def test_an_answer_of_502_to_a_trigger_is_unknown_and_found_by_the_worker(
    broken: RunningConsole, person: Person
) -> None:
    """U-2, U-4: a gateway's error says nothing about the trigger; the lists do."""
    page = person("Ada Admin", at=broken)
    open_form(page, broken, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver behind a gateway")
    fault = {"match": {"method": "POST", "path": "/actions/trigger", "times": 1}, "do": {"status": 502, "commit": True}}
    broken.control("POST", "/faults", [fault])
    send(page)
    expect(page).to_have_url(OPERATION_URL)
    expect(page.get_by_role("link", name="Open instance")).to_be_visible(timeout=150_000)
    assert len(triggers(broken)) == 1


def test_a_revoked_grant_asks_to_sign_in_again_and_shows_nothing_until_then(
    broken: RunningConsole, person: Person
) -> None:
    """O-9, V-6: without a grant there is no proof of what this person may see."""
    page = person("Olu Operator", at=broken, is_fresh=True)
    page.goto(f"{broken.url}/instances/")
    expect(page.get_by_role("table")).to_be_visible(timeout=2 * SLOW)
    broken.control("POST", "/revoke", {"person": "Olu Operator"})
    state = "SELECT c.state FROM dashboard_connection c JOIN dashboard_user u ON u.id = c.user_id WHERE u.name = ?"
    wait_until(
        "the loss is noticed",
        lambda: broken.query(state, "Olu Operator") == [("reconnect_needed",)],
        seconds=60,
    )
    page.goto(f"{broken.url}/instances/")
    banner = page.locator(".banner")
    expect(banner).to_contain_text("Until then nothing is shown to you, and nothing can be sent.")
    expect(page.get_by_role("table")).to_have_count(0)
    banner.get_by_role("link", name="Sign in again").click()
    page.get_by_role("button", name="Sign in with Docusign").click()
    page.get_by_role("button", name="Olu Operator", exact=True).click()
    expect(page).to_have_url(f"{broken.url}/connections/")
    expect(page.get_by_text("Connected", exact=True).first).to_be_visible()
    page.goto(f"{broken.url}/instances/")
    expect(page.get_by_role("table")).to_be_visible(timeout=2 * SLOW)
