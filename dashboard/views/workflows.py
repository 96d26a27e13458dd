"""Workflows: the list, one of them, pause and resume. Its one rule: pages read the mirror; only a POST asks Docusign."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from dashboard import htmx, permissions, stamps
from dashboard.forms.confirm import ConfirmForm
from dashboard.forms.filters import WorkflowFilter
from dashboard.models import Batch, Operation, Workflow
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import (
    charts,
    contracts,
    drift,
    due,
    figures,
    obstacles,
    operations,
    pace,
    people,
    refreshes,
    selections,
    workflow_lists,
    workflows,
)
from dashboard.services.errors import NeedsSecondPerson
from dashboard.services.json_values import as_json
from dashboard.services.presence import presence_of
from dashboard.services.sign_in_gate import local_path
from dashboard.services.visibility import is_connected, visible_workflows
from dashboard.views import input_retention, key_inputs
from dashboard.views.frames import frame
from dashboard.views.instance_list import listed
from dashboard.views.questions import Question, answer, told

Send = Callable[..., Operation]


@requires("workflow.view")
@require_safe
def index(request: PersonRequest) -> HttpResponse:
    """All workflows that this person's own token listed."""
    due.look(request.membership)
    if same := stamps.unchanged(request):
        return same
    chosen = WorkflowFilter(request.GET)
    wanted = {name: chosen.value(name) for name in ("sort", "size", "page")}
    found = workflow_lists.find_workflows(
        request.membership, q=chosen.cleaned_data.get("q", ""), state=chosen.cleaned_data.get("state", ""), **wanted
    )
    context = {
        **frame(request),
        "filter": chosen,
        "found": found,
        "sort": wanted["sort"],
        "rows": [with_ways(request, line) for line in found.lines],
        "has_ticks": permissions.can(request.membership, "workflow.pause"),
    }
    return htmx.render(request, "workflows/index.html", "workflows/_workflows.html", context)


@requires("workflow.view")
@require_safe
def detail(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """One workflow: its facts, its contract, its instances."""
    due.look(request.membership)
    if same := stamps.unchanged(request):
        return same
    workflow = get_object_or_404(visible_workflows(request.membership).select_related("asked_by"), pk=workflow_id)
    context = {
        **frame(request),
        **listed(request, presence_of(request.membership), workflow),
        **about(request, workflow),
        **trend(request, workflow),
    }
    drift.note_seen(request.membership, workflow, context["versions"][0][0] if context["versions"] else None)
    return htmx.render(request, "workflows/detail.html", "workflows/_workflow.html", context)


def about(request: PersonRequest, workflow: Workflow) -> dict[str, Any]:
    """The facts of one workflow."""
    mine = request.membership
    names = people.names_of(mine, [workflow.created_by, workflow.modified_by])
    versions = contracts.history(workflow)
    specs = versions[0][0].fields if versions else []
    inputs = [{**spec, "default_text": as_json(spec["default"])} for spec in specs]
    return {
        **ways(request, workflow),
        "workflow": workflow,
        "figures": workflow_lists.figures_of(mine, [workflow.pk]).get(workflow.pk, workflow_lists.Figures()),
        "memory": workflows.pause_memory(workflow),
        "created_by": names.get(workflow.created_by.lower(), ""),
        "modified_by": names.get(workflow.modified_by.lower(), ""),
        "versions": versions,
        "version": contracts.count_versions(workflow),
        **key_inputs.on_workflow(request, workflow, inputs),
        **input_retention.on_workflow(request, workflow),
    }


def trend(request: PersonRequest, workflow: Workflow) -> dict[str, Any]:
    """What happened to its instances on each of the last days, and how long a step usually takes."""
    days = figures.days_of(request.membership, workflow)
    return {"chart": charts.day_chart(days, key="days", title="Instances per day"), "pace": pace.pace_of(workflow)}


def ways(request: PersonRequest, workflow: Workflow) -> dict[str, str]:
    """Why this person cannot trigger, pause or resume it now; empty texts where they can."""
    mine = request.membership
    return {
        "no_trigger": permissions.reason(mine, "workflow.trigger") or obstacles.trigger_obstacle(workflow, mine),
        "no_pause": permissions.reason(mine, "workflow.pause") or obstacles.pause_obstacle(workflow, mine),
        "no_resume": permissions.reason(mine, "workflow.resume") or obstacles.resume_obstacle(workflow, mine),
        "no_stop": permissions.reason(mine, "workflow.stop") or ("" if is_connected(mine) else obstacles.NOT_CONNECTED),
    }


def with_ways(request: PersonRequest, line: workflow_lists.WorkflowLine) -> dict[str, object]:
    """One row of the list: what is known of the workflow, and what this person can do with it."""
    mine, workflow = request.membership, line.workflow
    return {
        "line": line,
        "workflow": workflow,
        "figures": line.figures,
        "why_not": permissions.missing_role(mine, "workflow.trigger")
        or obstacles.trigger_obstacle_word(workflow, mine),
        **ways(request, workflow),
    }


@requires("workflow.view")
@require_POST
def refresh_all(request: PersonRequest) -> HttpResponse:
    """Ask for this person's own sync now; the worker does it, so the page does not wait."""
    if due.refresh_now(request.membership):
        messages.info(request, "Docusign is being read. The page shows it as soon as it is there.")
    else:
        messages.info(request, "Docusign was read only moments ago; the page shows what it said.")
    return htmx.done(request, local_path(request.GET.get("next") or reverse("workflows")), "mirrorAsked")


@requires("workflow.view")
@require_POST
def refresh(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Read this workflow, its contract and its instances again."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    refreshes.refresh_workflow(workflow, request.membership)
    return htmx.done(request, reverse("workflow", args=[workflow.pk]), "workflowChanged", "instanceChanged")


@requires("workflow.pause")
@require_http_methods(["GET", "HEAD", "POST"])
def pause(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Ask, then stop new instances."""
    effects = [
        {
            "icon": "pause",
            "text": "New instances stop: every trigger is refused until it is resumed, also outside this console.",
        },
        {"icon": "play", "text": "Running instances go on to their end."},
        {"icon": "undo", "text": "You can resume it at any time."},
        {"icon": "price", "text": "Uses 1 to 2 API calls."},
    ]
    return _switch(request, workflow_id, ("Pause", "Keep it active"), operations.pause_workflow, effects)


@requires("workflow.resume")
@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Ask, then let new instances start again."""
    effects = [
        {"icon": "play", "text": "New instances can start again, also from outside this console."},
        {"icon": "info", "text": "Triggers that were refused while it was paused are not sent again."},
        {"icon": "price", "text": "Uses 1 to 2 API calls."},
    ]
    return _switch(request, workflow_id, ("Resume", "Keep it paused"), operations.resume_workflow, effects)


def _switch(
    request: PersonRequest, workflow_id: str, words: tuple[str, str], send: Send, effects: list[dict[str, str]]
) -> HttpResponse:
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    verb = words[0]
    question = _switch_question(workflow, words, effects)
    form = ConfirmForm(request.POST if request.method == "POST" else None)

    def act(cleaned: dict[str, str]) -> Operation | Batch:
        mine, key = request.membership, cleaned["key"]
        try:
            return send(workflow, actor=request.user, membership=mine, key=key)
        except NeedsSecondPerson:
            return selections.freeze_workflows(mine, kind=verb.lower(), ids=[workflow.pk], key=key)

    return answer(request, question, form, act, _switched)


def _switch_question(workflow: Workflow, words: tuple[str, str], effects: list[dict[str, str]]) -> Question:
    verb, keep = words
    page = reverse("workflow", args=[workflow.pk])
    return Question(
        page="workflows/switch.html",
        title=f"{verb} {workflow}?",
        verb=f"{verb} workflow",
        keep_label=keep,
        keep_url=page,
        done_url=page,
        events=("workflowChanged",),
        tone="primary",
        effects=effects,
    )


def _switched(request: PersonRequest, question: Question, form: ConfirmForm, result: Operation | Batch) -> HttpResponse:
    """The outcome, or the question that leads on to a second person."""
    if isinstance(result, Batch):
        return redirect("batch-confirm", result.pk)
    return told(request, question, form, result)
