"""The question before a bulk run, whatever it does and wherever its list came from.

The one rule: it names the number, the first five, what happens and what does not, and what it costs, as of now; only its own
person can answer it, and one answer starts it once.
"""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from dashboard import htmx
from dashboard.forms.confirm import BatchForm, ConfirmForm
from dashboard.models import Approval, Batch, BatchItem, BatchState, OperationKind, Policy
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import approvals, batch_preview, batches, second_person
from dashboard.services.batch_preview import Preview
from dashboard.services.visibility import visible_batches
from dashboard.views.questions import Question, answer
from dashboard.wording import clock_text, duration_text, plural

Kind = OperationKind
NOUNS = {Kind.TRIGGER: "instance", Kind.CANCEL: "instance", Kind.PAUSE: "workflow", Kind.RESUME: "workflow"}
KEEP = {
    Kind.TRIGGER: "Trigger none",
    Kind.CANCEL: "Keep them running",
    Kind.PAUSE: "Keep them active",
    Kind.RESUME: "Keep them paused",
}
HAPPENS: dict[str, list[dict[str, str]]] = {
    Kind.TRIGGER: [
        {"icon": "trigger", "text": "Each row of the list starts one instance, one after the other."},
        {"icon": "document", "text": "What Docusign then sends to people cannot be called back from here."},
    ],
    Kind.CANCEL: [
        {"icon": "cancel", "text": "Remaining steps stop at once. People can no longer act in them."},
        {
            "icon": "document",
            "text": "Documents already sent or signed are not voided from here. The workflows stay active.",
        },
    ],
    Kind.PAUSE: [
        {"icon": "pause", "text": "New instances stop: every trigger is refused, also outside this console."},
        {"icon": "play", "text": "Running instances go on to their end. You can resume the workflows at any time."},
    ],
    Kind.RESUME: [
        {"icon": "play", "text": "New instances can start again, also from outside this console."},
        {"icon": "info", "text": "Triggers that were refused meanwhile are not sent again."},
    ],
}


@requires("batch.run")
@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: PersonRequest, batch_id: str) -> HttpResponse:
    """Ask, then start the bulk run."""
    mine = visible_batches(request.membership).filter(actor=request.user, frozen_at__isnull=False)
    batch = get_object_or_404(mine.select_related("account__budget", "workflow"), pk=batch_id)
    if request.method != "POST" and batch.state != BatchState.PLANNED:
        return htmx.go(request, reverse("batch", args=[batch.pk]))
    asked = Approval.objects.filter(batch=batch).first()
    if request.method != "POST" and asked and approvals.is_waiting(asked):
        return htmx.go(request, reverse("approval", args=[asked.pk]))
    form = BatchForm(
        request.POST if request.method == "POST" else None,
        is_required=batch.kind == Kind.CANCEL,
        is_judged=second_person.is_let_go(batch),
        initial={"reason": batch.reason},
    )

    def question() -> Question:
        return _question_about(batch, form)

    def act(cleaned: dict[str, Any]) -> Batch:
        reason = cleaned.get("reason", "")
        return batches.confirm(
            batch, membership=request.membership, key=cleaned["key"], reason=reason, seen=cleaned["seen"]
        )

    return answer(request, question, form, act, started)


def started(request: PersonRequest, _question: Question, _form: ConfirmForm, batch: Batch) -> HttpResponse:
    """On to the page where it can be watched, stopped and, while nothing was sent, undone."""
    wait = round((batch.starts_at - timezone.now()).total_seconds()) if batch.starts_at else 0
    if batch.state in (BatchState.STOPPING, BatchState.DONE):  # the same form once more, after the end
        said = "started before. Here is what came of it."
    elif wait > 0:
        said = f"nothing is sent for {plural(wait, 'second')}. Until then you can undo it."
    else:
        said = "started."
    messages.info(request, f"{batch.name}: {said}")
    return htmx.go(request, reverse("batch", args=[batch.pk]))


def _question_about(batch: Batch, form: BatchForm) -> Question:
    """The question, whose form says which list it was about."""
    seen = second_person.digest_of(batch)  # before the list is read: what changes meanwhile is noticed
    question = question_of(batch, batch_preview.preview_of(batch))
    form.show_seen("" if question.action_url else seen)
    return question


def question_of(batch: Batch, preview: Preview) -> Question:
    """What the dialog says; where a second person is needed, it leads to asking for one."""
    kind = Kind(batch.kind)
    many = plural(preview.count, NOUNS[kind])
    where = f" of {batch.workflow}" if batch.workflow else ""
    policy = second_person.needed_for(batch)
    verb = f"{kind.label} {many}"
    more, note = preview.count - len(preview.first), _note(batch)
    return Question(
        page="batches/confirm.html",
        title=f"{verb}{where}?",
        verb="Ask for a second person" if policy else verb,
        keep_label=KEEP[kind],
        keep_url=_back(batch),
        done_url=reverse("batch", args=[batch.pk]),
        events=(),
        tone="danger" if kind == Kind.CANCEL and not policy else "primary",
        names=[_named(item) for item in preview.first],
        more=more,
        names_note=note if more else note[:1].upper() + note[1:],
        effects=_effects(kind, preview, policy),
        action_url=reverse("batch-ask", args=[batch.pk]) if policy else "",
    )


def _effects(kind: OperationKind, preview: Preview, policy: Policy | None) -> list[dict[str, str]]:
    """What happens, what does not, what has changed, whether it can be undone, what it costs, and who else is needed."""
    effects = [*HAPPENS[kind], *_changes(preview), *_undoing(kind), *_costs(preview)]
    if policy:
        effects.append({"icon": "person", "text": second_person.needs_sentence(policy)})
    return effects


def _named(item: BatchItem) -> dict[str, str]:
    instance = item.instance
    if instance is None:
        note = f"row {item.row_number}" if item.row_number else ""
    elif instance.last_completed_step is not None and instance.total_steps:
        note = f"step {min(instance.last_completed_step + 1, instance.total_steps)} of {instance.total_steps}"
    else:
        note = "step not given"
    return {"name": str(item), "note": note}


def _note(batch: Batch) -> str:
    frozen = f"frozen at {clock_text(batch.frozen_at)}" if batch.frozen_at else ""
    return f"{frozen}: {batch.described}" if batch.described else frozen


def _changes(preview: Preview) -> list[dict[str, str]]:
    """What is not as it was when the list was frozen."""
    told = []
    if preview.ended:
        have = "has" if preview.ended == 1 else "have"
        told.append(f"{preview.ended:,} of them {have} ended since; what has ended is skipped and listed with why.")
    if preview.moved:
        have = "has" if preview.moved == 1 else "have"
        told.append(
            f"{preview.moved:,} of them {have} changed the state since; what has changed is skipped and listed with why."
        )
    if preview.left_out:
        are = "is" if preview.left_out == 1 else "are"
        told.append(f"{preview.left_out:,} more on the list {are} not sent: ended before, left out, or with errors.")
    return [{"icon": "skip", "text": text} for text in told]


def _undoing(kind: OperationKind) -> list[dict[str, str]]:
    if kind != Kind.CANCEL:
        return []
    return [
        {
            "icon": "undo",
            "strong": "Docusign cannot undo this.",
            "text": f"You have {settings.UNDO_SECONDS} seconds before the first one is sent, and can stop it at any time.",
        }
    ]


def _costs(preview: Preview) -> list[dict[str, str]]:
    calls = f"Uses about {plural(preview.calls, 'API call')}"
    if preview.calls <= preview.left:
        price = f"{calls} of the {preview.left:,} that bulk runs may make until {clock_text(preview.resets_at)}."
    else:
        price = (
            f"{calls}; bulk runs may make {preview.left:,} until {clock_text(preview.resets_at)}, so it goes on in the "
            "hours after."
        )
    found = [{"icon": "price", "text": price}]
    if preview.eta.seconds is not None:
        found.append({"icon": "clock", "text": f"Takes about {_duration(preview.eta.seconds)}, {_pace()}."})
    return found


def _duration(seconds: float) -> str:
    """In whole minutes where it is long: nobody can promise seconds then."""
    return duration_text(max(1, round(seconds)) if seconds < 120 else round(seconds / 60) * 60)


def _pace() -> str:
    pace = float(settings.BATCH_RATE_PER_SECOND)
    return f"{pace:g} a second at most" if pace >= 1 else f"one every {1 / pace:g} seconds at most"


def _back(batch: Batch) -> str:
    """Where the list came from."""
    if batch.kind in (Kind.PAUSE, Kind.RESUME):
        return reverse("workflows")
    if batch.workflow_id and batch.kind == Kind.TRIGGER:
        return reverse("workflow", args=[batch.workflow_id])
    return reverse("instances")
