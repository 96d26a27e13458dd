"""The trigger form as a whole: what is kept, what is sent, what is refused."""

import json
from typing import Any

from django.http import QueryDict

from dashboard.forms.preview import preview_text
from dashboard.forms.trigger import RawTriggerForm, TriggerForm, typed_from_json
from tests.forms.test_inputs import spec

KEY = "0" * 32


def named(name: str, kind: str = "string", **details: Any) -> dict[str, Any]:
    return {**spec(kind, **details), "name": name}


def posted(*pairs: tuple[str, str | None], **others: str) -> QueryDict:
    """What a browser sends for a form whose inputs had these names and values."""
    data = QueryDict(mutable=True)
    data.update({"key": KEY, "contract": "d", "instance_name": "NDA", **others})
    for place, (name, value) in enumerate(pairs):
        data[f"name-{place}"] = json.dumps(name)
        if value is not None:
            data[f"input-{place}"] = value
    return data


def test_names_with_spaces_dots_and_other_scripts_reach_docusign_as_they_are() -> None:
    names = ["Supplier name", "a.b[0]", "Größe 名前", '"><script>', "input-0"]
    form = TriggerForm([named(name) for name in names], data=posted(*((name, name) for name in names)))
    assert form.is_valid(), form.errors
    assert form.inputs() == {name: name for name in names}
    assert [field.auto_id for field, _ in form.asked_fields()] == [f"input-{place}" for place in range(5)]


def test_system_inputs_are_not_asked() -> None:
    form = TriggerForm([{**named("startDate"), "is_system": True}, named("Name")])
    assert [field.label for field, _ in form.asked_fields()] == ["Name"]


def test_values_follow_their_names_when_the_inputs_changed_places() -> None:
    form = TriggerForm(
        [named("New", default="d", has_default=True), named("B"), named("A")], data=posted(("A", "a"), ("B", "b"))
    )
    assert [field.value() for field, _ in form.asked_fields()] == ["d", "b", "a"]


def test_a_text_with_line_breaks_keeps_them_when_its_field_had_one_line() -> None:
    form = TriggerForm([named("A")], data=posted(("A", "one\ntwo")))
    assert "<textarea" in str(form["input-0"])


def test_what_is_left_out_is_not_sent() -> None:
    specs = [named("A"), named("B", default="x", has_default=True)]
    form = TriggerForm(specs, data=posted(("A", "a"), ("B", "")))
    assert form.is_valid()
    assert form.inputs() == {"A": "a"}


def test_an_input_without_default_is_required() -> None:
    form = TriggerForm([named("A"), named("B", "boolean")], data=posted(("A", "  "), ("B", None)))
    assert not form.is_valid()
    assert set(form.errors) == {"input-0", "input-1"}


def test_inputs_that_are_too_large_together_are_refused() -> None:
    form = TriggerForm([named("A")], data=posted(("A", "x" * 70_000)))
    assert form.non_field_errors() == ["The inputs are 68 KB together; at most 64 KB can be sent. Shorten them."]


def test_members_that_the_form_does_not_ask_for_are_refused() -> None:
    """S-12: nothing can be slipped in."""
    assert not TriggerForm([named("A")], data=posted(("A", "a"), state="confirmed")).is_valid()
    twice = posted(("A", "a"))
    twice.appendlist("input-0", "b")
    assert not TriggerForm([named("A")], data=twice).is_valid()


def test_a_lost_key_is_refused() -> None:
    """U-7: no form without its one-time key."""
    form = TriggerForm([named("A")], data=posted(("A", "a"), key="mine"))
    assert form.errors["key"] == ["The form lost its one-time key. Load the page again."]


def test_complaints_of_docusign_stand_beside_their_inputs() -> None:
    form = TriggerForm([named("A"), named("B")], data=posted(("A", "a"), ("B", "b")))
    assert form.is_valid()
    form.add_refusal("Refused.", {"B": ["must be shorter"], "Other": "odd"})
    assert form.errors["input-1"] == ["Docusign: must be shorter"]
    assert form.non_field_errors() == ["Other: odd"]


def test_the_preview_shows_gaps_for_what_is_missing_or_wrong() -> None:
    form = TriggerForm([named("A"), named("N", "number"), named("C")], data=posted(("A", "ä"), ("N", "x"), ("C", "")))
    text = preview_text(form)
    assert '"A": "ä"' in text
    assert '"N": ⟨not valid⟩' in text
    assert '"C": ⟨missing⟩' in text


def test_the_preview_of_a_fresh_form_shows_the_defaults() -> None:
    form = TriggerForm([named("N", "number", default=2, has_default=True)], initial={"instance_name": "NDA"})
    assert json.loads(preview_text(form)) == {"instance_name": "NDA ·⟨code⟩", "trigger_inputs": {"N": 2}}


def raw(text: str, *specs: dict[str, Any]) -> RawTriggerForm:
    return RawTriggerForm(specs, data=posted(inputs_json=text))


def test_raw_json_is_checked_like_the_fields() -> None:
    form = raw('{"N": "7", "X": 1}', named("N", "number"), named("A"))
    assert form.errors["inputs_json"] == [
        "“X” is not an input of this workflow.",
        "“N”: write a number without quotes.",
        "“A” is missing and has no default.",
    ]


def test_valid_raw_json_is_sent_as_it_stands() -> None:
    form = raw('{"N": 7, "A": ""}', named("N", "number"), named("A"))
    assert form.is_valid(), form.errors
    assert form.inputs() == {"N": 7, "A": ""}


def test_raw_json_that_is_no_object_is_refused() -> None:
    assert raw("[]", named("A")).errors["inputs_json"][0].startswith("Write one JSON object")
    assert raw("{", named("A")).errors["inputs_json"][0].startswith("This is not JSON")


def test_values_of_raw_json_come_back_into_the_fields() -> None:
    specs = [named("N", "number"), named("B", "boolean"), named("O", "object")]
    typed = typed_from_json(specs, '{"N": 7, "B": false, "O": {"a": 1}}')
    form = TriggerForm(specs, typed=typed)
    assert [field.value() for field, _ in form.asked_fields()] == ["7", "false", '{\n  "a": 1\n}']
