"""Pages of a list that consists of segments: one after the other, each with an order of its own.

The one rule: a page holds the rows that follow its cursor, wherever segments begin and end, and reading back gives the same rows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count

from dashboard.models import Instance
from dashboard.services.instance_queries import Rows, Segment, Way, across, is_served, places, shortest_way
from dashboard.services.lists import part_of, read_cursor, write_cursor

Spot = tuple[Segment, tuple[Any, ...]]
FEW = 2


@dataclass(frozen=True, slots=True)
class Spots:
    """Where the rows of one page stand, as ids, and the cursors of its neighbours."""

    ids: list[UUID]
    newer: str | None
    older: str | None
    is_first: bool


def spots_of(
    rows: Rows, segments: Sequence[Segment], *, size: int, after: str = "", before: str = "", part: str = ""
) -> Spots:
    """The page after or before a cursor; a cursor that cannot be read gives the first page.

    `part` names the column by which the list is cut, if it is cut into many segments.
    """
    start = _start(after, segments)
    end = None if start else _start(before, segments)
    found = list(_read(rows, segments, start or end, limit=size + 1, backwards=end is not None, part=part))
    kept = found[:size][::-1] if end else found[:size]
    ends = [write_cursor(spot[1], spot[0].key) for spot in (kept[0], kept[-1])] if kept else [None, None]
    is_cut = len(found) > size
    newer = (ends[0] if is_cut else None) if end else (ends[0] if start else None)
    older = ends[1] if end or is_cut else None
    return Spots([spot[1][-1] for spot in kept], newer, older, start is None and end is None)


def _start(cursor: str, segments: Sequence[Segment]) -> Spot | None:
    part = part_of(cursor) if cursor else None
    for segment in segments:
        if segment.key == part:
            place = read_cursor(cursor, Instance, segment.columns)
            return (segment, tuple(place)) if place is not None else None
    return None


def _read(
    rows: Rows, segments: Sequence[Segment], start: Spot | None, *, limit: int, backwards: bool, part: str
) -> Iterator[Spot]:
    ahead = list(segments[::-1] if backwards else segments)
    place: tuple[Any, ...] | None = None
    if start is not None:
        ahead, place = ahead[ahead.index(start[0]) :], start[1]
    way = _short_way(rows, ahead)
    if way is not None and len(ahead) > FEW:
        yield from _read_across(rows, ahead, way, place, limit=limit, backwards=backwards, part=part)
        return
    for segment in ahead:
        found = places(rows, segment, limit=limit, start=place, backwards=backwards, way=way)
        yield from ((segment, each) for each in found)
        limit, place = limit - len(found), None
        if limit <= 0:
            return


def _short_way(rows: Rows, segments: Sequence[Segment]) -> Way | None:
    """A condition that leaves few rows, looked for only where no index serves everything."""
    if all(is_served(rows.also(*segment.conditions), segment.columns) for segment in segments):
        return None
    way = shortest_way(rows)
    return way if way is not None and way.is_short else None


def _read_across(
    rows: Rows, ahead: list[Segment], way: Way, place: tuple[Any, ...] | None, *, limit: int, backwards: bool, part: str
) -> Iterator[Spot]:
    """Few rows in many segments: first how many each segment has, then the rows of just those that fill the page."""
    if place is not None:
        found = places(rows, ahead[0], limit=limit, start=place, backwards=backwards, way=way)
        yield from ((ahead[0], each) for each in found)
        ahead, limit = ahead[1:], limit - len(found)
    kept = rows.through(way.conditions, way.by)
    counts = {str(key): number for key, number in kept.values_list(part).annotate(Count("pk"))}
    needed: list[Segment] = []
    ready = 0
    for segment in ahead:
        if ready >= limit:
            break
        if counts.get(segment.key):
            needed.append(segment)
            ready += counts[segment.key]
    if needed and limit > 0:
        spots = across(rows, needed, way, limit=limit, backwards=backwards)
        yield from ((needed[spot[0]], spot[1:]) for spot in spots)
