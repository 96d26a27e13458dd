"""Erasing what is kept about a person: their own rows, or what others gave about them.

The one rule: nothing that may still be sent is touched, and the audit keeps what it recorded until its own time is over, since a
chain that anybody may rewrite proves nothing.
"""

from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Replace
from django.utils import timezone

from dashboard.models import (
    ACTIVE_BATCHES,
    OPEN_STATES,
    Account,
    Batch,
    BatchItem,
    BatchState,
    Connection,
    Delivery,
    Instance,
    InstanceDenial,
    Operation,
    Preset,
    SavedView,
    User,
    WorkflowAccess,
)
from dashboard.services import audit, browser_sessions, team, team_access
from dashboard.services.batch_states import PAUSED
from dashboard.services.errors import Refused
from dashboard.services.input_erasure import erase, finished_rows
from dashboard.services.instances import bump, lock_mirror
from dashboard.services.personal_data import Mentions, find_mentions
from dashboard.services.reconcile import SETTLED_BY
from dashboard.wording import plural

TOMBSTONE = "Erased person"
ERASED = "[erased]"
STILL_WORKING = "{} has bulk runs or deeds that are not over. Stop or settle them first. Nothing was erased."
STILL_TO_SEND = "It stands in {} of files, bulk runs, deeds or events that are not over. Stop or settle them first."


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows were emptied or deleted, of how many instances the name or another member stays, because Docusign holds it, and
    how many names, reasons and settings that people wrote stay."""

    rows: int
    names_left: int = 0
    words_left: int = 0
    is_barred: bool = False


def erase_person(user: User) -> Erased:
    """Leave a tombstone: the deeds stay, nobody can tell any more from here who did them, except from the audit."""
    with transaction.atomic():
        accounts = list(Account.objects.filter(memberships__user=user).order_by("pk"))
        for account in accounts:
            lock_mirror(account.pk)
        # In the order of a disconnection. What names the person is then stored already, and seen, or waits for the tombstone.
        list(Connection.objects.select_for_update().filter(user=user))
        User.objects.select_for_update().get(pk=user.pk)
        _refuse_while_at_work(user)
        browser_sessions.end_all(user)
        rows = Instance.objects.filter(url_owner=user).update(sealed_url="", url_owner=None)
        for found in (
            Connection.objects.filter(user=user),
            SavedView.objects.filter(owner=user, is_shared=False),
            Preset.objects.filter(owner=user, is_shared=False),
            WorkflowAccess.objects.filter(user=user),
            InstanceDenial.objects.filter(user=user),
            user.memberships.filter(barred_at=None),
        ):
            rows += found.delete()[0]
        rows += _forget_name(user)
        User.objects.filter(pk=user.pk).update(
            sub=team_access.keep_barred(user),
            name=TOMBSTONE,
            email="",
            time_zone="UTC",
            time_zone_set_at=None,
            is_active=False,
            session_epoch=F("session_epoch") + 1,
        )
        for account in accounts:
            audit.record("person.erased", actor=None, account=account, detail={"user": str(user.pk)})
    return Erased(rows + 1, is_barred=user.memberships.exists())


def _refuse_while_at_work(user: User) -> None:
    if Batch.objects.filter(actor=user, state__in=(BatchState.PLANNED, *ACTIVE_BATCHES)).exists():
        raise Refused(STILL_WORKING.format(user))
    if Operation.objects.filter(actor=user, state__in=OPEN_STATES).exists():
        raise Refused(STILL_WORKING.format(user))
    for membership in user.memberships.select_related("account", "user"):
        if team.is_last_admin(membership):
            raise Refused(f"{user} is the last admin of {membership.account}. Make somebody else an admin first.")


def _forget_name(user: User) -> int:
    """Take the name out of the sentences that this console wrote itself about runs and deeds."""
    rows = Batch.objects.filter(message=PAUSED.format(user)).update(message=PAUSED.format(TOMBSTONE))
    before, after = (SETTLED_BY.format(name) for name in (user, TOMBSTONE))
    for found in (Operation.objects, BatchItem.objects):
        rows += found.filter(message__startswith=before).update(message=Replace("message", Value(before), Value(after)))
    return rows


def erase_mentions(text: str) -> Erased:
    """Empty what holds the text: inputs of instances, rows of runs that are over, presets, events; names of our own records."""
    found = find_mentions(text)
    _refuse_open(found)
    rows = 0
    for account in Account.objects.filter(pk__in=found.accounts()).order_by("pk"):
        with transaction.atomic():
            lock_mirror(account.pk)
            _refuse_open(found, rows)  # one of them may just have been opened again
            mine = _erase_in(account, found)
            if mine:
                audit.record("person.erased", actor=None, account=account, detail={"rows": mine})
                bump(account.pk)
        rows += mine
    return Erased(rows, len({*found.names, *found.members}), sum(map(len, found.words.values())))


def _refuse_open(found: Mentions, erased: int = 0) -> None:
    """Raise Refused where something that holds the text may still be sent, or has not been looked at."""
    items = BatchItem.objects.filter(pk__in=found.rows)
    number = items.count() - finished_rows().filter(pk__in=found.rows).count() + len(found.files)
    number += Operation.objects.filter(pk__in=found.operations, state__in=OPEN_STATES).count()
    number += Delivery.objects.filter(pk__in=found.deliveries, state=Delivery.State.WAITING).count()
    if number:
        so_far = f"{plural(erased, 'row')} of other accounts were erased before." if erased else "Nothing was erased."
        raise Refused(f"{STILL_TO_SEND.format(plural(number, 'row'))} {so_far}")


def _erase_in(account: Account, found: Mentions) -> int:
    inside = Instance.objects.filter(account=account, pk__in=found.inputs).values_list("pk", flat=True)
    rows = erase(list(inside), timezone.now())
    done = finished_rows().filter(pk__in=found.rows, batch__account=account)
    rows += done.update(sealed_inputs="", label=ERASED, problems=[])
    settled = Operation.objects.filter(pk__in=found.operations, account=account).exclude(state__in=OPEN_STATES)
    rows += settled.update(instance_name=ERASED, sealed_payload="", field_errors={})
    rows += Preset.objects.filter(pk__in=found.presets, workflow__account=account).delete()[0]
    read = Delivery.objects.filter(pk__in=found.deliveries, account=account).exclude(state=Delivery.State.WAITING)
    return int(rows + read.delete()[0])
