"""S-12: a form takes what it asks for, once, and nothing else."""

import pytest
from django import forms
from django.http import QueryDict

from dashboard.forms.strict import DeedForm, StrictForm


class Sample(StrictForm):
    name = forms.CharField(required=False)
    tags = forms.MultipleChoiceField(required=False, choices=[("a", "a"), ("b", "b")])


@pytest.mark.parametrize("query", ["", "name=x", "name=x&tags=a&tags=b", "csrfmiddlewaretoken=t&draft_owner=o&name=x"])
def test_what_the_form_asks_for_is_taken(query: str) -> None:
    assert Sample(QueryDict(query)).is_valid()


@pytest.mark.parametrize("query", ["is_staff=1", "name=x&account_id=1", "name=x&name=y", "name=&state=CONFIRMED"])
def test_anything_else_is_refused(query: str) -> None:
    form = Sample(QueryDict(query))
    assert not form.is_valid()
    assert "Nothing was changed." in form.non_field_errors()[0]


def test_a_prefix_is_part_of_the_name() -> None:
    assert Sample(QueryDict("p-name=x"), prefix="p").is_valid()
    assert not Sample(QueryDict("name=x"), prefix="p").is_valid()


def test_a_deed_takes_nothing_but_the_press_of_its_button() -> None:
    assert DeedForm(QueryDict("csrfmiddlewaretoken=t")).is_valid()
    assert not DeedForm(QueryDict("id=1")).is_valid()


def test_a_plain_dictionary_works_as_well() -> None:
    assert Sample({"name": "x"}).is_valid()
    assert not Sample({"other": "x"}).is_valid()
