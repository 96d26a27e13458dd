"""Rules and presets in a real browser: an admin makes a rule, keeps a preset with a lock, and triggers through it."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.steps import INSTANCE_URL, open_form, page_of, send, triggers
from tests.processes import RunningConsole

Person = Callable[..., Page]
NAME = "Lease renewal"


def test_a_rule_with_choices_and_a_preset_with_a_lock_lead_to_one_trigger(
    console: RunningConsole, person: Person
) -> None:
    page = person("Ada Admin")
    open_form(page, console, NAME)
    page.goto(f"{page_of(console, NAME)}inputs/")
    page.get_by_role("link", name="Change… the rule for Property").click()
    page.get_by_label("Label", exact=True).fill("Building")
    page.get_by_label("Choices").fill("41 Abbey Road\n9 Larch Avenue")
    page.get_by_role("button", name="Save rule").click()
    expect(page.get_by_role("row", name="Property")).to_contain_text("One of 2 choices.")

    open_form(page, console, NAME)
    building = page.get_by_label(re.compile("^Building text Property"))
    building.select_option("9 Larch Avenue")
    page.get_by_label(re.compile("^Tenant text")).fill("Ines Carvalho")
    page.get_by_role("button", name="Save as preset…").click()
    page.get_by_label("Name", exact=True).fill("Larch Avenue")
    page.get_by_label("Property: “9 Larch Avenue”").check()
    page.get_by_role("button", name="Save preset").click()

    expect(page.get_by_label("Preset", exact=True)).to_have_value(re.compile("[0-9]+"))
    building = page.get_by_role("textbox", name=re.compile("^Building text Property locked"))
    expect(building).to_have_value("9 Larch Avenue")
    expect(building).not_to_be_editable()
    expect(page.get_by_label(re.compile("^Tenant text"))).to_have_value("Ines Carvalho")
    rest = {"Tenant email": "ines@example.com", "New monthly rent": "900", "Renewal date": "2027-04-01"}
    for label, value in rest.items():
        page.get_by_label(re.compile(f"^{label} ")).fill(value)
    send(page)
    expect(page).to_have_url(INSTANCE_URL)
    sent = [each["body"]["trigger_inputs"] for each in triggers(console)]
    assert sent == [{"Tenant": "Ines Carvalho", "Property": "9 Larch Avenue", **rest, "New monthly rent": 900}]

    page.goto(f"{page_of(console, NAME)}inputs/")
    page.get_by_role("link", name="Change… the rule for Property").click()
    page.get_by_label("Label", exact=True).fill("")
    page.get_by_label("Choices").fill("")
    page.get_by_role("button", name="Save rule").click()
    expect(page.get_by_role("row", name="Property")).to_contain_text("nothing")
