"""How long a workflow's inputs are kept. Its one rule: what is erased cannot be brought back, so the question says what goes."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from dashboard import htmx, permissions
from dashboard.forms.confirm import ConfirmForm
from dashboard.forms.input_retention import RetentionForm
from dashboard.models import Workflow
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import input_erasure, input_retention
from dashboard.services.visibility import visible_workflows
from dashboard.views.questions import Question, answer
from dashboard.wording import plural, visible

EFFECTS = [
    {"icon": "info", "text": "Inputs of instances that ended longer ago are erased here and not read again."},
    {"icon": "info", "text": "Rows of files for runs that are over go as well, and with a number presets that old."},
    {"icon": "warning", "text": "What is erased cannot be brought back. Docusign keeps what it has."},
]


@requires("input_retention.change")
@require_http_methods(["GET", "HEAD", "POST"])
def change(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Ask for how long, then hold to it."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    posted = request.POST if request.method == "POST" else None
    form = RetentionForm(posted, initial={"days": workflow.inputs_kept_days})

    def act(cleaned: dict[str, Any]) -> bool:
        return input_retention.set_days(workflow, cleaned["days"], membership=request.membership)

    return answer(request, _question(workflow), form, act, _told)


def _question(workflow: Workflow) -> Question:
    page = reverse("workflow", args=[workflow.pk])
    return Question(
        page="workflows/question.html",
        title=f"How long are inputs of “{visible(workflow.name)}” kept?",
        verb="Change the time",
        keep_label="Leave it",
        keep_url=page,
        done_url=page,
        events=("workflowChanged", "closeDialog"),
        effects=EFFECTS,
    )


def _told(request: PersonRequest, question: Question, _form: ConfirmForm, is_new: bool) -> HttpResponse:
    messages.success(request, "The time holds from now on." if is_new else "The time was that already.")
    return htmx.done(request, question.done_url, *question.events)


def on_workflow(request: PersonRequest, workflow: Workflow) -> dict[str, str]:
    """What a workflow's page says about it, and why this person may not change it."""
    days = plural(input_erasure.kept_days(workflow.inputs_kept_days), "day")
    return {
        "inputs_kept": f"{days} after the end{'' if workflow.inputs_kept_days else ', the usual time'}",
        "no_input_retention": permissions.reason(request.membership, "input_retention.change"),
    }
