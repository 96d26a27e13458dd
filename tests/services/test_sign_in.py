"""The door: who comes in, as what, and what is left behind of those who do not."""

import base64
import time
from io import StringIO
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.utils import timezone

from dashboard import crypto
from dashboard.models import Account, AuditEntry, Connection, Membership, Rights, Role, SetupCode, User
from dashboard.services import accounts, setup, sign_in, tokens
from dashboard.services.accounts import NamedAccount, default_role
from dashboard.services.errors import DocusignUnavailable, SignInRefused
from maestro_api.simulator import Simulator
from maestro_api.simulator.messages import SimRequest
from maestro_api.simulator.people import ADA_ADMIN, MAIN_ACCOUNT_ID, OTHER_ACCOUNT_ID, SECOND_ACCOUNT_ID

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _served(settings: Any) -> None:
    settings.CONSOLE_ACCOUNTS = [MAIN_ACCOUNT_ID]


def agree(simulator: Simulator, url: str, person: str) -> dict[str, str]:
    """Press a person's button at the simulator; the parameters of the callback."""
    sub = next(each.sub for each in simulator.world.people.values() if each.name == person)
    answer = simulator.handle(
        SimRequest(
            "POST",
            f"/oauth/auth?{urlsplit(url).query}",
            {"Content-Type": "application/x-www-form-urlencoded"},
            f"person={sub}".encode(),
        )
    )
    assert answer.status == 302, answer.body
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def come_in(simulator: Simulator, person: str, *, code: str = "") -> sign_in.SignedIn:
    state, pending, url = sign_in.start_sign_in(next_path="/", setup_code=code)
    return sign_in.finish_sign_in(pending, state=state, params=agree(simulator, url, person))


def token_calls(simulator: Simulator) -> int:
    return sum(1 for entry in simulator.ledger() if entry["path"] == "/oauth/token")


def test_a_person_of_a_served_account_comes_in(simulator: Simulator) -> None:
    signed_in = come_in(simulator, "Olu Operator")
    assert signed_in.user.name == "Olu Operator"
    assert str(signed_in.membership.account_id) == MAIN_ACCOUNT_ID
    assert signed_in.user.connection.state == Connection.State.ACTIVE
    assert AuditEntry.objects.get().action == "session.started"


def test_the_first_person_of_a_served_account_is_its_admin_and_the_next_is_not(simulator: Simulator) -> None:
    assert come_in(simulator, "Olu Operator").membership.role == Role.ADMIN
    assert come_in(simulator, "Pia Preparer").membership.role == Role.OPERATOR


def test_a_new_person_outside_a_rehearsal_may_only_look(simulator: Simulator) -> None:
    come_in(simulator, "Ada Admin")
    Account.objects.update(environment="production")
    from_production = Account.objects.get()
    assert from_production.memberships.filter(role=Role.ADMIN).exists()
    assert default_role(from_production) == Role.VIEWER


def test_the_address_asks_for_a_code_with_pkce_and_exactly_the_configured_scopes() -> None:
    """O-1, O-2: code grant, S256, the exact scope set and redirect address, a fresh challenge each time."""
    first = parse_qs(urlsplit(sign_in.start_sign_in(next_path="/")[2]).query)
    second = parse_qs(urlsplit(sign_in.start_sign_in(next_path="/")[2]).query)
    assert first["response_type"] == ["code"]
    assert first["code_challenge_method"] == ["S256"]
    assert first["scope"] == ["signature aow_manage"]
    assert first["redirect_uri"] == [settings.DOCUSIGN_REDIRECT_URI]
    assert first["code_challenge"] != second["code_challenge"]
    assert len(first["state"][0]) >= 22


def test_a_swapped_verifier_is_refused(simulator: Simulator) -> None:
    """O-2: the code of one attempt does not open with the verifier of another."""
    state, _, url = sign_in.start_sign_in(next_path="/")
    other_state, other, _ = sign_in.start_sign_in(next_path="/")
    params = agree(simulator, url, "Ada Admin")
    with pytest.raises(SignInRefused):
        sign_in.finish_sign_in(other, state=other_state, params=params)
    assert not User.objects.exists()
    assert state != other_state


def test_a_verifier_opens_only_under_its_own_state(simulator: Simulator) -> None:
    state, pending, url = sign_in.start_sign_in(next_path="/")
    params = agree(simulator, url, "Ada Admin")
    with pytest.raises(sign_in.StateRefused):
        sign_in.finish_sign_in(pending, state=state + "x", params=params)
    assert token_calls(simulator) == 0


def test_a_state_is_used_once(simulator: Simulator) -> None:
    """O-3: the second use of a state is refused and recorded."""
    state, pending, _ = sign_in.start_sign_in(next_path="/")
    pendings = {state: pending}
    sign_in.take(pendings, state)
    with pytest.raises(sign_in.StateRefused):
        sign_in.take(pendings, state)
    assert AuditEntry.objects.get().detail == {"why": "state"}


def test_a_state_lives_ten_minutes() -> None:
    """O-3: eleven minutes later nobody comes in."""
    state, pending, _ = sign_in.start_sign_in(next_path="/")
    pending["created_at"] = time.time() - 660
    with pytest.raises(sign_in.StateRefused):
        sign_in.take({state: pending}, state)
    assert AuditEntry.objects.get().detail == {"why": "state_old"}


def test_a_browser_has_at_most_ten_attempts() -> None:
    """O-3: the eleventh attempt drops the oldest."""
    pendings: dict[str, sign_in.PendingSignIn] = {}
    states = []
    for _ in range(11):
        state, pending, _ = sign_in.start_sign_in(next_path="/")
        pendings = sign_in.remember(pendings, state, pending)
        states.append(state)
    assert len(pendings) == 10
    assert states[0] not in pendings


def test_a_state_of_another_environment_is_refused(simulator: Simulator) -> None:
    """O-4: started for demo, answered here: no token call."""
    state, pending, _ = sign_in.start_sign_in(next_path="/")
    pending["environment"] = "production"
    with pytest.raises(sign_in.StateRefused):
        sign_in.take({state: pending}, state)
    assert token_calls(simulator) == 0


def test_an_answer_of_another_issuer_is_refused(simulator: Simulator) -> None:
    """O-4: `iss`, where sent, must be the configured authorization server."""
    state, pending, url = sign_in.start_sign_in(next_path="/")
    params = agree(simulator, url, "Ada Admin") | {"iss": "https://account.docusign.com"}
    with pytest.raises(sign_in.StateRefused):
        sign_in.finish_sign_in(pending, state=state, params=params)
    assert token_calls(simulator) == 0


@pytest.mark.parametrize("name", ["error", "error_description", "error_code", "error_message"])
def test_every_spelling_of_a_refusal_is_a_refused_sign_in(simulator: Simulator, name: str) -> None:
    state, pending, _ = sign_in.start_sign_in(next_path="/")
    with pytest.raises(SignInRefused, match="refused at Docusign"):
        sign_in.finish_sign_in(pending, state=state, params={name: "access_denied", "state": state})
    assert token_calls(simulator) == 0
    assert not User.objects.exists()


def test_an_answer_without_a_code_is_refused() -> None:
    state, pending, _ = sign_in.start_sign_in(next_path="/")
    with pytest.raises(sign_in.StateRefused):
        sign_in.finish_sign_in(pending, state=state, params={"state": state})


def test_a_stranger_leaves_nothing_but_an_audit_entry_without_a_name(simulator: Simulator) -> None:
    with pytest.raises(sign_in.Stranger, match="does not serve"):
        come_in(simulator, "Ada Other")
    assert not User.objects.exists()
    assert not Account.objects.exists()
    assert not Connection.objects.exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.result, entry.detail) == ("session.refused", "refused", {"why": "not_served"})
    assert entry.actor_name == entry.actor_sub == entry.ip == entry.session_hash == ""
    assert any(each["path"] == "/oauth/revoke" for each in simulator.ledger())


def test_the_same_e_mail_is_not_the_same_person(simulator: Simulator, settings: Any) -> None:
    """O-6: identity is (environment, sub); two people with one e-mail share nothing."""
    settings.CONSOLE_ACCOUNTS = [MAIN_ACCOUNT_ID, OTHER_ACCOUNT_ID]
    one, two = come_in(simulator, "Ada Admin"), come_in(simulator, "Ada Other")
    assert one.user.email == two.user.email
    assert one.user.pk != two.user.pk
    assert set(one.user.memberships.values_list("account")) & set(two.user.memberships.values_list("account")) == set()


def test_only_served_accounts_become_memberships(simulator: Simulator) -> None:
    come_in(simulator, "Ada Admin")
    assert [str(each.account_id) for each in Membership.objects.all()] == [MAIN_ACCOUNT_ID]


def test_a_person_of_two_served_accounts_starts_in_the_default_one(simulator: Simulator, settings: Any) -> None:
    settings.CONSOLE_ACCOUNTS = [SECOND_ACCOUNT_ID, MAIN_ACCOUNT_ID]
    signed_in = come_in(simulator, "Ada Admin")
    assert signed_in.user.memberships.count() == 2
    assert str(signed_in.membership.account_id) == MAIN_ACCOUNT_ID


def test_an_account_that_docusign_no_longer_names_is_closed_at_the_next_sign_in(
    simulator: Simulator, settings: Any
) -> None:
    """O-6: the list of accounts is read again at each sign-in, and rights of a lost one are forgotten."""
    settings.CONSOLE_ACCOUNTS = [SECOND_ACCOUNT_ID, MAIN_ACCOUNT_ID]
    user = come_in(simulator, "Ada Admin").user
    user.memberships.update(rights=Rights.MANAGE)
    ada = next(each for each in simulator.world.people.values() if each.name == "Ada Admin")
    ada.account_ids = (MAIN_ACCOUNT_ID,)
    come_in(simulator, "Ada Admin")
    lost = user.memberships.get(account_id=SECOND_ACCOUNT_ID)
    assert (lost.is_active, lost.rights) == (False, Rights.UNPROVEN)
    assert user.memberships.get(account_id=MAIN_ACCOUNT_ID).rights == Rights.MANAGE


def test_somebody_known_who_lost_the_last_account_is_refused_and_closed(simulator: Simulator) -> None:
    user = come_in(simulator, "Ada Admin").user
    ada = next(each for each in simulator.world.people.values() if each.name == "Ada Admin")
    ada.account_ids = (OTHER_ACCOUNT_ID,)
    with pytest.raises(sign_in.Stranger):
        come_in(simulator, "Ada Admin")
    assert not user.memberships.filter(is_active=True).exists()


def test_somebody_switched_off_does_not_come_in(simulator: Simulator) -> None:
    come_in(simulator, "Ada Admin")
    User.objects.update(is_active=False)
    with pytest.raises(sign_in.Stranger, match="switched off"):
        come_in(simulator, "Ada Admin")


def test_who_is_switched_off_during_the_sign_in_stays_so(simulator: Simulator) -> None:
    membership = come_in(simulator, "Ada Admin").user.memberships.get(is_default=True)
    Membership.objects.filter(pk=membership.pk).update(is_active=False, barred_at=timezone.now())
    named = NamedAccount(id=str(membership.account_id), name=membership.account.name, is_default=True)
    accounts.store_memberships(membership.user, [named])
    membership.refresh_from_db()
    assert not membership.is_active


def test_tokens_are_sealed_in_the_database(simulator: Simulator) -> None:
    """O-10: neither token stands readable in the row."""
    connection = come_in(simulator, "Ada Admin").user.connection
    for field in ("access_token", "refresh_token"):
        sealed = getattr(connection, f"sealed_{field}")
        token = crypto.unseal(sealed, *tokens.token_place(connection, field))
        assert sealed.startswith("v1.")
        assert token[:12] not in sealed
        assert base64.urlsafe_b64encode(token.encode()).decode()[:12] not in sealed


def test_docusign_out_of_order_says_so_and_keeps_nothing(simulator: Simulator) -> None:
    simulator.set_faults([{"match": {"method": "POST", "path": "/oauth/token"}, "do": {"status": 503}}])
    with pytest.raises(DocusignUnavailable, match="Nobody was signed in"):
        come_in(simulator, "Ada Admin")
    assert not User.objects.exists()


@pytest.fixture
def unclaimed(settings: Any) -> None:
    settings.CONSOLE_ACCOUNTS = []


def test_without_accounts_and_without_a_code_nobody_comes_in(simulator: Simulator, unclaimed: None) -> None:
    with pytest.raises(sign_in.Stranger):
        come_in(simulator, "Ada Admin")
    assert not User.objects.exists()


def test_the_setup_code_claims_the_default_account_and_makes_an_admin(simulator: Simulator, unclaimed: None) -> None:
    code = setup.offer_code()
    assert code is not None
    signed_in = come_in(simulator, "Ada Admin", code=f" {code.upper()} ")
    assert signed_in.membership.role == Role.ADMIN
    assert [str(key) for key in Account.objects.values_list("pk", flat=True)] == [MAIN_ACCOUNT_ID]
    assert set(AuditEntry.objects.values_list("action", flat=True)) == {"account.claimed", "session.started"}


def test_a_setup_code_is_used_once_and_then_the_account_is_served(simulator: Simulator, unclaimed: None) -> None:
    code = setup.offer_code() or ""
    come_in(simulator, "Ada Admin", code=code)
    assert setup.offer_code() is None
    with pytest.raises(SignInRefused, match="setup code"):
        sign_in.start_sign_in(next_path="/", setup_code=code)
    assert come_in(simulator, "Olu Operator").membership.role == Role.OPERATOR
    with pytest.raises(sign_in.Stranger):
        come_in(simulator, "Sam Second")


def test_a_wrong_setup_code_is_refused_before_docusign_is_asked(unclaimed: None, db: None) -> None:
    setup.offer_code()
    with pytest.raises(SignInRefused, match="not valid"):
        sign_in.start_sign_in(next_path="/", setup_code="aaaaaa-bbbbbb-cccccc-dddddd")


def test_only_the_digest_of_a_setup_code_is_stored_and_one_start_prints_one(unclaimed: None) -> None:
    code = setup.offer_code() or ""
    assert code not in SetupCode.objects.get().digest
    assert setup.offer_code() is None
    assert setup.offer_code(again=True) not in (None, code)
    assert SetupCode.objects.count() == 1


def test_a_starting_process_prints_the_code_only_where_something_is_to_be_claimed(
    simulator: Simulator, unclaimed: None
) -> None:
    line = setup.announce_at_start()
    assert line.startswith("Setup code: ")
    assert setup.announce_at_start() == ""
    come_in(simulator, "Ada Admin", code=line.split()[2])
    SetupCode.objects.all().delete()
    assert setup.announce_at_start() == ""


def test_admins_of_the_only_account_can_read_of_refused_sign_ins(simulator: Simulator) -> None:
    come_in(simulator, "Ada Admin")
    with pytest.raises(sign_in.Stranger):
        come_in(simulator, "Ada Other")
    assert AuditEntry.objects.get(action="session.refused").account_id == MAIN_ACCOUNT_ID


def test_an_appointed_admin_is_admin_whoever_comes_first(simulator: Simulator) -> None:
    call_command("make_admin", ADA_ADMIN, "--account", MAIN_ACCOUNT_ID, stdout=StringIO())
    assert not Membership.objects.get().is_active, "a role opens nothing before Docusign names the account"
    first = come_in(simulator, "Olu Operator")
    ada = come_in(simulator, "Ada Admin")
    assert (first.membership.role, ada.membership.role) == (Role.OPERATOR, Role.ADMIN)
    assert ada.user.name == "Ada Admin"


def test_nobody_is_appointed_to_an_account_that_is_not_served(db: None) -> None:
    with pytest.raises(CommandError, match="CONSOLE_ACCOUNTS"):
        call_command("make_admin", ADA_ADMIN, "--account", OTHER_ACCOUNT_ID)
    assert not User.objects.exists()


@pytest.mark.parametrize("path", ["/oauth/userinfo", "/oauth/token"])
def test_a_call_limit_at_the_door_is_not_called_a_used_code(path: str, simulator: Simulator) -> None:
    """Nobody refused the sign-in, so the sentence asks to come back and the audit holds no refusal."""
    state, pending, url = sign_in.start_sign_in(next_path="/")
    params = agree(simulator, url, "Olu Operator")
    simulator.set_faults([{"match": {"path": path}, "do": {"status": 429}}])
    with pytest.raises(DocusignUnavailable, match="Nobody was signed in"):
        sign_in.finish_sign_in(pending, state=state, params=params)
    assert not AuditEntry.objects.exists()
