"""The events page in a real browser: an admin adds a key in a dialog, and an event of Docusign appears."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.browser.steps import SLOW
from tests.connect_events import status_of_sent
from tests.processes import RunningConsole

Person = Callable[..., Page]
KEY = "a key of thirty-two characters, made by a browser"


def test_an_admin_adds_a_key_and_sees_the_event_that_it_signed(console: RunningConsole, person: Person) -> None:
    """W-3, W-10: the address, the key's label and its use; never the key itself."""
    page = person("Ada Admin")
    page.goto(f"{console.url}/connect/")
    address = page.get_by_label("Address for events").input_value()
    assert address.startswith(f"{console.url}/hooks/docusign/")
    page.get_by_role("link", name="Add a key…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Label").fill("Browser key")
    dialog.get_by_label("Key", exact=True).fill(KEY)
    dialog.get_by_role("button", name="Add the key").click()
    row = page.get_by_role("table", name="Keys that sign events").get_by_role("row", name="Browser key")
    expect(row).to_contain_text("never", timeout=SLOW)
    order = {"keys": [KEY], "event": "workflow-started", "account_id": MAIN_ACCOUNT_ID}
    assert status_of_sent(console, order) == 204
    page.reload()
    expect(page.get_by_role("table", name="Last events")).to_contain_text("Browser key")
    expect(row).not_to_contain_text("never")
    assert KEY not in page.content()
    row.get_by_role("link", name="Remove…").click()
    dialog.get_by_role("button", name="Remove the key").click()
    expect(row).to_have_count(0, timeout=SLOW)
    assert status_of_sent(console, order | {"event": "workflow-failed"}) == 401


def test_an_operator_sees_the_events_but_not_the_address(console: RunningConsole, person: Person) -> None:
    page = person("Olu Operator")
    page.goto(f"{console.url}/connect/")
    expect(page.get_by_role("heading", name="Setting Docusign up")).to_be_visible(timeout=SLOW)
    expect(page.get_by_text("shown to admins only")).to_be_visible()
    expect(page.get_by_label("Address for events")).to_have_count(0)
    assert "/hooks/docusign/" not in page.content()
