"""The counts beside the entries of the rail, on every page.

The one rule: they are counted now and then and kept together, in one entry of the process's own cache that nobody else's standing
could match (V-6).
"""

import time
from dataclasses import dataclass, replace

from django.core.cache import caches

from dashboard.models import Membership, Rights
from dashboard.services import approvals, batch_lists, needs, page_stamps
from dashboard.services.visibility import is_connected

# So long at least, and so long at most where nothing of the account has changed since.
KEPT_SECONDS, SAME_KEPT_SECONDS = 15, 60


@dataclass(frozen=True, slots=True)
class Counts:
    """What needs this person, how many bulk runs go on and how many requests wait for them; as of a version of the account."""

    needs: int
    running: int
    approvals: int
    version: int
    counted_at: float


def counts_of(membership: Membership) -> Counts:
    """What was counted lately, or anew; runs at once when something of the account has moved."""
    kept = _kept(membership)
    age = abs(time.time() - kept.counted_at) if kept else 0  # the cache's own clock may have been put back
    if kept and kept.version == membership.account.version and age < SAME_KEPT_SECONDS:
        return kept
    if kept and age < KEPT_SECONDS:
        return replace(kept, running=batch_lists.running_count(membership))
    return _keep(membership, _counted(membership, _needs(membership)))


def keep_needs(membership: Membership, number: int) -> None:
    """A page has just counted them itself, and its rail shall say the same."""
    _keep(membership, _counted(membership, number))


def _needs(membership: Membership) -> int:
    if is_connected(membership) and membership.rights == Rights.UNPROVEN:
        return 0
    return sum(kind.count for kind in needs.kinds_of(membership)[0])


def _counted(membership: Membership, number: int) -> Counts:
    running, waiting = batch_lists.running_count(membership), approvals.waiting_for(membership).count()
    return Counts(number, running, waiting, membership.account.version, time.time())


def _keep(membership: Membership, counts: Counts) -> Counts:
    caches["own"].set(_key(membership), counts, SAME_KEPT_SECONDS)
    return counts


def _kept(membership: Membership) -> Counts | None:
    kept: Counts | None = caches["own"].get(_key(membership))
    return kept


def _key(membership: Membership) -> str:
    """Connection, role, rights, proofs and the mark are part of it, so that neither what was withdrawn nor a deed shows late (V-6)."""
    seen = membership.seen_at.timestamp() if membership.seen_at else 0
    rights = (membership.rights_version, membership.is_manager_now, page_stamps.opened_to(membership))
    standing = (membership.role, *rights, is_connected(membership))
    return f"rail:{membership.pk}:{':'.join(map(str, standing))}:{seen}"
