"""S-8: sessions end when nobody clicks, after twelve hours in any case, and whenever somebody ends them."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client

from dashboard.models import AuditEntry, BrowserSession, Connection, Membership, Rights
from dashboard.services import browser_sessions
from maestro_api.simulator import MAIN_ACCOUNT_ID, Simulator
from tests.views.test_sign_in import come_in as sign_in

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def _served(settings: Any) -> None:
    settings.CONSOLE_ACCOUNTS = [MAIN_ACCOUNT_ID]


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def is_in(client: Client) -> bool:
    answer = client.get("/preferences/")
    assert answer.status_code in {200, 302}
    return answer.status_code == 200


def browser(simulator: Simulator, name: str = "Ada Admin", agent: str = FIREFOX) -> Client:
    client = Client(headers={"User-Agent": agent})
    sign_in(client, simulator, name)
    return client


def test_a_session_ends_after_an_hour_without_a_click(operator: Membership, signed_in: SignedIn, clock: Any) -> None:
    """S-8: idle 60 minutes."""
    client = signed_in(operator)
    clock.shift(timedelta(minutes=59, seconds=59))
    assert is_in(client)
    clock.shift(timedelta(minutes=60))
    assert not is_in(client)


def test_an_ended_session_cannot_be_used_again(operator: Membership, signed_in: SignedIn, clock: Any) -> None:
    """S-8: also by a browser that kept its cookie; the row goes with the next purge."""
    client = signed_in(operator)
    key = client.session.session_key
    clock.shift(timedelta(minutes=61))
    assert not is_in(client)
    client.cookies["session"] = key
    assert not is_in(client)
    browser_sessions.purge()
    assert not Session.objects.filter(pk=key).exists()


def test_clicks_keep_a_session_but_not_beyond_twelve_hours(
    operator: Membership, signed_in: SignedIn, clock: Any
) -> None:
    """S-8: absolute 12 hours."""
    client = signed_in(operator)
    for _ in range(23):
        clock.shift(timedelta(minutes=31))
        assert is_in(client)
    assert timedelta(hours=11, minutes=50) < datetime.now(UTC) - NOON < timedelta(hours=12)
    clock.move_to(NOON + timedelta(hours=12))
    assert not is_in(client)


def test_what_an_open_page_asks_by_itself_keeps_no_session(
    operator: Membership, signed_in: SignedIn, clock: Any
) -> None:
    """S-8: a page left open is no person."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.MANAGE, rights_proven_at=NOON)
    client = signed_in(operator, htmx=True)
    client.get("/workflows/")
    poll = str(client.get("/workflows/").context["poll_url"])
    for _ in range(13):
        assert client.get(poll).status_code in {200, 204}
        clock.shift(timedelta(minutes=5))
    answer = client.get(poll)
    assert answer.headers["HX-Redirect"].startswith("/signin/")


def test_a_page_that_waits_for_a_reading_is_no_person_either(
    operator: Membership, signed_in: SignedIn, clock: Any
) -> None:
    """S-8: these polls carry no stamp, but the mark that the script gives to all of its own."""
    client = signed_in(operator, htmx=True)
    for _ in range(12):
        assert client.get("/preferences/", headers={"X-Poll": "1"}).status_code == 200
        clock.shift(timedelta(minutes=5))
    assert "HX-Redirect" in client.get("/preferences/", headers={"X-Poll": "1"}).headers


def test_a_cookie_lives_no_longer_than_its_session(simulator: Simulator, clock: Any) -> None:
    client = browser(simulator)
    assert client.cookies["session"]["max-age"] == 3600


def test_the_times_are_settings(operator: Membership, signed_in: SignedIn, clock: Any, settings: Any) -> None:
    settings.SESSION_IDLE_MINUTES = 5
    client = signed_in(operator)
    clock.shift(timedelta(minutes=5))
    assert not is_in(client)


def test_an_older_session_without_times_gets_them(operator: Membership, clock: Any) -> None:
    """D-6: nobody is signed out by an upgrade."""
    client = Client()
    client.force_login(operator.user, backend="dashboard.authentication.DocusignBackend")
    assert is_in(client)
    clock.shift(timedelta(minutes=61))
    assert not is_in(client)


def test_an_older_session_counts_like_any_other(simulator: Simulator) -> None:
    """S-8: one from before the upgrade is listed, and ended with the others."""
    older, newer = browser(simulator), browser(simulator)
    session = older.session
    del session["ends_at"]
    session.save()
    BrowserSession.objects.filter(pk=session.session_key).delete()
    assert is_in(older)
    assert BrowserSession.objects.get(pk=session.session_key).browser == "Firefox on Linux"
    newer.post("/sessions/others/end/")
    assert (is_in(older), is_in(newer)) == (False, True)


def test_the_eleventh_sign_in_ends_the_session_that_was_longest_without_a_click(
    simulator: Simulator, clock: Any
) -> None:
    """S-8: at most ten."""
    browsers = []
    for _ in range(10):
        browsers.append(browser(simulator))
        clock.shift(timedelta(minutes=2))
    assert is_in(browsers[0])
    newest = browser(simulator)
    assert [is_in(each) for each in browsers] == [True, False, *[True] * 8]
    assert is_in(newest)
    assert BrowserSession.objects.count() == 10


def test_the_page_lists_the_persons_browsers_and_marks_this_one(simulator: Simulator) -> None:
    """S-8: listed."""
    first, second = browser(simulator), browser(simulator, agent="curl/8.5")
    browser(simulator, "Olu Operator", agent="Opera OPR/99 Windows")
    text = first.get("/sessions/").content.decode()
    assert "Firefox on Linux" in text
    assert "curl" in text
    assert "Opera" not in text
    assert text.count('<span class="tag">this browser</span>') == 1
    assert first.session.session_key not in text
    assert second.session.session_key not in text


def test_a_session_can_be_ended_from_another_browser(simulator: Simulator) -> None:
    """S-8: revocable, in the audit."""
    mine, lost = browser(simulator), browser(simulator)
    mark = browser_sessions.mark_of(lost.session.session_key)
    assert mine.post(f"/sessions/{mark}/end/").status_code == 302
    assert not is_in(lost)
    assert is_in(mine)
    assert AuditEntry.objects.get(action="session.revoked").detail == {"sessions": 1}


def test_htmx_ends_a_session_and_the_list_reloads_itself(simulator: Simulator) -> None:
    mine, lost = browser(simulator), browser(simulator)
    mark = browser_sessions.mark_of(lost.session.session_key)
    answer = mine.post(f"/sessions/{mark}/end/", headers={"HX-Request": "true"})
    assert answer.status_code == 204
    assert "sessionsChanged" in answer.headers["HX-Trigger"]


def test_everywhere_else_ends_all_but_this_one(simulator: Simulator) -> None:
    mine, others = browser(simulator), [browser(simulator) for _ in range(3)]
    assert mine.post("/sessions/others/end/").status_code == 302
    assert not any(is_in(each) for each in others)
    assert is_in(mine)


def test_the_browser_in_use_is_not_ended_from_its_own_list(simulator: Simulator) -> None:
    mine = browser(simulator)
    mark = browser_sessions.mark_of(mine.session.session_key)
    assert mine.post(f"/sessions/{mark}/end/").status_code == 422
    assert is_in(mine)


def test_nobody_ends_the_session_of_somebody_else(simulator: Simulator) -> None:
    """S-11: a foreign session is a 404."""
    mine, theirs = browser(simulator), browser(simulator, "Olu Operator")
    mark = browser_sessions.mark_of(theirs.session.session_key)
    assert mine.post(f"/sessions/{mark}/end/").status_code == 404
    assert is_in(theirs)


def test_signing_out_takes_the_session_off_the_list(simulator: Simulator) -> None:
    client = browser(simulator)
    assert BrowserSession.objects.count() == 1
    client.post("/signout/")
    assert not BrowserSession.objects.exists()


def test_signing_in_again_in_a_browser_replaces_its_line(simulator: Simulator) -> None:
    client = browser(simulator)
    sign_in(client, simulator, "Ada Admin")
    assert [row.session_key for row in BrowserSession.objects.all()] == [client.session.session_key]


def test_ended_sessions_are_forgotten(simulator: Simulator, clock: Any) -> None:
    browser(simulator)
    assert browser_sessions.purge() == 0
    clock.shift(timedelta(hours=2))
    assert browser_sessions.purge() == 1
    assert not Session.objects.exists()


def test_whom_an_admin_switches_off_is_out_at_the_next_request_everywhere(
    simulator: Simulator, admin: Membership, signed_in: SignedIn
) -> None:
    """S-8: all sessions are killed on disable, also for a poll."""
    theirs = [browser(simulator, "Olu Operator") for _ in range(2)]
    member = Membership.objects.get(user__name="Olu Operator")
    assert signed_in(admin).post(f"/team/{member.pk}/off/").status_code == 302
    assert not any(is_in(each) for each in theirs)
    answer = theirs[0].get("/instances/", {"stamp": f"{member.pk}-x"}, headers={"HX-Request": "true"})
    assert answer.headers["HX-Redirect"].startswith("/signin/")
    assert not BrowserSession.objects.filter(user=member.user).exists()
    grant = Connection.objects.get(user=member.user)
    assert (grant.state, grant.sealed_access_token) == (Connection.State.DISCONNECTED, "")
    assert AuditEntry.objects.filter(action="membership.barred", object_id=str(member.pk)).exists()


def test_whoever_is_switched_off_cannot_sign_in_until_an_admin_switches_on(
    simulator: Simulator, admin: Membership, signed_in: SignedIn
) -> None:
    """S-8: Docusign's word alone lets nobody back in."""
    browser(simulator, "Olu Operator")
    member = Membership.objects.get(user__name="Olu Operator")
    boss = signed_in(admin)
    boss.post(f"/team/{member.pk}/off/")
    refused = sign_in(Client(), simulator, "Olu Operator")
    assert refused.status_code == 403
    assert "Your access to this console was switched off." in refused.content.decode()
    assert "Access switched off" in boss.get("/team/").content.decode()
    boss.post(f"/team/{member.pk}/on/")
    assert is_in(browser(simulator, "Olu Operator"))


def test_nobody_switches_off_themselves_or_the_last_admin(
    admin: Membership, operator: Membership, signed_in: SignedIn
) -> None:
    own = signed_in(admin).post(f"/team/{admin.pk}/off/")
    assert own.status_code == 422
    assert "You cannot switch off your own access." in own.content.decode()
    assert signed_in(operator).post(f"/team/{admin.pk}/off/").status_code == 403
    admin.refresh_from_db()
    assert admin.is_active


def test_the_question_before_switching_off_changes_nothing(
    admin: Membership, operator: Membership, signed_in: SignedIn
) -> None:
    text = signed_in(admin).get(f"/team/{operator.pk}/off/").content.decode()
    assert "Switch off the access of Oskar Operator?" in text
    operator.refresh_from_db()
    assert operator.barred_at is None


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/126.0 Safari/537.36 Edg/126.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Safari/604.1", "Safari on iPhone"),
        ("python-requests/2.34", "A script"),
        ("", "A browser"),
        ("<script>alert(1)</script>" * 100, "A browser"),
    ],
)
def test_of_what_a_browser_says_only_its_kind_is_kept(agent: str, words: str) -> None:
    assert browser_sessions.described(agent) == words
