"""Two people at two browsers: one asks, the other approves, and it runs with the token of the one who asked."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.steps import SLOW, running_instance
from tests.processes import RunningConsole, wait_until

Person = Callable[..., Page]
CANCEL = "/actions/cancel"


def add_policy(page: Page, console: RunningConsole) -> None:
    page.goto(f"{console.url}/team/policies/")
    page.get_by_role("link", name="Add a policy…").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Deed").select_option(label="Cancel")
    dialog.get_by_label("From how many on").fill("1")
    dialog.get_by_role("button", name="Add the policy").click()
    expect(page.get_by_role("rowheader", name="Any workflow")).to_be_visible()


def remove_policy(page: Page, console: RunningConsole) -> None:
    page.goto(f"{console.url}/team/policies/")
    page.get_by_role("link", name="Remove…").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Remove the policy").click()
    expect(page.get_by_role("rowheader", name="Any workflow")).to_have_count(0)


def test_a_cancel_waits_for_a_second_person_and_runs_with_the_token_of_who_asked(
    console: RunningConsole, person: Person
) -> None:
    """V-5, A-1: whoever approves lends no rights."""
    ada, olu = person("Ada Admin"), person("Olu Operator")
    add_policy(ada, console)
    try:
        token, instance_id = ask(olu, console)
        assert console.ledger("POST", CANCEL) == []
        approve(ada, console)
        sent = wait_until("the cancel is sent", lambda: console.ledger("POST", CANCEL), seconds=120)
        assert [(entry["token"], instance_id in entry["path"]) for entry in sent] == [(token, True)]
    finally:
        remove_policy(ada, console)


def ask(page: Page, console: RunningConsole) -> tuple[str, str]:
    """Ask as this person; the fingerprint of their own token as Docusign saw it, and the instance."""
    instance_id: str = running_instance(console)["id"]
    page.goto(f"{console.url}/instances/{instance_id}/")
    page.get_by_role("button", name="Refresh now").first.click()
    read = wait_until("the instance is read", lambda: console.ledger("GET", instance_id), seconds=30)
    page.goto(f"{console.url}/instances/{instance_id}/")
    page.get_by_role("link", name="Cancel instance…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill("Template recalled by Legal")
    dialog.get_by_role("button", name="Cancel 1 instance").click()
    dialog.get_by_role("button", name="Ask for a second person").click()
    expect(page.locator("h1 .state")).to_contain_text("Needs a second person")
    return read[0]["token"], instance_id


def approve(page: Page, console: RunningConsole) -> None:
    page.goto(f"{console.url}/approvals/")
    page.get_by_role("region", name="Waiting for you").get_by_role("link").first.click()
    page.get_by_role("link", name="Approve…").click()
    page.get_by_role("dialog").get_by_role("button", name="Approve and start").click()
    expect(page.locator("h1 .state")).to_contain_text("Approved", timeout=SLOW)
