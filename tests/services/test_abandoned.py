"""Lists whose question nobody answered: gone after an hour, whoever made them, and nothing else with them."""

from datetime import timedelta

from django.utils import timezone

from dashboard.models import Approval, Batch, BatchItem, BatchState, Membership
from dashboard.services import abandoned
from tests.factories import BatchFactory, BatchItemFactory


def planned(membership: Membership, *, minutes: int, **changes: object) -> Batch:
    idle = {"account": membership.account, "actor": membership.user, "state": BatchState.PLANNED, "confirmed_at": None}
    batch = BatchFactory(**(idle | {"starts_at": None} | changes))
    BatchItemFactory(batch=batch, position=1, sealed_inputs="sealed")
    Batch.objects.filter(pk=batch.pk).update(created_at=timezone.now() - timedelta(minutes=minutes))
    return batch


def test_selections_and_single_deeds_go_an_hour_after_they_were_made(operator: Membership, admin: Membership) -> None:
    """V-4: one rule for both; the inputs of a single deed go with it."""
    for source in (Batch.Source.SELECTION, Batch.Source.SINGLE):
        planned(operator, minutes=61, source=source)
    kept = {planned(operator, minutes=59, source=source) for source in (Batch.Source.SELECTION, Batch.Source.SINGLE)}
    planned(admin, minutes=61, source=Batch.Source.SELECTION)
    assert abandoned.forget() > 0
    assert set(Batch.objects.all()) == kept
    assert BatchItem.objects.count() == 2


def test_what_somebody_still_works_on_stays(operator: Membership) -> None:
    kept = [
        planned(operator, minutes=61, source=Batch.Source.SHEET),
        planned(operator, minutes=61, source=Batch.Source.EMERGENCY),
        planned(operator, minutes=61, source=Batch.Source.SELECTION, state=BatchState.DONE),
        planned(operator, minutes=61, source=Batch.Source.SINGLE),
    ]
    later = timezone.now() + timedelta(hours=1)
    Approval.objects.create(batch=kept[3], expires_at=later, list_digest="0" * 64)
    assert abandoned.forget() == 0
    assert Batch.objects.count() == len(kept)
