"""The rows of the list of instances. A page has up to a hundred, and a template takes ten times as long over each.

The one rule: markup stands in this file or comes from the tags, and every other text goes through `escape`; a cell shows one column of
`forms/instance_filter.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from typing import Any
from uuid import UUID

from django import template
from django.template import loader
from django.template.base import FilterExpression, Parser, Token
from django.urls import reverse

from dashboard.models import Instance
from dashboard.models.looks import Look
from dashboard.templatetags.console import dialog_link, icon, named, progress, state, visible, when

register = template.Library()
NOWHERE = UUID(int=0)
# [name] stands for an icon.
TICK = (
    '<td class="c-tick"><label class="tick"><input type="checkbox" name="pick" value="{pk}" form="selection"{off}>'
    '<span class="vh">Select {name}</span></label></td>'
)
NAME = '<th scope="row" class="c-name"><a class="name" href="{page}" title="{name}"><span class="clip">{shown}</span></a></th>'
MENU = (
    '<td class="c-actions corner"><button class="btn quiet square" id="b{pk}" type="button" popovertarget="m{pk}">[more]'
    '<span class="vh">More for {name}</span></button><div class="menu" id="m{pk}" popover><a href="{page}">[open]Open</a>'
    '<button type="submit" form="row-refresh" formaction="{page}refresh/" hx-post="{page}refresh/" hx-swap="none">[refresh]'
    "Refresh (1 call)</button><hr>{cancel}</div></td>"
)
DEED = '<button type="submit" form="row-refresh" formaction="{0}" hx-post="{0}" hx-swap="none">{1}{2}</button>'
URGENT = DEED.replace("<button", '<button class="danger"')


@dataclass(frozen=True, slots=True)
class _Row:
    """What the cells of a row are drawn from; `columns` are those shown, `css` holds classes by column."""

    instance: Instance
    window: Any
    columns: Mapping[str, Any]
    css: Mapping[str, str]


@register.tag
def instance_row(parser: Parser, token: Token) -> template.Node:
    """`{% instance_row line %}`: line has instance, no_cancel (why not, or empty), mark and window (a cancel that waits to be sent)."""
    _, line = token.split_contents()
    return _RowNode(parser.compile_filter(line))


class _RowNode(template.Node):
    def __init__(self, line: FilterExpression) -> None:
        self.line = line

    def render(self, context: template.Context) -> str:
        return drawn(context, self.line.resolve(context))


def drawn(context: Mapping[str, Any] | template.Context, line: Any) -> str:
    """The markup of a row."""
    row = _Row(line.instance, line.window, context["shown_columns"], context.get("css") or {})
    pk, name = str(row.instance.pk), row.instance.name
    page = _page().replace(str(NOWHERE), pk)
    cells = "".join([CELLS[key](row) for key in row.columns if key in CELLS])
    mould = _mould(bool(context.get("has_ticks")), bool(line.no_cancel))
    return mould.format(
        pk=pk, mark=escape(line.mark), name=escape(visible(name)), page=page, shown=named(name), cells=cells,
        cancel=_cancel(page, line.no_cancel, line.window),
    )  # fmt: skip


@cache
def _mould(has_ticks: bool, is_off: bool) -> str:
    """A row with its icons, in which only what differs from row to row is left to be filled in."""
    tick = TICK.replace("{off}", " disabled" if is_off else "") if has_ticks else ""
    mould = f'<tr data-id="{{pk}}" data-mark="{{mark}}">{tick}{NAME}{{cells}}{MENU}</tr>\n'
    for name in ("more", "open", "refresh"):
        mould = mould.replace(f"[{name}]", icon(name))
    return mould


@cache
def _page() -> str:
    """Looking an address up takes longer than the rest of a cell."""
    return reverse("instance", args=[NOWHERE])


def _cancel(page: str, no_cancel: str, window: Any) -> str:
    if window and window.may_undo:
        undo, now = (reverse(f"operation-{deed}", args=[window.operation.pk]) for deed in ("undo", "now"))
        made = DEED.format(undo, icon("undo"), "Undo the cancel")
        return made + URGENT.format(now, icon("cancel"), "Cancel now") if window.may_send else made
    if no_cancel:
        return _no_cancel(no_cancel)
    return f'<a class="danger" {dialog_link(f"{page}cancel/")}>{icon("cancel")}Cancel instance…</a>'


# What follows is the same in many rows, so it is drawn once.
@lru_cache(maxsize=256)
def _no_cancel(reason: str) -> str:
    return (
        f'<button type="button" aria-disabled="true">{icon("cancel")}Cancel instance…</button><p>{escape(reason)}</p>'
    )


@lru_cache(maxsize=2048)
def _clipped(mould: str, name: str, css: str, empty: str = "not given") -> str:
    return mould.format(title=escape(visible(name)), shown=named(name, empty), css=escape(css))


@lru_cache(maxsize=256)
def _of_state(look: Look) -> str:
    return f'<td class="c-wide">{state(look)}</td>'


@lru_cache(maxsize=1024)
def _of_steps(done: int | None, total: int | None, last: str, tone: str, is_over: bool) -> str:
    return f'<td class="c-wide">{progress(done, total, last, tone, is_over)}</td>'


WORKFLOW = '<td class="c-wide {css}"><span class="clip" title="{title}">{shown}</span></td>'
STARTER = '<td class="{css}" data-label="Started by"><span class="clip" title="{title}">{shown}</span></td>'
LAST_STEP = '<td data-label="Last step done"><span class="clip" title="{title}">{shown}</span></td>'
NONE = '<span class="faint">–</span>'
SPAN = ' colspan="2"'


def _state(row: _Row) -> str:
    if not row.window:
        return _of_state(row.instance.look)
    chip = loader.get_template("instances/_chip.html").render({"window": row.window, "instance": row.instance})
    return f'<td class="c-wide"{SPAN if "steps" in row.columns else ""}>{chip}</td>'


def _steps(row: _Row) -> str:
    """A cancel that waits takes the place of the steps as well."""
    if row.window and "state" in row.columns:
        return ""
    each = row.instance
    done, total = each.last_completed_step, each.total_steps
    return _of_steps(done, total, each.last_completed_step_name, each.look.tone, each.is_terminal)


def _started(row: _Row) -> str:
    at = when(row.instance.started_at, "ago", "not given")
    return f'<td class="{escape(row.css.get("started", ""))}" data-label="Started">{at}</td>'


def _changed(row: _Row) -> str:
    return f'<td data-label="Last changed">{when(row.instance.last_modified_at, "ago", "not given")}</td>'


def _expires(row: _Row) -> str:
    if row.instance.is_terminal:
        return f'<td data-label="Expires">{NONE}</td>'
    at: str = when(row.instance.expires_at, missing="not given")
    if row.instance.is_expiring:
        at = f'<span class="state loud" data-tone="warning">{icon("expiring")}{at}</span>'
    return f'<td data-label="Expires">{at}</td>'


def _ended(row: _Row) -> str:
    at = when(row.instance.ended_at, "ago", "not given") if row.instance.is_terminal else NONE
    return f'<td data-label="Ended">{at}</td>'


def _origin(row: _Row) -> str:
    return f'<td data-label="Triggered">{"here" if row.instance.is_from_here else "elsewhere"}</td>'


CELLS: Mapping[str, Callable[[_Row], str]] = {
    "workflow": lambda row: _clipped(WORKFLOW, row.instance.workflow.name, row.css.get("workflow", "")),
    "state": _state,
    "steps": _steps,
    "by": lambda row: _clipped(STARTER, row.instance.started_by_name, row.css.get("by", "")),
    "started": _started,
    "changed": _changed,
    "expires": _expires,
    "ended": _ended,
    "origin": _origin,
    "id": lambda row: f'<td class="c-wide mono" data-label="Instance ID">{row.instance.pk}</td>',
    "last_step": lambda row: _clipped(LAST_STEP, row.instance.last_completed_step_name, "", "–"),
}
