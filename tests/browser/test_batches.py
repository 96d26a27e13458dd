"""The page of a bulk run while somebody looks at it: it follows by itself, and its deeds stand where they stood."""

from collections.abc import Callable

import pytest
from django.db.models import F
from playwright.sync_api import Page, expect

from dashboard.models import Account, Batch, Membership, Workflow
from tests.browser.steps import SLOW
from tests.bulk_runs import filled, page_of
from tests.factories import BatchFactory, WorkflowFactory, lists

Visit = Callable[..., Page]


@pytest.fixture
def batch(operator: Membership) -> Batch:
    """A run with two items done and three waiting."""
    workflow: Workflow = WorkflowFactory(account=operator.account, name="Supplier NDA")
    lists(operator, workflow)
    made: Batch = BatchFactory(account=operator.account, actor=operator.user, name="Cancel 5 instances")
    filled(made, workflow, confirmed=2, waiting=3)
    return made


def test_pause_and_resume_stand_in_the_same_place(visit: Visit, operator: Membership, batch: Batch) -> None:
    """Each button sends its own deed after the page has changed around it, and keeps the focus."""
    page = visit(operator)
    page.goto(page_of(batch))
    heading = page.get_by_role("heading", level=1)
    for _ in range(2):
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(heading).to_contain_text("Paused")
        expect(page.get_by_role("button", name="Resume")).to_be_focused()
        page.get_by_role("button", name="Resume").click()
        expect(heading).to_contain_text("Running")
        expect(page.get_by_role("button", name="Pause", exact=True)).to_be_focused()


def test_stopping_asks_in_a_dialog_and_the_page_follows(visit: Visit, operator: Membership, batch: Batch) -> None:
    page = visit(operator)
    page.goto(page_of(batch))
    page.get_by_role("link", name="Stop…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("3 items that wait will not be sent.")
    dialog.get_by_role("button", name="Stop bulk run").click()
    expect(dialog).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Done")
    expect(page.get_by_role("heading", name="5 of 5 settled")).to_be_visible()


def test_an_open_page_follows_without_moving_a_row(visit: Visit, operator: Membership, batch: Batch) -> None:
    page = visit(operator)
    page.goto(page_of(batch))
    row = page.locator('tr[data-id="3"]')
    row.hover()
    expect(row).to_contain_text("Next")
    batch.items.filter(position=3).update(state="rejected", message="Docusign: “No.”")
    Account.objects.filter(pk=batch.account_id).update(version=F("version") + 1)
    expect(row).to_contain_text("Refused", timeout=SLOW)
    expect(page.get_by_role("heading", name="3 of 5 settled")).to_be_visible()
    assert [each.get_attribute("data-id") for each in page.locator("tr[data-id]").all()] == list("12345")
