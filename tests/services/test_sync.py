"""A person's sync: own proofs first, then the shared reading; complete lists count, refusals narrow."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from django_tasks import default_task_backend

from dashboard.models import (
    Account,
    AccountSync,
    ApiBudget,
    Instance,
    InstanceDenial,
    Membership,
    Rights,
    Workflow,
    WorkflowAccess,
)
from dashboard.services import budget, due, sync, visibility
from dashboard.services.banners import banners_for
from dashboard.services.due import is_account_due
from dashboard.services.errors import ReconnectNeeded, Refused
from dashboard.services.identities import reader_of
from maestro_api import LimitState
from maestro_api.simulator import MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID, Simulator
from tests.factories import AccountFactory, person, sealed_tokens

Connect = Callable[..., Membership]
SEEN_BY = [
    ("Ada Admin", Rights.MANAGE),
    ("Olu Operator", Rights.MANAGE),
    ("Pia Preparer", Rights.OWN),
    ("Vic Viewer", Rights.NONE),
]


def at_docusign(simulator: Simulator, membership: Membership, account_id: str) -> set[str]:
    """The instances that Docusign itself shows to this person in an account, asked workflow by workflow."""
    world, sub = simulator.world, membership.user.sub
    someone = world.people[sub]
    level = someone.level_for(account_id) if account_id in someone.account_ids else "none"
    found = set()
    for workflow in world.workflows:
        for row in world.instances.by_workflow.get(workflow.number, ()):
            is_own = world.starters[world.instances.starter[row]] == sub
            if workflow.account_id == account_id and (level == "manage" or (level != "none" and is_own)):
                found.add(world.instances.id_of(row))
    return found


def shown(membership: Membership) -> set[str]:
    membership.refresh_from_db()
    return {str(pk) for pk in visibility.visible_instances(membership).values_list("pk", flat=True)}


def queued() -> list[str]:
    return [result.task.name for result in default_task_backend.results]


def age(membership: Membership, by: timedelta) -> Membership:
    """The last readings were so long ago; the person as a page would find them."""
    then = timezone.now() - by
    Membership.objects.filter(pk=membership.pk).update(synced_at=then)
    AccountSync.objects.filter(account=membership.account_id).update(began_at=then, recent_at=then, ended_at=then)
    return Membership.objects.select_related("account__budget", "account__sync", "user__connection").get(
        pk=membership.pk
    )


@pytest.fixture(autouse=True)
def _no_jobs() -> None:
    default_task_backend.clear()


@pytest.mark.parametrize("account_list", [True, False])
@pytest.mark.parametrize(("name", "rights"), SEEN_BY)
def test_everybody_sees_exactly_what_docusign_shows_them(
    name: str, rights: Rights, account_list: bool, connect: Connect, simulator: Simulator
) -> None:
    """V-1, V-2: the matrix of people, in a mirror that a manager has filled."""
    simulator.set_profile(account_list=account_list)
    sync.sync_membership(connect("Ada Admin") if name != "Ada Admin" else connect("Olu Operator"))
    someone = connect(name)
    assert sync.sync_membership(someone)
    assert shown(someone) == at_docusign(simulator, someone, MAIN_ACCOUNT_ID)
    assert someone.rights == (rights if account_list or rights != Rights.MANAGE else Rights.OWN)


@pytest.mark.parametrize("name", ["Ada Admin", "Sam Second"])
def test_the_second_account_shows_its_own_instances_only(name: str, db: None, simulator: Simulator) -> None:
    """V-1: nothing of one account is seen in another."""
    simulator.add_data(workflows=2, instances=9, account_id=SECOND_ACCOUNT_ID)
    main, second = AccountFactory(id=MAIN_ACCOUNT_ID), AccountFactory(id=SECOND_ACCOUNT_ID)
    token = simulator.token(name)
    someone = person(second, "operator", rights=Rights.UNPROVEN, sub=token["user_id"], name=name)
    sealed_tokens(someone.user.connection, access=token["access_token"], refresh=token["refresh_token"])
    assert sync.sync_membership(someone)
    assert len(shown(someone)) == len(at_docusign(simulator, someone, SECOND_ACCOUNT_ID)) > 0
    assert not Instance.objects.filter(account=main).exists()


def test_a_second_sync_of_the_same_lists_changes_nothing(ada: Membership) -> None:
    before = Account.objects.get(pk=ada.account_id).version
    Instance.objects.update(synced_at=timezone.now() - timedelta(hours=1))
    assert sync.sync_membership(ada)
    assert Account.objects.get(pk=ada.account_id).version == before
    assert not Instance.objects.filter(synced_at__lt=timezone.now() - timedelta(minutes=1)).exists()


def test_two_workers_never_sync_the_same_person_at_once(ada: Membership, simulator: Simulator) -> None:
    Membership.objects.filter(pk=ada.pk).update(
        sync_lease="other", sync_lease_until=timezone.now() + timedelta(seconds=60)
    )
    simulator.clear_ledger()
    assert not sync.sync_membership(ada)
    assert simulator.ledger() == []


@pytest.mark.parametrize(
    "do",
    [
        {"status": 503},
        {"body": '{"instances":[]}'},
        {"body": '{"instances":['},
        {"repeat_ctoken": True},
        {"truncate_gzip": True},
    ],
    ids=str,
)
def test_no_answer_ever_deletes_a_row(do: dict[str, Any], ada: Membership, simulator: Simulator) -> None:
    """R-10: empty, half, endless or broken lists: 0 rows deleted, 0 states changed."""
    before = set(Instance.objects.values_list("pk", "status"))
    simulator.world.settings.moving = False
    simulator.set_faults([{"match": {"path": "workflow-instances"}, "do": do}])
    sync.sync_membership(ada)
    assert set(Instance.objects.values_list("pk", "status")) == before


def test_a_complete_list_marks_what_it_lacks_and_an_incomplete_one_does_not(
    ada: Membership, simulator: Simulator
) -> None:
    """R-10: "not seen since" needs a list that came whole; an empty one is not believed while instances are known."""
    kept = str(Instance.objects.exclude(started_by=ada.user.sub).first().pk)
    for bad in ([{"name": "no id"}], [], [{"id": kept}, {"name": "no id"}]):
        fault = {"match": {"path": "workflow-instances"}, "do": {"body": {"instances": bad}}}
        simulator.set_faults([fault])
        assert not sync.sync_membership(ada)
        assert "stays as it was" in ada.sync_error
        assert not Instance.objects.exclude(missing_since=None).exists()
    simulator.set_faults([{"match": {"path": "workflow-instances"}, "do": {"body": {"instances": [{"id": kept}]}}}])
    assert sync.sync_membership(ada)
    assert [str(row.pk) for row in Instance.objects.filter(missing_since=None)] == [kept]


def test_a_failed_sync_keeps_the_mirror_and_says_why(ada: Membership, simulator: Simulator) -> None:
    """R-9: stale reads, with the reason and the age."""
    synced_at = ada.synced_at
    simulator.set_faults([{"match": {"path": "/workflows"}, "do": {"status": 500}}])
    assert not sync.sync_membership(ada)
    assert ada.synced_at == synced_at
    assert ada.sync_error.startswith("Docusign")
    assert ada.sync_lease_until is None
    assert visibility.visible_instances(ada).exists()


def test_a_demoted_manager_loses_the_others_rows_at_the_next_sync(connect: Connect, simulator: Simulator) -> None:
    """V-2: demoted at Docusign, narrow here; refused altogether, nothing at all."""
    olu = connect("Olu Operator")
    sync.sync_membership(olu)
    everything = shown(olu)
    simulator.set_level("Olu Operator", "prepare")
    sync.sync_membership(olu)
    assert shown(olu) == at_docusign(simulator, olu, MAIN_ACCOUNT_ID) < everything
    simulator.set_level("Olu Operator", "none")
    sync.sync_membership(olu)
    assert shown(olu) == set()
    assert not WorkflowAccess.objects.filter(user=olu.user).exists()
    assert Workflow.objects.exists()
    assert visibility.view_of(olu).scope == "nothing"


def test_the_worker_asks_for_rights_every_five_minutes_and_a_person_at_once(
    ada: Membership, simulator: Simulator
) -> None:
    """V-2, R-7: the worker's own looks cost two calls instead of three, and a demotion shows within minutes."""
    sync.sync_membership(ada)
    simulator.clear_ledger()
    ada = age(ada, timedelta(minutes=1))
    sync.sync_membership(ada, is_background=True)
    assert [entry["path"].rsplit("/", 1)[1] for entry in simulator.ledger()] == ["workflows", "workflow-instances"]
    simulator.set_level("Ada Admin", "prepare")
    ada = age(ada, timedelta(minutes=1))
    sync.sync_membership(ada, is_background=True)
    assert not Instance.objects.exclude(started_by=ada.user.sub).exclude(missing_since=None).exists()
    assert shown(ada) == at_docusign(simulator, ada, MAIN_ACCOUNT_ID)
    simulator.set_level("Ada Admin", "manage")
    Membership.objects.filter(pk=ada.pk).update(rights_proven_at=timezone.now() - timedelta(minutes=5))
    sync.sync_membership(ada, is_background=True)
    assert shown(ada) == at_docusign(simulator, ada, MAIN_ACCOUNT_ID)
    simulator.set_level("Ada Admin", "manage")
    sync.sync_membership(ada)
    assert shown(ada) == at_docusign(simulator, ada, MAIN_ACCOUNT_ID)


def test_the_proof_of_a_manager_ends_after_fifteen_minutes(ada: Membership, simulator: Simulator) -> None:
    """V-2: without a new proof the view is narrow, and says so."""
    Membership.objects.filter(pk=ada.pk).update(rights_proven_at=timezone.now() - timedelta(minutes=15, seconds=1))
    own = {str(pk) for pk in Instance.objects.filter(started_by=ada.user.sub).values_list("pk", flat=True)}
    assert shown(ada) == own
    assert visibility.view_of(ada).scope == "own"


def test_a_refused_instance_is_hidden_at_once(ada: Membership, simulator: Simulator) -> None:
    """V-6: 404 on its own id: hidden, and no older proof counts any more."""
    instance = Instance.objects.exclude(started_by=ada.user.sub).first()
    simulator.set_faults([{"match": {"path": f"/instances/{instance.pk}$"}, "do": {"status": 404}}])
    with pytest.raises(Refused, match="hidden here as well"):
        sync.refresh_instance(instance, ada)
    assert str(instance.pk) not in shown(ada)
    assert ada.rights_proven_at is None
    simulator.set_faults([])
    sync.sync_membership(ada)
    assert str(instance.pk) in shown(ada)
    assert not InstanceDenial.objects.exists()


def test_refreshing_one_instance_costs_one_call(ada: Membership, simulator: Simulator) -> None:
    instance = Instance.objects.filter(status="in_progress").first()
    simulator.set_instance(str(instance.pk), workflow_status="Failed")
    simulator.clear_ledger()
    assert sync.refresh_instance(instance, ada).status == "failed"
    assert len(simulator.ledger()) == 1


def test_refreshing_a_workflow_reads_its_instances_and_contract(
    ada: Membership, workflow: Workflow, simulator: Simulator
) -> None:
    sync.refresh_workflow(workflow, ada)
    assert [entry["path"].rsplit("/", 1)[-1] for entry in simulator.ledger()] == [
        *("workflows", "instances", "trigger-requirements"),
    ]
    assert workflow.contracts.count() == 1


def test_looking_a_hundred_times_asks_docusign_nothing_and_queues_once(ada: Membership, simulator: Simulator) -> None:
    """Opening or polling a page costs Docusign no call."""
    age(ada, timedelta(hours=1))
    Membership.objects.filter(pk=ada.pk).update(rights_proven_at=timezone.now() - timedelta(minutes=11))
    simulator.clear_ledger()
    for _ in range(100):
        ada.refresh_from_db()
        sync.look(ada)
    assert simulator.ledger() == []
    assert queued() == ["sync_membership"]


def test_a_fresh_mirror_is_not_due(ada: Membership) -> None:
    assert not sync.look(ada)
    assert queued() == []


def test_a_slow_reading_is_made_less_often(ada: Membership) -> None:
    """R-7: a large account takes at most a tenth of the worker's time."""
    AccountSync.objects.update(seconds=3.0)
    assert not is_account_due(age(ada, timedelta(seconds=25)).account, timezone.now())
    AccountSync.objects.update(seconds=1.0)
    assert is_account_due(age(ada, timedelta(seconds=25)).account, timezone.now())


@pytest.mark.parametrize(("left", "is_silent"), [(1200, True), (1201, False)])
def test_the_poller_is_silent_below_forty_percent_and_a_person_is_heeded(
    left: int, is_silent: bool, ada: Membership
) -> None:
    """R-3: what is left of the hour is kept for people, and the page says so."""
    now = timezone.now()
    ends = now + timedelta(minutes=20)
    limits = LimitState(hourly_limit=3000, hourly_remaining=left, hourly_reset_at=ends)
    budget.note_limits(ada.account, limits)
    ada = age(ada, timedelta(minutes=1))
    assert bool(due.due_accounts()) is not is_silent
    assert bool(sync.next_look_at(ada) == ends) is is_silent
    assert any("looks by itself again at" in banner.text for banner in banners_for(ada)) is is_silent
    assert bool(due.run_due()) is not is_silent
    assert sync.refresh_now(ada)


def test_the_poller_wakes_with_the_new_hour(ada: Membership) -> None:
    """R-3: with or without a time named by Docusign."""
    age(ada, timedelta(hours=2))
    budget.note_limits(ada.account, LimitState(hourly_limit=3000, hourly_remaining=7))
    ApiBudget.objects.update(hourly_reset_at=None)
    assert due.due_accounts() == []
    an_hour_ago = timezone.now() - timedelta(hours=1)
    ApiBudget.objects.update(seen_at=an_hour_ago, hour_began_at=an_hour_ago, hourly_reset_at=None)
    assert due.due_accounts() == [ada.account]


def test_refresh_now_is_heeded_once_in_ten_seconds(ada: Membership) -> None:
    """R-7: a debounce of ten seconds."""
    ada = age(ada, timedelta(seconds=5))
    assert not sync.refresh_now(ada)
    ada = age(ada, timedelta(seconds=11))
    assert [sync.refresh_now(ada), sync.refresh_now(ada)] == [True, True]
    assert queued() == ["sync_membership"]


def test_without_a_grant_nothing_is_due(ada: Membership) -> None:
    """O-9: background use stops at once."""
    ada.user.connection.state = "reconnect_needed"
    ada.user.connection.save()
    Membership.objects.filter(pk=ada.pk).update(synced_at=None, looked_at=timezone.now())
    ada.refresh_from_db()
    assert not sync.look(ada)
    assert sync.run_due() == 0
    with pytest.raises(ReconnectNeeded):
        sync.refresh_now(ada)


def test_an_account_that_nobody_looks_at_is_read_by_the_person_who_sees_most(ada: Membership, connect: Connect) -> None:
    pia = connect("Pia Preparer", rights=Rights.OWN)
    Membership.objects.update(synced_at=None, looked_at=None)
    age(ada, timedelta(hours=1))
    assert sync.due() == []
    assert sync.run_due() == 1
    assert queued() == ["sync_account"]
    assert reader_of(pia.account) == ada
    Membership.objects.filter(pk=pia.pk).update(looked_at=timezone.now())
    assert reader_of(pia.account) == ada


def test_a_waiting_form_queues_its_contract_once(ada: Membership, workflow: Workflow) -> None:
    asked = [sync.want_contract(workflow, ada) for _ in range(20)]
    assert asked.count(True) == 1
    assert queued() == ["read_contract"]
