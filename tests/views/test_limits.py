"""S-16: what somebody does too often is refused in plain words, and nobody can talk their way around it."""

import json
import re
import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.core.cache import cache
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from dashboard import addresses
from dashboard.guard_settings import RATE_LIMITS
from dashboard.limiting import BRAKES, KINDS, SEARCHED
from dashboard.models import AuditEntry, Membership, RateCount
from dashboard.services import limits
from maestro_api.simulator import MAIN_ACCOUNT_ID, Simulator
from tests.test_permissions import names

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]
FIGURES = {"sign-in": 10, "callback": 20, "write": 30, "export": 5, "search": 120, "lockout": 10}
PROXY, SOMEBODY = "127.0.0.1", "198.51.100.7"


@pytest.fixture(autouse=True)
def _limits(settings: Any) -> None:
    settings.RATE_LIMITS = dict(FIGURES)
    settings.CONSOLE_ACCOUNTS = [MAIN_ACCOUNT_ID]


def start(client: Client, **extra: Any) -> Any:
    return client.post("/signin/start/", **extra)


def test_the_eleventh_sign_in_of_a_minute_is_refused_with_the_time_to_wait(simulator: Simulator) -> None:
    """S-16: 10 a minute."""
    statuses = [start(Client()).status_code for _ in range(10)]
    refused = start(Client())
    assert statuses == [302] * 10
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    text = refused.content.decode()
    assert "More than 10 sign-ins were started from your address within a minute. Nobody was signed in." in text
    assert re.search(r"Try again in \d+ seconds?\.", text)


def test_when_the_minute_is_over_sign_ins_are_taken_again(simulator: Simulator) -> None:
    """S-16: Retry-After is the truth."""
    with time_machine.travel("2026-05-04T10:00:00Z", tick=False) as clock:
        for _ in range(11):
            refused = start(Client())
        wait = int(refused.headers["Retry-After"])
        clock.shift(wait - 1)
        assert start(Client()).status_code == 429
        clock.shift(1)
        assert start(Client()).status_code == 302


def come_back(**extra: Any) -> Any:
    """A browser that started a sign-in, with an answer that belongs to another one."""
    client = Client()
    assert start(client, **extra).status_code == 302
    return client.get("/oauth/callback/?state=x&code=y", **extra)


def test_the_twenty_first_return_of_a_minute_is_refused(simulator: Simulator, settings: Any) -> None:
    """S-16: 20 a minute."""
    settings.RATE_LIMITS |= {"lockout": 0, "sign-in": 0}
    assert [come_back().status_code for _ in range(21)] == [400] * 20 + [429]


def test_a_foreign_page_can_not_close_the_door_for_an_office(simulator: Simulator) -> None:
    """S-16: the pictures of any page may point here; a browser that started no sign-in counts for nothing and writes nothing."""
    statuses = {Client().get("/oauth/callback/?state=x&code=y").status_code for _ in range(25)}
    assert statuses == {400}
    assert not AuditEntry.objects.exists()
    assert come_back().status_code == 400


def test_the_thirty_first_write_of_a_person_is_refused_and_does_nothing(
    operator: Membership, signed_in: SignedIn
) -> None:
    """S-16: 30 a minute, counted by person, from whichever browser."""
    statuses = [signed_in(operator).post("/preferences/", {"time_zone": "Europe/Rome"}).status_code for _ in range(30)]
    refused = signed_in(operator).post("/preferences/", {"time_zone": "Asia/Tokyo"})
    operator.user.refresh_from_db()
    assert set(statuses) == {302}
    assert refused.status_code == 429
    assert "More than 30 changes were sent within a minute." in refused.content.decode()
    assert operator.user.time_zone == "Europe/Rome"


def test_htmx_gets_the_refusal_as_a_toast_and_swaps_nothing(operator: Membership, signed_in: SignedIn) -> None:
    """S-16: a fragment never becomes an error page."""
    client = signed_in(operator, htmx=True)
    for _ in range(31):
        refused = client.post("/preferences/zone/", {"time_zone": "Europe/Rome"})
    assert refused.status_code == 429
    assert refused.content == b""
    assert int(refused.headers["Retry-After"]) > 0
    toast = json.loads(refused.headers["HX-Trigger"])["toast"]["toasts"][0]
    assert toast["text"].startswith("More than 30 changes were sent within a minute.")


def test_who_did_too_much_can_still_stop_and_take_back(
    operator: Membership, signed_in: SignedIn, settings: Any
) -> None:
    """S-16: a guard rail must not lock the brakes."""
    settings.RATE_LIMITS["write"] = 1
    client, nobody = signed_in(operator), uuid.uuid4()
    assert [client.post("/preferences/", {"time_zone": "Europe/Rome"}).status_code for _ in range(2)] == [302, 429]
    paths = [f"/operations/{nobody}/undo/", f"/batches/{nobody}/undo/", f"/batches/{nobody}/stop/"]
    paths += [f"/batches/{nobody}/pause/", f"/workflows/{nobody}/stop/", f"/workflows/{nobody}/stop/step/"]
    assert {client.post(path).status_code for path in paths} == {404}
    assert client.post("/signout/").status_code == 302


def test_strangers_do_not_use_up_what_the_team_behind_their_address_may_do(
    operator: Membership, signed_in: SignedIn
) -> None:
    """S-16: who is not signed in is counted apart."""
    statuses = [Client().post("/preferences/", {"time_zone": "Asia/Tokyo"}).status_code for _ in range(301)]
    assert statuses[-1] == 429
    assert signed_in(operator).post("/preferences/", {"time_zone": "Europe/Rome"}).status_code == 302


def test_a_clock_that_was_ahead_locks_nobody_out(operator: Membership, signed_in: SignedIn) -> None:
    """S-16: what was counted in a year that has not come yet counts no more."""
    with time_machine.travel("2027-05-04T10:00:00Z", tick=False):
        for _ in range(10):
            limits.note_failed_sign_in(SOMEBODY)
        limits.claim(limits.Kind.WRITE, person="ada", address=SOMEBODY)
    with time_machine.travel("2026-05-04T10:00:00Z", tick=False) as clock:
        limits.refuse_if_locked(SOMEBODY)
        for _ in range(40):
            limits.claim(limits.Kind.WRITE, person="ada", address=SOMEBODY)
            clock.shift(3600)
        limits.purge()
    assert not RateCount.objects.exists()


def test_one_persons_writes_do_not_use_up_those_of_a_colleague_behind_the_same_address(
    operator: Membership, admin: Membership, signed_in: SignedIn
) -> None:
    """S-16: a team comes from one address."""
    for _ in range(31):
        signed_in(operator).post("/preferences/", {"time_zone": "Europe/Rome"})
    assert signed_in(admin).post("/preferences/", {"time_zone": "Europe/Rome"}).status_code == 302


def test_an_address_has_a_limit_too_whoever_writes(
    operator: Membership, admin: Membership, signed_in: SignedIn, settings: Any
) -> None:
    """S-16: per user and address."""
    settings.RATE_LIMITS["write"] = 1
    assert limits.PEOPLE_BEHIND_AN_ADDRESS == 10
    for number in range(10):
        limits.claim(limits.Kind.WRITE, person=f"person {number}", address=PROXY)
    assert signed_in(admin).post("/preferences/", {"time_zone": "Europe/Rome"}).status_code == 429


def test_the_sixth_export_of_a_minute_is_refused(operator: Membership, signed_in: SignedIn) -> None:
    """S-16: 5 a minute."""
    client = signed_in(operator)
    statuses = [client.get("/instances/export/?format=csv").status_code for _ in range(6)]
    assert statuses == [200] * 5 + [429]


def test_searches_are_counted_and_plain_lists_are_not(operator: Membership, signed_in: SignedIn, settings: Any) -> None:
    """S-16: 120 searches a minute; looking is free."""
    settings.RATE_LIMITS["search"] = 3
    client = signed_in(operator)
    assert [client.get("/instances/?name=offer").status_code for _ in range(4)] == [200, 200, 200, 429]
    assert client.get("/instances/people/?q=ada").status_code == 429
    assert {client.get("/instances/?state=failed").status_code for _ in range(10)} == {200}


def test_looking_and_polling_are_never_refused(operator: Membership, signed_in: SignedIn, settings: Any) -> None:
    """S-16: what an open page asks by itself is no write."""
    settings.RATE_LIMITS = dict.fromkeys(FIGURES, 1)
    client = signed_in(operator, htmx=True)
    for path in ("/", "/instances/", "/batches/", "/workflows/"):
        assert {client.get(path, {"stamp": "1-x"}).status_code for _ in range(5)} <= {200, 204}
    assert not RateCount.objects.exists()


@pytest.mark.parametrize("forged", ["203.0.113.9", "203.0.113.9, 127.0.0.1", "unix", "::1"])
def test_a_spoofed_forwarded_address_does_not_help(simulator: Simulator, forged: str, settings: Any) -> None:
    """S-16: without a trusted proxy the header is nothing."""
    settings.TRUSTED_PROXIES = []
    for number in range(10):
        start(Client(), REMOTE_ADDR=SOMEBODY, HTTP_X_FORWARDED_FOR=f"203.0.113.{number}")
    assert start(Client(), REMOTE_ADDR=SOMEBODY, HTTP_X_FORWARDED_FOR=forged).status_code == 429


def test_behind_a_trusted_proxy_the_senders_own_part_of_the_header_does_not_help(
    simulator: Simulator, settings: Any
) -> None:
    """S-16: only what the proxy added counts, whatever stands before it."""
    settings.TRUSTED_PROXIES = [PROXY]
    for number in range(10):
        start(Client(), REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=f"203.0.113.{number}, {SOMEBODY}")
    assert start(Client(), REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=f"203.0.113.99, {SOMEBODY}").status_code == 429
    assert start(Client(), REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR="198.51.100.8").status_code == 302


@pytest.mark.parametrize(
    ("remote", "header", "trusted", "expected"),
    [
        (SOMEBODY, "", [], SOMEBODY),
        (SOMEBODY, "203.0.113.9", ["10.0.0.0/8"], SOMEBODY),
        ("10.0.0.1", "203.0.113.9", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", "192.0.2.1, 203.0.113.9, 10.0.0.2", ["10.0.0.0/8"], "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9, nonsense", ["10.0.0.0/8"], "10.0.0.1"),
        ("10.0.0.1", "", ["10.0.0.0/8"], "10.0.0.1"),
        ("", "203.0.113.9", ["unix"], "203.0.113.9"),
        ("", "203.0.113.9", [PROXY], ""),
        ("::1", "2001:db8::7", ["::1"], "2001:db8::7"),
        ("::1", f"fe80::1%{'a' * 300}", ["::1"], "fe80::1"),
        ("::ffff:127.0.0.1", "203.0.113.9", [PROXY], "203.0.113.9"),
        (PROXY, ", ".join(["127.0.0.1"] * 50), [PROXY], PROXY),
    ],
)
def test_the_address_of_the_client_is_what_the_last_trusted_hop_says(
    remote: str, header: str, trusted: list[str], expected: str, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = trusted
    assert addresses.client_address({"REMOTE_ADDR": remote, "HTTP_X_FORWARDED_FOR": header}) == expected


def test_a_neighbour_in_the_same_ipv6_network_is_the_same_sender(simulator: Simulator) -> None:
    """S-16: one customer has 2^64 addresses."""
    for number in range(10):
        start(Client(), REMOTE_ADDR=f"2001:db8:1:2::{number:x}")
    assert start(Client(), REMOTE_ADDR="2001:db8:1:2:ffff::1").status_code == 429
    assert start(Client(), REMOTE_ADDR="2001:db8:1:3::1").status_code == 302


def test_the_audit_and_the_receiver_of_events_know_the_clients_address_too(
    operator: Membership, signed_in: SignedIn, settings: Any
) -> None:
    settings.TRUSTED_PROXIES = [PROXY]
    signed_in(operator).post("/signout/", REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=f"192.0.2.1, {SOMEBODY}")
    assert AuditEntry.objects.get(action="session.ended").ip == SOMEBODY


def test_after_ten_failed_sign_ins_an_address_is_locked_out_for_a_quarter_of_an_hour(simulator: Simulator) -> None:
    """S-16: sign-in lockout, in the audit, without a trace of the stranger."""
    with time_machine.travel("2026-05-04T10:00:00Z", tick=False) as clock:
        for _ in range(10):
            assert come_back(REMOTE_ADDR=SOMEBODY).status_code == 400
            clock.shift(61)
        refused = start(Client(), REMOTE_ADDR=SOMEBODY)
        assert refused.status_code == 429
        assert 0 < int(refused.headers["Retry-After"]) <= 900
        assert "10 sign-ins from your address failed." in refused.content.decode()
        assert start(Client(), REMOTE_ADDR="198.51.100.8").status_code == 302
        clock.shift(900)
        assert start(Client(), REMOTE_ADDR=SOMEBODY).status_code == 302
    entry = AuditEntry.objects.get(action="session.locked_out")
    assert (entry.ip, entry.session_hash) == ("", "")


def test_whoever_changes_their_mind_at_docusign_is_not_locked_out(simulator: Simulator, settings: Any) -> None:
    settings.RATE_LIMITS |= {"sign-in": 0, "callback": 0}
    for _ in range(12):
        client = Client()
        url = start(client).headers["Location"]
        state = re.search(r"state=([^&]+)", url)
        assert state
        answer = client.get("/oauth/callback/", {"state": state.group(1), "error": "access_denied"})
        assert answer.status_code == 403
    assert start(Client()).status_code == 302


def test_guessing_setup_codes_locks_out(simulator: Simulator, settings: Any) -> None:
    """S-16: the code that gives away an account cannot be tried at will."""
    settings.RATE_LIMITS |= {"sign-in": 0}
    settings.CONSOLE_ACCOUNTS = []
    statuses = [Client().post("/signin/start/", {"setup_code": f"wrong-{number}"}).status_code for number in range(12)]
    assert statuses == [422] * 10 + [429] * 2


def test_the_counts_do_not_live_in_the_cache_of_a_process(simulator: Simulator) -> None:
    """S-16: another process counts on where this one stopped."""
    for _ in range(10):
        start(Client())
    cache.clear()
    assert start(Client()).status_code == 429


def test_no_address_is_kept_with_the_counts(simulator: Simulator) -> None:
    start(Client(), REMOTE_ADDR=SOMEBODY)
    row = RateCount.objects.get()
    assert SOMEBODY not in row.key
    assert row.count == 1


def test_counts_are_forgotten_when_their_windows_are_over(simulator: Simulator) -> None:
    with time_machine.travel("2026-05-04T10:00:00Z", tick=False) as clock:
        start(Client())
        assert limits.purge() == 0
        clock.shift(901)
        assert limits.purge() == 1


def test_a_database_that_cannot_count_refuses_nobody(
    operator: Membership, signed_in: SignedIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-16: a count is no reason to take a page away (D-3)."""

    def broken(milliseconds: int) -> Any:
        raise OperationalError(sqlite3.OperationalError("database is locked"))

    client = signed_in(operator)
    monkeypatch.setattr(limits, "waiting_at_most", broken)
    assert client.get("/instances/?name=offer").status_code == 200


def test_every_address_of_a_kind_exists() -> None:
    """A renamed address must not lose its limit in silence."""

    assert set(KINDS) | SEARCHED | BRAKES <= names()


def test_a_refused_write_leaves_the_form_that_was_sent(operator: Membership, signed_in: SignedIn) -> None:
    """The page says what to do; the browser's way back still holds what was typed."""
    client = signed_in(operator)
    for _ in range(31):
        refused = client.post(reverse("preferences"), {"time_zone": "Europe/Rome"})
    assert "Too much at once" in refused.content.decode()
    assert refused.headers["Cache-Control"] == "no-store"


def test_every_kind_that_is_counted_has_a_figure() -> None:
    assert {*limits.Kind, "lockout"} == RATE_LIMITS.keys()
