"""The main job in a real browser: a workflow is triggered once, rightly, and what came of it is on the screen."""

import json
import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import watch
from tests.browser.steps import (
    INSTANCE_URL,
    LEASE,
    LEAVER,
    NDA,
    OPERATION_URL,
    SLOW,
    field,
    fill,
    open_form,
    send,
    send_button,
    triggers,
    workflow,
)
from tests.processes import RunningConsole, wait_until

Person = Callable[..., Page]


def test_a_workflow_is_triggered_with_typed_values_and_the_instance_is_shown(
    console: RunningConsole, person: Person
) -> None:
    """U-1, U-2: one call of the contract, one trigger, each value with the type that the workflow asks for."""
    page = person("Olu Operator")
    open_form(page, console, "Lease renewal")
    expect(field(page, "Renewal date")).to_have_attribute("type", "date")
    fill(page, LEASE, name="Lease of Abbey Road")
    expect(page.get_by_label("Preview of the request")).to_contain_text('"New monthly rent": 1250.5')
    console.control("DELETE", "/ledger")
    send(page)
    expect(page).to_have_url(INSTANCE_URL)
    expect(page.locator("h1")).to_contain_text("Lease of Abbey Road")
    sent = triggers(console)
    assert [each["status"] for each in sent] == [201]
    assert sent[0]["body"]["trigger_inputs"] == LEASE | {"New monthly rent": 1250.5}
    assert sent[0]["body"]["instance_name"].startswith("Lease of Abbey Road ·")


def test_the_code_in_an_instance_name_is_sent_but_not_shown(console: RunningConsole, person: Person) -> None:
    page = person("Olu Operator")
    open_form(page, console, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver with a code")
    send(page)
    expect(page).to_have_url(INSTANCE_URL)
    (sent,) = triggers(console)
    code = sent["body"]["instance_name"].removeprefix("Leaver with a code ·")
    assert len(code) >= 6
    expect(page.locator("h1")).not_to_contain_text(code)
    expect(page).to_have_title(re.compile("^Leaver with a code · Maestro Console$"))
    page.goto(f"{console.url}/instances/?name=Leaver+with+a+code")
    expect(page.get_by_role("row", name="Leaver with a code").first).to_be_visible()
    expect(page.get_by_role("table")).not_to_contain_text(code)


def test_the_participant_link_appears_on_a_click_and_that_is_recorded(console: RunningConsole, person: Person) -> None:
    """O-16: the link is a credential; only who triggered may open it, and it is in the audit."""
    page = person("Olu Operator")
    open_form(page, console, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver with a link")
    send(page)
    expect(page).to_have_url(INSTANCE_URL)
    address = page.url
    assert "mtsec" not in page.content()
    page.get_by_role("button", name="Reveal link").click()
    link = page.get_by_role("link", name="Open link in a new tab")
    expect(link).to_have_attribute("href", re.compile("mtsec="))
    expect(link).to_have_attribute("rel", re.compile("noreferrer"))
    page.goto(f"{console.url}/audit/")
    expect(page.get_by_role("row", name="Leaver with a link").filter(has_text="link").first).to_be_visible()
    assert "mtsec" not in page.content()
    other = person("Ada Admin")
    other.goto(address)
    expect(other.locator("h1")).to_contain_text("Leaver with a link")
    expect(other.get_by_role("button", name="Reveal link")).to_have_count(0)
    expect(other.get_by_text("Not available to you")).to_be_visible()


def test_wrong_values_are_told_beside_their_fields_and_in_a_summary_and_nothing_is_sent(
    console: RunningConsole, person: Person
) -> None:
    page = person("Olu Operator")
    open_form(page, console, "Lease renewal")
    fill(page, LEASE | {"New monthly rent": "12.500 EUR", "Tenant": ""}, name="Lease with mistakes")
    console.control("DELETE", "/ledger")
    send(page)
    summary = page.locator("#error-summary")
    expect(summary).to_be_focused()
    expect(summary).to_contain_text("2 things need a correction")
    expect(summary).to_contain_text("Nothing was sent to Docusign.")
    sentence = "“12.500 EUR” is not a number. Write 12500"
    expect(field(page, "New monthly rent")).to_have_accessible_description(re.compile(re.escape(sentence)))
    expect(field(page, "New monthly rent")).to_have_attribute("aria-invalid", "true")
    expect(field(page, "New monthly rent")).to_have_value("12.500 EUR")
    expect(field(page, "Tenant email")).to_have_value(LEASE["Tenant email"])
    expect(page.get_by_label("Instance name")).to_have_value("Lease with mistakes")
    assert triggers(console) == []
    summary.get_by_role("link", name=sentence).click()
    expect(field(page, "New monthly rent")).to_be_focused()
    fill(page, {"New monthly rent": "12500", "Tenant": "Ines Carvalho"})
    send(page)
    expect(page).to_have_url(INSTANCE_URL)
    assert [each["body"]["trigger_inputs"]["New monthly rent"] for each in triggers(console)] == [12500]


def test_a_complaint_of_docusign_stands_beside_its_field(console: RunningConsole, person: Person) -> None:
    """U-2: a refusal is told as a refusal, with Docusign's own words."""
    page = person("Olu Operator")
    open_form(page, console, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver that Docusign refuses")
    body = {
        "error": {
            "code": "BadRequest",
            "message": "One or more inputs are wrong.",
            "errors": [{"target": "Manager email", "code": "FIELD_INVALID", "message": "This mailbox is closed."}],
        }
    }
    body |= {"errorCode": "BadRequest", "message": "One or more inputs are wrong.", "errors": body["error"]["errors"]}
    fault = {"match": {"method": "POST", "path": "/actions/trigger", "times": 1}, "do": {"status": 400, "body": body}}
    console.control("POST", "/faults", [fault])
    send(page)
    expect(page.locator("#error-summary")).to_contain_text("nothing was started")
    expect(field(page, "Manager email")).to_have_accessible_description(re.compile("This mailbox is closed"))
    expect(field(page, "Employee")).to_have_value(LEAVER["Employee"])
    send(page)
    expect(page).to_have_url(INSTANCE_URL)


def test_a_workflow_that_changed_meanwhile_brings_the_form_back_with_what_changed(
    console: RunningConsole, person: Person
) -> None:
    page = person("Olu Operator")
    name = "Volunteer agreement 2024"
    address = f"/workflows/{workflow(console, name)['id']}"
    first = [{"field_name": "Volunteer", "field_data_type": "String"}]
    console.control("POST", address, {"status": "active", "input_schema": first})
    status = "SELECT status FROM dashboard_workflow WHERE name = ?"
    wait_until("the mirror knows it as active", lambda: console.query(status, name) == [("active",)], seconds=60)
    open_form(page, console, name)
    page.get_by_role("button", name="Refresh now").click()
    expect(page.locator(".toasts")).to_contain_text("The inputs were read again.")
    fill(page, {"Volunteer": "Jonas Weber"}, name="Volunteer Jonas")
    console.control(
        "POST", address, {"input_schema": [*first, {"field_name": "Shirt size", "field_data_type": "String"}]}
    )
    console.control("DELETE", "/ledger")
    send(page)
    notice = page.locator(".notice").filter(has_text="asks for other inputs now")
    expect(notice).to_contain_text("Shirt size")
    expect(notice).to_contain_text("Nothing was sent.")
    expect(field(page, "Volunteer")).to_have_value("Jonas Weber")
    expect(page.get_by_label("Instance name")).to_have_value("Volunteer Jonas")
    assert triggers(console) == []
    fill(page, {"Shirt size": "M"})
    send(page)
    expect(page).to_have_url(INSTANCE_URL)
    assert [each["body"]["trigger_inputs"] for each in triggers(console)] == [
        {"Volunteer": "Jonas Weber", "Shirt size": "M"}
    ]


def test_a_lost_answer_is_shown_as_unknown_and_settled_without_a_second_trigger(
    console: RunningConsole, person: Person
) -> None:
    """U-2, U-3: nobody says that it failed, nothing is sent again, and the worker finds the instance."""
    page = person("Olu Operator")
    open_form(page, console, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver whose answer was lost")
    console.control(
        "POST",
        "/faults",
        [
            {"match": {"method": "POST", "path": "/actions/trigger", "times": 1}, "do": {"reset": "after"}},
            {"match": {"method": "GET", "path": "/instances"}, "do": {"status": 503}},
        ],
    )
    send(page)
    expect(page).to_have_url(OPERATION_URL)
    expect(page.get_by_role("heading", name="We do not know whether it started.")).to_be_visible()
    expect(page.locator("h1 .state")).to_have_text(re.compile("Unknown"))
    console.control("DELETE", "/faults")
    expect(page.get_by_role("link", name="Open instance")).to_be_visible(timeout=150_000)
    page.get_by_role("link", name="Open instance").click()
    expect(page.locator("h1")).to_contain_text("Leaver whose answer was lost")
    assert len(triggers(console)) == 1


def test_a_double_click_triggers_once(console: RunningConsole, person: Person) -> None:
    """U-7: however often the button is pressed."""
    page = person("Olu Operator")
    open_form(page, console, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver with a nervous finger")
    send_button(page).dblclick()
    expect(page).to_have_url(INSTANCE_URL)
    assert len(triggers(console)) == 1


def test_back_and_sending_again_gives_the_first_result(console: RunningConsole, person: Person) -> None:
    """U-7: a form that was sent is used up."""
    page = person("Olu Operator")
    open_form(page, console, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver sent twice")
    form = page.locator("#trigger-form")
    fields = form.evaluate("form => [...new FormData(form).entries()]")
    send(page)
    expect(page).to_have_url(INSTANCE_URL)
    first = page.url
    page.goto(f"{console.url}/workflows/{workflow(console, 'Employee leaver checklist')['id']}/trigger/")
    put_back = """([form, fields]) => { for (const [name, value] of fields) form.elements[name].value = value }"""
    page.evaluate(put_back, [form.element_handle(), fields])
    send(page)
    expect(page).to_have_url(first)
    assert len(triggers(console)) == 1


def test_two_tabs_are_two_deeds(console: RunningConsole, person: Person, complaints: list[str]) -> None:
    """U-7: the key belongs to the form, so two forms trigger two instances and neither is lost."""
    page = person("Olu Operator")
    other = page.context.new_page()
    watch(other, complaints)
    for each, name in ((page, "Leaver of tab one"), (other, "Leaver of tab two")):
        open_form(each, console, "Employee leaver checklist")
        fill(each, LEAVER, name=name)
    send(page)
    expect(page.locator("h1")).to_contain_text("Leaver of tab one")
    send(other)
    expect(other.locator("h1")).to_contain_text("Leaver of tab two")
    assert page.url != other.url
    assert len(triggers(console)) == 2


def test_every_kind_of_input_goes_through_the_form(console: RunningConsole, person: Person) -> None:
    page = person("Olu Operator")
    open_form(page, console, "Contractor onboarding")
    values = {
        "Contractor name": "Mei Chen",
        "Contractor email": "mei.chen@example.com",
        "Company address": '{"street": "9 Larch Avenue", "city": "Cork"}',
        "Systems": '["E-mail"]',
        "Day rate": "480",
        "First day": "2027-06-01",
    }
    fill(page, values, name="Onboarding of Mei")
    send(page)
    expect(page).to_have_url(INSTANCE_URL)
    (sent,) = triggers(console)
    typed = {"Company address": json.loads(values["Company address"]), "Systems": ["E-mail"], "Day rate": 480}
    assert sent["body"]["trigger_inputs"] == values | typed


def test_raw_json_and_form_show_the_same_values(console: RunningConsole, person: Person) -> None:
    page = person("Olu Operator")
    open_form(page, console, "Supplier NDA")
    fill(page, NDA | {"Mutual": "No"}, name="NDA by hand")
    page.get_by_role("button", name="Raw JSON").click()
    shown = json.loads(page.get_by_role("textbox", name="Inputs").input_value())
    assert shown == NDA | {"Mutual": False, "Governing law": "England and Wales"}
    page.get_by_role("textbox", name="Inputs").fill(json.dumps(shown | {"Governing law": "Ireland"}))
    page.get_by_role("button", name="Form", exact=True).click()
    expect(field(page, "Governing law")).to_have_value("Ireland")
    expect(field(page, "Supplier name")).to_have_value(NDA["Supplier name"])
    expect(page.get_by_role("group", name="Mutual").get_by_label("No", exact=True)).to_be_checked()
    assert triggers(console) == []


def test_what_the_worker_reads_of_a_new_instance_appears_by_itself(console: RunningConsole, person: Person) -> None:
    page = person("Olu Operator")
    open_form(page, console, "Employee leaver checklist")
    fill(page, LEAVER, name="Leaver that is watched")
    send(page)
    expect(page).to_have_url(INSTANCE_URL)
    page.evaluate("window.isSamePage = true")
    expect(page.get_by_role("cell", name=LEAVER["Employee"])).to_be_visible(timeout=SLOW)
    expect(page.locator(".big-step progress")).to_be_visible(timeout=SLOW)
    assert page.evaluate("window.isSamePage")
