"""A real Chromium against the real processes. The one rule: every page that a test opens is watched for CSP violations and errors."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from dashboard.models import Membership
from tests.processes import RunningConsole, wait_until

expect.set_options(timeout=30_000)
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), "")
UNPROVEN = """
SELECT 1 FROM dashboard_membership m JOIN dashboard_user u ON u.id = m.user_id
WHERE u.name = ? AND m.is_default AND m.rights = 'unproven'
"""
# Playwright keeps an event loop in this thread; Django's guard against it would fail unrelated tests of the same process.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


def pytest_itemcollected(item: pytest.Item) -> None:
    item.add_marker(pytest.mark.browser)
    item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session", autouse=True)
def _chromium_is_here() -> None:
    if CHROMIUM:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("Chromium is missing; the browser tests must run in CI.")
    pytest.skip("Chromium is missing; on Debian `apt-get install chromium-headless-shell` brings it.")


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]
    return browser_type_launch_args | {"executable_path": CHROMIUM, "args": quiet}


@pytest.fixture(scope="session")
def running() -> Iterator[RunningConsole]:
    """One console for all browser tests of this process, its mirror filled."""
    # A third of them run, and tests that come before cancel a dozen: more than a page must be left. What a test undoes, or sends
    # at once, must still wait when a slow machine comes to it.
    with RunningConsole("--instances=160", env={"UNDO_SECONDS": "30"}) as console:
        console.control("POST", "/profile", {"moving": False})  # what a test chose must not end by itself meanwhile
        session = console.sign_in()
        session.get(f"{console.url}/instances/", timeout=30)
        wait_until(
            "the mirror is full",
            lambda: console.query("SELECT COUNT(*) FROM dashboard_instance")[0][0] >= 160,
            seconds=120,
        )
        yield console


@pytest.fixture
def console(running: RunningConsole) -> Iterator[RunningConsole]:
    """The console with a healthy Docusign; what a test broke is mended after it."""
    running.control("DELETE", "/ledger")
    yield running
    running.control("DELETE", "/faults")


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about: CSP violations, script errors, failed loads."""
    return []


def watch(page: Page, complaints: list[str]) -> None:
    def heard(message: ConsoleMessage) -> None:
        # A status such as 422 is an answer that the tests look at themselves.
        if message.type == "error" and "Failed to load resource" not in message.text:
            complaints.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))


@pytest.fixture(scope="session")
def passes() -> dict[tuple[str, str], Any]:
    """The cookies of people who came in through the real pages once, by console and name; most tests start behind the door."""
    return {}


@pytest.fixture
def person(
    browser: Browser, running: RunningConsole, complaints: list[str], passes: dict[tuple[str, str], Any]
) -> Iterator[Callable[..., Page]]:
    """Open a browser of one's own, signed in on the overview; `is_fresh` goes through the door again.

    Until Docusign has said what the person may see, links lead nowhere; only `is_proven=False` does not wait for it.
    """
    contexts: list[BrowserContext] = []

    def signed_in(
        name: str = "Olu Operator",
        *,
        at: RunningConsole | None = None,
        is_fresh: bool = False,
        is_proven: bool = True,
        **options: Any,
    ) -> Page:
        console = at or running
        known = None if is_fresh else passes.get((console.url, name))
        window = {"viewport": {"width": 1440, "height": 900}} | options
        context = browser.new_context(**window, storage_state=known)
        contexts.append(context)
        # Ten later sign-ins, or "Sign out everywhere else" of a test, end what was kept (S-8). Docusign would still know who
        # that was, and ask nobody, so the door is another browser's.
        if known and context.request.get(f"{console.url}/sessions/", max_redirects=0).status != 200:
            known, context = None, browser.new_context(**window)
            contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(45_000)
        watch(page, complaints)
        if known is None:
            sign_in(page, console, name)
            if is_proven:
                wait_until(f"{name} is proven", lambda: not console.query(UNPROVEN, name), seconds=60)
            if not is_fresh:
                passes[console.url, name] = context.storage_state()
        return page

    yield signed_in
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def visit(live_server: object, browser: Browser, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """Open a browser of a person of the test's own database, without a Docusign behind it."""
    contexts: list[BrowserContext] = []

    def opened(membership: Membership, **options: Any) -> Page:
        client = Client()
        client.force_login(membership.user)
        key = client.cookies[settings.SESSION_COOKIE_NAME].value
        size = {"viewport": {"width": 1440, "height": 900}}
        context = browser.new_context(**(size | options), base_url=str(live_server))
        contexts.append(context)
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": key, "url": str(live_server)}])
        page = context.new_page()
        page.set_default_timeout(45_000)
        watch(page, complaints)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def sign_in(page: Page, console: RunningConsole, name: str) -> None:
    page.goto(f"{console.url}/signin/")
    page.get_by_role("button", name="Sign in with Docusign").click()
    page.get_by_role("button", name=name, exact=True).click()
    page.wait_for_url(f"{console.url}/**")
