"""Pages of a list that consists of segments: one after the other, each with an order of its own.

The one rule: a page holds the rows that follow its cursor, wherever segments begin and end, and reading back gives the same rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dashboard.models import Instance
from dashboard.services.instance_queries import Rows, Segment, Way, across, places
from dashboard.services.lists import part_of, read_cursor, write_cursor

Spot = tuple[Segment, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Few:
    """The way to rows that are few, and how many of them each segment has, where there are many segments."""

    way: Way
    sizes: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Spots:
    """Where the rows of one page stand, as ids, and the cursors of its neighbours."""

    ids: list[UUID]
    newer: str | None
    older: str | None
    is_first: bool


def spots_of(
    rows: Rows, segments: Sequence[Segment], *, size: int, after: str = "", before: str = "", few: Few | None = None
) -> Spots:
    """The page after or before a cursor; a cursor that cannot be read gives the first page.

    `few` is given where the caller has found that the rows are few.
    """
    start = _start(after, segments)
    end = None if start else _start(before, segments)
    found = list(_read(rows, segments, start or end, limit=size + 1, backwards=end is not None, few=few))
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
    rows: Rows, segments: Sequence[Segment], start: Spot | None, *, limit: int, backwards: bool, few: Few | None
) -> Iterator[Spot]:
    ahead = list(segments[::-1] if backwards else segments)
    place: tuple[Any, ...] | None = None
    if start is not None:
        ahead, place = ahead[ahead.index(start[0]) :], start[1]
    for number, segment in enumerate(ahead):
        if few is not None and few.sizes is not None and place is None:
            yield from _across(rows, ahead[number:], few.way, few.sizes, limit=limit, backwards=backwards)
            return
        found = places(rows, segment, limit=limit, start=place, backwards=backwards, way=few.way if few else None)
        yield from ((segment, each) for each in found)
        limit, place = limit - len(found), None
        if limit <= 0:
            return


def _across(
    rows: Rows, ahead: Sequence[Segment], way: Way, sizes: Mapping[str, int], *, limit: int, backwards: bool
) -> Iterator[Spot]:
    """Few rows in many segments: the rows of just those segments that fill the page, at once."""
    needed: list[Segment] = []
    ready = 0
    for segment in ahead:
        if ready < limit and sizes.get(segment.key):
            needed.append(segment)
            ready += sizes[segment.key]
    if needed:
        spots = across(rows, needed, way, limit=limit, backwards=backwards)
        yield from ((needed[spot[0]], spot[1:]) for spot in spots)
