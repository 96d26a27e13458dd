"""What different people see in a real browser: their accounts, their instances, or why they see nothing."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from maestro_api.simulator import SECOND_ACCOUNT_ID
from tests.browser.steps import SLOW, workflow
from tests.processes import RunningConsole, wait_until

Person = Callable[..., Page]


def test_a_first_visit_says_that_data_is_on_its_way_and_fills_in_by_itself(
    console: RunningConsole, person: Person
) -> None:
    """The page never waits for Docusign; the worker brings the data, and the page shows it without a reload."""
    slow = {"match": {"method": "GET", "path": "/workflows|/instances"}, "do": {"latency_ms": 700}}
    console.control("POST", "/faults", [slow])
    page = person("Sam Second", is_fresh=True, is_proven=False)
    page.goto(f"{console.url}/workflows/")
    page.evaluate("window.isSamePage = true")
    expect(page.get_by_role("rowheader", name="Lease renewal")).to_be_visible(timeout=2 * SLOW)
    assert page.evaluate("window.isSamePage")
    expect(page.get_by_role("rowheader", name="Supplier NDA")).to_have_count(0)


def test_a_person_of_one_account_sees_no_other_and_no_switch(console: RunningConsole, person: Person) -> None:
    """The accounts of userinfo are the only ones."""
    page = person("Sam Second")
    page.goto(f"{console.url}/connections/")
    expect(page.get_by_role("rowheader")).to_have_count(1)
    expect(page.get_by_role("rowheader")).to_contain_text("Northwind Property")
    expect(page.locator(".rail").get_by_role("button", name="Switch")).to_have_count(0)
    answer = page.goto(f"{console.url}/workflows/{workflow(console, 'Supplier NDA')['id']}/")
    assert answer is not None
    assert answer.status == 404


def test_a_person_with_two_accounts_switches_between_them(console: RunningConsole, person: Person) -> None:
    """V-1: each account shows its own workflows only."""
    page = person("Ada Admin")
    page.goto(f"{console.url}/connections/")
    page.get_by_role("button", name="Switch to Northwind Property").click()
    expect(page.locator(".side .holder")).to_contain_text("Northwind Property")
    page.goto(f"{console.url}/workflows/")
    theirs = workflow(console, "Lease renewal", SECOND_ACCOUNT_ID)
    link = page.get_by_role("rowheader", name="Lease renewal").get_by_role("link")
    expect(link).to_have_attribute("href", f"/workflows/{theirs['id']}/", timeout=SLOW)
    expect(page.get_by_role("rowheader", name="Supplier NDA")).to_have_count(0)
    page.locator(".side summary").click()
    page.get_by_label("Account", exact=True).select_option(label="Northwind Agreements")
    page.locator(".side").get_by_role("button", name="Switch", exact=True).click()
    expect(page.locator(".side .holder")).to_contain_text("Northwind Agreements")
    page.goto(f"{console.url}/workflows/")
    expect(page.get_by_role("rowheader", name="Supplier NDA")).to_be_visible(timeout=SLOW)


def test_a_preparer_sees_only_what_she_started(console: RunningConsole, person: Person) -> None:
    """V-1, V-2: rows of others do not exist for her, neither in the list nor by address."""
    people = console.control("GET", "/people")
    pia = next(each for each in people if each["name"] == "Pia Preparer")["user_id"]
    page = person("Pia Preparer")
    page.goto(f"{console.url}/instances/?size=100")
    names = page.get_by_role("rowheader")
    expect(names.first).to_be_visible(timeout=2 * SLOW)
    every = [each for found in console.control("GET", "/state")["workflows"] for each in found["instances"]]
    own = {each["id"] for each in every if each["started_by"] == pia}
    shown = {link.split("/")[-2] for link in names.locator("a").evaluate_all("links => links.map(each => each.href)")}
    assert shown
    assert shown <= own
    foreign = next(each["id"] for each in every if each["started_by"] != pia)
    answer = page.goto(f"{console.url}/instances/{foreign}/")
    assert answer is not None
    assert answer.status == 404


def test_a_person_without_rights_reads_why_nothing_is_shown_and_who_can_help(
    console: RunningConsole, person: Person
) -> None:
    """V-2: Docusign's refusal is the truth, in plain words."""
    page = person("Vic Viewer")
    page.goto(f"{console.url}/workflows/")
    banner = page.get_by_role("status").filter(has_text="Docusign shows you nothing here")
    told = "SELECT COUNT(*) FROM dashboard_membership WHERE rights = 'none'"
    wait_until("the refusal is known", lambda: console.query(told)[0][0] > 0, seconds=60)
    page.reload()
    expect(banner).to_contain_text("A Docusign admin can give it")
    expect(page.get_by_role("table")).to_have_count(0)
    page.goto(f"{console.url}/instances/")
    expect(page.get_by_role("heading", name="Nothing is shown to you here")).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)
    expect(page.locator("main")).to_contain_text(re.compile("right|permission", re.I))
