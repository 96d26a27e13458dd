"""What an answer, or none, means for an operation. Its one rule: whatever may have happened is unknown, never refused (U-2)."""

from datetime import datetime, timedelta
from typing import TypedDict

from django.utils import timezone

from dashboard.models import Operation, OperationKind, OperationState
from dashboard.services.calls import limited, sentence_of, was_not_sent
from dashboard.services.edges import Outcome
from dashboard.services.errors import ServiceError
from dashboard.services.timings import CHECK_BACKOFF, UNREACHED_WAIT
from maestro_api import MaestroError, RateLimited

State = OperationState
NOTHING_SENT = "{} Nothing was sent."
UNKNOWN_SENTENCE = (
    "{} Whether it happened is not known yet; this console checks at Docusign and does not send it again before that."
)


class AnswerFacts(TypedDict, total=False):
    """What support needs of an answer, as columns of an outcome."""

    http_status: int | None
    docusign_request_id: str


def facts_of(error: MaestroError | None) -> AnswerFacts:
    """The facts of a failed call; none where there was no failure."""
    return {"http_status": error.status, "docusign_request_id": error.request_id[:255]} if error else {}


def outcome_of(error: MaestroError | ServiceError, operation: Operation) -> Outcome:
    """The edge from `sent` after a failure."""
    if isinstance(error, ServiceError):  # no token or no budget: the call was never made
        return Outcome(State.REJECTED, error.message, retry_at=getattr(error, "retry_at", None))
    facts = facts_of(error)
    if error.may_have_happened:
        message = UNKNOWN_SENTENCE.format(error.user_message)
        return Outcome(State.UNKNOWN, message, columns={"next_check_at": next_check(operation)}, **facts)
    if isinstance(error, RateLimited):
        unavailable = limited(error)
        return Outcome(State.REJECTED, unavailable.message, retry_at=unavailable.retry_at, **facts)
    if was_not_sent(error):
        message = error.user_message
        message = message if "sent" in message else NOTHING_SENT.format(message)
        return Outcome(State.REJECTED, message, retry_at=timezone.now() + UNREACHED_WAIT, **facts)
    return Outcome(State.REJECTED, sentence_of(error), field_errors=field_errors_of(error, operation), **facts)


def kept_in_place(error: MaestroError | ServiceError, outcome: Outcome) -> Outcome:
    """For the worker: what surely did not run, for want of a token, of calls or of the network, waits for its turn (R-5, O-9)."""
    is_held_up = isinstance(error, ServiceError) or outcome.retry_at is not None
    if outcome.state != State.REJECTED or not is_held_up:
        return outcome
    at = outcome.retry_at or timezone.now() + UNREACHED_WAIT
    return Outcome(State.PLANNED, outcome.message, columns={"next_check_at": at})


def next_check(operation: Operation, *, at_least: timedelta = timedelta()) -> datetime:
    """When to look again: soon at first, then slower."""
    age = timezone.now() - (operation.sent_at or timezone.now())
    step = next((wait for wait in CHECK_BACKOFF if wait >= age / 4), CHECK_BACKOFF[-1])
    return timezone.now() + max(step, at_least)


def field_errors_of(error: MaestroError, operation: Operation) -> dict[str, list[str]]:
    """Docusign's complaints by input name; only a trigger has inputs. What fits no input stays under an empty name."""
    found: dict[str, list[str]] = {}
    if operation.kind == OperationKind.TRIGGER:
        for item in error.field_errors:
            found.setdefault(input_name(item.target), []).append(item.message)
    return found


def input_name(target: str | None) -> str:
    """`trigger_inputs.Email`, `$.trigger_inputs['Email']` and `/trigger_inputs/Email` all mean the input Email."""
    text = (target or "").strip()
    for prefix in ("$.", "#/", "/"):
        text = text.removeprefix(prefix)
    for prefix in ("trigger_inputs.", "trigger_inputs/", "trigger_input."):
        if text.startswith(prefix):
            return text.removeprefix(prefix)
    if text.startswith("trigger_inputs[") and text.endswith("]"):
        return text.removeprefix("trigger_inputs[").removesuffix("]").strip("'\"")
    return text
