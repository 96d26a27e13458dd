"""Polls: 204 by one query while nothing moved, and never a moment longer than the person may see the page (V-2, V-6)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from dashboard.models import (
    Account,
    AccountSync,
    Connection,
    Membership,
    Rights,
    Role,
    User,
    WorkflowAccess,
)
from tests.factories import AccountFactory, MembershipFactory, WorkflowFactory

pytestmark = pytest.mark.django_db
LIST = "/workflows/"
SignedIn = Callable[..., Client]


@pytest.fixture
def client(operator: Membership, signed_in: SignedIn) -> Client:
    """The browser of a manager whose proof is fresh."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.MANAGE, rights_proven_at=timezone.now())
    return signed_in(operator, htmx=True)


@pytest.fixture
def poll(client: Client) -> str:
    """The address that an open page asks: the first look is noted, so that polls have nothing to note."""
    client.get(LIST)
    return str(client.get(LIST).context["poll_url"])


def is_answered_at_once(client: Client, poll: str) -> bool:
    """Whether the poll ended at its one query."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(poll)
    return answer.status_code == 204 and len(queries) == 1 and "HX-Redirect" not in answer.headers


def test_a_poll_costs_one_query(client: Client, poll: str) -> None:
    assert is_answered_at_once(client, poll)


def test_the_answer_may_not_be_kept_and_carries_the_headers_of_every_answer(client: Client, poll: str) -> None:
    """S-1, S-9: also the shortest answer."""
    headers = client.get(poll).headers
    assert headers["Cache-Control"] == "no-store"
    assert {"HX-Request", "Cookie"} <= set(headers["Vary"].replace(" ", "").split(","))
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Request-ID"]


@pytest.mark.parametrize(
    "moves",
    {
        "the mirror": lambda mine: Account.objects.filter(pk=mine.account_id).update(version=F("version") + 1),
        "the role": lambda mine: Membership.objects.filter(pk=mine.pk).update(role=Role.VIEWER),
        "the rights": lambda mine: Membership.objects.filter(pk=mine.pk).update(rights=Rights.OWN),
        "the rights version": lambda mine: Membership.objects.filter(pk=mine.pk).update(rights_version=7),
        "the own sync": lambda mine: Membership.objects.filter(pk=mine.pk).update(sync_failed_at=timezone.now()),
        "the account's sync": lambda mine: AccountSync.objects.create(account=mine.account, ended_at=timezone.now()),
        "the time zone": lambda mine: User.objects.filter(pk=mine.user_id).update(time_zone="Asia/Tokyo"),
        "the grant": lambda mine: Connection.objects.filter(user=mine.user_id).update(state="reconnect_needed"),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_what_moved_brings_the_page_anew(
    moves: tuple[str, Callable[[Membership], Any]], operator: Membership, client: Client, poll: str
) -> None:
    assert is_answered_at_once(client, poll)
    moves[1](operator)
    assert client.get(poll).status_code == 200


@pytest.mark.parametrize(
    "ends",
    {
        "sessions ended everywhere": lambda mine: User.objects.filter(pk=mine.user_id).update(session_epoch=9),
        "the person was closed out": lambda mine: User.objects.filter(pk=mine.user_id).update(is_active=False),
    }.items(),
    ids=lambda pair: pair[0],
)
def test_a_poll_of_somebody_who_is_out_leads_to_the_sign_in(
    ends: tuple[str, Callable[[Membership], Any]], operator: Membership, client: Client, poll: str
) -> None:
    """S-6, V-6: at the very next poll."""
    ends[1](operator)
    assert reverse("signin") in client.get(poll).headers["HX-Redirect"]


def test_an_account_that_is_closed_to_the_person_is_not_polled(operator: Membership, client: Client, poll: str) -> None:
    """V-6: the membership ended at Docusign."""
    Membership.objects.filter(pk=operator.pk).update(is_active=False)
    assert not is_answered_at_once(client, poll)


def test_a_disconnect_ends_the_204(operator: Membership, client: Client, poll: str) -> None:
    """V-6: rows are hidden at the next poll."""
    Connection.objects.filter(user=operator.user_id).update(state=Connection.State.DISCONNECTED)
    answer = client.get(poll)
    assert (answer.status_code, answer.headers.get("HX-Redirect")) == (200, None)


def test_after_signing_out_the_other_tab_learns_it(client: Client, poll: str) -> None:
    """S-6: the session is gone from the server, whatever the browser still holds."""
    cookie = client.cookies["session"].value
    client.post(reverse("signout"))
    client.cookies["session"] = cookie
    assert "HX-Redirect" in client.get(poll).headers


def test_a_stamp_opens_nothing_in_another_browser(
    client: Client, poll: str, admin: Membership, signed_in: SignedIn
) -> None:
    """The stamp stands in an address, so it must be worth nothing without the session."""
    assert "HX-Redirect" in Client(headers={"HX-Request": "true"}).get(poll).headers
    assert signed_in(admin, htmx=True).get(poll).status_code == 200


def test_after_a_switch_of_accounts_the_other_tab_shows_the_new_one(
    operator: Membership, client: Client, poll: str
) -> None:
    other = MembershipFactory(user=operator.user, account=AccountFactory(name="Second Company"))
    session = client.session
    session["account"] = str(other.account_id)
    session.save()
    assert client.get(poll).status_code == 200


def test_a_managers_proof_that_lapses_narrows_the_page_at_once(operator: Membership, client: Client, poll: str) -> None:
    """V-2: fifteen minutes after the proof, though nothing was written meanwhile."""
    now = timezone.now()
    almost = now - timedelta(minutes=14, seconds=58)
    with time_machine.travel(now, tick=False):
        Membership.objects.filter(pk=operator.pk).update(rights_proven_at=almost)
        assert is_answered_at_once(client, poll)
        Membership.objects.filter(pk=operator.pk).update(rights_proven_at=almost - timedelta(seconds=5))
        assert client.get(poll).status_code == 200


def test_the_proof_of_a_single_workflow_that_lapses_narrows_the_page(operator: Membership, client: Client) -> None:
    """V-2: also for those who see others' instances by the list of one workflow."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN, looked_at=timezone.now())
    now = timezone.now()
    access = WorkflowAccess.objects.create(
        user=operator.user,
        workflow=WorkflowFactory(account=operator.account),
        listed_at=now,
        others_proven_at=now,
    )
    poll = client.get(LIST).context["poll_url"]
    assert is_answered_at_once(client, poll)
    WorkflowAccess.objects.filter(pk=access.pk).update(others_proven_at=now - timedelta(minutes=16))
    assert client.get(poll).status_code == 200


def test_a_look_is_noted_every_half_minute(operator: Membership, client: Client, poll: str) -> None:
    """The worker keeps the mirror fresh where somebody looks, and polls are looks."""
    long_ago = timezone.now() - timedelta(seconds=31)
    Membership.objects.filter(pk=operator.pk).update(looked_at=long_ago, synced_at=F("synced_at"))
    assert client.get(poll).status_code in (200, 204)
    operator.refresh_from_db()
    assert operator.looked_at is not None
    assert operator.looked_at > long_ago


def test_a_message_that_waits_is_brought_by_the_next_poll(client: Client, poll: str) -> None:
    session = client.session
    session["_messages"] = '[["__json_message",0,20,"Kept for you",""]]'
    session.save()
    assert "Kept for you" in client.get(poll).headers["HX-Trigger"]


@pytest.mark.parametrize("stamp", ["", "x", "1", "-", "0-0", "9" * 40, "1-" + "0" * 24, "²-1", "%00", "1%00-1"])
def test_a_stamp_that_nobody_gave_is_no_stamp(stamp: str, client: Client, poll: str) -> None:
    assert client.get(f"{LIST}?stamp={stamp}").status_code == 200


@pytest.mark.parametrize("header", ["HX-Boosted", "HX-History-Restore-Request"])
def test_a_whole_page_is_never_answered_with_nothing(header: str, client: Client, poll: str) -> None:
    assert client.get(poll, headers={header: "true"}).status_code == 200
    assert client.get(poll, headers={"HX-Request": ""}).status_code == 200
