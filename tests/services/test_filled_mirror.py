"""The copies that tests begin with are what a real reading leaves."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from dashboard.models import Membership
from dashboard.services import sync
from maestro_api.simulator import Simulator
from tests import filled_mirror

pytestmark = pytest.mark.django_db


def stored(membership: Membership, began: datetime) -> dict[str, Any]:
    """All rows in an order of their own, without the keys that a database hands out, the random names of leases, and how
    long things took."""
    membership.account.refresh_from_db()
    tables: dict[str, Any] = {
        model.__name__: sorted((_comparable(row, began) for row in model._default_manager.values()), key=repr)
        for model in filled_mirror._tables()
    }
    return tables | {
        "account": _comparable(filled_mirror._columns(membership.account), began),
        "membership": _comparable(filled_mirror._columns(membership), began),
    }


def _comparable(row: dict[str, Any], began: datetime) -> dict[str, Any]:
    left_out = {"sync_seconds", "seconds", "lease"} | ({"id"} if isinstance(row.get("id"), int) else set())
    return {name: _rounded(value, began) for name, value in row.items() if name not in left_out}


def _rounded(value: Any, began: datetime) -> Any:
    """Stamps of now differ from test to test; dates of Docusign do not."""
    second = timedelta(seconds=1)
    is_now = isinstance(value, datetime) and began - second <= value <= datetime.now(UTC) + second
    return "now" if is_now else value


def test_a_copy_is_what_a_reading_leaves(
    connect: Callable[..., Membership], simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect("Ada Admin")
    monkeypatch.setattr(filled_mirror, "_reading", None)
    monkeypatch.setattr(filled_mirror, "BURST_SECONDS", 1_000_000_000)
    readings, found = [], []
    real = sync.sync_membership
    monkeypatch.setattr(sync, "sync_membership", lambda membership: readings.append(1) or real(membership))
    began = datetime.now(UTC)
    # The first time fills what the simulator keeps between calls, so that the second and the third begin alike.
    for _ in range(3):
        with transaction.atomic():
            simulator.clear_ledger()
            membership = Membership.objects.get()
            filled_mirror.fill(membership, simulator)
            calls = [(entry["path"], entry["query"], entry["status"]) for entry in simulator.ledger()]
            found.append(stored(membership, began) | {"calls": calls})
            transaction.set_rollback(True)
    assert len(readings) == 2
    assert found[2] == found[1]


def test_where_the_simulator_was_changed_a_real_reading_is_made(
    connect: Callable[..., Membership], simulator: Simulator
) -> None:
    simulator.set_faults([{"match": {"path": "/workflows"}, "do": {"status": 503}}])
    with pytest.raises(AssertionError, match="Docusign"):
        filled_mirror.fill(connect("Ada Admin"), simulator)
