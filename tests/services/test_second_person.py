"""Who decides about a list, and what cannot happen without them."""

import pytest

from dashboard.models import Contract, Instance, Membership, OperationKind, Policy, Workflow
from dashboard.services import operations, second_person, single_runs
from dashboard.services.errors import NeedsSecondPerson, Refused
from tests.factories import BatchFactory, BatchItemFactory, WorkflowFactory
from tests.services.conftest import inputs_for, new_key


def policy(membership: Membership, kind: str = "cancel", least: int = 1, workflow: Workflow | None = None) -> Policy:
    return Policy.objects.create(
        account=membership.account, kind=kind, least_count=least, workflow=workflow, created_by=membership.user
    )


@pytest.mark.parametrize("kind", OperationKind.values)
def test_no_single_deed_passes_a_policy_for_every_deed(
    ada: Membership, workflow: Workflow, posts, trigger, kind
) -> None:
    policy(ada, kind)
    instance = Instance.objects.filter(status="in_progress").first()
    mine = {"actor": ada.user, "membership": ada, "key": new_key()}
    deeds = {
        "trigger": trigger,
        "cancel": lambda: operations.cancel_instance(instance, reason="Sent by mistake", **mine),
        "pause": lambda: operations.pause_workflow(workflow, **mine),
        "resume": lambda: operations.resume_workflow(workflow, **mine),
    }
    Workflow.objects.filter(pk=workflow.pk).update(status="paused" if kind == "resume" else "active")
    workflow.refresh_from_db()
    with pytest.raises(NeedsSecondPerson):
        deeds[kind]()
    assert posts() == []


def test_a_form_that_became_a_run_is_not_sent_beside_it(
    ada: Membership, workflow: Workflow, contract: Contract, posts, trigger
) -> None:
    """U-7: the policy was removed meanwhile, and the same form comes once more; the run may still be approved and started."""
    inputs, key = inputs_for(contract), new_key()
    single_runs.plan_trigger(workflow, membership=ada, contract=contract, name="NDA", inputs=inputs, key=key)
    with pytest.raises(Refused, match="kept as a bulk run"):
        trigger(name="NDA", inputs=inputs, key=key)
    assert posts() == []


def test_the_strictest_of_all_fitting_policies_is_named(operator: Membership) -> None:
    workflow = WorkflowFactory(account=operator.account)
    general = policy(operator, least=10)
    own = policy(operator, least=3, workflow=workflow)
    found = [second_person.policy_for(operator.account, workflow, "cancel", count) for count in (2, 3, 10)]
    assert found == [None, own, own]
    Policy.objects.filter(pk=own.pk).update(least_count=50)
    assert second_person.policy_for(operator.account, workflow, "cancel", 10) == general


def test_each_workflow_counts_its_share_and_the_general_policy_the_whole(operator: Membership) -> None:
    batch = BatchFactory(account=operator.account, actor=operator.user, state="planned")
    first, second = WorkflowFactory.create_batch(2, account=operator.account)
    for position in range(1, 5):
        BatchItemFactory(batch=batch, position=position, workflow=first if position < 4 else second)
    own = policy(operator, least=2, workflow=second)
    assert second_person.needed_for(batch) is None
    general = policy(operator, least=4)
    assert second_person.needed_for(batch) == general
    Policy.objects.filter(pk=own.pk).update(least_count=1)
    assert second_person.needed_for(batch) == Policy.objects.get(pk=own.pk)


def test_rows_that_are_left_out_do_not_count(operator: Membership) -> None:
    batch = BatchFactory(account=operator.account, actor=operator.user, state="planned")
    BatchItemFactory(batch=batch, position=1)
    BatchItemFactory(batch=batch, position=2, state="left_out")
    BatchItemFactory(batch=batch, position=3, state="invalid")
    policy(operator, least=2)
    assert second_person.needed_for(batch) is None
