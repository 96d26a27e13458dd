"""The list of instances, on its own page and on a workflow's, and what its filters suggest.

The one rule: the same address gives the same list on every page that shows one, and names everything that narrows it.
"""

import zlib
from typing import Any, NamedTuple

from django.http import HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from dashboard import htmx, stamps
from dashboard.forms.instance_filter import (
    COLUMNS,
    DEFAULT_COLUMNS,
    DESCENDING_FIRST,
    ME,
    Choice,
    InstanceFilter,
    uuid_of,
)
from dashboard.models import Instance, Workflow
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import due, instance_lists, undo_windows
from dashboard.services.instance_lists import ORDERS, SUGGESTED, Found
from dashboard.services.lists import Page
from dashboard.services.presence import Presence, presence_of
from dashboard.services.undo_windows import Window
from dashboard.views import key_inputs, saved_views, selections
from dashboard.views.exports import export_url
from dashboard.views.frames import SOON, frame, pager
from dashboard.views.instances import no_cancel

# Columns that make room first where the box is narrow; columns that somebody chose stay.
ROOM = {"workflow": "c-mid", "by": "c-low", "started": "c-low"}
PAGING = ("after", "before", "page", "stamp")
SETTINGS = ("state", "sort", "size", "cols")
LONGEST_TEXT = 200


class Line(NamedTuple):
    """A row: the instance, why it cannot be canceled, a mark that changes with what the row shows, times of day apart, and the
    cancel that waits to be sent.
    """

    instance: Instance
    no_cancel: str
    mark: str
    window: Window | None = None


@requires("instance.view")
@require_safe
def index(request: PersonRequest) -> HttpResponse:
    """All instances that this person may see."""
    due.look(request.membership)
    if same := stamps.unchanged(request):
        return same
    present = presence_of(request.membership)
    if present.has_views and (view := saved_views.opening(request)):
        return view
    shown = listed(request, present)
    beside = {
        **saved_views.above_list(request, present),
        **key_inputs.above_list(request, present, shown["filter"]),
    }
    context = {**frame(request), **shown, **beside}
    return htmx.render(request, "instances/index.html", "instances/_instances.html", context)


def listed(request: PersonRequest, present: Presence, workflow: Workflow | None = None) -> dict[str, Any]:
    """What the list component needs, on whichever page it stands."""
    chosen = InstanceFilter(request.GET, membership=request.membership, workflow=workflow)
    if chosen.is_withheld:
        found = Found(Page([], None, None, True))
    else:
        found = instance_lists.find_instances(request.membership, chosen.search(request.GET))
    rows = lines(request, found.page.rows, present)
    return {
        **({"poll_seconds": SOON} if any(row.window for row in rows) else {}),
        "filter": chosen,
        "found": found,
        "rows": rows,
        "tabs": found.tabs,
        "tab": chosen.value("state"),
        "sort": chosen.value("sort"),
        "choices": {name: links(request.GET, name, chosen.choices[name]) for name in chosen.choices},
        "clear_url": _address(request.GET, drop=[*chosen.fields.keys() - SETTINGS, *PAGING]),
        "kept": _pairs(request.GET, SETTINGS),
        "export_url": export_url(request.GET, chosen),
        **columns(request, chosen),
        **selections.bar(request, chosen, found),
        **pager(request, found.page, chosen.value("size"), total=found.total),
    }


def columns(request: PersonRequest, chosen: InstanceFilter) -> dict[str, Any]:
    """The heads of the shown columns, and the choice among all of them."""
    shown = dict.fromkeys(chosen.columns, True)
    css = {} if chosen.has_own_columns else ROOM
    heads = [
        {
            "label": COLUMNS[key],
            "sort": key if key in ORDERS else "",
            "first": "-" if key in DESCENDING_FIRST else "",
            "css": css.get(key, ""),
        }
        for key in shown
    ]
    return {
        "shown_columns": shown,
        "css": css,
        "heads": heads,
        "choosable": [(key, label, key in shown) for key, label in COLUMNS.items() if key != "name"],
        "beside_columns": _pairs(request.GET, request.GET.keys() - {"cols", *PAGING}),
        "standard_url": _address(request.GET, drop=["cols", *PAGING]) if chosen.has_own_columns else "",
        "standard_columns": DEFAULT_COLUMNS,
    }


def lines(request: PersonRequest, rows: list[Instance], present: Presence) -> list[Line]:
    """The rows with what this person can do."""
    mine = request.membership
    windows = undo_windows.windows_of([row.pk for row in rows], mine) if rows and present.has_cancels else {}
    return [_line(row, no_cancel(row, mine, windows.get(row.pk)), windows.get(row.pk)) for row in rows]


def _line(row: Instance, no_cancel: str, window: Window | None) -> Line:
    said = (
        row.name, row.workflow.name, row.status, row.raw_status, row.started_by_name, row.total_steps, row.last_completed_step,
        row.last_completed_step_name, row.started_at, row.last_modified_at, row.expires_at, row.ended_at, row.is_from_here, no_cancel,
    )  # fmt: skip
    return Line(row, no_cancel, f"{zlib.crc32(repr(said).encode()):x}", window)


@requires("instance.view")
@require_safe
def suggest_workflows(request: PersonRequest) -> HttpResponse:
    """Workflows that the typed text may mean."""
    found = instance_lists.suggest_workflows(request.membership, _text(request))
    return _suggested(request, "workflow", [Choice(str(workflow.pk), workflow.name) for workflow in found])


@requires("instance.view")
@require_safe
def suggest_people(request: PersonRequest) -> HttpResponse:
    """People who started instances, whom the typed text may mean; oneself first."""
    text = _text(request)
    found = instance_lists.suggest_starters(request.membership, text)
    me = [Choice(ME, "Me")] if ME.startswith(text.casefold()) else []
    return _suggested(request, "by", [*me, *(Choice(starter.id, starter.name) for starter in found)][:SUGGESTED])


def _suggested(request: PersonRequest, name: str, choices: list[Choice]) -> HttpResponse:
    query = request.GET.copy()
    text = query.pop("q", [""])[-1]
    context = {
        "name": name,
        "noun": {"workflow": "workflow", "by": "person"}[name],
        "text": text,
        "links": links(query, name, choices),
        "is_full": len(choices) >= SUGGESTED,
        "kept": _pairs(query, query.keys() - set(PAGING)),
        "back": reverse("instances"),
    }
    if htmx.wants_fragment(request):
        return render(request, "instances/_choices.html", context)
    return render(request, "instances/choose.html", context)


def links(query: QueryDict, name: str, choices: list[Choice]) -> list[tuple[str, str]]:
    """For each choice the address of the same list with it, and its label. What was typed for it goes."""
    kept = [text for text in query.getlist(name) if name == "workflow" and uuid_of(text)]
    return [(_address(query, drop=PAGING, **{name: [*kept, each.value]}), each.label) for each in choices]


def _text(request: PersonRequest) -> str:
    return request.GET.get("q", "").replace("\0", "").strip()[:LONGEST_TEXT]


def _address(query: QueryDict, *, drop: Any = (), **values: list[str]) -> str:
    made = query.copy()
    for name in drop:
        made.pop(name, None)
    for name, several in values.items():
        made.setlist(name, list(dict.fromkeys(several)))
    return f"?{made.urlencode() or saved_views.WITHOUT_WISHES}"


def _pairs(query: QueryDict, names: Any) -> list[tuple[str, str]]:
    return [(name, text) for name in sorted(names) for text in query.getlist(name) if text]
