"""Theme, time zone, shortcuts."""

from collections.abc import Callable

import pytest
from django.test import Client

from dashboard.models import Membership, User

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]


@pytest.fixture
def viewer(viewer: Membership) -> Membership:
    """Somebody whose zone was not set yet."""
    User.objects.filter(pk=viewer.user_id).update(time_zone_set_at=None)
    return viewer


@pytest.mark.parametrize(("theme", "shown"), [("dark", True), ("light", True), ("system", False)])
def test_a_theme_is_kept_by_the_browser_and_rendered_by_the_server(client: Client, theme: str, shown: bool) -> None:
    answer = client.post("/preferences/theme/", {"theme": theme, "next": "/signin/"})
    assert answer.headers["Location"] == "/signin/"
    assert (f'data-theme="{theme}"' in client.get("/signin/").content.decode()) is shown


def test_an_unknown_theme_is_not_kept(client: Client) -> None:
    client.post("/preferences/theme/", {"theme": '"><script>'})
    assert "theme" not in client.cookies


def test_a_hostile_theme_cookie_is_ignored(client: Client) -> None:
    client.cookies["theme"] = "x onload"
    assert "x onload" not in client.get("/signin/").content.decode()


@pytest.mark.parametrize("target", ["https://evil.test/", "//evil.test", "javascript:alert(1)"])
def test_the_theme_switch_sends_nobody_away(client: Client, target: str) -> None:
    """S-10: only local paths."""
    assert client.post("/preferences/theme/", {"theme": "dark", "next": target}).headers["Location"] == "/"


def test_the_time_zone_is_the_persons_and_shortcuts_are_the_browsers(viewer: Membership, signed_in: SignedIn) -> None:
    client = signed_in(viewer)
    answer = client.post("/preferences/", {"time_zone": "Europe/Berlin"}, follow=True)
    assert "Your preferences are kept." in answer.content.decode()
    assert User.objects.get(pk=viewer.user_id).time_zone == "Europe/Berlin"
    assert client.cookies["keys"].value == "off"
    client.post("/preferences/", {"time_zone": "Europe/Berlin", "shortcuts": "on"})
    assert client.cookies["keys"].value == "on"


@pytest.mark.parametrize(
    "data", [{"time_zone": "Mars/Base"}, {}, {"time_zone": "UTC", "is_active": "0"}, {"time_zone": ["UTC", "UTC"]}]
)
def test_anything_else_is_refused(viewer: Membership, signed_in: SignedIn, data: dict[str, object]) -> None:
    """S-12: explicit fields only."""
    User.objects.update(time_zone="Asia/Tokyo")
    assert signed_in(viewer).post("/preferences/", data).status_code == 422
    assert User.objects.get(pk=viewer.user_id).time_zone == "Asia/Tokyo"


def test_the_page_shows_what_is_set(viewer: Membership, signed_in: SignedIn) -> None:
    User.objects.update(time_zone="Asia/Tokyo")
    text = signed_in(viewer).get("/preferences/").content.decode()
    assert '<option value="Asia/Tokyo" selected>' in text
    assert "checked" in text


# --- The zone of the browser, taken over once


def test_the_zone_of_the_browser_is_taken_over_once(viewer: Membership, signed_in: SignedIn) -> None:
    client = signed_in(viewer, htmx=True)
    answer = client.post("/preferences/zone/", {"time_zone": "America/New_York"})
    assert answer.status_code == 204
    assert "America/New York" in answer.headers["HX-Trigger"]
    assert "/preferences/" in answer.headers["HX-Trigger"]
    assert "toast" not in client.post("/preferences/zone/", {"time_zone": "Asia/Tokyo"}).headers["HX-Trigger"]
    assert User.objects.get(pk=viewer.user_id).time_zone == "America/New_York"


def test_a_zone_that_the_person_chose_is_never_replaced(viewer: Membership, signed_in: SignedIn) -> None:
    client = signed_in(viewer)
    client.post("/preferences/", {"time_zone": "UTC"})
    client.post("/preferences/zone/", {"time_zone": "Asia/Tokyo"})
    assert User.objects.get(pk=viewer.user_id).time_zone == "UTC"


@pytest.mark.parametrize("name", ["Etc/UTC", "GMT", "UTC"])
def test_a_browser_in_utc_changes_nothing_and_is_not_asked_again(
    name: str, viewer: Membership, signed_in: SignedIn
) -> None:
    client = signed_in(viewer, htmx=True)
    assert "toast" not in client.post("/preferences/zone/", {"time_zone": name}).headers["HX-Trigger"]
    user = User.objects.get(pk=viewer.user_id)
    assert (user.time_zone, user.time_zone_set_at is None) == ("UTC", False)


@pytest.mark.parametrize(
    "data", [{}, {"time_zone": "Mars/Base"}, {"time_zone": "../etc/passwd"}, {"time_zone": "UTC", "theme": "dark"}]
)
def test_a_zone_that_is_not_known_is_not_taken_over(
    data: dict[str, str], viewer: Membership, signed_in: SignedIn
) -> None:
    """S-12: only a zone of the list."""
    assert signed_in(viewer).post("/preferences/zone/", data).status_code == 422
    assert User.objects.get(pk=viewer.user_id).time_zone_set_at is None


def test_only_a_page_of_somebody_without_a_zone_asks_for_it(viewer: Membership, signed_in: SignedIn) -> None:
    client = signed_in(viewer)
    assert "js/zone.js" in client.get("/preferences/").content.decode()
    client.post("/preferences/zone/", {"time_zone": "Europe/Berlin"})
    body = client.get("/preferences/").content.decode()
    assert "js/zone.js" not in body
    assert "data-zone-url" not in body


def test_the_sign_in_page_asks_for_no_zone(client: Client) -> None:
    assert "js/zone.js" not in client.get("/signin/").content.decode()
