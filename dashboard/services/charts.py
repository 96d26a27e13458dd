"""Figures of days as the geometry of a chart that the server draws: x in per cent, y in pixels, so that it fits any width.

The one rule: a chart says nothing that its legend, its description and its table do not say in numbers.
"""

from dataclasses import dataclass
from datetime import date
from math import ceil, floor, log10

from django.utils import timezone

from dashboard.services.figures import Day
from dashboard.wording import date_text, plural

TOP, FLOOR, HEIGHT = 10, 150, 176
LEFT, RIGHT = 9.0, 100.0  # the scale stands left of it
LINES = 4
LABEL_EVERY = 4
SERIES = (
    ("started", "Started", "running"),
    ("completed", "Completed", "good"),
    ("failed", "Failed", "danger"),
    ("canceled", "Canceled", "neutral"),
)


@dataclass(frozen=True, slots=True)
class Series:
    """What is counted: its word, tone and sum over all days."""

    label: str
    tone: str
    total: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle; all values as SVG writes them."""

    tone: str
    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A word beside the scale (`y`) or under a day (`x`); `is_rare` marks may be left out in a narrow box."""

    text: str
    x: str = ""
    y: int = 0
    anchor: str = "middle"
    is_rare: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """Everything that `_chart.html` draws. `key` begins the ids in the page."""

    key: str
    title: str
    description: str
    zone: str
    series: list[Series]
    bars: list[Bar]
    lines: list[Mark]
    labels: list[Mark]
    days: list[Day]
    height: int = HEIGHT

    @property
    def is_empty(self) -> bool:
        return not any(series.total for series in self.series)


def day_chart(days: list[Day], *, key: str, title: str) -> Chart:
    """For each day a bar of what started, and beside it one of what ended, by outcome."""
    series = [Series(label, tone, sum(getattr(day, name) for day in days)) for name, label, tone in SERIES]
    top = scale_of(max((max(day.started, day.completed + day.failed + day.canceled) for day in days), default=0))
    slot = (RIGHT - LEFT) / max(1, len(days))
    return Chart(
        key=key,
        title=title,
        description=_describe(days, series),
        zone=timezone.get_current_timezone_name().rpartition("/")[2].replace("_", " "),
        series=series,
        bars=[bar for place, day in enumerate(days) for bar in _bars(day, LEFT + place * slot, slot, top)],
        lines=[Mark(short(top * line // LINES), y=FLOOR - (FLOOR - TOP) * line // LINES) for line in range(LINES + 1)],
        labels=list(_labels(days, slot)),
        days=days,
    )


def scale_of(most: int) -> int:
    """The top of the scale: at least the largest value, in four steps of 1, 2, 2.5 or 5 times a power of ten."""
    if most <= LINES:
        return LINES
    step = most / LINES
    power: float = 10.0 ** floor(log10(step))
    rough = next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= step)
    return LINES * ceil(rough * power)


def short(number: int) -> str:
    """A number that fits beside the scale: 950, 1.5k, 20k, 3m."""
    for unit, size in (("m", 1_000_000), ("k", 1_000)):
        if number >= size:
            return f"{number / size:.2f}".rstrip("0").rstrip(".") + unit
    return str(number)


def _bars(day: Day, x: float, slot: float, top: int) -> list[Bar]:
    bars = []
    places = ((x + slot * 0.1, SERIES[:1]), (x + slot * 0.5, SERIES[1:]))
    for left, stack in places:
        bottom = float(FLOOR)
        for name, _, tone in stack:
            height = getattr(day, name) * (FLOOR - TOP) / top
            if height:
                bottom -= height
                bars.append(Bar(tone, f"{left:.2f}%", f"{bottom:.1f}", f"{slot * 0.4:.2f}%", f"{height:.1f}"))
    return bars


def _labels(days: list[Day], slot: float) -> list[Mark]:
    """Every fourth day counted from today, the month where it begins."""
    marks: list[Mark] = []
    shown: date | None = None
    for place, day in enumerate(days):
        back = len(days) - 1 - place
        if back % LABEL_EVERY:
            continue
        is_rare = back % (2 * LABEL_EVERY) != 0
        is_other_month = shown is None or shown.month != day.day.month
        text = f"{day.day.day} {day.day:%b}" if is_other_month or not is_rare else str(day.day.day)
        shown = day.day
        # The last one stands at the edge, and must not reach over it.
        x, anchor = (f"{LEFT + (place + 0.5) * slot:.2f}%", "middle") if back else ("100%", "end")
        marks.append(Mark(text, x=x, anchor=anchor, is_rare=is_rare))
    return marks


def _describe(days: list[Day], series: list[Series]) -> str:
    sums = ", ".join(f"{each.total:,} {each.label.lower()}" for each in series)
    text = f"{plural(len(days), 'day')} together: {sums}."
    busiest = max(days, key=lambda day: day.started, default=None)
    if busiest is not None and busiest.started:
        text += f" Most started on {date_text(busiest.day)}: {busiest.started:,}."
    return text
