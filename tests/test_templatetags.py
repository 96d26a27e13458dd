"""What the template tags make of states, queries and hostile strings."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
import time_machine
from django import forms
from django.contrib.messages import constants
from django.contrib.messages.storage.base import Message
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import timezone
from heroicons.templatetags.heroicons import heroicon_outline

from dashboard.icons import ICONS

NOW = datetime(2026, 5, 12, 8, 42, tzinfo=UTC)  # 10:42 in Berlin

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" hx-get="/signout/" hx-trigger="load',
    "' data-hx-post='/x' data-poll='/x",
    "</bdi></span></title></textarea><svg onload=alert(1)>",
    "{{ request }}{% debug %}",
    "&lt;b&gt; &amp; &#60;",
    "javascript:alert(1)",
    "<!-- --><style>*{display:none}</style>",
    "`${alert(1)}`",
    "'; DROP TABLE instance; --",
    '=HYPERLINK("http://evil")',
    "Ünïcode ✓ 日本語 العربية",
    "a" * 5000,
]


class Seen(HTMLParser):
    """The elements and texts that a browser would make of some markup."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str] = {}
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update({name: value or "" for name, value in attrs})

    def handle_data(self, data: str) -> None:
        self.text += data


def render(markup: str, path: str = "/instances/", **context: object) -> str:
    context.setdefault("request", RequestFactory().get(path))
    return Template("{% load console %}" + markup).render(Context(context)).strip()


@pytest.fixture(autouse=True)
def _berlin_at_1042() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False), timezone.override("Europe/Berlin"):
        yield


# --- Names ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_text_and_nothing_else(text: str) -> None:
    """S-3: no element and no attribute is born from a name."""
    seen = Seen(render("{% named name %}", name=text))
    assert seen.tags == ["bdi"]
    assert seen.attributes == {}
    assert seen.text == text


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_stays_inside_its_attribute(text: str) -> None:
    """S-3: a title made of a name holds the name, and the element gets no other attribute."""
    seen = Seen(render('<i title="{{ name|visible }}"></i>', name=text))
    assert seen.tags == ["i"]
    assert seen.attributes == {"title": text}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_state_is_shown_as_it_came(text: str) -> None:
    """S-3: an unknown state from Docusign is text."""
    seen = Seen(
        render("{% state look %}", look=SimpleNamespace(label=text, tone="unknown", icon="unknown", loud=False))
    )
    assert set(seen.tags) <= {"span", "svg", "path", "bdi"}
    assert seen.text.strip() == text
    assert not [name for name in seen.attributes if name.startswith(("on", "hx-", "data-hx", "data-poll"))]


@pytest.mark.parametrize(
    ("character", "mark"),
    [
        ("\u202e", "U+202E"),
        ("\u2066", "U+2066"),
        ("\u200b", "U+200B"),
        ("\u200d", "U+200D"),
        ("\ufeff", "U+FEFF"),
        ("\u00ad", "U+00AD"),
        ("\u3164", "U+3164"),
        ("\u2028", "U+2028"),
        ("\x00", "U+0000"),
        ("\x1b", "U+001B"),
        ("\r", "U+000D"),
        ("\n", "U+000A"),
        ("\x7f", "U+007F"),
        ("\ud800", "U+D800"),
        ("\U000e0041", "U+E0041"),
    ],
)
def test_a_character_without_a_shape_is_shown_by_its_number(character: str, mark: str) -> None:
    """S-4: bidi, zero-width and control characters are visible, in text and in attributes."""
    shown = render("{% named name %}", name=f"ad{character}min")
    assert f">{mark}</span>min" in shown
    assert 'class="odd"' in shown
    assert character not in shown
    assert render("{{ name|visible }}", name=f"ad{character}min") == f"ad⟨{mark}⟩min"


def test_a_name_that_fakes_a_second_line_stays_on_one() -> None:
    """S-4: the example of the requirement."""
    shown = render("{% named name %}", name="Invoice\u202e\n2026 admin ok")
    assert "\n" not in shown
    assert Seen(shown).text == "InvoiceU+202EU+000A2026 admin ok"


@pytest.mark.parametrize("name", [None, "", "   "])
def test_a_missing_name_is_said_to_be_missing(name: str | None) -> None:
    assert Seen(render("{% named name %}", name=name)).text == "not given"
    assert Seen(render('{% named name empty="not visible to you" %}', name=name)).text == "not visible to you"


def test_a_name_of_ordinary_letters_carries_no_marks() -> None:
    assert render("{% named name %}", name="Offer 12 – Łukasz é") == "<bdi>Offer 12 – Łukasz é</bdi>"


# --- Freshness ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("minutes", "level"), [(15, "ok"), (22, "ok"), (23, "late"), (45, "late"), (46, "stale")])
def test_a_page_says_how_late_it_is_against_its_interval(minutes: int, level: str) -> None:
    shown = render("{% fresh at interval=900 %}", at=NOW - timedelta(minutes=minutes))
    assert f'data-age="{level}"' in shown
    assert (f"{minutes} min old" in shown) is (level != "ok")


def test_what_was_read_a_minute_ago_is_fresh_however_short_the_interval() -> None:
    assert 'data-age="ok"' in render("{% fresh at interval=5 %}", at=NOW - timedelta(seconds=60))
    assert 'data-age="late"' in render("{% fresh at interval=5 %}", at=NOW - timedelta(seconds=91))


def test_a_page_that_was_never_read_says_so() -> None:
    shown = render("{% fresh at %}", at=None)
    assert "Not read yet" in shown
    assert 'data-age="late"' in shown


def test_refreshing_is_a_form_that_names_its_price() -> None:
    shown = render('{% fresh at refresh_url="/instances/refresh/" calls=2 %}', at=NOW, csrf_token="abc")
    assert 'method="post" action="/instances/refresh/"' in shown
    assert 'name="csrfmiddlewaretoken" value="abc"' in shown
    assert "Refresh now (2 calls)" in shown


# --- States, icons, steps -------------------------------------------------------------------------------------------
def test_a_state_shows_icon_word_and_tone() -> None:
    shown = render("{% state s %}", s=SimpleNamespace(label="Failed", tone="danger", icon="failed", loud=True))
    assert 'class="state loud" data-tone="danger"' in shown
    assert 'aria-hidden="true"' in shown
    assert Seen(shown).text.strip() == "Failed"


def test_a_missing_state_is_unknown_and_never_good() -> None:
    shown = render("{% state s %}", s=None)
    assert 'data-tone="unknown"' in shown
    assert Seen(shown).text.strip() == "not given"


@pytest.mark.parametrize("name", sorted(ICONS))
def test_every_icon_of_the_table_exists(name: str) -> None:
    assert heroicon_outline(ICONS[name]).startswith("<svg")


def test_an_icon_is_small_and_silent() -> None:
    seen = Seen(render('{% icon "cancel" %}'))
    assert seen.attributes["aria-hidden"] == "true"
    assert (seen.attributes["class"], seen.attributes["width"]) == ("icon", "16")


def test_a_wrong_icon_name_does_not_cost_the_page() -> None:
    assert render('{% icon "no such thing" %}') == render('{% icon "info" %}')


@pytest.mark.parametrize(
    ("done", "total", "last", "ended", "text"),
    [
        (3, 7, "Manager review", False, "Step 4 of 7 · after Manager review"),
        (0, 7, None, False, "Step 1 of 7 · none done yet"),
        (None, None, None, False, "not given"),
        (2, None, "Review", False, "not given"),
        (7, 7, "Signed", True, "All 7 steps done"),
        (9, 7, "Signed", False, "All 7 steps done"),
        (4, 7, "Review", True, "Stopped after step 4 of 7"),
        (0, 9, None, True, "Stopped before step 1 of 9"),
    ],
)
def test_progress_is_always_told_in_words(
    done: int | None, total: int | None, last: str | None, ended: bool, text: str
) -> None:
    shown = render('{% progress done total last "running" ended %}', done=done, total=total, last=last, ended=ended)
    assert " ".join(Seen(shown).text.split()).startswith(text)


@pytest.mark.parametrize(("number", "text"), [(0, "0"), (1240, "1,240"), (10_000, "10,000"), (10_001, "10,000+")])
def test_a_count_is_capped(number: int, text: str) -> None:
    assert render("{{ number|capped }}", number=number) == text


# --- Links ----------------------------------------------------------------------------------------------------------
def test_a_filter_link_keeps_the_other_filters_and_drops_the_page() -> None:
    link = render('{% filter_link state="failed" %}', path="/instances/?q=a%26b&state=done&after=x&page=2")
    assert link == "?q=a%26b&amp;state=failed"


def test_a_filter_link_can_drop_its_filter() -> None:
    assert render("{% filter_link state=None %}", path="/instances/?state=done&q=x") == "?q=x"
    assert render("{% filter_link state=None %}", path="/instances/?state=done") == "?"


def test_one_value_of_a_repeated_filter_can_be_removed() -> None:
    path = "/instances/?workflow=a&workflow=b&state=done&before=y"
    assert render('{% unfilter "workflow" "a" %}', path=path) == "?workflow=b&amp;state=done"
    assert render('{% unfilter "workflow" %}', path=path) == "?state=done"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_query_stays_inside_the_link(text: str) -> None:
    """S-3: what stands in the address of the page cannot leave the href it is copied into."""
    request = RequestFactory().get("/instances/", {"q": text})
    seen = Seen(render('<a href="{% filter_link state="failed" %}">x</a>', request=request))
    assert seen.tags == ["a"]
    assert set(seen.attributes) == {"href"}
    assert seen.text == "x"


@pytest.mark.parametrize(
    ("sort", "href", "direction"),
    [
        ("", "?sort=-started", None),
        ("-started", "?sort=started", "descending"),
        ("started", "?sort=-started", "ascending"),
        ("name", "?sort=-started", None),
    ],
)
def test_a_sort_header_says_how_it_is_sorted_and_turns_round(sort: str, href: str, direction: str | None) -> None:
    seen = Seen(render('{% sort_header "Started" "started" sort first="-" class="c-low" %}', sort=sort))
    assert seen.attributes["href"] == href
    assert seen.attributes.get("aria-sort") == direction
    assert seen.attributes["scope"] == "col"


def test_a_column_that_cannot_be_sorted_is_a_plain_header() -> None:
    assert Seen(render('{% sort_header "State" %}')).tags == ["th"]


def test_a_dialog_link_works_with_and_without_script() -> None:
    seen = Seen(render("<a {% dialog_link url %}>x</a>", url='/x/?a="b'))
    assert seen.attributes == {
        "href": '/x/?a="b',
        "hx-get": '/x/?a="b',
        "hx-target": "#dialog",
        "hx-swap": "innerHTML",
    }


# --- Toasts and fields ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("address", ["//evil.example/", "/\\evil.example", "https://evil.example/", "javascript:x", ""])
def test_a_toast_links_only_to_this_console(address: str) -> None:
    seen = Seen(render("{% toast message %}", message=Message(constants.SUCCESS, "Done", extra_tags=address)))
    assert seen.attributes["href"] == "/"
    assert "evil" not in str(seen.attributes)


def test_a_toast_carries_its_tone_text_and_link() -> None:
    shown = render("{% toast message %}", message=Message(constants.ERROR, "<b>No</b>\u202e", extra_tags="/audit/"))
    seen = Seen(shown)
    assert 'class="toast" data-tone="danger"' in shown
    assert seen.attributes["href"] == "/audit/"
    assert "<b>No</b>⟨U+202E⟩" in seen.text


def test_a_field_ties_hint_and_error_to_its_control() -> None:
    class Shape(forms.Form):
        value = forms.CharField(label="Annual value", help_text="A number.")

    shown = render('{% include "components/_field.html" with field=form.value kind="number" %}', form=Shape({}))
    seen = Seen(shown)
    assert seen.attributes["aria-describedby"] == "id_value_helptext id_value_error"
    assert seen.attributes["aria-invalid"] == "true"
    assert shown.count('id="id_value_helptext"') == shown.count('id="id_value_error"') == 1
    assert '<span class="kind">number</span>' in shown


def test_the_error_summary_links_to_each_field() -> None:
    class Shape(forms.Form):
        first = forms.CharField(label="First <name>")
        second = forms.CharField()

    shown = render(
        '{% include "components/_error_summary.html" with form=form note="Nothing was sent." %}', form=Shape({})
    )
    assert 'role="alert"' in shown
    assert "2 things need a correction" in shown
    assert 'href="#id_first">First &lt;name&gt;: ' in shown
    assert 'href="#id_second"' in shown
