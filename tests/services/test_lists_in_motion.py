"""Lists, counts and suggestions while rows, rights and keys change under them."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from dashboard.models import (
    PROOF_LIFETIME,
    Account,
    BatchState,
    Connection,
    Instance,
    InstanceState,
    KeyInput,
    Membership,
    Rights,
    Role,
    WorkflowAccess,
)
from dashboard.services import findable, instance_lists, key_inputs, rail, tallies
from dashboard.services.instance_lists import Search
from tests.factories import AccountFactory, BatchFactory, InstanceFactory, WorkflowFactory, lists, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(db: None) -> Account:
    return AccountFactory()


def complete(*rows: Instance) -> None:
    """What a list that says so does to the mirror."""
    for row in rows:
        before = tallies.standing_of(row)
        row.status = row.bucket = InstanceState.COMPLETED
        row.save()
        tallies.note([before], [tallies.standing_of(row)])


def test_a_list_by_state_goes_on_after_the_state_of_its_last_page_was_emptied(admin: Membership) -> None:
    workflow = WorkflowFactory(account=admin.account)
    running = [InstanceFactory(workflow=workflow) for _ in range(2)]
    failed = [InstanceFactory(workflow=workflow, status=InstanceState.FAILED) for _ in range(3)]
    pages = instance_lists.iter_instances(admin, Search(sort="state"), batch=2)
    assert {row.pk for row in next(pages)} == {row.pk for row in running}
    complete(*running)
    assert [row.pk for row in next(pages)] == [row.pk for row in failed[:0:-1]]


def test_a_list_by_workflow_goes_on_after_the_workflow_of_its_last_page_was_emptied(admin: Membership) -> None:
    first, second, third = (WorkflowFactory(account=admin.account, name=name) for name in "abc")
    rows = [InstanceFactory(workflow=workflow) for workflow in (first, second, second, third)]
    pages = instance_lists.iter_instances(admin, Search(sort="workflow", state="running"), batch=2)
    assert [row.workflow_id for row in next(pages)] == [first.pk, second.pk]
    complete(*rows[1:3])
    assert [row.pk for page in pages for row in page] == [rows[3].pk]


def test_nothing_is_found_by_a_former_key_whose_digests_wait_for_the_worker(admin: Membership) -> None:
    workflow = WorkflowFactory(account=admin.account)
    row = InstanceFactory(workflow=workflow, trigger_inputs={"Email": "someone@example.com"})
    KeyInput.objects.create(workflow=workflow, name="Email", made_with=findable.made_with(), filled_at=timezone.now())
    findable.store_keys([row])
    search = Search(key=("Email", key_inputs.digest_of(admin.account_id, "Email", "someone@example.com")))
    assert instance_lists.count_instances(admin, search) == 1
    key_inputs.unmark(workflow, "Email", membership=admin)
    assert instance_lists.count_instances(admin, search) == 0


def test_a_starter_named_like_the_sum_over_all_is_counted_once(admin: Membership) -> None:
    InstanceFactory(workflow=WorkflowFactory(account=admin.account), started_by="*")
    assert instance_lists.count_instances(admin, Search()) == 1


def test_the_count_of_the_rail_goes_with_the_connection(admin: Membership) -> None:
    """V-6: what was counted before the connection ended is not shown after."""
    soon = timezone.now() + timedelta(hours=1)
    InstanceFactory(workflow=WorkflowFactory(account=admin.account), expires_at=soon)
    assert rail.counts_of(admin).needs == 1
    Connection.objects.filter(user=admin.user).update(state=Connection.State.RECONNECT_NEEDED)
    assert rail.counts_of(Membership.objects.get(pk=admin.pk)).needs == 0


def test_the_count_of_the_rail_goes_with_the_role(admin: Membership, operator: Membership) -> None:
    Connection.objects.filter(user=operator.user).update(state=Connection.State.RECONNECT_NEEDED)
    assert rail.counts_of(admin).needs == 1
    Membership.objects.filter(pk=admin.pk).update(role=Role.VIEWER)
    assert rail.counts_of(Membership.objects.get(pk=admin.pk)).needs == 0


def test_the_count_of_the_rail_goes_with_the_proof_of_a_workflow(admin: Membership) -> None:
    """V-6: Docusign lists the rows of others no more, or said so too long ago; nothing else of the person or the account moves."""
    guest = person(admin.account, Role.OPERATOR, rights=Rights.OWN)
    workflow = WorkflowFactory(account=admin.account)
    lists(guest, workflow)
    InstanceFactory(workflow=workflow, expires_at=timezone.now() + timedelta(hours=1))
    opened = WorkflowAccess.objects.filter(user=guest.user)
    for gone in (None, timezone.now() - PROOF_LIFETIME - timedelta(seconds=1)):
        opened.update(others_proven_at=timezone.now())
        assert rail.counts_of(guest).needs == 1
        opened.update(others_proven_at=gone)
        assert rail.counts_of(guest).needs == 0


def test_the_count_of_the_rail_outlives_no_clock_that_was_put_back(admin: Membership) -> None:
    workflow, soon = WorkflowFactory(account=admin.account), timezone.now() + timedelta(hours=1)
    with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False):
        assert rail.counts_of(admin).needs == 0
    InstanceFactory(workflow=workflow, expires_at=soon)
    assert rail.counts_of(admin).needs == 1


def test_the_count_of_the_rail_is_made_anew_once_something_changed_and_a_while_has_gone_by(admin: Membership) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        workflow, soon = WorkflowFactory(account=admin.account), timezone.now() + timedelta(hours=1)
        InstanceFactory(workflow=workflow, expires_at=soon)
        assert rail.counts_of(admin).needs == 1
        InstanceFactory(workflow=workflow, expires_at=soon)
        clock.shift(30)
        assert rail.counts_of(admin).needs == 1, "no change was told of"
        admin.account.version += 1
        assert rail.counts_of(admin).needs == 2


def test_a_bulk_run_shows_in_the_rail_as_soon_as_the_account_has_moved(admin: Membership) -> None:
    assert rail.counts_of(admin).running == 0
    BatchFactory(account=admin.account, actor=admin.user, state=BatchState.RUNNING)
    admin.account.version += 1
    assert rail.counts_of(admin).running == 1


def test_everybody_of_a_workflow_that_is_open_to_a_person_can_be_suggested(account: Account) -> None:
    """V-3: each of many, and nobody whose rows the person does not see."""
    mine = person(account, Role.OPERATOR, rights=Rights.OWN)
    opened, shut = WorkflowFactory(account=account), WorkflowFactory(account=account)
    lists(mine, opened, shut)
    WorkflowAccess.objects.filter(workflow=opened).update(others_proven_at=timezone.now())
    for workflow, word in ((opened, "Open"), (shut, "Shut")):
        for number in range(60):
            InstanceFactory(workflow=workflow, started_by=f"{word}-{number}", started_by_name=f"{word} {number:03}")
    assert [each.name for each in instance_lists.suggest_starters(mine, "n 059")] == ["Open 059"]
    assert len(instance_lists.suggest_starters(mine, "")) == instance_lists.SUGGESTED
    assert instance_lists.suggest_starters(mine, "shut") == []
