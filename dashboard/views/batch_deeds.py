"""Pause, resume, stop, undo and retry of a bulk run, and its results as a file.

The one rule: only a POST changes anything, each through the services of bulk runs, which know whether it is still possible.
"""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dashboard import htmx
from dashboard.forms.batches import StopForm
from dashboard.forms.confirm import ConfirmForm
from dashboard.models import Batch, ItemState
from dashboard.permissions import requires
from dashboard.person import PersonRequest
from dashboard.services import batch_progress, batch_results, batch_states, batches, second_person
from dashboard.services.batch_progress import Retry
from dashboard.services.batch_results import Results
from dashboard.services.errors import Refused
from dashboard.views.batches import found
from dashboard.views.exports import CONTENT_TYPES
from dashboard.views.questions import Question, answer
from dashboard.wording import plural

EVENT = "batchAdvanced"
STOPS = {
    "stopped": "Stopped. Nothing more is sent.",
    "undone": "It had been undone before, so nothing was stopped. Nothing more is sent.",
}
CHUNKS = {"csv": batch_results.csv_chunks, "xlsx": batch_results.xlsx_chunks}


@requires("batch.run")
@require_POST
def pause(request: PersonRequest, batch_id: str) -> HttpResponse:
    """Send nothing more until somebody resumes it."""
    return _done(request, batch_id, batches.pause, "Paused. What was sent already is still settled.")


@requires("batch.run")
@require_POST
def resume(request: PersonRequest, batch_id: str) -> HttpResponse:
    """Go on from where it stands."""
    return _done(request, batch_id, batches.resume, "It goes on.")


@requires("batch.run")
@require_POST
def undo(request: PersonRequest, batch_id: str) -> HttpResponse:
    """End it before anything was sent."""
    return _done(request, batch_id, batches.undo, "Undone before anything of it was sent.")


@requires("batch.run")
@require_POST
def now(request: PersonRequest, batch_id: str) -> HttpResponse:
    """Begin without waiting for the end of the undo window."""
    return _done(request, batch_id, batches.start_now, "The run begins now.")


def _done(request: PersonRequest, batch_id: str, act: Callable[..., Batch], said: str) -> HttpResponse:
    batch = act(found(request, batch_id), membership=request.membership)
    messages.success(request, said)
    return htmx.done(request, reverse("batch", args=[batch.pk]), EVENT)


@requires("batch.run")
@require_http_methods(["GET", "HEAD", "POST"])
def stop(request: PersonRequest, batch_id: str) -> HttpResponse:
    """Ask, then send nothing more for good."""
    batch = found(request, batch_id)
    form = StopForm(request.POST if request.method == "POST" else None)
    page = reverse("batch", args=[batch.pk])
    waiting = batches.counts(batch).get(ItemState.WAITING, 0)
    question = Question(
        page="batches/question.html",
        title="Stop this bulk run?",
        verb="Stop bulk run",
        keep_label="Let it go on",
        keep_url=page,
        done_url=page,
        events=(EVENT,),
        names=[{"name": batch.name, "note": batch.look.label}],
        effects=_stop_effects(waiting),
    )

    def act(cleaned: dict[str, Any]) -> str:
        batches.stop(batch, membership=request.membership, reason=cleaned["reason"])
        return STOPS.get(batch_states.last_word(batch), "It had ended by itself before, so nothing was stopped.")

    return answer(request, question, form, act, _tell)


def _stop_effects(waiting: int) -> list[dict[str, str]]:
    what = f"{plural(waiting, 'item')} that wait{'s' if waiting == 1 else ''} will not be sent."
    return [
        {"icon": "stop", "text": what if waiting else "Nothing waits to be sent any more."},
        {"icon": "info", "text": "What was sent already is not undone, and its outcome is still looked for."},
        {"icon": "refresh", "text": "What was not sent can be sent later, with Retry."},
    ]


@requires("batch.run")
@require_http_methods(["GET", "HEAD", "POST"])
def retry(request: PersonRequest, batch_id: str) -> HttpResponse:
    """Ask, then send again what surely did not run."""
    batch = found(request, batch_id)
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    page, offer = reverse("batch", args=[batch.pk]), batch_progress.retry_of(batch, batches.counts(batch))
    if request.method != "POST" and (way := _way_round(batch, offer, page)):
        return htmx.go(request, way)
    question = Question(
        page="batches/question.html",
        title=f"{offer.verb}?",
        verb=offer.verb,
        keep_label="Leave them as they are",
        keep_url=page,
        done_url=page,
        events=(EVENT,),
        tone="primary",
        names=[{"name": batch.name, "note": plural(offer.number, "item")}],
        effects=_retry_effects(offer.calls),
    )

    def act(cleaned: dict[str, Any]) -> str:
        number = batches.retry(batch, membership=request.membership, key=cleaned["key"])
        return f"{plural(number, 'item')} to be sent again."

    return answer(request, question, form, act, _tell)


def _way_round(batch: Batch, offer: Retry, page: str) -> str:
    """Where to go in place of the question: there is nothing to send, or the approval of the list has lapsed."""
    if not offer.number:
        return page
    return reverse("batch-ask", args=[batch.pk]) if second_person.needed_for(batch) else ""


def _retry_effects(calls: int) -> list[dict[str, str]]:
    return [
        {"icon": "refresh", "text": "Only what surely did not run is sent again, each item once."},
        {"icon": "unknown", "text": "Items with an unknown outcome are not sent again by this."},
        {"icon": "person", "text": "It runs with the connection of the person who started the bulk run."},
        {"icon": "price", "text": f"Uses about {plural(calls, 'API call')}."},
    ]


def _tell(request: PersonRequest, question: Question, _form: ConfirmForm, said: str) -> HttpResponse:
    messages.success(request, said)
    return htmx.done(request, question.done_url, *question.events, "closeDialog")


@requires("batch.view")
@require_GET
def results(request: PersonRequest, batch_id: str) -> HttpResponseBase:
    """What became of every item, as CSV or XLSX."""
    kind = request.GET.get("format", "csv")
    if kind not in CHUNKS:
        raise Refused("This console writes CSV and XLSX. Choose one of them on the page of the bulk run.")
    wanted = Results(
        membership=request.membership,
        batch=found(request, batch_id),
        kind=kind,
        is_signed_in=lambda: request.session.exists(request.session.session_key or ""),
    )
    batch_results.begin(wanted)
    response = StreamingHttpResponse(CHUNKS[kind](wanted), content_type=CONTENT_TYPES[kind])
    response.headers["Content-Disposition"] = f'attachment; filename="{wanted.filename()}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
