"""What the filters of the list of instances suggest while somebody types.

The one rule: a suggestion is a workflow that the person sees, or somebody whose rows the person sees (V-3).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet, Subquery
from django.db.models.lookups import Exact

from dashboard.models import Instance, InstanceCount, Membership, Workflow
from dashboard.services.conditions import Loose
from dashboard.services.findable import folded
from dashboard.services.visibility import Reach, reach_of, visible_instances, visible_workflows

SUGGESTED = 20
MOST_STARTERS = 10_000  # looked at for somebody who sees only some of them
# Goes from one name to the next in the index over starters, and then from one person of that name to the next, so it costs as
# much as there are people, however many rows each of them has.
STARTERS = """
WITH RECURSIVE
named(name) AS (
  SELECT min(starter_order) FROM dashboard_instance WHERE account_id = %s
  UNION ALL
  SELECT (SELECT min(starter_order) FROM dashboard_instance WHERE account_id = %s AND starter_order > named.name)
  FROM named WHERE name IS NOT NULL
),
matching(name) AS (SELECT name FROM named WHERE {position}(name, %s) > 0 LIMIT %s),
person(name, id) AS (
  SELECT name, (SELECT min(started_by) FROM dashboard_instance WHERE account_id = %s AND starter_order = matching.name)
  FROM matching
  UNION ALL
  SELECT name, (SELECT min(started_by) FROM dashboard_instance
    WHERE account_id = %s AND starter_order = person.name AND started_by > person.id)
  FROM person WHERE id IS NOT NULL
)
SELECT name, id{more} FROM person WHERE id <> '' ORDER BY name, id LIMIT %s
"""
# How the latest row of each person names them, by the index that has the rows of a person in order.
LATEST_NAME = """, (SELECT started_by_name FROM dashboard_instance
  WHERE account_id = %s AND started_by = person.id AND {loose} = person.name ORDER BY sort_at DESC, dashboard_instance.id DESC LIMIT 1)
"""


@dataclass(frozen=True, slots=True)
class Starter:
    """Somebody who started instances: Docusign's user id and the name that the rows give."""

    id: str
    name: str


def suggest_workflows(membership: Membership, text: str) -> list[Workflow]:
    """Visible workflows whose name holds the text."""
    wanted = folded(text)
    found = [row for row in visible_workflows(membership).only("id", "name") if wanted in folded(row.name)]
    return sorted(found, key=lambda row: (folded(row.name), str(row.pk)))[:SUGGESTED]


def suggest_starters(membership: Membership, text: str) -> list[Starter]:
    """People who started instances that this person may see, and whose name holds the text."""
    reach, wanted = reach_of(membership), folded(text)
    if not reach.is_any or "\0" in text:
        return []
    if reach.is_all and not reach.has_denials:  # every row counts, so one statement tells all
        found = _starters(membership, wanted, SUGGESTED, is_named=True)
        rows: Iterable[tuple[str, str]] = [(row[1], row[2]) for row in found]
    else:
        people: list[tuple[str, Any]] = [(reach.own_id, Q())]
        if reach.is_all or reach.open_ids:
            named = _starters(membership, wanted, SUGGESTED) if reach.is_all else _seen(membership, reach, wanted)
            people = [(person, Exact(Loose("starter_order"), name)) for name, person in named]
        visible = first_rows(membership, people, reach).order_by("starter_order", "started_by")
        rows = visible.values_list("started_by", "started_by_name")
    return [Starter(*row) for row in rows if wanted in folded(row[1])][:SUGGESTED]


def first_rows(
    membership: Membership, people: Sequence[tuple[str, Any]], reach: Reach | None = None
) -> QuerySet[Instance]:
    """For each person who started instances, and what else is asked of a row, the latest such row that this person may see.

    One query for all of them, by the index that has the rows of a person in order; so no other index may serve what else is asked.
    """
    visible = visible_instances(membership, reach)
    latest = [
        Subquery(visible.filter(asked, started_by=person).order_by("-sort_at", "-pk").values("pk")[:1])
        for person, asked in people
    ]
    return visible.filter(pk__in=latest) if latest else visible.none()  # type: ignore[misc]  # a list of subqueries is taken


def _seen(membership: Membership, reach: Reach, text: str) -> list[tuple[str, str]]:
    """The same for somebody who sees only some rows: themselves, and who started instances of the workflows open to them."""
    counted = InstanceCount.objects.filter(workflow_id__in=reach.open_ids, rows__gt=0)
    ids = {*counted.order_by().values_list("started_by", flat=True).distinct(), reach.own_id}
    everybody = _starters(membership, text, MOST_STARTERS)
    return [(name, person) for name, person in everybody if person in ids][:SUGGESTED]


def _starters(membership: Membership, text: str, most: int, *, is_named: bool = False) -> list[tuple[str, ...]]:
    """Names that hold the text, folded and cut, and ids of everybody who started an instance of the account; and their whole names."""
    position, loose = (
        ("instr", "+starter_order") if connection.vendor == "sqlite" else ("strpos", "GREATEST(starter_order)")
    )
    pk = Instance._meta.get_field("account").target_field.get_db_prep_value(membership.account_id, connection)
    with connection.cursor() as cursor:
        cursor.execute(
            STARTERS.format(position=position, more=LATEST_NAME.format(loose=loose) if is_named else ""),
            [pk, pk, text, most, pk, pk, *([pk] if is_named else []), most],
        )
        return list(cursor.fetchall())
