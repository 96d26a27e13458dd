"""The two ways on for a list that needs a second person: asking for one, or an admin's way without. Its one rule: both say why."""

from dataclasses import replace

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from dashboard import htmx
from dashboard.forms.approvals import AskForm, BreakGlassForm
from dashboard.forms.confirm import ConfirmForm
from dashboard.models import Approval, Batch, BatchState
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import approvals, batch_preview, second_person
from dashboard.services.visibility import visible_batches
from dashboard.views.approvals import name_of_place
from dashboard.views.batch_confirm import HAPPENS
from dashboard.views.questions import Question, answer


@requires("batch.run")
@require_http_methods(["GET", "HEAD", "POST"])
def ask(request: PersonRequest, batch_id: str) -> HttpResponse:
    """Ask for a second person; where one is asked already, show that."""
    batch = _found(request, batch_id)
    first = Approval.objects.filter(batch=batch).first()
    if request.method != "POST" and first and approvals.is_waiting(first):
        return htmx.go(request, reverse("approval", args=[first.pk]))
    policy = second_person.policy_of(batch)
    effects = [
        {"icon": "person", "text": "Somebody else looks at the list and your reason, and decides. You cannot."},
        {"icon": "lock", "text": "The list stays as it is. Any change of it makes the request void."},
        {"icon": "play", "text": _then(batch)},
    ]
    if policy:
        effects.insert(0, {"icon": "info", "text": second_person.needs_sentence(policy)})
    form = AskForm(request.POST if request.method == "POST" else None, initial={"reason": batch.reason})
    question = replace(_question(batch, effects), title=f"Ask for a second person: {batch.name}?", tone="primary")

    def act(cleaned: dict[str, str]) -> Approval:
        return approvals.ask(batch, membership=request.membership, reason=cleaned["reason"], key=cleaned["key"])

    return answer(request, question, form, act, _asked)


def _asked(request: PersonRequest, _question: Question, _form: ConfirmForm, approval: Approval) -> HttpResponse:
    if not approvals.is_waiting(approval):
        messages.info(request, "You asked for this before. Here is what came of it.")  # the same form, after the end
    elif approval.batch.state == BatchState.DONE:
        messages.success(request, "Asked. Once somebody else approves it, you can send it again.")
    else:
        messages.success(request, "Asked. It starts as soon as somebody else approves it.")
    return htmx.go(request, reverse("approval", args=[approval.pk]))


def _then(batch: Batch) -> str:
    if batch.state == BatchState.PLANNED:
        return "Once approved it starts at once, with your connection to Docusign."
    return "Once approved you can send again what did not run, with your connection to Docusign."


@requires("batch.break_glass")
@require_http_methods(["GET", "HEAD", "POST"])
def break_glass(request: PersonRequest, batch_id: str) -> HttpResponse:
    """Ask, then start it without a second person."""
    batch = _found(request, batch_id)
    asked = Approval.objects.filter(batch=batch).first()
    if request.method != "POST" and not (asked and approvals.is_waiting(asked)):
        return htmx.go(request, reverse("batch", args=[batch.pk]))
    initial = {"seen": second_person.digest_of(batch)}
    form = BreakGlassForm(request.POST if request.method == "POST" else None, initial=initial)
    verb = "Start" if batch.state == BatchState.PLANNED else "Let it go"
    question = replace(
        _question(batch, _loudly(batch)),
        title=f"{verb} without a second person: {batch.name}?",
        verb=f"{verb} without one",
    )

    def act(cleaned: dict[str, str]) -> Approval:
        return approvals.break_glass(
            batch, membership=request.membership, reason=cleaned["reason"], seen=cleaned["seen"]
        )

    return answer(request, question, form, act, _broken)


def _loudly(batch: Batch) -> list[dict[str, str]]:
    return [
        {
            "icon": "warning",
            "strong": f"{_goes(batch)} without a second person.",
            "text": "Your name and your reason stay on its page, on the overview of others and in the audit.",
        },
        {"icon": "person", "text": f"It runs with the connection to Docusign of {batch.actor}."},
        *HAPPENS[batch.kind],
    ]


def _goes(batch: Batch) -> str:
    return "It starts" if batch.state == BatchState.PLANNED else f"{batch.actor} can send again what did not run"


def _broken(request: PersonRequest, _question: Question, _form: ConfirmForm, approval: Approval) -> HttpResponse:
    approval.batch.refresh_from_db(fields=["confirmed_at"])
    went = "Started" if approvals.is_started(approval) else "Let go"
    messages.warning(request, f"{went} without a second person. Everybody who sees the bulk run can see that.")
    return htmx.go(request, reverse("approval", args=[approval.pk]))


def _found(request: PersonRequest, batch_id: str) -> Batch:
    rows = visible_batches(request.membership).filter(frozen_at__isnull=False)
    return get_object_or_404(rows.select_related("account__budget", "workflow", "actor"), pk=batch_id)


def _question(batch: Batch, effects: list[dict[str, str]]) -> Question:
    preview = batch_preview.preview_of(batch)
    return Question(
        page="approvals/question.html",
        title="",
        verb="Ask for a second person",
        keep_label="Leave it",
        keep_url=reverse("batch", args=[batch.pk]),
        done_url=reverse("batch", args=[batch.pk]),
        events=(),
        effects=effects,
        names=[{"name": str(item), "note": name_of_place(item)} for item in preview.first],
        more=preview.count - len(preview.first),
    )
