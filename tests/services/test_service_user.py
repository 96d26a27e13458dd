"""The service user: a Docusign user by JWT grant who reads the mirror for everybody, and does nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dashboard.models import AccountSync, Instance, Membership, Rights
from dashboard.services import due, passes, service_user, sync
from dashboard.services.passes import Outcome
from maestro_api.simulator import MAIN_ACCOUNT_ID, Simulator
from maestro_api.simulator.people import ADA_ADMIN, DEMO_CLIENT_ID
from maestro_api.simulator.token_endpoint import new_key
from tests.services.test_sync import at_docusign, shown

Connect = Callable[..., Membership]
SCOPES = frozenset({"signature", "aow_manage", "impersonation"})


@pytest.fixture(autouse=True)
def _no_cached_grant() -> Iterator[None]:
    service_user._grant.cache_clear()
    yield
    service_user._grant.cache_clear()


@pytest.fixture
def consented(simulator: Simulator, settings: Any, tmp_path: Path) -> str:
    """A configured service user who has consented: Ada, whom nobody has signed in as."""
    key = tmp_path / "service.pem"
    key.write_text(new_key(simulator.tokens.find_client(DEMO_CLIENT_ID)))
    settings.DOCUSIGN_SERVICE_USER, settings.DOCUSIGN_SERVICE_KEY = ADA_ADMIN, str(key)
    simulator.tokens.consents[(ADA_ADMIN, DEMO_CLIENT_ID)] = SCOPES
    return ADA_ADMIN


def test_the_service_user_reads_and_widens_nobody(consented: str, connect: Connect, simulator: Simulator) -> None:
    """V-5: it fills the mirror; Pia sees what her own token proves, without another list."""
    pia = connect("Pia Preparer")
    assert [str(account.pk) for account in due.due_accounts()] == [MAIN_ACCOUNT_ID]
    assert passes.read_account(pia.account) is Outcome.WHOLE
    row = AccountSync.objects.get()
    assert (row.identity, row.identity_label, row.shows_all) == (None, service_user.LABEL, True)
    assert Instance.objects.count() == len(simulator.world.instances.by_account[MAIN_ACCOUNT_ID])
    assert shown(pia) == set()
    simulator.clear_ledger()
    assert sync.sync_membership(pia, is_background=True)
    assert shown(pia) == at_docusign(simulator, pia, MAIN_ACCOUNT_ID)
    assert not Membership.objects.filter(user__sub=ADA_ADMIN).exists()


def test_without_consent_the_next_best_reads_and_admins_are_told(
    consented: str, connect: Connect, simulator: Simulator
) -> None:
    """The service user has to allow it once; until then a person's connection reads."""
    simulator.tokens.consents.clear()
    olu = connect("Olu Operator", rights=Rights.MANAGE)
    assert passes.read_account(olu.account) is Outcome.WHOLE
    row = AccountSync.objects.get()
    assert (row.identity, row.service_problem) == (olu, service_user.NEEDS_CONSENT)
    assert "impersonation" in service_user.consent_url()
    assert not service_user.works_for(olu.account)


def test_a_key_that_went_away_is_told_and_the_next_best_reads(consented: str, connect: Connect, settings: Any) -> None:
    olu = connect("Olu Operator", rights=Rights.MANAGE)
    Path(settings.DOCUSIGN_SERVICE_KEY).unlink()
    assert passes.read_account(olu.account) is Outcome.WHOLE
    assert AccountSync.objects.get().service_problem == service_user.UNREADABLE_KEY


def test_once_it_works_again_the_problem_is_gone(consented: str, connect: Connect) -> None:
    olu = connect("Olu Operator", rights=Rights.MANAGE)
    AccountSync.objects.create(account=olu.account, service_problem="It did not work.")
    assert passes.read_account(olu.account) is Outcome.WHOLE
    assert service_user.problem_of(olu.account) == ""


def test_a_service_user_who_sees_own_instances_only_covers_nobody(
    consented: str, connect: Connect, simulator: Simulator
) -> None:
    """V-1: a preparer as service user is no manager, so everybody's own token reads what is theirs."""
    simulator.set_level("Ada Admin", "prepare")
    pia = connect("Pia Preparer")
    assert passes.read_account(pia.account) is Outcome.WHOLE
    assert not due.is_covered(pia)
    assert sync.sync_membership(pia)
    assert shown(pia) == at_docusign(simulator, pia, MAIN_ACCOUNT_ID)
