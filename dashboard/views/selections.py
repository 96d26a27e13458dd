"""From ticked rows to the question of a bulk run. Its one rule: it freezes and asks; nothing is sent before the answer."""

from typing import Any

from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from dashboard import permissions
from dashboard.forms.confirm import new_key
from dashboard.forms.instance_filter import InstanceFilter
from dashboard.forms.selections import InstanceTicks, WorkflowTicks
from dashboard.forms.strict import StrictForm
from dashboard.models import Batch
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import selections
from dashboard.services.errors import Refused
from dashboard.services.instance_lists import TABS, Found

STATES = {key: label for key, label, _tone in TABS}
NOT_A_FILTER = ("after", "before", "page", "size", "stamp", "sort", "cols")


@requires("instance.cancel")
@require_POST
def instances(request: PersonRequest) -> HttpResponse:
    """Freeze the ticked instances, or all of the list that this address names, and ask."""
    said = _understood(InstanceTicks(request.POST))
    batch = _all_matching(request) if said["all"] else None
    batch = batch or selections.freeze(request.membership, ids=said["pick"], key=new_key())
    return redirect("batch-confirm", batch.pk)


def _all_matching(request: PersonRequest) -> Batch:
    chosen = InstanceFilter(request.GET, membership=request.membership)
    if chosen.problems:
        raise Refused("A filter of this list is not understood, so nothing was selected. Open the list to see which.")
    return selections.freeze(
        request.membership, search=chosen.search(request.GET), described=described(chosen), key=new_key()
    )


@requires("workflow.pause")
@require_POST
def workflows(request: PersonRequest) -> HttpResponse:
    """Freeze the ticked workflows and ask."""
    said = _understood(WorkflowTicks(request.POST))
    batch = selections.freeze_workflows(request.membership, kind=said["deed"], ids=said["pick"], key=new_key())
    return redirect("batch-confirm", batch.pk)


def _understood(form: StrictForm) -> dict[str, Any]:
    if form.is_valid():
        return form.cleaned_data
    raise Refused(" ".join(str(each) for errors in form.errors.values() for each in errors))


def described(chosen: InstanceFilter) -> str:
    """What is selected, in words: "in progress, workflow: Supplier NDA"."""
    state = chosen.value("state")
    words = [STATES["running" if state == "all" else state], *(chip.text for chip in chosen.chips)]
    return ", ".join(word[:1].lower() + word[1:] for word in words)


def bar(request: PersonRequest, chosen: InstanceFilter, found: Found) -> dict[str, Any]:
    """What the bar under a list of instances needs: where it leads, and how many match the filter."""
    query: QueryDict = request.GET.copy()
    for name in NOT_A_FILTER:
        query.pop(name, None)
    if chosen.only:
        query["workflow"] = str(chosen.only.pk)
    state = chosen.value("state")
    running = next((tab.count for tab in found.tabs if tab.key == "running"), None)
    matching = running if state == "all" else found.total
    is_narrow = not chosen.problems and selections.narrows(chosen.search(request.GET))
    return {
        "has_ticks": permissions.can(request.membership, "instance.cancel"),
        "selection_url": f"{reverse('instance-selection')}?{query.urlencode()}",
        "matching": matching,
        "may_select_all": is_narrow and (matching is None or matching > len(found.page.rows)),
    }
