"""The team's rules for inputs: the list of a workflow, and one of them. Its one rule: what is sent is never changed by a rule."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from dashboard import htmx
from dashboard.forms.input_rules import RuleForm
from dashboard.forms.strict import DeedForm
from dashboard.models import Workflow
from dashboard.permissions import reason, requires
from dashboard.person import PersonRequest
from dashboard.services import input_rules, rule_changes
from dashboard.services.errors import Refused
from dashboard.services.rule_changes import RuleLine, RuleWish
from dashboard.services.visibility import visible_workflows
from dashboard.wording import visible


@requires("workflow.view")
@require_safe
def index(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Every input with what is asked of it here."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    rows = [
        {"line": line, "hints": input_rules.hints(line.rule, line.spec) if line.spec else []}
        for line in rule_changes.lines_of(workflow)
    ]
    context = {"workflow": workflow, "rows": rows, "no_change": reason(request.membership, "input_rule.change")}
    return htmx.render(request, "input_rules/index.html", "input_rules/_rules.html", context)


@requires("input_rule.change")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: PersonRequest, workflow_id: str) -> HttpResponse:
    """Ask what is to be asked of an input, then keep it."""
    workflow = get_object_or_404(visible_workflows(request.membership), pk=workflow_id)
    line = rule_changes.line_of(workflow, request.GET.get("input", ""))
    if line is None:
        raise Http404
    posted = request.POST if request.method == "POST" else None
    form = RuleForm(line, posted) if line.spec else DeedForm(posted)
    if request.method == "POST" and form.is_valid():
        wish = form.wish() if isinstance(form, RuleForm) else RuleWish()
        try:
            rule = rule_changes.save_rule(workflow, line.name, wish, membership=request.membership)
        except Refused as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, refusal.message)
        else:
            said = "has a rule now" if rule else "has no rule of this console any more"
            messages.success(request, f"“{visible(line.name)}” {said}.")
            return htmx.go(request, reverse("input-rules", args=[workflow.pk]))
    return _show(request, workflow, line, form)


def _show(request: PersonRequest, workflow: Workflow, line: RuleLine, form: RuleForm | DeedForm) -> HttpResponse:
    context = {"workflow": workflow, "line": line, "form": form}
    status = 422 if form.errors else 200
    return htmx.render(request, "input_rules/edit.html", "input_rules/_rule.html", context, status=status)
