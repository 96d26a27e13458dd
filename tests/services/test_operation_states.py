"""The life of an operation as an algebra: whatever crashes and whoever is late, only known edges are taken."""

from datetime import timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from dashboard.models import Account, AuditEntry, Operation, OperationKind, OperationState, Role
from dashboard.services import audit, edges, operations
from dashboard.services.edges import EDGES, FINAL, Outcome
from tests.factories import AccountFactory, WorkflowFactory, person
from tests.services.conftest import new_key

SETTLED = st.sampled_from([OperationState.CONFIRMED, OperationState.REJECTED, OperationState.UNKNOWN])
CHECKED = st.sampled_from(
    [OperationState.CONFIRMED, OperationState.PLANNED, OperationState.NEEDS_PERSON, OperationState.REJECTED]
)


class Life(RuleBasedStateMachine):
    """Senders that may die after any commit, sweepers, checkers and people, all holding rows as they once read them."""

    readers = Bundle("readers")

    def __init__(self) -> None:
        super().__init__()
        account = AccountFactory()
        self.workflow = WorkflowFactory(account=account)
        self.actor = person(account, Role.OPERATOR).user
        self.row = Operation(
            key=new_key(),
            kind=OperationKind.TRIGGER,
            account=account,
            actor=self.actor,
            workflow=self.workflow,
            marker=new_key(),
        )
        assert edges.insert_sent(self.row)
        self.before = self.now()
        self.posts_allowed, self.claims = 1, 1

    def now(self) -> Operation:
        return Operation.objects.get(pk=self.row.pk)

    def moved(self, reader: Operation, outcome: Outcome) -> None:
        """A move counts exactly when the reader's view was the present one; a stale writer changes nothing."""
        present = self.now()
        is_present = (present.state, present.fence) == (reader.state, reader.fence)
        entries = AuditEntry.objects.count()
        assert edges.move(reader, outcome) is is_present
        assert AuditEntry.objects.count() == entries + is_present
        if not is_present:
            assert (self.now().state, self.now().fence) == (present.state, present.fence)

    @rule(target=readers)
    def read(self) -> Operation:
        return self.now()

    @rule(reader=readers, state=SETTLED)
    def a_sender_settles(self, reader: Operation, state: OperationState) -> None:
        if reader.state == OperationState.SENT:
            self.moved(reader, Outcome(state, "settled"))

    @rule(reader=readers, state=CHECKED)
    def a_checker_decides(self, reader: Operation, state: OperationState) -> None:
        if reader.state == OperationState.UNKNOWN:
            self.moved(reader, Outcome(state, "checked"))

    @rule(reader=readers)
    def a_worker_claims(self, reader: Operation) -> None:
        if reader.state == OperationState.PLANNED:
            present = self.now()
            is_present = (present.state, present.fence) == (reader.state, reader.fence)
            assert edges.claim_planned(reader) is is_present
            self.claims += is_present

    @rule()
    def the_sender_dies_and_is_swept(self) -> None:
        was = self.now()
        Operation.objects.filter(pk=self.row.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
        operations.sweep()
        if was.state == OperationState.SENT:
            assert self.now().state == OperationState.UNKNOWN

    @rule(reader=readers, found=st.booleans())
    def a_person_settles(self, reader: Operation, found: bool) -> None:
        if self.now().state in (OperationState.UNKNOWN, OperationState.NEEDS_PERSON):
            operations.settle_by_hand(reader, actor=self.actor, launched=found, note="")
            assert self.now().state in FINAL

    @invariant()
    def only_known_edges_are_taken(self) -> None:
        present = self.now()
        if present.fence != self.before.fence and present.state != self.before.state:
            assert present.state in EDGES[self.before.state] or self.before.state in FINAL
        if self.before.state in FINAL:
            assert (present.state, present.fence) == (self.before.state, self.before.fence)
        self.before = present

    @invariant()
    def every_attempt_was_claimed_once(self) -> None:
        assert self.now().attempts == self.claims

    @invariant()
    def only_a_sender_at_work_holds_a_lease(self) -> None:
        assert (self.now().lease_until is not None) <= (self.now().state == OperationState.SENT) or self.was_swept()

    def was_swept(self) -> bool:
        # The rule above ages the lease of a row in any state; only a sent row is swept for it.
        lease = self.now().lease_until
        return lease is not None and lease < timezone.now()


@pytest.mark.django_db
def test_only_the_known_edges_are_ever_taken() -> None:
    """U-1, U-9: conditional updates on state and fence; a stale writer changes nothing and leaves no audit entry."""
    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=25,
            stateful_step_count=15,
            deadline=None,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert audit.verify_chain().is_ok
    assert Account.objects.exists()


@pytest.mark.parametrize("state", OperationState)
def test_a_final_state_has_no_way_out_and_others_have_only_theirs(state: OperationState) -> None:
    """U-1: the table of edges is the one in the requirements."""
    assert EDGES[state] == {
        OperationState.PLANNED: {"sent", "withdrawn", "rejected", "unknown"},
        OperationState.SENT: {"confirmed", "rejected", "unknown", "planned"},
        OperationState.UNKNOWN: {"confirmed", "rejected", "planned", "needs_person"},
        OperationState.NEEDS_PERSON: {"confirmed", "rejected"},
        OperationState.CONFIRMED: set(),
        OperationState.REJECTED: set(),
        OperationState.WITHDRAWN: set(),
    }.get(state)


@pytest.mark.django_db
def test_an_edge_that_does_not_exist_is_a_bug_and_not_an_update() -> None:
    account = AccountFactory()
    row = Operation(
        key=new_key(),
        kind=OperationKind.PAUSE,
        account=account,
        actor=person(account, Role.OPERATOR).user,
        workflow=WorkflowFactory(account=account),
    )
    edges.insert_sent(row)
    with pytest.raises(ValueError, match="no way from sent to needs_person"):
        edges.move(row, Outcome(OperationState.NEEDS_PERSON, ""))
