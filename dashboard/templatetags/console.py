"""The template tags of the console. Its one rule: every text is escaped here, nothing is ever marked safe.

Begin a page with `{% load console %}`. Each `components/_*.html` opens with a comment that lists its context.

Signs and words
    {% icon "pause" %}                      a 16 px icon, hidden from readers; names in dashboard/icons.py
    {% state obj %}                         icon, word and colour; obj has label, tone, icon, loud (our choices have).
    {% state obj label="Awaiting Sync" %}   another word, such as an unknown state exactly as it came
    {% named instance.name %}               a name from Docusign or a file: unseen characters are shown (S-4).
                                            Use it for every name in text; `empty="not given"` names the gap
    title="{{ name|visible }}"              the same as plain text, for attributes
    {% when at %}                           "3 min ago" in a <time> with the exact time and zone in its title
    {% when at "clock" %}                   10:42 · yesterday 18:03 · 12 May 10:42
    {% when at "second" %}                  10:42:03 · yesterday 18:03:41
    {% when at "day" %}                     today 10:42 · yesterday 18:03 · 12 May 10:42
    {% when at "date" %}                    12 May 2026
    {% when at "exact" %}                   12 May 2026, 10:31:40 Berlin (UTC+2)
    {% when at missing="not given" %}       what to say for None ("–" otherwise)
    {% duration value %}                    a timedelta or seconds: "2 h 5 min"
    {{ number|thousands }}                  1,240; for None "–"
    {{ number|capped }}                     1,240; above 10,000 "10,000+"

Links that keep the rest of the query (paging keys after, before, page are dropped, for the rows change)
    href="{% filter_link state="failed" %}"            set; None removes
    href="{% unfilter "workflow" value %}"             remove one value of a repeated parameter
    {% sort_header "Started" "started" sort %}         a whole <th scope="col">; `sort` is the current value such as
                                                       "-started"; `first="-"` sorts down on the first click;
                                                       `class="c-mid"`. Without a key: a plain <th>
    Django's own {% querystring page=2 %} keeps everything.

Parts
    {% fresh as_of interval=900 next_look=at refresh_url=url calls=1 %}   how old the page is; under every h1
    {% progress done total last_name tone ended %}     "Step 4 of 7 · after Manager review" and the bar
    {% dialog_link url %}                   attributes of a link that opens a confirm page as a dialog:
                                            <a class="btn" {% dialog_link url %}>Cancel instance…</a>
    {% part "components/_keys.html" %}      a piece that depends on nothing, or only on what is named: drawn once a process
    {% filter_fields filter.advanced %}     fields of a filter, each by components/_field.html
    {% control field %}                     the bare widget of a bound field, dressed in our classes
    {% include "components/_field.html" with field=form.name %}          label, hint, error, control
    {% include "components/_error_summary.html" with form=form %}        linked summary, focused on load
    {% include "components/_notice.html" with tone="warning" text="…" %}
    {% include "components/_empty.html" with kind="nothing" title="…" text="…" url="…" label="…" %}
    {% include "components/_facts.html" with facts=facts %}              pairs (label, value)
    {% include "components/_pager.html" with shown="1–25 of 1,240" newer_url=… older_url=… size=25 %}
    {% include "components/_dialog.html" with … %}                       the question of a confirm page

                                            (without `only`: it needs the token and the request). The same file is
                                            the fragment: served to HX-Target "dialog" it sends itself by htmx
    In a page without script all of these are links, forms and popover menus.

Regions (static/js/live.js; rows.js where there is a list): the root of a fragment, with an id that equals the file name
    data-poll="url" data-poll-seconds="20"  asked for while the tab is visible, with the header X-Poll: 1. The answer is
                                            the region again, or 204 when nothing moved. Ticks, focus and open
                                            <details id> survive, and so does [data-carried], which a person asked for,
                                            where the answer has a part of the same id; a region waits while a menu in it
                                            is open or somebody types in it. Leave data-poll out, or add data-poll-final,
                                            when all is settled
    data-reload-on="instanceChanged workflowChanged" data-url="url"
                                            reloaded at once on these events; without data-url the page's own address
    Answers may carry HX-Trigger events: closeDialog, toast {"toasts": [{"level", "text", "url"}]}, and any named above.
    A region with [data-rows] around its table (rows: tr data-id data-mark) is changed in place by a poll instead of swapped; [data-keep]
    in it is left alone, and [data-show-changes] offers a new order.
    A menu button in a region needs an id, so that the focus finds it again after a reload.

Keys (static/js/keys.js): rows are `main .table tbody tr`, opened by the first link of class "name", ticked by `.tick input`;
    the search field has aria-keyshortcuts="/"; [data-shortcut="r"] is the refresh button that `fresh` makes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo
from functools import cache, lru_cache
from typing import Any

from django import template
from django.contrib.messages.storage.base import Message
from django.forms import BoundField
from django.http import QueryDict
from django.template import loader
from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from heroicons import IconDoesNotExist
from heroicons.templatetags.heroicons import heroicon_outline

from dashboard import wording
from dashboard.icons import glyph

register = template.Library()

PAGING_KEYS = ("after", "before", "page")
COUNT_CAP = 10_000
LEVEL_TONES = {"success": "good", "error": "danger", "warning": "warning"}
ODD_NAMES = {
    "U+0009": "tab",
    "U+000A": "line feed",
    "U+000D": "carriage return",
    "U+001B": "escape",
    "U+00AD": "soft hyphen",
    "U+200B": "zero-width space",
    "U+200C": "zero-width non-joiner",
    "U+200D": "zero-width joiner",
    "U+200E": "left-to-right mark",
    "U+200F": "right-to-left mark",
    "U+202A": "left-to-right embedding",
    "U+202B": "right-to-left embedding",
    "U+202C": "end of direction",
    "U+202D": "left-to-right override",
    "U+202E": "right-to-left override",
    "U+2066": "left-to-right isolate",
    "U+2067": "right-to-left isolate",
    "U+2068": "first strong isolate",
    "U+2069": "end of isolate",
    "U+FEFF": "byte order mark",
}


@register.simple_tag
@cache
def icon(name: str) -> str:
    """An icon of ours by what it means; readers skip it, so a word or hidden text must stand beside it."""
    attributes = {"class": "icon", "focusable": "false"}
    try:
        return heroicon_outline(glyph(str(name)), size=16, **attributes)
    except IconDoesNotExist:
        # The sign only repeats the word beside it, so a wrong name must not cost the page. Tests find wrong names.
        return heroicon_outline(glyph("info"), size=16, **attributes)


@register.simple_tag
def named(name: object, empty: str = "not given") -> SafeString:
    """A name of unknown origin: escaped, kept in its own direction, unseen characters made visible."""
    return _named("" if name is None else str(name), empty)


# A list shows the same few words in every row; what depends on nothing but its arguments is made once.
@lru_cache(maxsize=2048)
def _named(text: str, empty: str) -> SafeString:
    if not text.strip():
        return format_html('<span class="faint">{}</span>', empty)
    parts = format_html_join("", "{}", ((_odd(part) if odd else part,) for part, odd in wording.split_visible(text)))
    return format_html("<bdi>{}</bdi>", parts)


def _odd(point: str) -> SafeString:
    return format_html(
        '<span class="odd" title="{}">{}</span>', ODD_NAMES.get(point, "a character without a shape"), point
    )


@register.filter
def visible(name: object) -> str:
    return "" if name is None else wording.visible(name)


@register.simple_tag
def state(value: Any, label: str = "") -> str:
    """The one way to show a state. A missing state is said to be missing, in the tone of the unknown."""
    return part(
        "components/_state.html",
        label=label or str(getattr(value, "label", "")) or "not given",
        tone=str(getattr(value, "tone", "unknown")),
        icon_name=str(getattr(value, "icon", "unknown")),
        loud=bool(getattr(value, "loud", False)),
    )


@register.simple_tag
@lru_cache(maxsize=2048)
def part(name: str, **context: object) -> str:
    """A piece of a page that depends on nothing but what is named here, so that it is drawn once for all pages."""
    return loader.get_template(name).render(context)


@register.simple_tag
def when(moment: datetime | date | None, style: str = "relative", missing: str = wording.NOTHING) -> SafeString:
    """A moment as <time>: short in the text, exact with its zone in the title, ISO 8601 for machines."""
    if not moment:
        return format_html('<span class="faint">{}</span>', missing)
    if not isinstance(moment, datetime):
        return format_html('<time datetime="{}">{}</time>', moment.isoformat(), wording.date_text(moment))
    head, tail = _around(moment, style, timezone.get_current_timezone())
    return head + escape(MOMENTS[style](moment)) + tail


MOMENTS: dict[str, Callable[[datetime], str]] = {
    "relative": wording.relative_text,
    "ago": wording.past_text,
    "clock": wording.clock_text,
    "second": lambda at: wording.clock_text(at, has_seconds=True),
    "day": lambda at: wording.clock_text(at, today_word="today"),
    "date": lambda at: wording.date_text(wording.aware(at).date()),
    "exact": wording.exact_text,
}


@lru_cache(maxsize=4096)
def _around(moment: datetime, style: str, _zone: tzinfo) -> tuple[SafeString, SafeString]:
    """What stands around the short text; the same rows are shown again and again, to everybody of a zone alike."""
    iso, exact = wording.aware(moment).isoformat(timespec="seconds"), wording.exact_text(moment)
    return format_html('<time class="t-{}" datetime="{}" title="{}">', style, iso, exact), format_html("</time>{}", "")


@register.simple_tag
def duration(span: timedelta | float | None, missing: str = wording.NOTHING) -> str:
    return missing if span is None else wording.duration_text(span)


@register.filter
def thousands(number: int | None) -> str:
    return wording.NOTHING if number is None else f"{number:,}"


@register.filter
def capped(number: int | None) -> str:
    """Counts above the cap were never counted to the end, so no exact figure may be shown."""
    if number is not None and number > COUNT_CAP:
        return f"{COUNT_CAP:,}+"
    return thousands(number)


def _query(context: template.Context) -> QueryDict:
    query = QueryDict(mutable=True)  # its own way of copying takes as long as a cell of the list
    for key, values in context["request"].GET.lists():
        if key not in PAGING_KEYS:
            query.setlist(key, values)
    return query


def _as_link(query: QueryDict, context: template.Context) -> str:
    # A bare "?" drops the whole query; an empty href would keep it. A page that opens otherwise when nothing is named says
    # what names everything.
    return f"?{query.urlencode() or context.get('bare_query', '')}"


@register.simple_tag(takes_context=True)
def filter_link(context: template.Context, **values: object) -> str:
    query = _query(context)
    for key, value in values.items():
        if value is None or value == "":
            query.pop(key, None)
        elif isinstance(value, list | tuple):
            query.setlist(key, [str(item) for item in value])
        else:
            query[key] = str(value)
    return _as_link(query, context)


@register.simple_tag(takes_context=True)
def unfilter(context: template.Context, key: str, value: object = None) -> str:
    query = _query(context)
    kept = [] if value is None else [item for item in query.getlist(key) if item != str(value)]
    query.setlist(key, kept)
    return _as_link(query, context)


@register.simple_tag(takes_context=True)
def sort_header(
    context: template.Context, label: str, key: str = "", sort: str = "", first: str = "", **attrs: str
) -> SafeString:
    css = attrs.get("class", "")
    if not key:
        return format_html(HEAD, _attribute("class", css), "", label)
    current = sort.lstrip("-") == key
    down = current and sort.startswith("-")
    href = filter_link(context, sort=f"{'' if down else '-'}{key}" if current else f"{first}{key}")
    order = _attribute("aria-sort", ("descending" if down else "ascending") if current else "")
    return format_html(
        HEAD, _attribute("class", css), order, format_html('<a href="{}">{}{}</a>', href, label, icon("sort"))
    )


HEAD = '<th scope="col"{}{}>{}</th>'


def _attribute(name: str, value: str) -> str:
    return format_html(' {}="{}"', name, value) if value else ""


@register.inclusion_tag("components/_fresh.html", takes_context=True)
def fresh(context: template.Context, as_of: datetime | None, **options: Any) -> dict[str, object]:
    """How old is what is shown: ok up to 1.5 intervals, late up to 3, stale beyond."""
    # What was read within the last minute is fresh to a person, however often the worker looks.
    interval = max(60, int(options.get("interval") or 900))
    age = (timezone.now() - wording.aware(as_of)).total_seconds() if as_of else None
    # What was never read is on its way; an alarm would be wrong.
    level = "late" if age is None else "stale" if age > 3 * interval else "late" if age > 1.5 * interval else "ok"
    return {
        "level": level,
        "icon_name": {"ok": "check", "late": "clock", "stale": "warning"}[level],
        "as_of": as_of,
        "old": wording.duration_text(timedelta(minutes=age // 60)) if age is not None and level != "ok" else "",
        "interval": interval,
        "next_look": options.get("next_look"),
        "next_text": options.get("next_text", ""),
        "verb": options.get("verb", "As of"),
        "refresh_url": options.get("refresh_url", ""),
        "calls": options.get("calls"),
        "csrf_token": context.get("csrf_token"),
    }


@register.simple_tag
def progress(
    done: int | None, total: int | None, last_name: str | None = "", tone: str = "running", ended: bool = False
) -> str:
    """Steps in words and as a bar. `ended` marks an instance that will not go on."""
    known = done is not None and total is not None and total > 0
    return part(
        "components/_progress.html",
        known=known,
        done=min(done or 0, total or 0),
        total=total,
        step=min((done or 0) + 1, total or 0),
        all_done=known and (done or 0) >= (total or 0),
        last_name=last_name or "",
        tone=tone,
        ended=ended,
    )


@register.simple_tag
def dialog_link(url: str) -> SafeString:
    return format_html('href="{0}" hx-get="{0}" hx-target="#dialog" hx-swap="innerHTML"', url)


@register.inclusion_tag("components/_toast.html")
def toast(message: Message) -> dict[str, str]:
    """A message of Django; its `extra_tags` may be the local path of the thing it speaks of."""
    path = message.extra_tags or ""
    is_local = path.startswith("/") and not path.startswith(("//", "/\\"))
    return {"level": message.level_tag, "text": wording.visible(message.message), "url": path if is_local else ""}


@register.filter
def level_tone(level: str) -> str:
    return LEVEL_TONES.get(level, "neutral")


@register.filter
def words(text: str) -> list[str]:
    return text.split()


@register.simple_tag
def filter_fields(fields: list[BoundField]) -> str:
    """Fields of a filter; while none is wrong they depend on nothing but their values, which are the same on most pages."""
    shown = tuple((field.auto_id, str(field.value() or "")) for field in fields)
    drawn = _Fields(None if any(field.errors for field in fields) else shown, fields)
    return _draw_fields(drawn) if drawn.shown is None else _filter_fields(drawn)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Fields, and all that their looks depend on (None: on more than is known)."""

    shown: tuple[tuple[str, str], ...] | None
    fields: list[BoundField] = field(compare=False)


@lru_cache(maxsize=256)
def _filter_fields(drawn: _Fields) -> str:
    return _draw_fields(drawn)


def _draw_fields(drawn: _Fields) -> str:
    mould = loader.get_template("components/_field.html")
    return format_html_join("", "{}", ((mould.render({"field": each}),) for each in drawn.fields))


@register.simple_tag
def control(field: BoundField) -> SafeString:
    """The widget with our classes; ticks and radios keep the browser's own look."""
    kind = getattr(field.field.widget, "input_type", "textarea")
    if kind in {"checkbox", "radio"}:
        return field.as_widget()
    own = field.field.widget.attrs.get("class", "")
    narrow = kind in {"number", "date", "time", "datetime-local", "select"} or "narrow" in own.split()
    return field.as_widget(attrs={"class": " ".join(filter(None, ["input", "" if narrow else "wide", own]))})
