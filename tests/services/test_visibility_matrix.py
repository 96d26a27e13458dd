"""Everybody of the simulator, in both accounts: what the console shows is what Docusign answers to that person's own token."""

from collections import Counter
from dataclasses import dataclass

import pytest

from dashboard.models import Account, Instance, Membership, Rights, Role
from dashboard.services import passes, sync, visibility
from dashboard.services.instance_counts import kept_for
from dashboard.services.instance_lists import Search, count_instances, find_instances, iter_instances
from dashboard.services.passes import Outcome
from dashboard.services.suggestions import suggest_starters, suggest_workflows
from maestro_api import Forbidden, MaestroClient, simulator_environment
from maestro_api import Instance as ApiInstance
from maestro_api.simulator import MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID, Simulator
from tests.conftest import SIMULATOR_URL
from tests.factories import AccountFactory, person, sealed_tokens

EVERYBODY = [
    ("Ada Admin", MAIN_ACCOUNT_ID),
    ("Olu Operator", MAIN_ACCOUNT_ID),
    ("Pia Preparer", MAIN_ACCOUNT_ID),
    ("Vic Viewer", MAIN_ACCOUNT_ID),
    ("Ada Admin", SECOND_ACCOUNT_ID),
    ("Sam Second", SECOND_ACCOUNT_ID),
]
READERS = {MAIN_ACCOUNT_ID: "Olu Operator", SECOND_ACCOUNT_ID: "Ada Admin"}


@dataclass
class Answer:
    """What Docusign itself answers to a person's token."""

    instances: dict[str, ApiInstance]
    workflows: set[str]


@pytest.fixture
def accounts(db: None, simulator: Simulator) -> dict[str, Account]:
    """Both accounts of the simulator, each with instances, read by a manager for everybody."""
    simulator.world.settings.moving = False
    simulator.add_data(workflows=3, instances=15, account_id=SECOND_ACCOUNT_ID)
    made = {account_id: AccountFactory(id=account_id) for account_id in (MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID)}
    for account_id, name in READERS.items():
        connected(simulator, made[account_id], name)
        assert passes.read_account(made[account_id]) is Outcome.WHOLE
    return made


def connected(simulator: Simulator, account: Account, name: str) -> Membership:
    token = simulator.token(name)
    known = Membership.objects.filter(account=account, user__sub=token["user_id"]).first()
    if known is not None:
        return known
    other = Membership.objects.filter(user__sub=token["user_id"]).first()
    if other is not None:
        return Membership.objects.create(user=other.user, account=account, role=Role.OPERATOR)
    made = person(account, Role.OPERATOR, rights=Rights.UNPROVEN, sub=token["user_id"], name=name)
    sealed_tokens(made.user.connection, access=token["access_token"], refresh=token["refresh_token"])
    return made


def answered(simulator: Simulator, name: str, account_id: str) -> Answer:
    client = MaestroClient(simulator_environment(SIMULATOR_URL), account_id, simulator.token(name)["access_token"])
    try:
        workflows = {each.id for each in client.list_workflows()}
        pages = list(client.iter_account_instances())
    except Forbidden:
        return Answer({}, set())
    return Answer({item.id: item for page in pages for item in page}, workflows)


def seen(membership: Membership) -> Membership:
    return Membership.objects.select_related("user__connection", "account__sync", "account__budget").get(
        pk=membership.pk
    )


@pytest.mark.parametrize(("name", "account_id"), EVERYBODY)
def test_rows_counts_searches_and_suggestions_are_what_docusign_answers(
    name: str, account_id: str, accounts: dict[str, Account], simulator: Simulator
) -> None:
    """V-1, V-3: lists, totals, tabs, searches by name and suggestions of each person, in a mirror that somebody else filled."""
    someone = connected(simulator, accounts[account_id], name)
    assert sync.sync_membership(someone)
    someone, answer = seen(someone), answered(simulator, name, account_id)
    ids = set(answer.instances)
    assert {str(pk) for pk in visibility.visible_instances(someone).values_list("pk", flat=True)} == ids
    assert {str(row.pk) for batch in iter_instances(someone, Search()) for row in batch} == ids
    assert {str(pk) for pk in visibility.visible_workflows(someone).values_list("pk", flat=True)} == answer.workflows
    found = find_instances(someone, Search(size=100))
    assert {str(row.pk) for row in found.page.rows} == ids
    assert (found.total, count_instances(someone, Search())) == (len(ids), len(ids))
    states: Counter[str] = Counter()
    for (_, state), number in kept_for(someone, ()).rows.items():
        states[state] += number
    assert states == Counter(item.status.value for item in answer.instances.values())
    starters = {item.started_by for item in answer.instances.values() if item.started_by}
    assert {starter.id for starter in suggest_starters(someone, "")} == starters
    assert {str(row.pk) for row in suggest_workflows(someone, "")} <= answer.workflows


@pytest.mark.parametrize(("name", "account_id"), EVERYBODY)
def test_no_search_by_name_finds_what_docusign_does_not_show(
    name: str, account_id: str, accounts: dict[str, Account], simulator: Simulator
) -> None:
    """V-3: neither the name of somebody else's instance, nor its id, nor its starter finds it or counts it."""
    someone = connected(simulator, accounts[account_id], name)
    assert sync.sync_membership(someone)
    someone, answer = seen(someone), answered(simulator, name, account_id)
    hidden = [row for row in Instance.objects.all() if str(row.pk) not in answer.instances]
    assert hidden  # each person has something that is not theirs, be it in the other account
    for row in hidden[:12]:
        for search in (Search(name=row.name), Search(name=str(row.pk)), Search(started_by=row.started_by)):
            rows = find_instances(someone, search).page.rows
            assert {str(each.pk) for each in rows} <= set(answer.instances)
            assert count_instances(someone, search) == len(rows)


def test_rights_withdrawn_in_mid_session_narrow_every_view_at_once(
    accounts: dict[str, Account], simulator: Simulator
) -> None:
    """V-2, V-6: demoted, then shut out, while others go on reading the same mirror."""
    ada, olu = (connected(simulator, accounts[MAIN_ACCOUNT_ID], name) for name in ("Ada Admin", "Olu Operator"))
    for member in (ada, olu):
        assert sync.sync_membership(member)
    whole = count_instances(seen(olu), Search())
    for level in ("prepare", "none"):
        simulator.set_level("Olu Operator", level)
        assert sync.sync_membership(olu)
        own = answered(simulator, "Olu Operator", MAIN_ACCOUNT_ID)
        assert count_instances(seen(olu), Search()) == len(own.instances) < whole
        assert {starter.id for starter in suggest_starters(seen(olu), "")} <= {olu.user.sub}
    assert count_instances(seen(ada), Search()) == whole
