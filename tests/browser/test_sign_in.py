"""The only door, in a real browser: in, refused, turned away, out, and back in the middle of work."""

from collections.abc import Callable

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import sign_in, watch
from tests.browser.steps import LEAVER, field, fill, open_form, send, triggers
from tests.processes import RunningConsole

Person = Callable[..., Page]


def test_a_person_signs_in_at_docusign_and_lands_on_the_overview(console: RunningConsole, person: Person) -> None:
    """S-15: the only door is Docusign's."""
    page = person("Olu Operator", is_fresh=True)
    expect(page).to_have_url(f"{console.url}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    expect(page.locator(".rail .env[data-env=simulator]").first).to_be_attached()
    expect(page.locator(".who")).to_contain_text("Olu Operator")


def test_a_person_who_is_not_signed_in_comes_to_the_page_asked_for_after_the_door(
    console: RunningConsole, browser: Browser
) -> None:
    page = browser.new_context().new_page()
    page.goto(f"{console.url}/audit/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in with Docusign")
    page.get_by_role("button", name="Sign in with Docusign").click()
    page.get_by_role("button", name="Olu Operator", exact=True).click()
    expect(page).to_have_url(f"{console.url}/audit/")
    page.context.close()


def test_a_refused_consent_is_told_and_signs_nobody_in(
    console: RunningConsole, browser: Browser, complaints: list[str]
) -> None:
    """O-4: a refusal is an answer, not an error."""
    page = browser.new_context().new_page()
    watch(page, complaints)
    page.goto(f"{console.url}/signin/")
    page.get_by_role("button", name="Sign in with Docusign").click()
    page.get_by_role("button", name="Refuse").click()
    expect(page.get_by_role("alert")).to_contain_text("The sign-in was refused at Docusign. Nobody was signed in")
    page.goto(f"{console.url}/workflows/")
    expect(page).to_have_url(f"{console.url}/signin/?next=%2Fworkflows%2F")
    assert complaints == []
    page.context.close()


def test_a_stranger_is_turned_away_in_plain_words_and_leaves_no_row(
    console: RunningConsole, browser: Browser, complaints: list[str]
) -> None:
    """S-15: another user with the e-mail address of a known one is nobody here."""
    people = "SELECT (SELECT COUNT(*) FROM dashboard_user), (SELECT COUNT(*) FROM dashboard_connection)"
    before = console.query(people)
    page = browser.new_context().new_page()
    watch(page, complaints)
    sign_in(page, console, "Ada Other")
    expect(page.get_by_role("alert")).to_contain_text("This console does not serve any Docusign account of yours")
    assert console.query(people) == before
    names = console.query("SELECT COUNT(*) FROM dashboard_auditentry WHERE actor_name = 'Ada Other'")
    assert names == [(0,)]
    page.goto(f"{console.url}/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in with Docusign")
    assert complaints == []
    page.context.close()


def test_after_signing_out_back_shows_nothing(console: RunningConsole, person: Person) -> None:
    """S-9: nothing of the signed-in pages stays in the browser."""
    page = person("Olu Operator", is_fresh=True)
    page.goto(f"{console.url}/instances/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Instances")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in with Docusign")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in with Docusign")
    expect(page.get_by_role("table")).to_have_count(0)


def end_session(page: Page) -> None:
    page.context.clear_cookies(name="session")


def type_half_a_form(page: Page, console: RunningConsole) -> None:
    page.route("**/preview/", lambda route: route.fulfill(status=204))  # it would lead to the door before the form does
    open_form(page, console, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver in the middle of work")
    end_session(page)
    send(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in with Docusign")


def test_a_session_that_ends_in_mid_form_loses_nothing_that_was_typed(console: RunningConsole, person: Person) -> None:
    """S-6: the typed values are back after the sign-in; nothing was sent."""
    page = person("Olu Operator", is_fresh=True)
    type_half_a_form(page, console)
    page.get_by_role("button", name="Sign in with Docusign").click()
    expect(page.locator(".toasts")).to_contain_text("is back. It was not sent.")  # first, since it goes by itself
    expect(page.get_by_label("Instance name")).to_have_value("Leaver in the middle of work")
    for label, value in LEAVER.items():
        expect(field(page, label)).to_have_value(value)
    assert triggers(console) == []
    send(page)
    expect(page.locator("h1")).to_contain_text("Leaver in the middle of work")
    assert len(triggers(console)) == 1


def test_what_one_person_typed_is_never_shown_to_the_next_one(console: RunningConsole, person: Person) -> None:
    """S-6: the draft belongs to who typed it."""
    page = person("Olu Operator", is_fresh=True)
    type_half_a_form(page, console)
    page.get_by_role("button", name="Sign in as somebody else").click()
    page.get_by_role("button", name="Ada Admin", exact=True).click()
    expect(page.get_by_label("Instance name")).to_be_visible()
    expect(page.get_by_label("Instance name")).not_to_have_value("Leaver in the middle of work")
    expect(field(page, "Employee")).to_have_value("")
    assert triggers(console) == []
