"""Lists that stay true while somebody looks at them. The one rule: nothing moves that a person has not asked to move."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from dashboard.models import Account, Instance, Membership, Role, Workflow
from tests.browser.steps import hold_time
from tests.factories import AccountFactory, InstanceFactory, WorkflowFactory, lists, person
from tests.processes import wait_until

Visit = Callable[..., Page]


@pytest.fixture
def admin(transactional_db: None) -> Membership:
    return person(AccountFactory(), Role.ADMIN, name="Alma Admin")


@pytest.fixture
def nda(admin: Membership) -> Workflow:
    workflow = WorkflowFactory(account=admin.account, name="Supplier NDA")
    lists(admin, workflow)
    now = timezone.now()
    for number in range(30):
        InstanceFactory(workflow=workflow, name=f"NDA {number:02}", last_modified_at=now - timedelta(hours=number + 1))
    return workflow


@pytest.fixture
def page(admin: Membership, nda: Workflow, visit: Visit) -> Page:
    page = visit(admin)
    page.goto("/instances/")
    return page


def change(workflow: Workflow, name: str, **values: object) -> None:
    """Something moved at Docusign, and the mirror has taken it in."""
    Instance.objects.filter(workflow=workflow, name=name).update(**values)
    Account.objects.filter(pk=workflow.account_id).update(version=F("version") + 1)


def trigger(workflow: Workflow, name: str) -> None:
    with transaction.atomic():  # like the mirror does it; a poll between row and count would see half of it
        InstanceFactory(workflow=workflow, name=name)
        Account.objects.filter(pk=workflow.account_id).update(version=F("version") + 1)


def poll(page: Page) -> int:
    """The tab comes back to the front, so that the page asks at once; the answer is in the page when this returns."""
    page.evaluate(
        "window.isAnswered = false;"
        "document.addEventListener('htmx:afterRequest', () => { window.isAnswered = true; }, { once: true })"
    )
    with page.expect_response(lambda answer: "stamp=" in answer.url) as answer:
        page.evaluate("for (const _ of [1, 2]) document.dispatchEvent(new Event('visibilitychange'))")
    wait_until("the answer is in the page", lambda: page.evaluate("window.isAnswered"), every=0.02)
    return answer.value.status


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def order(page: Page) -> list[str]:
    return page.locator("main tbody th").all_inner_texts()


def offer(page: Page) -> Locator:
    return page.locator("[data-show-changes]")


def test_while_nothing_moves_the_server_has_nothing_to_send(page: Page) -> None:
    poll(page)
    assert poll(page) == 204


def test_a_row_is_brought_up_to_date_where_it_stands(page: Page, nda: Workflow) -> None:
    before = order(page)
    row(page, "NDA 03").evaluate("row => { row.isSameRow = true; }")
    change(nda, "NDA 03", last_completed_step=5, last_completed_step_name="Sent for signature")
    poll(page)
    expect(row(page, "NDA 03")).to_contain_text("Step 6 of 7")
    assert row(page, "NDA 03").evaluate("row => row.isSameRow")
    assert order(page) == before
    expect(offer(page)).to_be_hidden()


def test_a_new_order_is_offered_and_comes_when_it_is_asked_for(page: Page, nda: Workflow) -> None:
    before = order(page)
    trigger(nda, "NDA of just now")
    change(nda, "NDA 20", sort_at=timezone.now(), last_modified_at=timezone.now(), last_completed_step=6)
    poll(page)
    expect(offer(page)).to_have_text("2 changes – show")
    expect(row(page, "NDA 20")).to_contain_text("Step 7 of 7")
    expect(page.get_by_role("link", name="All 31")).to_be_visible()
    assert order(page) == before
    offer(page).click()
    expect(page.locator("main tbody th").nth(0)).to_have_text("NDA 20")
    expect(page.locator("main tbody th").nth(1)).to_have_text("NDA of just now")
    expect(offer(page)).to_be_hidden()


def test_the_offer_is_taken_by_keyboard_and_told_to_readers(page: Page, nda: Workflow) -> None:
    trigger(nda, "NDA of just now")
    poll(page)
    expect(page.get_by_role("status").filter(has_text="1 change – show")).to_be_visible()
    page.keyboard.press("r")
    expect(page.locator("main tbody th").first).to_have_text("NDA of just now")


def test_what_somebody_is_in_the_middle_of_survives(page: Page, nda: Workflow) -> None:
    page.get_by_label("Search instances").fill("half writ")
    page.get_by_text("More filters").click()
    menu = row(page, "NDA 14")
    menu.get_by_role("button", name="More for NDA 14").click()
    expect(menu.get_by_role("link", name="Open")).to_be_visible()
    scrolled = page.evaluate("() => { window.scrollTo(0, 300); return window.scrollY; }")
    trigger(nda, "NDA of just now")
    change(nda, "NDA 14", last_completed_step=6)
    poll(page)
    expect(menu).to_contain_text("Step 7 of 7")
    expect(menu.get_by_role("link", name="Open")).to_be_visible()
    expect(page.get_by_label("Search instances")).to_have_value("half writ")
    expect(page.get_by_label("Started from")).to_be_visible()
    assert page.evaluate("window.scrollY") == scrolled


def test_focus_and_place_survive_the_new_order(page: Page, nda: Workflow) -> None:
    link = row(page, "NDA 10").get_by_role("link", name="NDA 10")
    link.focus()
    scrolled = page.evaluate("() => { window.scrollTo(0, 200); return window.scrollY; }")
    trigger(nda, "NDA of just now")
    poll(page)
    expect(offer(page)).to_be_visible()
    expect(link).to_be_focused()
    page.keyboard.press("r")
    expect(page.locator("main tbody th").first).to_have_text("NDA of just now")
    expect(link).to_be_focused()
    assert page.evaluate("window.scrollY") == scrolled


def test_the_first_rows_come_without_a_question(admin: Membership, visit: Visit) -> None:
    workflow = WorkflowFactory(account=admin.account)
    lists(admin, workflow)
    page = visit(admin)
    page.goto("/instances/")
    expect(page.get_by_role("heading", name="No instances yet")).to_be_visible()
    trigger(workflow, "The first")
    poll(page)
    expect(row(page, "The first")).to_be_visible()


def test_the_list_of_a_workflow_is_live_too(page: Page, nda: Workflow) -> None:
    page.goto(f"/workflows/{nda.pk}/")
    trigger(nda, "NDA of just now")
    poll(page)
    expect(offer(page)).to_have_text("1 change – show")
    expect(page.locator("aside dd").get_by_text("31", exact=True)).to_be_visible()


def test_a_menu_made_by_an_update_works(page: Page, nda: Workflow) -> None:
    trigger(nda, "NDA of just now")
    poll(page)
    offer(page).click()
    fresh = row(page, "NDA of just now")
    fresh.get_by_role("button", name="More for NDA of just now").click()
    fresh.get_by_role("link", name="Cancel instance…").click()
    expect(page.get_by_role("dialog", name="Cancel this instance?")).to_be_visible()


def test_a_hidden_tab_asks_nothing_and_asks_at_once_when_it_is_seen_again(
    admin: Membership, nda: Workflow, visit: Visit
) -> None:
    page, asked = visit(admin), []
    page.on("request", lambda request: asked.append(request.url) if "stamp=" in request.url else None)
    hold_time(page)
    page.goto("/instances/")
    page.clock.run_for(2000)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.clock.run_for(600_000)
    assert asked == []
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.run_for(100)
    assert len(asked) == 1


def test_somebody_who_stopped_updates_gets_none(admin: Membership, nda: Workflow, visit: Visit) -> None:
    page, asked = visit(admin), []
    page.on("request", lambda request: asked.append(request.url) if "stamp=" in request.url else None)
    hold_time(page)
    page.goto("/instances/")
    page.keyboard.press("?")
    page.get_by_label("Let pages update by themselves in this browser").uncheck()
    page.keyboard.press("Escape")
    page.clock.run_for(600_000)
    assert asked == []


def test_times_go_on_while_the_page_stays_open(admin: Membership, nda: Workflow, visit: Visit) -> None:
    InstanceFactory(workflow=nda, name="Fresh")
    page = visit(admin)
    page.clock.install()
    page.goto("/instances/")
    expect(row(page, "Fresh")).to_contain_text("just now")
    page.evaluate("document.cookie = 'live=off'")
    page.clock.run_for(5 * 60_000)
    expect(row(page, "Fresh").get_by_text("5 min ago").first).to_be_visible()
