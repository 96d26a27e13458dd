"""Tokens of a person: one refresh a version, whatever else happens."""

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import responses
from django.utils import timezone

from dashboard import crypto
from dashboard.models import AuditEntry, Connection, Membership
from dashboard.services import tokens
from dashboard.services.connections import client_for, disconnect
from dashboard.services.errors import DocusignUnavailable, ReconnectNeeded
from dashboard.services.grants import grant_ends_at, is_ending_soon
from maestro_api.simulator import Simulator
from tests.factories import ConnectionFactory, person, sealed_tokens

pytestmark = pytest.mark.django_db
State = Connection.State
OTHER_KEY = base64.b64encode(b"a newer key of thirty-two bytes!").decode()
Connect = Callable[..., Membership]


def token_calls(simulator: Simulator) -> int:
    return sum(entry["path"] == "/oauth/token" for entry in simulator.ledger())


def expire(connection: Connection, *, seconds: float = -1) -> Connection:
    Connection.objects.filter(pk=connection.pk).update(access_expires_at=timezone.now() + timedelta(seconds=seconds))
    return connection


def stored(connection: Connection) -> Connection:
    return Connection.objects.get(pk=connection.pk)


@pytest.fixture
def connection(connect: Connect) -> Connection:
    return connect("Ada Admin").user.connection


def test_a_living_token_is_used_without_a_call(connection: Connection, simulator: Simulator) -> None:
    assert tokens.access_token(connection) == tokens.access_token(connection)
    assert token_calls(simulator) == 0


def test_an_expired_token_is_renewed_once_and_both_tokens_are_new(connection: Connection, simulator: Simulator) -> None:
    before = stored(connection)
    first = tokens.access_token(expire(connection))
    assert tokens.access_token(connection) == first
    after = stored(connection)
    assert token_calls(simulator) == 1
    assert after.version == before.version + 1
    assert after.sealed_refresh_token != before.sealed_refresh_token
    assert (after.lease, after.lease_until) == ("", None)


@pytest.mark.parametrize(("seconds", "calls"), [(200, 1), (400, 0)])
def test_a_token_is_renewed_five_minutes_ahead_give_or_take_one(
    connection: Connection, simulator: Simulator, seconds: int, calls: int
) -> None:
    """O-13: surely below four minutes, surely not above six."""
    tokens.access_token(expire(connection, seconds=seconds))
    assert token_calls(simulator) == calls


def test_the_end_is_counted_from_receipt_whatever_docusigns_clock_says(
    connection: Connection, simulator: Simulator
) -> None:
    """O-13: Docusign's clock runs five minutes ahead; nothing breaks."""
    simulator.clock.advance(300)
    tokens.access_token(expire(connection))
    left = stored(connection).access_expires_at - timezone.now()
    assert timedelta(hours=7, minutes=55) < left <= timedelta(hours=8)


def test_a_401_is_the_truth_and_costs_one_refresh_and_one_retry(connect: Connect, simulator: Simulator) -> None:
    """O-13: our clock believes in the token, Docusign does not."""
    member = connect("Ada Admin")
    simulator.clock.advance(9 * 3600)
    member.user.connection.refresh_from_db()
    listing = client_for(member.user.connection, member.account).list_workflows()
    assert len(listing.items) == 12
    paths = [entry["path"] for entry in simulator.ledger()]
    assert paths.count("/oauth/token") == 1
    assert sum(path.endswith("/workflows") for path in paths) == 2


def test_a_dead_token_that_was_replaced_meanwhile_costs_no_call(connection: Connection, simulator: Simulator) -> None:
    assert tokens.replace_dead_token(connection, "an older token") == tokens.access_token(connection)
    assert token_calls(simulator) == 0


def test_a_refused_grant_asks_the_person_and_stops_all_calls(connection: Connection, simulator: Simulator) -> None:
    """O-9: revoked at Docusign: one token call, then none until the person signs in again."""
    simulator.revoke("Ada Admin")
    expire(connection)
    for _ in range(3):
        with pytest.raises(ReconnectNeeded):
            tokens.access_token(connection)
    row = stored(connection)
    assert token_calls(simulator) == 1
    assert (row.state, row.sealed_access_token, row.sealed_refresh_token) == (State.RECONNECT_NEEDED, "", "")
    assert AuditEntry.objects.get().action == "connection.reconnect_needed"


def test_a_refusal_after_another_process_was_quicker_uses_its_token(
    connection: Connection, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """O-9: the version moved while we asked, so the refusal means nothing."""
    expire(connection)
    fresh = simulator.token("Ada Admin")
    asked = tokens.oauth_client

    def other_process_first() -> Any:
        row = stored(connection)
        sealed_tokens(row, access=fresh["access_token"], refresh=fresh["refresh_token"])
        Connection.objects.filter(pk=row.pk).update(version=row.version + 1)
        return asked()

    monkeypatch.setattr(tokens, "oauth_client", other_process_first)
    simulator.set_faults(
        [{"match": {"path": "/oauth/token"}, "do": {"status": 400, "body": '{"error":"invalid_grant"}'}}]
    )
    assert tokens.access_token(connection) == fresh["access_token"]
    assert stored(connection).state == State.ACTIVE


def test_docusign_being_down_keeps_the_pair_and_frees_the_lease(connection: Connection, simulator: Simulator) -> None:
    simulator.set_faults([{"match": {"path": "/oauth/token"}, "do": {"status": 503}}])
    with pytest.raises(DocusignUnavailable, match="could not be renewed"):
        tokens.access_token(expire(connection))
    row = stored(connection)
    assert (row.state, row.lease) == (State.ACTIVE, "")
    simulator.set_faults([])
    assert tokens.access_token(connection)


def test_a_failed_refresh_ahead_of_the_end_still_gives_the_living_token(
    connection: Connection, simulator: Simulator
) -> None:
    living = tokens.access_token(connection)
    simulator.set_faults([{"match": {"path": "/oauth/token"}, "do": {"status": 503}}])
    assert tokens.access_token(expire(connection, seconds=100)) == living


@pytest.mark.parametrize(
    "body", ["<html>502</html>", "{}", '{"access_token": null}', '{"access_token": 5}', "[" * 5000, "nul"]
)
def test_an_unreadable_answer_never_replaces_the_pair(db: None, account: Any, body: str) -> None:
    row = sealed_tokens(person(account, "viewer").user.connection, access="a" * 20, refresh="r" * 20)
    expire(row)
    with responses.RequestsMock() as mock:
        mock.post("http://127.0.0.1:9000/oauth/token", body=body, content_type="application/json")
        with pytest.raises(DocusignUnavailable):
            tokens.access_token(row)
    assert tokens.stored_refresh_token(row) == "r" * 20


def test_a_crash_between_answer_and_commit_tries_the_old_token_once_then_asks_the_person(
    connection: Connection, simulator: Simulator
) -> None:
    """O-12: the answer was lost and the old refresh token is dead: one try, no loop."""
    refresh = tokens.stored_refresh_token(connection)
    tokens.oauth_client().refresh(refresh)
    Connection.objects.filter(pk=connection.pk).update(
        lease="of a dead process", lease_until=timezone.now() - timedelta(seconds=1)
    )
    expire(connection)
    for _ in range(3):
        with pytest.raises(ReconnectNeeded):
            tokens.access_token(connection)
    assert token_calls(simulator) == 2


def test_a_living_lease_of_another_process_is_waited_for_and_then_said(
    connection: Connection, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "WAIT_SECONDS", 0.2)
    Connection.objects.filter(pk=connection.pk).update(lease="other", lease_until=timezone.now() + tokens.LEASE)
    with pytest.raises(DocusignUnavailable, match="takes too long"):
        tokens.access_token(expire(connection))
    assert token_calls(simulator) == 0


def test_while_another_process_renews_ahead_the_living_token_is_used(
    connection: Connection, simulator: Simulator
) -> None:
    Connection.objects.filter(pk=connection.pk).update(lease="other", lease_until=timezone.now() + tokens.LEASE)
    assert tokens.access_token(expire(connection, seconds=60))
    assert token_calls(simulator) == 0


@pytest.mark.parametrize("field", ["access_token", "refresh_token"])
def test_a_ciphertext_copied_to_another_row_opens_nowhere(connect: Connect, field: str) -> None:
    """O-10: a copied seal is refused, and its row asks for a new sign-in."""
    ada, olu = connect("Ada Admin").user.connection, connect("Olu Operator").user.connection
    Connection.objects.filter(pk=olu.pk).update(**{f"sealed_{field}": getattr(stored(ada), f"sealed_{field}")})
    with pytest.raises(ReconnectNeeded, match="cannot be opened"):
        tokens.access_token(expire(olu) if field == "refresh_token" else olu)
    assert stored(olu).state == State.RECONNECT_NEEDED
    assert stored(ada).state == State.ACTIVE


@pytest.mark.parametrize("seconds", [3600, -1])
def test_a_process_without_the_key_throws_no_token_away(
    connection: Connection, simulator: Simulator, settings: Any, seconds: int
) -> None:
    """O-11: a key that another process was given first, or a wrong one for a minute, costs nothing but that minute."""
    before = stored(expire(connection, seconds=seconds))
    right, settings.TOKEN_KEYS = settings.TOKEN_KEYS, [OTHER_KEY]
    with pytest.raises(DocusignUnavailable, match="does not hold the key"):
        tokens.access_token(connection)
    assert (stored(connection).sealed_refresh_token, stored(connection).state) == (
        before.sealed_refresh_token,
        State.ACTIVE,
    )
    assert stored(connection).lease == ""
    settings.TOKEN_KEYS = right
    assert tokens.access_token(connection)
    assert token_calls(simulator) == (seconds < 0)


def test_disconnect_deletes_both_tokens_ends_sessions_and_revokes(connection: Connection, simulator: Simulator) -> None:
    """O-14: no token bytes stay, sessions are void, Docusign is told."""
    access = tokens.access_token(connection)
    user = connection.user
    hash_before = user.get_session_auth_hash()
    disconnect(connection, actor=user)
    row = stored(connection)
    user.refresh_from_db()
    assert (row.state, row.sealed_access_token, row.sealed_refresh_token) == (State.DISCONNECTED, "", "")
    assert user.get_session_auth_hash() != hash_before
    assert AuditEntry.objects.get().action == "connection.disconnected"
    assert any(entry["path"] == "/oauth/revoke" for entry in simulator.ledger())
    with pytest.raises(ReconnectNeeded):
        tokens.access_token(connection)
    assert access


def test_where_nobody_asked_for_it_disconnect_calls_nothing(
    connection: Connection, simulator: Simulator, settings: Any
) -> None:
    settings.DOCUSIGN_REVOKE = False
    disconnect(connection, actor=connection.user)
    assert list(simulator.ledger()) == []


def test_an_answer_that_comes_after_disconnect_is_not_stored(
    connection: Connection, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    """O-14: a refresh in flight loses against disconnect."""
    settings.DOCUSIGN_REVOKE = False
    asked = tokens.oauth_client

    def disconnect_meanwhile() -> Any:
        monkeypatch.setattr(tokens, "oauth_client", asked)
        disconnect(connection, actor=connection.user)
        return asked()

    expire(connection)
    refresh = tokens.stored_refresh_token(connection)
    monkeypatch.setattr(tokens, "oauth_client", disconnect_meanwhile)
    with pytest.raises(ReconnectNeeded):
        tokens.access_token(connection)
    row = stored(connection)
    assert (row.state, row.sealed_access_token, row.sealed_refresh_token) == (State.DISCONNECTED, "", "")
    assert refresh


def test_the_grant_ends_thirty_days_after_sign_in_unless_it_is_extended(db: None) -> None:
    """O-13: a warning comes three days before."""
    now = timezone.now()
    connection = ConnectionFactory(first_granted_at=now - timedelta(days=26), scopes="signature aow_manage")
    assert grant_ends_at(connection) == now + timedelta(days=4)
    assert not is_ending_soon(connection)
    connection.first_granted_at = now - timedelta(days=28)
    assert is_ending_soon(connection)
    connection.scopes = "signature aow_manage extended"
    assert not is_ending_soon(connection)


def test_no_token_stands_in_a_log_line(
    connection: Connection, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """O-15: neither old nor new tokens reach the log."""
    row = stored(connection)
    place = (row.user.environment, str(row.user_id))
    secrets = [crypto.unseal(row.sealed_refresh_token, *place, "refresh_token"), tokens.access_token(connection)]
    secrets.append(tokens.access_token(expire(connection)))
    assert caplog.text
    assert not any(secret in caplog.text for secret in secrets)
