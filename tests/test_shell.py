"""The shell of every page: what it loads, what it tells htmx, and that its parts fit together."""

import gzip
import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.http import HttpRequest
from django.template.loader import get_template, render_to_string
from django.test import RequestFactory

from dashboard.icons import ICONS
from dashboard.models.instance import INSTANCE_LOOKS
from dashboard.models.operation import OPERATION_LOOKS
from dashboard.models.workflow import WORKFLOW_LOOKS

TEMPLATES = sorted(
    path.relative_to(settings.BASE_DIR / "templates") for path in (settings.BASE_DIR / "templates").rglob("*.html")
)


class Elements(HTMLParser):
    """Every element of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def named(self, tag: str, **wanted: str) -> list[dict[str, str]]:
        return [
            attrs for each, attrs in self.found if each == tag and all(attrs.get(k) == v for k, v in wanted.items())
        ]


@pytest.fixture
def signed_in() -> HttpRequest:
    request = RequestFactory().get("/instances/?state=failed")
    request.user = SimpleNamespace(is_authenticated=True, name="Ana Lopes")  # type: ignore[assignment]
    request._messages = []  # type: ignore[attr-defined]
    return request


@pytest.fixture
def shell(signed_in: HttpRequest) -> Elements:
    return Elements(render_to_string("base.html", {"theme": "dark"}, signed_in))


def test_htmx_evaluates_nothing_stores_nothing_and_stays_on_this_host(shell: Elements) -> None:
    """S-2: the configuration as it stands in the page."""
    config = json.loads(shell.named("meta", name="htmx-config")[0]["content"])
    wanted = {
        "allowEval": False,
        "allowScriptTags": False,
        "selfRequestsOnly": True,
        "includeIndicatorStyles": False,
        "historyCacheSize": 0,
        "refreshOnHistoryMiss": True,
        "historyRestoreAsHxRequest": False,
        "timeout": 15000,
    }
    assert {key: config[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("status", "swaps"), [(200, True), (201, True), (204, False), (403, False), (422, True), (500, False), (502, False)]
)
def test_htmx_swaps_only_what_is_meant_to_be_swapped(shell: Elements, status: int, swaps: bool) -> None:
    config = json.loads(shell.named("meta", name="htmx-config")[0]["content"])
    rule = next(rule for rule in config["responseHandling"] if re.search(rule["code"], str(status)))
    assert rule["swap"] is swaps


def test_every_htmx_request_carries_the_token_against_forgery(shell: Elements) -> None:
    """S-5: the header stands on the body."""
    headers = json.loads(shell.named("body")[0]["hx-headers"])
    assert len(headers["X-CSRFToken"]) == 64


def test_every_form_of_the_shell_that_changes_something_carries_a_token(signed_in: HttpRequest) -> None:
    """S-5: theme, sign-out and account switch work without script, so they need their own token."""
    memberships = [SimpleNamespace(account=SimpleNamespace(pk=number, name=f"Account {number}")) for number in (1, 2)]
    page = render_to_string("base.html", {"account": memberships[0].account, "memberships": memberships}, signed_in)
    forms = re.findall(r'<form[^>]*method="post".*?</form>', page, re.DOTALL)
    assert len(forms) == 3
    assert all('name="csrfmiddlewaretoken"' in form for form in forms)


def test_everything_the_shell_loads_comes_from_this_console(shell: Elements) -> None:
    """S-18: no asset from elsewhere."""
    loaded = [
        attrs.get("src") or attrs.get("href", "") for tag, attrs in shell.found if tag in {"script", "link", "img"}
    ]
    assert len(loaded) >= 8
    assert all(address.startswith("/static/") for address in loaded)


def test_the_theme_is_rendered_by_the_server(shell: Elements) -> None:
    assert shell.named("html")[0]["data-theme"] == "dark"
    assert [each["value"] for each in shell.named("button", name="theme") if each["aria-pressed"] == "true"] == ["dark"]


def test_the_skip_link_leads_to_main(shell: Elements) -> None:
    assert shell.named("a", href="#main")
    assert shell.named("main", id="main", tabindex="-1")


def test_the_environment_is_marked_in_rail_and_phone_bar(signed_in: HttpRequest) -> None:
    context = {"environment_name": "production", "environment_label": "Production"}
    page = Elements(render_to_string("base.html", context, signed_in))
    assert len([each for each in page.named("span", **{"data-env": "production"}) if each["class"] == "env"]) == 2
    assert page.named("div", **{"data-env": "production"})[0]["class"] == "shell"


def test_a_confirm_question_is_a_page_or_a_dialog_with_the_same_words(signed_in: HttpRequest) -> None:
    question = {
        "title": "Cancel Offer\u202e?",
        "action_url": "/instances/1/cancel/",
        "verb": "Cancel instance",
        "keep_label": "Keep it running",
        "keep_url": "/instances/",
        "names": [{"name": "<b>Offer</b>", "note": "step 1 of 4"}],
    }
    signed_in.htmx = SimpleNamespace(target=None)  # type: ignore[attr-defined]
    page = render_to_string("components/_dialog.html", question, signed_in)
    signed_in.htmx = SimpleNamespace(target="dialog")  # type: ignore[attr-defined]
    dialog = render_to_string("components/_dialog.html", question, signed_in)
    for shown in (page, dialog):
        assert 'method="post" action="/instances/1/cancel/"' in shown
        assert "Cancel Offer⟨U+202E⟩?" in shown
        assert "&lt;b&gt;Offer&lt;/b&gt;" in shown
        assert '<a class="btn" href="/instances/" data-close autofocus>Keep it running</a>' in shown
    assert "<h1" in page
    assert "hx-post" not in page
    assert "<h1" not in dialog
    assert 'hx-target="#dialog"' in dialog


def test_the_four_stylesheets_stay_small() -> None:
    sheets = [settings.BASE_DIR / "static/css" / f"{name}.css" for name in ("tokens", "base", "components", "pages")]
    assert sum(len(gzip.compress(sheet.read_bytes())) for sheet in sheets) < 12_000


@pytest.mark.parametrize("name", TEMPLATES, ids=str)
def test_every_template_can_be_read_and_names_known_icons(name: object) -> None:
    assert get_template(str(name))
    source = (settings.BASE_DIR / "templates" / str(name)).read_text()
    assert set(re.findall(r'{% icon "([^"]+)"', source)) <= set(ICONS)
    assert all(get_template(part) for part in re.findall(r'{% include "([^"]+)"', source))


def test_python_names_only_icons_of_the_table() -> None:
    sources = {path: path.read_text() for path in (settings.BASE_DIR / "dashboard").rglob("*.py")}
    named = {
        (path.name, name)
        for path, source in sources.items()
        for name in re.findall(r'(?:"icon": |icon=)"([^"]+)"', source)
        if name not in ICONS
    }
    assert named == set()


@pytest.mark.parametrize("looks", [INSTANCE_LOOKS, OPERATION_LOOKS, WORKFLOW_LOOKS])
def test_every_state_has_an_icon_and_a_tone_of_ours(looks: dict[str, object]) -> None:
    tones = {"running", "good", "warning", "danger", "neutral", "unknown"}
    assert {look.icon for look in looks.values()} <= set(ICONS)  # type: ignore[attr-defined]
    assert {look.tone for look in looks.values()} <= tones  # type: ignore[attr-defined]
