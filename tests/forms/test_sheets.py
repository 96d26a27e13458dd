"""The forms of "trigger from a file": what they take, what they refuse, and what they keep."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils.datastructures import MultiValueDict

from dashboard.forms.sheets import MAX_PASTED, ColumnsForm, RowsForm, StartForm
from dashboard.models import InputRule

KEY = "0123456789abcdef" * 2
SPECS = [
    {"name": "Supplier name", "kind": "string", "data_type": "String", "has_default": False, "default": None},
    {"name": "Value", "kind": "number", "data_type": "Number", "has_default": True, "default": 5},
]


def posted(**values: Any) -> QueryDict:
    data = QueryDict(mutable=True)
    for name, value in values.items():
        data.setlist(
            name.replace("_", "-") if name.startswith("column_") else name,
            value if isinstance(value, list) else [value],
        )
    return data


def files(**sent: SimpleUploadedFile) -> MultiValueDict[str, Any]:
    return MultiValueDict({name: [file] for name, file in sent.items()})


def csv(name: str = "rows.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, b"a\n1\n", content_type="text/csv")


def columns_form(columns: list[str], **values: Any) -> ColumnsForm:
    return ColumnsForm(SPECS, columns, data=posted(key=KEY, contract="d", **values))


def test_a_file_alone_is_taken() -> None:
    form = StartForm(posted(key=KEY, name="March"), files(file=csv()))
    assert form.is_valid(), form.errors
    assert form.place == "file"
    assert form.cleaned_data["file"].name == "rows.csv"


def test_pasted_rows_keep_their_line_ends_and_blanks() -> None:
    form = StartForm(posted(key=KEY, name="March", pasted="a\tb\n1\t \n"))
    assert form.is_valid(), form.errors
    assert (form.place, form.cleaned_data["pasted"]) == ("pasted", "a\tb\n1\t \n")


def test_neither_a_file_nor_rows_is_told_beside_the_file() -> None:
    form = RowsForm(posted(key=KEY, pasted=" \n "))
    assert form.errors == {"file": ["Choose a file, or paste rows."]}


def test_a_file_and_pasted_rows_together_are_refused() -> None:
    form = RowsForm(posted(key=KEY, pasted="a\n1"), files(file=csv()))
    assert form.errors == {"file": ["Rows were pasted and a file was chosen. Use one of the two."]}


def test_a_file_that_was_not_read_to_its_end_is_told_with_what_to_do() -> None:
    """S-13: the size is said beside the field."""
    form = RowsForm(posted(key=KEY), is_too_large=True)
    assert "larger than 5 MB" in form.errors["file"][0]


def test_more_than_can_be_pasted_is_sent_to_a_file() -> None:
    form = RowsForm(posted(key=KEY, pasted="x" * (MAX_PASTED + 1)))
    assert form.errors == {"pasted": ["This is too long to paste. Choose it as a file."]}


@pytest.mark.parametrize("other", [{"batch": "1"}, {"state": "done"}, {"column-0": "1"}])
def test_a_field_that_the_form_does_not_ask_for_is_refused(other: dict[str, str]) -> None:
    """S-12: nothing is ignored in silence."""
    data = posted(key=KEY, name="March", pasted="a\n1")
    data.update(other)
    assert not StartForm(data).is_valid()


def test_a_file_in_another_field_is_refused() -> None:
    form = StartForm(posted(key=KEY, name="March", pasted="a\n1"), files(photo=csv()))
    assert not form.is_valid()


def test_an_input_without_a_default_needs_a_column_and_another_does_not() -> None:
    form = columns_form(["A", "B"], column_0="", column_1="", name_column="0")
    assert form.errors == {"column-0": ["No column fills this input, and it must not be left out. Choose one."]}


def test_the_mapping_names_columns_and_leaves_the_others_out() -> None:
    form = columns_form(
        ["A", "B"], column_0="1", column_1="", name_column="", name_pattern="NDA {A}", key_columns=["0"]
    )
    assert form.is_valid(), form.errors
    assert form.mapping() == {"Supplier name": "B", "Value": None}
    assert form.name_source() == ("", "NDA {A}")
    assert form.key_inputs() == ["Supplier name"]


def test_a_column_of_names_makes_the_pattern_needless() -> None:
    form = columns_form(["A", "B"], column_0="1", name_column="0", name_pattern="unused {A}")
    assert form.is_valid(), form.errors
    assert form.name_source() == ("A", "")


def test_without_a_column_and_a_pattern_nothing_has_a_name() -> None:
    form = columns_form(["A"], column_0="0")
    assert list(form.errors) == ["name_pattern"]


@pytest.mark.parametrize("value", ["2", "-1", "A", "0\0"])
def test_a_column_that_the_file_does_not_have_is_refused(value: str) -> None:
    assert "column-0" in columns_form(["A", "B"], column_0=value, name_column="0").errors


def test_the_guess_is_chosen_at_first() -> None:
    form = ColumnsForm(SPECS, ["A", "supplier name"], mapping={"Supplier name": "supplier name"})
    assert form["column-0"].value() == "1"
    assert form["column-1"].value() == ""


def test_names_of_columns_stay_text() -> None:
    """S-3: a heading cannot become markup."""
    form = ColumnsForm(SPECS, ['"><img src=x>'], mapping={})
    for name in ("column-0", "name_column", "name_pattern"):
        body = render_to_string("components/_field.html", {"field": form[name]})
        assert "&gt;&lt;img" in body
        assert "<img" not in body


def test_an_input_that_the_team_needs_is_asked_for_although_it_has_a_default() -> None:
    form = ColumnsForm(
        SPECS,
        ["A"],
        data=posted(key=KEY, contract="d", column_0="0", name_column="0"),
        rules={"Value": InputRule(input_name="Value", is_required=True)},
    )
    assert list(form.errors) == ["column-1"]


def test_a_refusal_stands_beside_what_it_names() -> None:
    form = columns_form(["A"], column_0="0", name_column="0")
    assert [form.place_of(name) for name in ("Value", "name_pattern", "elsewhere", None)] == [
        "column-1",
        "name_pattern",
        None,
        None,
    ]


def test_a_column_is_asked_for_by_the_label_of_the_team_with_the_name_beside_it() -> None:
    rules = {"Value": InputRule(input_name="Value", label="Contract value")}
    bound = ColumnsForm(SPECS, ["A"], rules=rules).column_fields()[1]
    html = render_to_string("components/_field.html", {"field": bound})
    assert "<bdi>Contract value</bdi>" in html
    assert '<code class="kind"><bdi>Value</bdi></code>' in html
