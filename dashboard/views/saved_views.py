"""Saved views: their page, and the questions that keep, change and delete them. Its one rule: a view opens as an address."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard import htmx
from dashboard.forms.instance_filter import InstanceFilter
from dashboard.forms.saved_views import SaveViewForm, SwitchForm, ViewForm, cleaned_query
from dashboard.forms.strict import DeedForm, StrictForm
from dashboard.models import SavedView, ViewUse
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import key_inputs, saved_views
from dashboard.services.errors import Refused
from dashboard.services.instance_lists import TABS
from dashboard.services.presence import Presence

EVENT = "viewsChanged"
WITHOUT_WISHES = "state=all"  # the list as it is, also for somebody who has a view that opens by itself
STATES = {key: word for key, word, _tone in TABS}


@dataclass(frozen=True, slots=True)
class Line:
    """A view as a person has it: where it leads, what it filters by, what of that makes no sense any more."""

    view: SavedView
    use: ViewUse
    url: str
    filters: list[str]
    problems: list[str]
    obstacle: str
    count: int | None = None
    is_current: bool = False


@requires("view.use")
@require_safe
def index(request: PersonRequest) -> HttpResponse:
    """Own views and those that others share."""
    rows = [line_of(request, view) for view in saved_views.views_of(request.membership)]
    return htmx.render(request, "saved_views/index.html", "saved_views/_views.html", {"rows": rows})


def line_of(request: PersonRequest, view: SavedView, *, is_counted: bool = False) -> Line:
    """What is to be said of a view."""
    mine, query = request.membership, QueryDict(view.query)
    chosen = InstanceFilter(query, membership=mine)
    problems = [f"{problem.label}: {problem.text}" for problem in chosen.problems]
    problems += key_inputs.problems_of(chosen.cleaned_data.get("key"), mine)
    count = saved_views.count_of(view, mine, chosen.search(query)) if is_counted and not problems else None
    return Line(
        view=view,
        use=saved_views.use_of(view),
        url=address(view),
        filters=_filters(chosen),
        problems=problems,
        obstacle=saved_views.change_obstacle(view, mine),
        count=count,
        is_current=cleaned_query(request.GET) == cleaned_query(QueryDict(address(view).partition("?")[2])),
    )


def _filters(chosen: InstanceFilter) -> list[str]:
    tab = chosen.value("state")
    state = [f"State: {word}" for key, word in STATES.items() if key == tab != "all"]
    return state + [chip.text for chip in chosen.chips]


def address(view: SavedView) -> str:
    """The list as the view keeps it. It names a state always, so that it is never taken for a visit without wishes."""
    query = QueryDict(view.query, mutable=True)
    query.setdefault("state", "all")
    return f"{reverse('instances')}?{cleaned_query(query)}"


def opening(request: PersonRequest) -> HttpResponse | None:
    """Where a visit of the list without any parameter leads, if this person has a view for that."""
    if request.GET or htmx.wants_fragment(request):
        return None
    view = saved_views.default_view(request.membership)
    return redirect(address(view)) if view else None


def above_list(request: PersonRequest, present: Presence) -> dict[str, Any]:
    """What the list shows of views: the pinned ones with counts, and the address that keeps the present one."""
    views = saved_views.pinned_views(request.membership) if present.has_views else []
    pinned = [line_of(request, view, is_counted=True) for view in views]
    save_url = f"{reverse('view-save')}?{cleaned_query(request.GET)}"
    return {"pinned": pinned, "save_url": save_url, "bare_query": WITHOUT_WISHES}


@requires("view.save")
@require_http_methods(["GET", "HEAD", "POST"])
def save(request: PersonRequest) -> HttpResponse:
    """Ask for a name, then keep what the list shows."""
    kept = cleaned_query(request.GET)
    form = SaveViewForm(request.POST if request.method == "POST" else None, initial={"query": kept})
    if request.method == "POST" and form.is_valid():
        try:
            view = saved_views.save_view(request.membership, saved_views.Wish(**form.cleaned_data))
        except Refused as refusal:
            form.add_error(refusal.field, refusal.message)
        else:
            messages.success(request, f"Kept as “{view}”.", extra_tags=reverse("views"))
            return htmx.done(request, address(view), EVENT, "closeDialog")
    names = [
        {"name": text, "note": ""} for text in _filters(InstanceFilter(QueryDict(kept), membership=request.membership))
    ]
    effects = [{"icon": "info", "text": "Filters, order, columns and rows a page are kept. The instances are not."}]
    back = f"{reverse('instances')}?{kept or WITHOUT_WISHES}"
    context = {"title": "Save this view?", "verb": "Save view", "keep_label": "Do not save", "keep_url": back}
    return _ask(request, form, {**context, "names": names, "effects": effects, "tone": "primary"})


@requires("view.save")
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: PersonRequest, view_id: int) -> HttpResponse:
    """Ask for another name or other people, then keep it."""
    view = _changeable(request, view_id)
    present = {"name": view.name, "is_shared": view.is_shared}
    form = ViewForm(request.POST if request.method == "POST" else None, initial=present)
    if request.method == "POST" and form.is_valid():
        try:
            saved_views.change_view(view, request.membership, **form.cleaned_data)
        except Refused as refusal:
            form.add_error(refusal.field, refusal.message)
        else:
            messages.success(request, f"“{view}” is changed.")
            return htmx.done(request, reverse("views"), EVENT, "closeDialog")
    context = {"title": f"Change the view “{present['name']}”?", "verb": "Change view", "tone": "primary"}
    return _ask(request, form, {**context, "keep_label": "Keep it as it is", "keep_url": reverse("views")})


@requires("view.save")
@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: PersonRequest, view_id: int) -> HttpResponse:
    """Ask, then delete."""
    view = _changeable(request, view_id)
    form = DeedForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        saved_views.delete_view(view, request.membership)
        messages.success(request, f"The view “{view}” is deleted.")
        return htmx.done(request, reverse("views"), EVENT, "closeDialog")
    who = "everybody who uses it" if view.is_shared else "you"
    effects = [
        {"icon": "cancel", "text": f"The view is gone for {who}. It cannot be brought back."},
        {"icon": "info", "text": "The instances stay as they are."},
    ]
    context = {"title": "Delete this view?", "verb": "Delete view", "keep_label": "Keep it", "effects": effects}
    names = [{"name": view.name, "note": f"of {view.owner}, shared" if view.is_shared else "only yours"}]
    return _ask(request, form, {**context, "names": names, "keep_url": reverse("views")})


def _changeable(request: PersonRequest, view_id: int) -> SavedView:
    view = get_object_or_404(saved_views.views_of(request.membership), pk=view_id)
    saved_views.refuse_strangers(view, request.membership)
    return view


def _ask(request: PersonRequest, form: StrictForm, context: dict[str, Any]) -> HttpResponse:
    status = 422 if form.errors else 200
    asked = {**context, "form": form, "action_url": request.path, "error_title": "Nothing was changed"}
    return htmx.render(request, "saved_views/question.html", "components/_dialog.html", asked, status=status)


@requires("view.use")
@require_POST
def pin(request: PersonRequest, view_id: int) -> HttpResponse:
    """Put it above one's own list, or take it away from there."""
    view, is_on = _switched(request, view_id)
    saved_views.pin(view, request.membership, is_pinned=is_on)
    messages.success(request, f"“{view}” is pinned above the list." if is_on else f"“{view}” is unpinned.")
    return htmx.done(request, reverse("views"), EVENT)


@requires("view.use")
@require_POST
def make_default(request: PersonRequest, view_id: int) -> HttpResponse:
    """Open the list with it, or with all instances again."""
    view, is_on = _switched(request, view_id)
    saved_views.set_default(view, request.membership, is_default=is_on)
    messages.success(request, f"The list opens with {f'“{view}”' if is_on else 'all instances'}.")
    return htmx.done(request, reverse("views"), EVENT)


def _switched(request: PersonRequest, view_id: int) -> tuple[SavedView, bool]:
    view = get_object_or_404(saved_views.views_of(request.membership), pk=view_id)
    form = SwitchForm(request.POST)
    if not form.is_valid():
        raise Refused("The form did not say what to change. Nothing was changed.")
    return view, form.cleaned_data["on"] == "yes"
