"""What the first page shows: what needs a person, counts, days, changes. Its one rule: each part is bounded and obeys visibility."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.core.cache import cache

from dashboard.models import BUCKETS, Bucket, InstanceState, Membership
from dashboard.services import charts, figures, needs, news
from dashboard.services.visibility import is_connected, view_of

COUNT_KEPT_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Overview:
    """All parts of the first page; `counts` by tab of the list."""

    counts: Mapping[str, int]
    needs: needs.Needs
    chart: charts.Chart
    news: news.News


def overview_of(membership: Membership) -> Overview:
    """Read everything at once: some thirty bounded queries, however many instances there are."""
    found = needs.needs_of(membership)
    cache.set(_key(membership), found.total, COUNT_KEPT_SECONDS)
    days = figures.days_of(membership)
    chart = charts.day_chart(days, key="days", title="Instances per day")
    return Overview(_by_tab(figures.state_counts(membership), found), found, chart, news.news_of(membership))


def needs_count(membership: Membership) -> int:
    """How much needs this person, for the rail of every page: counted again only every few seconds."""
    if view_of(membership).scope == "unknown":
        return 0
    count: int | None = cache.get(_key(membership))
    if count is None:
        count = sum(kind.count for kind in needs.kinds_of(membership)[0])
        cache.set(_key(membership), count, COUNT_KEPT_SECONDS)
    return count


def _key(membership: Membership) -> str:
    """Connection, role, rights and the mark are part of it, so that neither what was withdrawn nor a deed shows late (V-6)."""
    seen = membership.seen_at.timestamp() if membership.seen_at else 0
    standing = (membership.role, membership.rights_version, membership.is_manager_now, is_connected(membership))
    return f"needs:{membership.pk}:{':'.join(map(str, standing))}:{seen}"


def _by_tab(states: Mapping[str, int], found: needs.Needs) -> dict[str, int]:
    counts = {str(bucket): 0 for bucket in Bucket}
    for status, number in states.items():
        counts[str(BUCKETS.get(InstanceState(status), Bucket.OTHER))] += number
    numbers = {kind.key: kind.count for kind in found.kinds}
    return counts | {"expiring": numbers.get("expiring", 0), "unknown": numbers.get("unknown", 0)}
