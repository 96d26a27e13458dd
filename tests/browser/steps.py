"""What people do on the pages, one function a step. The one rule: pages are driven as people see them, by role and name."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from maestro_api.simulator import MAIN_ACCOUNT_ID
from tests.processes import RunningConsole, wait_until

SLOW = 45_000  # what waits for the worker: one turn of the page's own polling, and the machine's bad moments
INSTANCE_URL = re.compile(r"/instances/[0-9a-f-]{36}/$")
OPERATION_URL = re.compile(r"/operations/[0-9a-f-]{36}/$")
IN_PROGRESS = "SELECT id FROM dashboard_instance WHERE status = 'in_progress'"


def workflow(console: RunningConsole, name: str, account: str = MAIN_ACCOUNT_ID) -> dict[str, Any]:
    """A workflow of the simulator by its name."""
    every = console.control("GET", "/state")["workflows"]
    return next(each for each in every if each["name"] == name and each["account_id"] == account)


def page_of(console: RunningConsole, name: str) -> str:
    """The address of a workflow's page."""
    return f"{console.url}/workflows/{workflow(console, name)['id']}/"


def running_instance(console: RunningConsole, name: str = "") -> dict[str, Any]:
    """An instance in progress, of this workflow or of any, that the mirror knows as such."""
    known = {row[0].replace("-", "") for row in console.query(IN_PROGRESS)}
    places = [workflow(console, name)] if name else console.control("GET", "/state")["workflows"]
    every = (each for place in places if place["account_id"] == MAIN_ACCOUNT_ID for each in place["instances"])
    return next(each for each in every if each["status"] == "In Progress" and each["id"].replace("-", "") in known)


def triggers(console: RunningConsole) -> list[dict[str, Any]]:
    """The trigger calls that Docusign got since the test began."""
    return console.ledger("POST", "/actions/trigger")


def open_form(page: Page, console: RunningConsole, name: str) -> None:
    """The trigger form, also when nobody opened it before and the worker has to read the inputs first."""
    page.goto(f"{page_of(console, name)}trigger/")
    expect(page.get_by_label("Instance name")).to_be_visible(timeout=SLOW)


def fill(page: Page, values: dict[str, str], *, name: str = "") -> None:
    """Type into fields by their labels; "yes" and "no" choose."""
    if name:
        page.get_by_label("Instance name").fill(name)
    for label, value in values.items():
        if value in ("Yes", "No"):
            page.get_by_role("group", name=label).get_by_label(value).check()
        else:
            field(page, label).fill(value)


def field(page: Page, label: str) -> Locator:
    """A field of the trigger form; its label ends with the type in grey."""
    kinds = "text|number|date|date and time|object|list|JSON.*"
    return page.locator("#trigger-form").get_by_label(re.compile(rf"^{re.escape(label)} ({kinds})( new)?$"))


def send(page: Page) -> None:
    send_button(page).click()


def send_button(page: Page) -> Locator:
    return page.get_by_role("button", name="Trigger in simulator")


def state_in_title(page: Page) -> Locator:
    return page.locator("h1 .state")


def go_by_keys(page: Page, second: str, path: str) -> None:
    """Press "g" and another key until they lead to this page."""

    def is_there() -> bool:
        """Two keys within a moment; a machine with much else to do may miss it."""
        page.keyboard.press("g")
        page.keyboard.press(second)
        with suppress(PlaywrightTimeout):
            page.wait_for_url(f"**{path}", timeout=5_000)
        return page.url.endswith(path)

    wait_until(f"g and {second} lead to {path}", is_there, seconds=60)


def hold_time(page: Page) -> None:
    """From here on time passes in pages only as the test lets it, however long the machine takes for anything."""
    now = datetime.now(UTC)
    page.clock.install(time=now - timedelta(minutes=1))
    page.clock.pause_at(now)


NDA = {
    "Supplier name": "Brightwater Foods Ltd",
    "Contact name": "Amara Okafor",
    "Contact email": "amara.okafor@example.com",
    "Effective date": "2027-03-01",
}
LEAVER = {"Employee": "Hiro Tanaka", "Last day": "2027-05-31", "Manager email": "grace.whitlock@example.com"}
LEASE = {
    "Tenant": "Ines Carvalho",
    "Tenant email": "ines.carvalho@example.com",
    "Property": "41 Abbey Road",
    "New monthly rent": "1250.50",
    "Renewal date": "2027-04-01",
}
