"""How the console says times, durations and names of unknown origin, as plain text.

Its one rule: nothing is invented and nothing is hidden. A missing time is said to be missing, and a character that
cannot be seen is shown by its code point.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

from django.utils import timezone

NOTHING = "–"
MINUTE, HOUR, DAY = 60, 3600, 86400

# Letters and marks by category that nevertheless draw nothing, so two names could look alike.
INVISIBLE_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
INVISIBLE_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})


def is_invisible(character: str) -> bool:
    """Control, bidi, zero-width, line-breaking, unassigned and surrogate characters (S-4)."""
    return character in INVISIBLE_LETTERS or unicodedata.category(character) in INVISIBLE_CATEGORIES


def code_point(character: str) -> str:
    return f"U+{ord(character):04X}"


def split_visible(text: str) -> Iterator[tuple[str, bool]]:
    """The text in runs: (run, False) for what can be shown as it is, (code point, True) for what cannot."""
    run: list[str] = []
    for character in text:
        if not is_invisible(character):
            run.append(character)
            continue
        if run:
            yield "".join(run), False
            run = []
        yield code_point(character), True
    if run:
        yield "".join(run), False


def visible(text: object) -> str:
    """One line of plain text for titles, toasts and mails: unseen characters become ⟨U+202E⟩."""
    plain = str(text)
    if plain.isascii() and plain.isprintable():
        return plain  # most names, and lists hold hundreds
    return "".join(f"⟨{part}⟩" if odd else part for part, odd in split_visible(plain))


def plural(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def aware(moment: datetime) -> datetime:
    """The moment in the person's zone; one without a zone is taken as UTC, as the whole product stores it."""
    return _instant(moment).astimezone(timezone.get_current_timezone())


def _instant(moment: datetime) -> datetime:
    """In UTC: between two moments of one zone Python counts what the clock on the wall showed, which jumps twice a year."""
    return moment.replace(tzinfo=UTC) if moment.utcoffset() is None else moment.astimezone(UTC)


def day_text(day: date, today: date) -> str:
    """12 May, with the year when it is another one."""
    text = f"{day.day} {day:%b}"
    return text if day.year == today.year else f"{text} {day.year}"


def relative_text(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, or in how long: "3 min ago", "yesterday", "in 12 weeks", then the date."""
    return _relative(_instant(moment), _instant(now or timezone.now()))


def past_text(moment: datetime) -> str:
    """How long ago. Docusign's clock may run before ours, and what has happened is never said to be still to come."""
    now = _instant(timezone.now())
    return _relative(min(_instant(moment), now), now)


def _relative(moment: datetime, now: datetime) -> str:
    seconds = (now - moment).total_seconds()
    zone = timezone.get_current_timezone()
    day, today = moment.astimezone(zone).date(), now.astimezone(zone).date()
    days = (today - day).days
    return (_past(seconds, days) if seconds >= 0 else _future(-seconds, -days)) or day_text(day, today)


def _past(seconds: float, days: int) -> str:
    if seconds < 45:
        return "just now"
    if seconds < HOUR:
        return f"{max(1, int(seconds // MINUTE))} min ago"
    if days == 0:
        return f"{int(seconds // HOUR)} h ago"
    if days == 1:
        return "yesterday"
    if days < 14:
        return f"{days} days ago"
    return f"{days // 7} weeks ago" if days < 35 else ""


def _future(seconds: float, days: int) -> str:
    if seconds < 45:
        return "in a moment"
    if seconds < HOUR:
        return f"in {max(1, int(seconds // MINUTE))} min"
    if days == 0:
        return f"in {plural(int(seconds // HOUR), 'hour')}"
    if days == 1:
        return "tomorrow"
    if days < 35:
        return f"in {days} days"
    return f"in {days // 7} weeks" if days < 182 else ""


def clock_text(
    moment: datetime, now: datetime | None = None, *, today_word: str = "", has_seconds: bool = False
) -> str:
    """10:42 today, "yesterday 18:03", "12 May 10:42"; `today_word` puts "today" before the hour."""
    local, today = aware(moment), aware(now or timezone.now()).date()
    days = (today - local.date()).days
    hour = f"{local:%H:%M:%S}" if has_seconds else f"{local:%H:%M}"
    if days == 0:
        return f"{today_word} {hour}".strip()
    if days == 1:
        return f"yesterday {hour}"
    return f"{day_text(local.date(), today)} {hour}"


def date_text(day: date) -> str:
    return f"{day.day} {day:%b} {day.year}"


def exact_text(moment: datetime) -> str:
    """12 May 2026, 10:31:40 Berlin (UTC+2): the exact time with its zone, for titles and proofs."""
    local = aware(moment)
    return f"{local.day} {local:%B} {local.year}, {local:%H:%M:%S} {zone_text(local)}"


def zone_text(local: datetime) -> str:
    offset = local.utcoffset() or timedelta()
    place = _place(local.tzinfo)
    if not offset and place in {"", "UTC"}:
        return "UTC"
    minutes = int(offset.total_seconds() // MINUTE)
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else "+"
    shift = f"UTC{sign}{hours}" + (f":{rest:02d}" if rest else "")
    return f"{place} ({shift})" if place else shift


def _place(zone: tzinfo | None) -> str:
    key: str = getattr(zone, "key", "") or ""
    return key.rsplit("/", 1)[-1].replace("_", " ")


def duration_text(span: timedelta | float | int) -> str:
    """The two largest units: "45 s", "3 min 12 s", "2 h 5 min", "4 days 3 h"."""
    total = span.total_seconds() if isinstance(span, timedelta) else float(span)
    sign, total = ("-", -total) if total < 0 else ("", total)
    if 0 < total < 1:
        return f"{sign}{round(total * 1000)} ms"
    seconds = int(total)
    if seconds < MINUTE:
        return f"{sign}{seconds} s"
    if seconds < HOUR:
        return sign + _two(f"{seconds // MINUTE} min", seconds % MINUTE, "s")
    if seconds < DAY:
        return sign + _two(f"{seconds // HOUR} h", seconds % HOUR // MINUTE, "min")
    return sign + _two(plural(seconds // DAY, "day"), seconds % DAY // HOUR, "h")


def _two(large: str, small: int, unit: str) -> str:
    return f"{large} {small} {unit}" if small else large
