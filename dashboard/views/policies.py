"""When a second person is needed. Its one rule: only admins change it, and every change is in the audit."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from dashboard import htmx
from dashboard.forms.confirm import ConfirmForm
from dashboard.forms.policies import PolicyForm
from dashboard.models import OperationKind, Policy
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import approvals, policies
from dashboard.services.visibility import visible_workflows
from dashboard.views.questions import Question, answer


@requires("policy.change")
@require_safe
def index(request: PersonRequest) -> HttpResponse:
    """All policies of the account."""
    deciders = approvals.deciders_of(request.account)
    context = {"policies": list(policies.policies_of(request.account)), "deciders": deciders}
    return htmx.render(request, "policies/index.html", "policies/_policies.html", context)


@requires("policy.change")
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: PersonRequest) -> HttpResponse:
    """Ask for which deed, then keep it."""
    workflows = visible_workflows(request.membership)
    form = PolicyForm(request.POST if request.method == "POST" else None, workflows=workflows)
    effects = [
        {"icon": "person", "text": "What reaches the number waits until somebody else has approved it."},
        {"icon": "info", "text": "What is under way already goes on."},
    ]
    question = _question("Add a policy", "Add the policy", effects)

    def act(cleaned: dict[str, Any]) -> Policy:
        return policies.add_policy(
            request.account,
            membership=request.membership,
            workflow=cleaned["workflow"],
            kind=OperationKind(cleaned["kind"]),
            least_count=cleaned["least_count"],
        )

    return answer(request, question, form, act, _told)


@requires("policy.change")
@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: PersonRequest, policy_id: int) -> HttpResponse:
    """Ask, then take it away."""
    policy = get_object_or_404(policies.policies_of(request.account), pk=policy_id)
    effects = [
        {"icon": "warning", "text": "What waits for a second person because of it can start without one."},
        {"icon": "audit", "text": "That you removed it stays in the audit."},
    ]
    question = _question(f"Remove the policy “{policy}”?", "Remove the policy", effects, keep="Keep it", tone="danger")
    form = ConfirmForm(request.POST if request.method == "POST" else None)

    def act(_cleaned: dict[str, object]) -> bool:
        return policies.remove_policy(policy, membership=request.membership)

    return answer(request, question, form, act, _told)


def _question(
    title: str, verb: str, effects: list[dict[str, str]], *, keep: str = "Leave it", tone: str = "primary"
) -> Question:
    page = reverse("policies")
    return Question(
        page="policies/question.html",
        title=title,
        verb=verb,
        keep_label=keep,
        keep_url=page,
        done_url=page,
        events=("policiesChanged", "closeDialog"),
        tone=tone,
        effects=effects,
    )


def _told(request: PersonRequest, question: Question, _form: ConfirmForm, result: object) -> HttpResponse:
    messages.success(request, "The policy holds from now on." if isinstance(result, Policy) else "The policy is gone.")
    return htmx.done(request, question.done_url, *question.events)
