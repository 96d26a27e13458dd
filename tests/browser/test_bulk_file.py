"""From a file to instances, as an operator does it. Its one rule: what the pages say and what Docusign holds are compared at the end."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.steps import SLOW, page_of, triggers
from tests.browser.test_accessibility import violations
from tests.processes import RunningConsole

Person = Callable[..., Page]
WORKFLOW = "Supplier NDA"
VALUES = {
    "Contact name": "Amara Okafor",
    "Contact email": "amara.okafor@example.com",
    "Effective date": "2027-03-01",
    "Mutual": "true",
    "Governing law": "",
}


def header_of_template(page: Page) -> list[str]:
    with page.expect_download() as download:
        page.get_by_role("link", name="Template as CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    return next(csv.reader(text.splitlines()))


def row(header: list[str], name: str, **others: str) -> str:
    values = VALUES | {"Instance name": name, "Supplier name": f"{name} Ltd"} | others
    return "\t".join(values[heading] for heading in header)


def test_rows_of_a_file_become_instances_and_no_other(console: RunningConsole, person: Person) -> None:
    """U-8, S-13: five rows, one of them wrong at first; Docusign gets exactly five triggers."""
    page = person("Olu Operator")
    page.goto(page_of(console, WORKFLOW))
    page.get_by_role("link", name="Trigger from a file…").click()
    expect(page.get_by_label("Name of the bulk run")).to_be_visible(timeout=SLOW)
    assert violations(page) == []
    header = header_of_template(page)
    names = [f"Bulk NDA {number}" for number in range(1, 6)]
    rows = [row(header, name) for name in names]
    rows[2] = row(header, names[2], **{"Effective date": "next week"})
    page.get_by_label("Name of the bulk run").fill("NDAs of March")
    page.get_by_label("Paste rows").fill("\n".join(["\t".join(header), *rows]))
    page.get_by_role("button", name="Match the columns…").click()

    expect(page.get_by_role("heading", level=1)).to_have_text("Match the columns")
    chosen = page.get_by_label(re.compile("^Supplier name")).first
    expect(chosen.locator("option:checked")).to_have_text("Supplier name")
    assert violations(page) == []
    page.get_by_role("button", name="Check 5 rows").click()

    error = page.get_by_role("row").filter(has_text="next week")
    expect(error).to_contain_text("Row 4")
    expect(error).to_contain_text("Effective date")
    expect(error).to_contain_text("Write it like 2026-06-01")
    expect(page.get_by_role("button", name="Go without the 1 row that has errors…")).to_be_visible()
    page.get_by_text("Add corrected rows").click()
    assert violations(page) == []
    corrected = ["\t".join(["Row", *header]), f"4\t{row(header, names[2])}"]
    page.get_by_label("Paste rows").fill("\n".join(corrected))
    page.get_by_role("button", name="Check and add these rows").click()

    expect(page.locator(".figures").get_by_role("link", name=re.compile("Ready"))).to_contain_text("5")
    page.get_by_role("link", name="JSON of row 4").click()
    body = json.loads(page.get_by_role("region", name="Preview of the request").inner_text())
    assert body["instance_name"].startswith(names[2])
    assert body["trigger_inputs"]["Effective date"] == VALUES["Effective date"]
    assert triggers(console) == []
    page.go_back()

    page.get_by_role("button", name="Trigger 5 instances…").click()
    expect(page.get_by_role("heading", name=f"Trigger 5 instances of {WORKFLOW}?")).to_be_visible()
    page.get_by_role("button", name="Trigger 5 instances", exact=True).click()
    expect(page.get_by_role("heading", name="5 of 5 settled")).to_be_visible(timeout=30_000)
    expect(page.locator(".figures").get_by_role("link", name=re.compile("^Done"))).to_contain_text("5")
    sent = [each["body"]["instance_name"] for each in triggers(console)]
    assert sorted(name.split(" ·")[0] for name in sent) == names
    assert all(each["body"]["trigger_inputs"]["Mutual"] is True for each in triggers(console))
