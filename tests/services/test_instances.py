"""The mirror of instances: order does not matter, absence deletes nothing, terminal stays terminal."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboard.models import Account, Instance, InstanceChange, Workflow
from dashboard.services.instances import apply_instance, apply_instances, mark_missing, merge
from maestro_api import Instance as ApiInstance
from maestro_api.decoding import instances_of
from tests.factories import AccountFactory, InstanceFactory, WorkflowFactory

START = datetime(2026, 5, 1, tzinfo=UTC)
WORDS = ["Created", "In Progress", "in_progress", "Paused", "Completed", "Failed", "Canceled", "Expired", "Frozen", ""]


def answer(**members: Any) -> ApiInstance:
    """An instance as the client reads it from the wire; `status` is Docusign's own word."""
    wire = {"id": str(uuid.uuid4()), "name": "NDA", "workflow_status": members.pop("status", "In Progress")}
    wire["template_id"] = members.pop("workflow_id", None)
    (found,), _ = instances_of([msgspec.Raw(msgspec.json.encode(wire | members))])
    return found


updates = st.lists(
    st.builds(
        lambda minute, word, step: {
            "last_modified_at": START + timedelta(minutes=minute),
            "status": word,
            "last_completed_step": step,
        },
        st.integers(0, 6),
        st.sampled_from(WORDS),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(updates, st.randoms(use_true_random=False))
def test_any_order_and_repetition_of_answers_ends_alike(rows: list[dict[str, Any]], chance: Any) -> None:
    """R-11: the mirror converges, whatever comes late or twice."""
    answers, ends = [answer(**row) for row in rows], []
    for _ in range(2):
        mirrored = Instance(pk=uuid.uuid4(), sort_at=START)
        for item in answers:
            merge(mirrored, item)
        ends.append((mirrored.raw_status, mirrored.last_modified_at, mirrored.last_completed_step))
        answers = [*answers, *chance.sample(answers, k=len(answers) // 2)]
        chance.shuffle(answers)
    assert ends[0] == ends[1]


@pytest.mark.django_db
def test_a_finished_instance_never_runs_again() -> None:
    """R-11: not even by an answer that is newer."""
    row = InstanceFactory(status="completed", raw_status="Completed")
    late = answer(id=str(row.pk), last_modified_at=timezone.now() + timedelta(days=1), status="In Progress")
    _, is_changed = apply_instance(row.account, late, source="list")
    row.refresh_from_db()
    assert (row.raw_status, is_changed) == ("Completed", False)


@pytest.mark.django_db
def test_an_older_answer_changes_nothing() -> None:
    """R-11: last_modified_at decides."""
    row = InstanceFactory(last_completed_step=3)
    old = answer(id=str(row.pk), last_modified_at=row.last_modified_at - timedelta(seconds=1), last_completed_step=2)
    apply_instance(row.account, old, source="list")
    row.refresh_from_db()
    assert row.last_completed_step == 3
    assert not InstanceChange.objects.exists()


@pytest.mark.django_db
def test_a_change_is_noted_with_both_sides_and_counted_once() -> None:
    row = InstanceFactory(last_completed_step=3)
    version = row.account.version
    newer = answer(
        id=str(row.pk),
        status="Completed",
        last_completed_step=7,
        last_completed_step_name="Archive",
        last_modified_at=row.last_modified_at + timedelta(minutes=1),
    )
    for _ in range(2):
        apply_instance(row.account, newer, source="list")
    change = InstanceChange.objects.get()
    assert (change.status_before, change.status_after, change.step_before, change.step_after) == (
        *("In Progress", "Completed"),
        *(3, 7),
    )
    assert (change.step_name, change.happened_at) == ("Archive", newer.last_modified_at)
    assert Account.objects.get(pk=row.account_id).version == version + 1


@pytest.mark.django_db
def test_a_state_nobody_knows_is_kept_as_it_came() -> None:
    workflow = WorkflowFactory()
    row, _ = apply_instance(
        workflow.account, answer(workflow_id=str(workflow.pk), status="Quantum <Limbo>"), source="list"
    )
    assert row is not None
    assert (row.status, row.raw_status, row.look.label, row.look.tone) == (
        *("unknown", "Quantum <Limbo>"),
        *("Quantum <Limbo>", "unknown"),
    )


@pytest.mark.django_db
def test_members_that_a_list_leaves_out_erase_nothing() -> None:
    row = InstanceFactory(tags=["a"], metadata={"workflow_version": "1"}, trigger_inputs={"Email": "x"})
    thin = answer(id=str(row.pk), status="Failed", last_modified_at=row.last_modified_at + timedelta(seconds=1))
    apply_instance(row.account, thin, source="list")
    row.refresh_from_db()
    assert row.status == "failed"
    assert (row.tags, row.metadata, row.trigger_inputs) == (["a"], {"workflow_version": "1"}, {"Email": "x"})
    assert (row.last_completed_step_name, row.total_steps) == ("Manager review", 7)


@pytest.mark.django_db
def test_an_answer_for_another_account_is_left_out() -> None:
    """V-1: rows never move between accounts."""
    foreign = InstanceFactory()
    account = AccountFactory()
    workflow = WorkflowFactory(account=account)
    rows = [
        answer(id=str(foreign.pk), workflow_id=str(workflow.pk), status="Failed"),
        answer(account_id=str(foreign.account_id), workflow_id=str(workflow.pk)),
        answer(id="not-a-uuid", workflow_id=str(workflow.pk)),
        answer(),
    ]
    applied = apply_instances(account, rows, source="list")
    foreign.refresh_from_db()
    assert foreign.status == "in_progress"
    assert Instance.objects.filter(account=account).count() == 0
    assert len(applied.oddities) == 4


@pytest.mark.django_db
def test_an_instance_that_names_a_foreign_workflow_never_joins_it() -> None:
    """V-1: neither by itself nor in the list of a workflow of ours, where it belongs to that list."""
    workflow, foreign = WorkflowFactory(), WorkflowFactory()
    strays = [answer(workflow_id=str(foreign.pk)), answer(workflow_id=str(uuid.uuid4())), answer()]
    assert not apply_instances(workflow.account, strays[:1], source="list").seen
    applied = apply_instances(workflow.account, strays, source="list", workflow_id=workflow.pk)
    assert set(Instance.objects.values_list("pk", "workflow_id")) == {(pk, workflow.pk) for pk in applied.seen}
    assert len(applied.seen) == 3


@pytest.mark.django_db
def test_the_examples_of_the_specification_are_taken_in_from_a_mock(settings: Any) -> None:
    """They name accounts and workflows that nobody asked for."""
    settings.DOCUSIGN_API_URL = "http://127.0.0.1:9100"
    workflow = WorkflowFactory()
    example = answer(account_id=str(uuid.uuid4()), workflow_id=str(uuid.uuid4()), ended_at="2024-10-24T19:54:11.345Z")
    apply_instances(workflow.account, [example], source="list", workflow_id=workflow.pk)
    row = Instance.objects.get()
    assert (row.account_id, row.workflow_id, row.status) == (workflow.account_id, workflow.pk, "in_progress")


@pytest.mark.django_db
def test_an_instance_of_a_workflow_that_no_list_showed_is_kept() -> None:
    account, home = AccountFactory(), uuid.uuid4()
    apply_instances(account, [answer(workflow_id=str(home))], source="list")
    assert Workflow.objects.get(pk=home).instances.count() == 1


@pytest.mark.django_db
def test_absence_marks_and_never_deletes() -> None:
    """R-10: missing rows stay with their state, and lose the mark when they are seen again."""
    row = InstanceFactory(synced_at=timezone.now() - timedelta(hours=1))
    began = timezone.now()
    assert mark_missing(row.account, since=began) == 1
    row.refresh_from_db()
    assert (row.missing_since, row.status) == (began, "in_progress")
    again = answer(id=str(row.pk), last_modified_at=row.last_modified_at)
    apply_instances(row.account, [again], source="list")
    row.refresh_from_db()
    assert row.missing_since is None


@pytest.mark.django_db
def test_a_list_that_did_not_change_costs_a_fixed_number_of_queries(django_assert_max_num_queries: Any) -> None:
    workflow = WorkflowFactory()
    now = timezone.now()
    rows = [answer(workflow_id=str(workflow.pk), last_modified_at=now) for _ in range(400)]
    apply_instances(workflow.account, rows, source="list")
    version = Account.objects.get(pk=workflow.account_id).version
    with django_assert_max_num_queries(8):
        applied = apply_instances(workflow.account, rows, source="list")
    assert not applied.is_change
    assert Account.objects.get(pk=workflow.account_id).version == version


def test_a_name_of_any_length_stays_light_in_lists_and_whole_beside_them() -> None:
    """S-3: a name is in every row of a list; the whole of it is kept for the round trip (U-5)."""
    row = Instance(pk=uuid.uuid4(), sort_at=START)
    assert merge(row, answer(name="N" * 50_000))
    assert row.name == "N" * 1_000
    assert row.full_name == "N" * 50_000
    assert not merge(row, answer(name="N" * 50_000))


def test_the_id_of_a_person_is_cut_to_what_the_column_bears(db: None) -> None:
    """Otherwise one odd row would keep PostgreSQL from taking in its whole page, each time anew."""
    workflow = WorkflowFactory()
    odd = answer(workflow_id=str(workflow.pk), started_by="x" * 300)
    for _ in range(2):
        apply_instances(workflow.account, [odd], source=InstanceChange.Source.LIST)
    assert Instance.objects.get().started_by == "x" * 64
    assert not InstanceChange.objects.exists()
