"""What the first page shows: what needs a person, counts, days, changes. Its one rule: each part is bounded and obeys visibility."""

from collections.abc import Mapping
from dataclasses import dataclass

from dashboard.models import BUCKETS, Bucket, InstanceState, Membership
from dashboard.services import charts, figures, needs, news, rail


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
    rail.keep_needs(membership, found.total)
    days = figures.days_of(membership)
    chart = charts.day_chart(days, key="days", title="Instances per day")
    return Overview(_by_tab(figures.state_counts(membership), found), found, chart, news.news_of(membership))


def _by_tab(states: Mapping[str, int], found: needs.Needs) -> dict[str, int]:
    counts = {str(bucket): 0 for bucket in Bucket}
    for status, number in states.items():
        counts[str(BUCKETS.get(InstanceState(status), Bucket.OTHER))] += number
    numbers = {kind.key: kind.count for kind in found.kinds}
    return counts | {"expiring": numbers.get("expiring", 0), "unknown": numbers.get("unknown", 0)}
