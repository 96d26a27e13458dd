"""A person's own connection and accounts."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.models import Account, ApiBudget, AuditEntry, Connection, Membership, Rights, Role
from dashboard.services import service_user
from dashboard.services.budget import note_limits
from maestro_api import LimitState
from maestro_api.simulator import Simulator
from tests.factories import AccountFactory, MembershipFactory

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]
Connect = Callable[..., Membership]


def page(client: Client, path: str = "/connections/") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_tells_state_end_and_accounts(viewer: Membership, signed_in: SignedIn) -> None:
    text = page(signed_in(viewer))
    assert "Connected" in text
    assert "30 days after you connected" in text
    assert "You work here now" in text
    assert viewer.account.name in text


def test_a_fragment_is_the_same_without_the_shell(viewer: Membership, signed_in: SignedIn) -> None:
    text = page(signed_in(viewer, htmx=True))
    assert "<html" not in text
    assert 'id="_connection"' in text


def test_no_token_is_in_the_page(connect: Connect, signed_in: SignedIn) -> None:
    member = connect("Ada Admin")
    text = page(signed_in(member))
    assert not re.search(r"eyJ[\w-]{15,}\.", text)
    assert member.user.connection.sealed_access_token not in text


def test_disconnecting_asks_first_and_changes_nothing_on_get(viewer: Membership, signed_in: SignedIn) -> None:
    """S-5: GET is a question."""
    text = page(signed_in(viewer), "/connections/disconnect/")
    assert "Stay connected" in text
    assert Connection.objects.get(user=viewer.user).state == "active"


def test_disconnecting_signs_out_every_browser_and_says_where_to_withdraw(
    connect: Connect, signed_in: SignedIn, simulator: Simulator
) -> None:
    """O-14: tokens gone, all sessions void, the way to withdraw consent told, recorded."""
    member = connect("Ada Admin")
    one, other = signed_in(member), signed_in(member)
    answer = one.post("/connections/disconnect/", follow=True)
    assert "Connected apps" in answer.content.decode()
    assert other.get("/connections/").status_code == 302
    row = Connection.objects.get(user=member.user)
    assert (row.state, row.sealed_access_token, row.sealed_refresh_token) == ("disconnected", "", "")
    assert AuditEntry.objects.get().action == "connection.disconnected"
    member.refresh_from_db()
    assert member.rights == Rights.UNPROVEN


def test_disconnecting_by_htmx_leaves_the_whole_page(
    connect: Connect, signed_in: SignedIn, simulator: Simulator
) -> None:
    answer = signed_in(connect("Ada Admin"), htmx=True).post("/connections/disconnect/")
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/signin/")


def test_an_unknown_field_stops_disconnecting(viewer: Membership, signed_in: SignedIn) -> None:
    """S-12: the form holds nothing but its button."""
    answer = signed_in(viewer).post("/connections/disconnect/", {"user": "someone"})
    assert answer.status_code == 422
    assert Connection.objects.get(user=viewer.user).state == "active"


def test_switching_the_account_changes_what_the_session_works_in(viewer: Membership, signed_in: SignedIn) -> None:
    second = MembershipFactory(
        user=viewer.user, account=AccountFactory(name="Second"), role=Role.ADMIN, is_default=False
    )
    client = signed_in(viewer)
    answer = client.post("/account/switch/", {"account": str(second.account_id)})
    assert answer.status_code == 302
    assert client.session["account"] == str(second.account_id)
    assert client.get("/team/").context["account"] == second.account


@pytest.mark.parametrize("kind", ["foreign", "inactive", "unknown", "no uuid"])
def test_switching_to_an_account_that_is_not_theirs_is_refused(
    viewer: Membership, outsider: Membership, signed_in: SignedIn, kind: str
) -> None:
    """S-11: foreign, lost and random ids get the same answer."""
    lost = MembershipFactory(user=viewer.user, is_active=False, is_default=False)
    wanted = {
        "foreign": outsider.account_id,
        "inactive": lost.account_id,
        "unknown": "0c5e7a94-2b61-4d3f-9e8a-5f1c6b7d2a10",
        "no uuid": "x' OR 1=1",
    }
    client = signed_in(viewer)
    answer = client.post("/account/switch/", {"account": str(wanted[kind])})
    assert answer.status_code == 422
    assert "You do not belong to that account" in answer.content.decode()
    assert client.session["account"] == str(viewer.account_id)


def test_an_account_that_is_no_longer_served_is_closed_at_once(
    viewer: Membership, signed_in: SignedIn, settings: object
) -> None:
    settings.CONSOLE_ACCOUNTS = ["0c5e7a94-2b61-4d3f-9e8a-5f1c6b7d2a10"]  # type: ignore[attr-defined]
    answer = signed_in(viewer).get("/connections/")
    assert answer.status_code == 403
    assert "you need an account of this console" in answer.content.decode()


def test_a_person_without_any_account_gets_the_reason_and_not_an_error(viewer: Membership, signed_in: SignedIn) -> None:
    Membership.objects.update(is_active=False)
    assert signed_in(viewer).get("/team/").status_code == 403


def banner_texts(client: Client) -> str:
    return " ".join(banner.text for banner in client.get("/connections/").context["banners"]())


def test_a_healthy_person_sees_no_banner(viewer: Membership, signed_in: SignedIn) -> None:
    assert banner_texts(signed_in(viewer)) == ""


def test_a_lost_grant_is_a_banner_with_a_way_on(viewer: Membership, signed_in: SignedIn) -> None:
    """O-9: reconnect needed is said on every page."""
    Connection.objects.update(state="reconnect_needed", state_reason="Docusign ended the connection.")
    text = page(signed_in(viewer))
    assert "Docusign ended the connection." in text
    assert 'href="/signin/?next=%2Fconnections%2F"' in text


def test_a_grant_near_its_end_is_a_banner(viewer: Membership, signed_in: SignedIn) -> None:
    """O-13: three days before the end of the thirty."""
    Connection.objects.update(first_granted_at=timezone.now() - timedelta(days=28))
    assert "Signing in again renews it" in banner_texts(signed_in(viewer))


def test_no_rights_at_docusign_is_a_banner(viewer: Membership, signed_in: SignedIn) -> None:
    Membership.objects.update(rights=Rights.NONE)
    assert "Docusign shows you nothing here" in banner_texts(signed_in(viewer))


def test_an_old_proof_of_rights_is_a_banner(viewer: Membership, signed_in: SignedIn) -> None:
    """V-2: the view is narrow, and the page says so."""
    hour_ago = timezone.now() - timedelta(hours=1)
    Membership.objects.update(rights=Rights.MANAGE, rights_proven_at=hour_ago, created_at=hour_ago)
    assert "only what you started" in banner_texts(signed_in(viewer))


def test_a_docusign_that_asks_to_wait_is_a_banner(viewer: Membership, account: Account, signed_in: SignedIn) -> None:
    ApiBudget.objects.create(account=account, blocked_until=timezone.now() + timedelta(minutes=5))
    assert "asked this console to wait until" in banner_texts(signed_in(viewer))


def test_a_docusign_that_does_not_answer_is_a_banner(viewer: Membership, account: Account, signed_in: SignedIn) -> None:
    ApiBudget.objects.create(account=account, failures=5, open_until=timezone.now() + timedelta(seconds=30))
    assert "Docusign is not answering" in banner_texts(signed_in(viewer))


def test_a_failed_look_is_a_banner_until_one_succeeds(viewer: Membership, signed_in: SignedIn) -> None:
    now = timezone.now()
    Membership.objects.update(
        sync_failed_at=now, synced_at=now - timedelta(minutes=5), sync_error="Docusign did not answer in time."
    )
    client = signed_in(viewer)
    assert "Docusign did not answer in time." in banner_texts(client)
    Membership.objects.update(synced_at=now + timedelta(seconds=1))
    assert banner_texts(client) == ""


def test_the_rail_shows_the_calls_of_this_hour(viewer: Membership, account: Account, signed_in: SignedIn) -> None:
    note_limits(account, LimitState(hourly_limit=3000, hourly_remaining=1786))
    assert "1,214 of 3,000" in page(signed_in(viewer))


def test_figures_of_an_hour_that_is_over_are_not_shown(
    viewer: Membership, account: Account, signed_in: SignedIn
) -> None:
    past = timezone.now() - timedelta(minutes=1)
    note_limits(account, LimitState(hourly_limit=3000, hourly_remaining=5, hourly_reset_at=past))
    assert "2,995" not in page(signed_in(viewer))


def test_the_page_costs_few_queries(
    viewer: Membership, signed_in: SignedIn, django_assert_max_num_queries: object
) -> None:
    client = signed_in(viewer)
    with django_assert_max_num_queries(15):  # type: ignore[operator]
        client.get("/connections/")


def test_only_admins_read_why_the_service_user_does_not_read(
    admin: Membership, viewer: Membership, signed_in: SignedIn, settings: Any
) -> None:
    """The link asks for consent at the configured authorization server; nobody else needs to know."""
    settings.DOCUSIGN_SERVICE_USER, settings.DOCUSIGN_SERVICE_KEY = str(admin.user_id), "key.pem"
    service_user.note_problem(admin.account, service_user.NEEDS_CONSENT)
    body = page(signed_in(admin))
    assert "has not yet allowed this console" in body
    assert "Allow it at Docusign" in body
    assert f"{settings.DOCUSIGN_SIMULATOR_URL}/oauth/auth?" in body
    assert "Allow it at Docusign" not in page(signed_in(viewer))
