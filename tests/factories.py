"""Rows for tests, with defaults that suit most of them. The one rule: ids match the simulator's only when a test asks so."""

import uuid
from datetime import timedelta
from typing import Any

import factory
from django.utils import timezone
from factory.django import DjangoModelFactory

from dashboard import crypto
from dashboard.models import (
    Account,
    Batch,
    BatchItem,
    BatchState,
    Connection,
    Contract,
    Instance,
    InstanceState,
    ItemState,
    Membership,
    OperationKind,
    Preset,
    Rights,
    Role,
    User,
    Workflow,
    WorkflowAccess,
    WorkflowState,
    bucket_of,
)
from dashboard.services import contracts, findable, presets, tallies


class UserFactory(DjangoModelFactory):
    class Meta:
        model = User

    environment = "simulator"
    sub = factory.LazyFunction(lambda: str(uuid.uuid4()))
    name = factory.Sequence(lambda n: f"Person {n}")
    email = factory.Sequence(lambda n: f"person{n}@example.com")
    time_zone_set_at = factory.LazyFunction(timezone.now)


class AccountFactory(DjangoModelFactory):
    class Meta:
        model = Account

    id = factory.LazyFunction(uuid.uuid4)
    environment = "simulator"
    name = "Example Manufacturing"


class MembershipFactory(DjangoModelFactory):
    class Meta:
        model = Membership

    user = factory.SubFactory(UserFactory)
    account = factory.SubFactory(AccountFactory)
    role = Role.OPERATOR
    is_default = True
    rights = Rights.MANAGE
    rights_proven_at = factory.LazyFunction(timezone.now)
    synced_at = factory.LazyFunction(timezone.now)


class ConnectionFactory(DjangoModelFactory):
    class Meta:
        model = Connection

    user = factory.SubFactory(UserFactory)
    state = Connection.State.ACTIVE
    access_expires_at = factory.LazyFunction(lambda: timezone.now() + timedelta(hours=8))
    first_granted_at = factory.LazyFunction(timezone.now)
    version = 1


class WorkflowFactory(DjangoModelFactory):
    class Meta:
        model = Workflow

    id = factory.LazyFunction(uuid.uuid4)
    account = factory.SubFactory(AccountFactory)
    name = factory.Sequence(lambda n: f"Supplier NDA {n}")
    status = WorkflowState.ACTIVE
    raw_status = "active"
    synced_at = factory.LazyFunction(timezone.now)


class InstanceFactory(DjangoModelFactory):
    class Meta:
        model = Instance

    id = factory.LazyFunction(uuid.uuid4)
    workflow = factory.SubFactory(WorkflowFactory)
    account = factory.SelfAttribute("workflow.account")
    name = factory.Sequence(lambda n: f"NDA {n}")
    full_name = factory.SelfAttribute("name")
    status = InstanceState.IN_PROGRESS
    raw_status = "In Progress"
    started_at = factory.LazyFunction(timezone.now)
    last_modified_at = factory.LazyFunction(timezone.now)
    sort_at = factory.SelfAttribute("last_modified_at")
    started_by = factory.LazyFunction(lambda: str(uuid.uuid4()))
    started_by_name = "Emma Berg"
    total_steps = 7
    last_completed_step = 3
    last_completed_step_name = "Manager review"
    synced_at = factory.LazyFunction(timezone.now)
    bucket = factory.LazyAttribute(lambda row: bucket_of(row.status))
    name_order = factory.LazyAttribute(lambda row: findable.order_of(row.name))
    starter_order = factory.LazyAttribute(lambda row: findable.order_of(row.started_by_name))

    @classmethod
    def _create(cls, model_class, *args, **kwargs):
        """Like the mirror does it: with its name findable and itself counted."""
        row = super()._create(model_class, *args, **kwargs)
        findable.store_names([row], [])
        tallies.note([], [tallies.standing_of(row)])
        return row


class ContractFactory(DjangoModelFactory):
    class Meta:
        model = Contract

    workflow = factory.SubFactory(WorkflowFactory)
    digest = factory.Sequence(lambda n: f"{n:064x}")
    fields = factory.LazyFunction(list)
    first_seen_at = factory.LazyFunction(timezone.now)
    last_seen_at = factory.LazyFunction(timezone.now)


class BatchFactory(DjangoModelFactory):
    """A bulk run of cancels under way; give it the person of a membership as `actor`."""

    class Meta:
        model = Batch

    key = factory.LazyFunction(lambda: uuid.uuid4().hex)
    account = factory.SubFactory(AccountFactory)
    actor = factory.SubFactory(UserFactory)
    kind = OperationKind.CANCEL
    source = Batch.Source.SELECTION
    name = factory.Sequence(lambda n: f"Cancel {n} instances")
    reason = "Template recalled by Legal"
    described = "In progress, Supplier NDA"
    state = BatchState.RUNNING
    frozen_at = factory.LazyFunction(timezone.now)
    confirmed_at = factory.LazyFunction(timezone.now)
    starts_at = factory.SelfAttribute("confirmed_at")


class BatchItemFactory(DjangoModelFactory):
    """One deed of a bulk run; `total` of the run is not kept, a test sets it where it matters."""

    class Meta:
        model = BatchItem

    batch = factory.SubFactory(BatchFactory)
    position = factory.Sequence(lambda n: n + 1)
    state = ItemState.WAITING
    label = factory.Sequence(lambda n: f"NDA {n}")
    workflow = factory.SubFactory(WorkflowFactory, account=factory.SelfAttribute("..batch.account"))


def person(account: Account, role: Role, *, rights: Rights = Rights.MANAGE, **details: str) -> Membership:
    """A connected person of an account, with a role here and proven rights at Docusign."""
    user = UserFactory(**details)
    ConnectionFactory(user=user)
    return MembershipFactory(user=user, account=account, role=role, rights=rights)


def sealed_tokens(connection: Connection, *, access: str, refresh: str) -> Connection:
    """Give a connection real sealed tokens."""
    place = (connection.user.environment, str(connection.user_id))
    connection.sealed_access_token = crypto.seal(access, *place, "access_token")
    connection.sealed_refresh_token = crypto.seal(refresh, *place, "refresh_token")
    connection.save()
    return connection


def lists(membership: Membership, *workflows: Workflow) -> None:
    """Docusign listed these workflows to this person."""
    for workflow in workflows:
        WorkflowAccess.objects.create(user=membership.user, workflow=workflow, listed_at=timezone.now())


def preset_of(
    owner: Membership,
    workflow: Workflow,
    values: dict[str, Any],
    *,
    name: str = "EU suppliers",
    is_shared: bool = False,
) -> Preset:
    """A kept preset that locks nothing, for the present contract of the workflow."""
    wish = presets.Wish(name=name, values=values, is_shared=is_shared)
    return presets.save_preset(workflow, contracts.current_contract(workflow), wish, membership=owner)
