"""Whether anything at all is there of what a list of instances may show beside its rows, in one small query.

The one rule: it only saves asking for what cannot be there; who may see what is there is decided by whoever asks for it.
"""

from dataclasses import dataclass

from django.db import connection

from dashboard.models import Instance, Membership, OperationKind, OperationState

# Written out, since the ORM takes longer to spell each of them than the database to answer.
QUERY = f"""
SELECT
  EXISTS (SELECT 1 FROM dashboard_viewuse WHERE membership_id = %s AND (is_pinned OR is_default)),
  EXISTS (SELECT 1 FROM dashboard_keyinput k JOIN dashboard_workflow f ON f.id = k.workflow_id
    WHERE f.account_id = %s AND k.unmarked_at IS NULL),
  EXISTS (SELECT 1 FROM dashboard_operation WHERE account_id = %s AND state = '{OperationState.PLANNED.value}'
    AND kind = '{OperationKind.CANCEL.value}' AND attempts = 0)
"""  # noqa: S608  # the only words put in are constants of ours


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether the person uses views, and whether the account has key inputs and cancels that wait to be sent."""

    has_views: bool
    has_keys: bool
    has_cancels: bool


def presence_of(membership: Membership) -> Presence:
    """What is worth asking for on this person's page."""
    account = Instance._meta.get_field("account").target_field.get_db_prep_value(membership.account_id, connection)
    with connection.cursor() as cursor:
        cursor.execute(QUERY, [membership.pk, account, account])
        return Presence(*map(bool, cursor.fetchone()))
