"""The life of a bulk run as an algebra: persons, runners that die after any commit, and outcomes in any order."""

import contextlib
from datetime import timedelta

import pytest
from django.db.models import QuerySet
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from dashboard.models import Batch, BatchItem, BatchState, ItemState, Operation, OperationKind, OperationState, Role
from dashboard.services import audit, batch_runs, batch_states, batches, edges
from dashboard.services.batch_items import Deed
from dashboard.services.edges import Outcome
from dashboard.services.errors import Refused
from dashboard.services.triggers import intent
from tests.factories import AccountFactory, BatchFactory, BatchItemFactory, person
from tests.services.conftest import new_key

ROWS = 4
OUTCOMES = st.sampled_from(
    [OperationState.CONFIRMED, OperationState.REJECTED, OperationState.UNKNOWN, OperationState.PLANNED]
)
LOOKS = st.sampled_from([OperationState.CONFIRMED, OperationState.PLANNED, OperationState.NEEDS_PERSON])
# What a run may become next; a retry brings it back from being done.
WAYS = {
    BatchState.PLANNED: {BatchState.RUNNING, BatchState.STOPPING, BatchState.DONE},
    BatchState.RUNNING: {BatchState.PAUSED, BatchState.STOPPING, BatchState.DONE},
    BatchState.PAUSED: {BatchState.RUNNING, BatchState.STOPPING, BatchState.DONE},
    BatchState.STOPPING: {BatchState.DONE},
    BatchState.DONE: {BatchState.RUNNING},
}


class Life(RuleBasedStateMachine):
    """Each rule is one commit of somebody; whoever dies simply does not come to the next."""

    def __init__(self) -> None:
        super().__init__()
        account = AccountFactory()
        self.person = person(account, Role.OPERATOR)
        self.batch = BatchFactory(
            account=account, actor=self.person.user, kind=OperationKind.TRIGGER, state=BatchState.PLANNED
        )
        workflow = BatchItemFactory(batch=self.batch, position=1, sealed_inputs="sealed").workflow
        for position in range(2, ROWS + 1):
            BatchItemFactory(batch=self.batch, position=position, workflow=workflow, sealed_inputs="sealed")
        self.before = self.now().state
        self.runners = [batch_runs.Slice(self.now(), 0)]
        self.posts: dict[str, int] = {}

    def now(self) -> Batch:
        return Batch.objects.select_related("account", "actor").get(pk=self.batch.pk)

    def operations(self) -> QuerySet[Operation]:
        return Operation.objects.filter(account_id=self.batch.account_id)

    def is_due(self) -> None:
        Batch.objects.filter(pk=self.batch.pk).update(
            next_send_at=timezone.now() - timedelta(seconds=1), starts_at=timezone.now() - timedelta(seconds=1)
        )

    @rule()
    def a_person_confirms(self) -> None:
        self.tried(lambda: batches.confirm(self.now(), membership=self.person, key=new_key()))

    @rule(deed=st.sampled_from([batches.pause, batches.resume, batches.stop, batches.undo]))
    def a_person_decides(self, deed) -> None:
        self.tried(lambda: deed(self.now(), membership=self.person))

    @rule()
    def a_person_retries(self) -> None:
        self.tried(lambda: batches.retry(self.now(), membership=self.person, key=new_key()))

    @rule()
    def a_worker_takes_the_run(self) -> None:
        """The last one may be dead, or stopped and about to wake up."""
        fence = self.now().fence + 1
        Batch.objects.filter(pk=self.batch.pk).update(fence=fence)
        self.runners.append(batch_runs.Slice(self.now(), fence))

    @rule(which=st.integers(min_value=0, max_value=5))
    def a_runner_sends_the_next_item(self, which: int) -> None:
        """Any runner that ever was; it may die right after this commit, and the call is never made."""
        runner = self.runners[which % len(self.runners)]
        self.is_due()
        runner.batch = self.now()
        item = runner._next_item()
        if item is None:
            return
        operation = item.operation or intent(
            item.workflow, self.batch.actor, item.label, "{}", key=item.operation_key, marker=new_key()
        )
        sent = runner._commit(item, Deed(operation), self.person)
        is_allowed = runner.batch.state == BatchState.RUNNING and runner.fence == self.now().fence
        assert (sent is not None) is is_allowed
        if sent is not None:
            self.posts[sent.key] = self.posts.get(sent.key, 0) + 1

    @rule(state=OUTCOMES)
    def an_answer_comes(self, state: OperationState) -> None:
        operation = self.operations().filter(state=OperationState.SENT).first()
        if operation is not None:
            edges.move(operation, Outcome(state, "answered"))

    @rule(state=LOOKS)
    def a_look_decides(self, state: OperationState) -> None:
        operation = self.operations().filter(state=OperationState.UNKNOWN).first()
        if operation is not None:
            edges.move(operation, Outcome(state, "looked"))

    @rule()
    def the_sender_is_swept(self) -> None:
        operation = self.operations().filter(state=OperationState.SENT).first()
        if operation is not None:
            edges.move(operation, Outcome(OperationState.UNKNOWN, "swept"))

    @precondition(lambda self: self.now().state in (BatchState.RUNNING, BatchState.STOPPING))
    @rule()
    def a_runner_winds_up(self) -> None:
        if self.now().state == BatchState.STOPPING:
            batch_states.wind_up(self.now())
        else:
            batch_states.finish(self.now())

    def tried(self, deed) -> None:
        with contextlib.suppress(Refused):
            deed()

    @invariant()
    def only_known_ways_are_taken(self) -> None:
        present = self.now().state
        if present != self.before:
            # A stop may find nothing in flight, so that the run is done within the same deed.
            assert present in WAYS[BatchState(self.before)], (self.before, present)
        self.before = present

    @invariant()
    def no_row_is_ever_gone(self) -> None:
        assert BatchItem.objects.filter(batch=self.batch).count() == ROWS

    @invariant()
    def each_item_shows_its_operation(self) -> None:
        for item in BatchItem.objects.filter(batch=self.batch).select_related("operation"):
            if item.operation is None:
                assert item.state in (ItemState.WAITING, ItemState.NOT_SENT)
            elif item.operation.state == OperationState.WITHDRAWN:
                assert item.state == ItemState.NOT_SENT
            else:
                assert item.state == item.operation.state

    @invariant()
    def an_attempt_is_one_operation_and_each_sending_was_allowed(self) -> None:
        for operation in self.operations():
            assert operation.attempts == self.posts.get(operation.key, 0)

    @invariant()
    def what_is_done_has_nothing_under_way(self) -> None:
        if self.now().state == BatchState.DONE:
            assert not BatchItem.objects.filter(batch=self.batch, state__in=batch_states.OPEN_ITEMS).exists()

    @invariant()
    def what_can_be_tried_again_still_has_its_inputs(self) -> None:
        kept = BatchItem.objects.filter(batch=self.batch).exclude(sealed_inputs="")
        assert kept.count() == ROWS - BatchItem.objects.filter(batch=self.batch, state=ItemState.CONFIRMED).count()


@pytest.mark.django_db
def test_whatever_happens_no_row_is_lost_and_none_is_sent_by_two() -> None:
    """U-1, U-8, U-9: runners die after any commit, old ones wake up, people pause, stop and retry at any moment."""
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=20,
            stateful_step_count=20,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert audit.verify_chain().is_ok
