"""Confirm and act at one address: GET asks, POST does. Its one rule: an unknown outcome is told as unknown, and nothing typed is lost."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse

from dashboard import htmx
from dashboard.forms.confirm import ConfirmForm
from dashboard.forms.strict import DeedForm
from dashboard.models import Operation, OperationState
from dashboard.person import PersonRequest
from dashboard.services.errors import DocusignUnavailable, NotStarted, ReconnectNeeded, Refused, StoreBusy

Act = Callable[[dict[str, Any]], Any]
UNREACHED = {DocusignUnavailable: 502, ReconnectNeeded: 409, StoreBusy: 503}


@dataclass(frozen=True, slots=True)
class Question:
    """What the dialog says, and where it leads. `page` is the template for a browser without script."""

    page: str
    title: str
    verb: str
    keep_label: str
    keep_url: str
    done_url: str
    events: tuple[str, ...]
    tone: str = "danger"
    is_report: bool = False  # a person reports an outcome, so "it did not happen" is no refusal of the deed
    effects: list[dict[str, str]] = field(default_factory=list)
    names: list[dict[str, str]] = field(default_factory=list)
    names_note: str = ""
    more: int = 0
    action_url: str = ""  # where the answer goes, if not to the address that asks


Asked: TypeAlias = Question | Callable[[], Question]
Tell: TypeAlias = Callable[[PersonRequest, Any, ConfirmForm, Any], HttpResponse]


def answer(
    request: PersonRequest, question: Asked, form: ConfirmForm, act: Act, tell: Tell | None = None
) -> HttpResponse:
    """Ask on GET; on POST act once and tell what came of it: of an operation, unless `tell` knows better.

    A question that is costly to make is made only where it is asked.
    """
    if request.method != "POST":
        return ask(request, question, form)
    if not form.is_valid():
        return ask(request, question, form, status=422)
    try:
        result = act(form.cleaned_data)
    except Refused as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, refusal.message)
        return ask(request, question, form, status=422)
    except NotStarted as error:
        messages.warning(request, error.message)  # not in the question: what it asked was done
        return htmx.go(request, _made(question).done_url)
    except (DocusignUnavailable, ReconnectNeeded, StoreBusy) as error:
        if htmx.wants_fragment(request):
            raise  # the dialog stays as it is, and a toast says why
        form.add_error(None, error.message)
        return ask(request, question, form, status=UNREACHED[type(error)])
    return (tell or told)(request, question, form, result)  # type: ignore[arg-type]  # who makes it later tells by itself


def only_a_deed(request: PersonRequest) -> None:
    """Raise Refused where a button that asks nothing came with more than itself."""
    if not DeedForm(request.POST).is_valid():
        raise Refused("The form sent a field that this page does not have. Nothing was changed.")


def ask(request: PersonRequest, question: Asked, form: ConfirmForm, *, status: int = 200) -> HttpResponse:
    """The question, in a dialog or as a page."""
    question = _made(question)
    names = ("title", "verb", "keep_label", "keep_url", "tone", "effects", "names", "names_note", "more")
    context = {name: getattr(question, name) for name in names}
    context |= {"form": form, "action_url": question.action_url or request.path, "error_title": "Nothing was changed"}
    return htmx.render(request, question.page, "components/_dialog.html", context, status=status)


def _made(question: Asked) -> Question:
    return question if isinstance(question, Question) else question()


def told(request: PersonRequest, question: Question, form: ConfirmForm, operation: Operation) -> HttpResponse:
    """The outcome of one operation."""
    page = reverse("operation", args=[operation.pk])
    if operation.state == OperationState.REJECTED and not question.is_report:
        form.add_error(None, operation.message or "Docusign refused it.")
        form.renew_key()
        return ask(request, question, form, status=422)
    if question.is_report or operation.state == OperationState.CONFIRMED:
        messages.success(request, operation.message or "Done.")
        return htmx.done(request, question.done_url, *question.events, "closeDialog")
    messages.warning(request, operation.message or "We do not know whether it was done.", extra_tags=page)
    return htmx.done(request, page, *question.events, "closeDialog")
