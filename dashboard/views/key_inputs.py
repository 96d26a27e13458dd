"""Key inputs: marking them on a workflow's page, and finding instances by one. Its one rule: a value is never put into an address."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from dashboard import htmx, permissions
from dashboard.forms.instance_filter import InstanceFilter
from dashboard.forms.key_inputs import FindForm, KeyInputForm
from dashboard.forms.saved_views import cleaned_query
from dashboard.models import Workflow
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import key_inputs
from dashboard.services.errors import Refused
from dashboard.services.presence import Presence
from dashboard.services.visibility import visible_workflows
from dashboard.wording import visible

NOT_KEPT = "The value itself is not kept, and does not stand in the address."
NO_KEYS = "No workflow that you see has a key input yet. An admin can choose some on the page of a workflow."


@requires("workflow.mark_key")
@require_POST
def mark(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Make the instances of a workflow findable by one of its inputs."""
    workflow, name = _named(request, workflow_id)
    key_inputs.mark(workflow, name, membership=request.membership)
    messages.success(request, f"“{name}” is a key input now. Earlier instances are being taken in.")
    return htmx.done(request, reverse("workflow", args=[workflow.pk]), "workflowChanged")


@requires("workflow.mark_key")
@require_POST
def unmark(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Find nothing by it any more."""
    workflow, name = _named(request, workflow_id)
    key_inputs.unmark(workflow, name, membership=request.membership)
    messages.success(request, f"“{name}” is no key input any more. What was kept of its values is being deleted.")
    return htmx.done(request, reverse("workflow", args=[workflow.pk]), "workflowChanged")


def _named(request: PersonRequest, workflow_id: str) -> tuple[Workflow, str]:
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    form = KeyInputForm(request.POST)
    if not form.is_valid():
        raise Refused("The form did not name an input. Nothing was changed.")
    return workflow, form.cleaned_data["input"]


def on_workflow(request: PersonRequest, workflow: Workflow, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    """The inputs of a workflow's page with what makes each a key, and why this person may not choose."""
    keys = key_inputs.marked(workflow)
    return {
        "inputs": [{**spec, "key_input": keys.pop(spec["name"], None)} for spec in inputs],
        "former_keys": list(keys.values()),  # the workflow asks for them no longer, but instances were found by them
        "no_mark_key": permissions.reason(request.membership, "workflow.mark_key"),
    }


@requires("instance.view")
@require_http_methods(["GET", "HEAD", "POST"])
def find(request: PersonRequest) -> HttpResponse:
    """Ask which input has which value; lead to the list, whose address names only the digest of the value."""
    mine = request.membership
    query = cleaned_query(request.GET)
    names = key_inputs.names_of(mine)
    form = FindForm(request.POST if request.method == "POST" else None, names=names, initial={"query": query})
    if request.method == "POST" and form.is_valid():
        name = form.cleaned_data["input"]
        digest = key_inputs.digest_of(mine.account_id, name, form.cleaned_data["value"])
        found = QueryDict(cleaned_query(QueryDict(form.cleaned_data["query"])), mutable=True)
        found["key"] = f"{name}:{digest}"
        return htmx.go(request, f"{reverse('instances')}?{found.urlencode()}")
    context = {
        "title": "Find instances by a key input?", "verb": "Find instances", "keep_label": "Back to the list",
        "keep_url": f"{reverse('instances')}?{query or 'state=all'}", "action_url": request.path, "tone": "primary",
        "form": form, "error_title": "Nothing was searched for", "has_names": bool(names),
        "effects": [{"icon": "lock", "text": NOT_KEPT if names else NO_KEYS}],
    }  # fmt: skip
    status = 422 if form.errors else 200
    return htmx.render(request, "key_inputs/find.html", "components/_dialog.html", context, status=status)


def above_list(request: PersonRequest, present: Presence, chosen: InstanceFilter) -> dict[str, Any]:
    """What the list says about key inputs: whether there are some, and what keeps the present one from finding all."""
    key = chosen.cleaned_data.get("key")
    has_keys = present.has_keys and key_inputs.visible_key_inputs(request.membership).exists()
    return {
        "find_url": f"{reverse('instance-find')}?{cleaned_query(request.GET)}" if has_keys else "",
        "key_problems": key_inputs.problems_of(key, request.membership),
        "key_name": visible(key[0]) if key else "",
        "filling": key_inputs.filling(request.membership, key[0]) if key else [],
    }
