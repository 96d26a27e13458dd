"""How far a bulk run is, in figures and sentences. Its one rule: what is not settled is never counted as settled (U-11)."""

from dataclasses import dataclass

from django.utils import timezone

from dashboard.models import Batch, BatchState, ItemState, OperationKind
from dashboard.services import batch_states, batches
from dashboard.services.batch_lists import OUTCOMES, Counts, Outcome, is_undoable
from dashboard.services.batches import Eta
from dashboard.wording import clock_text, duration_text, plural

DONE_WORDS = {
    OperationKind.TRIGGER: "started at Docusign",
    OperationKind.CANCEL: "canceled at Docusign",
    OperationKind.PAUSE: "paused at Docusign",
    OperationKind.RESUME: "resumed at Docusign",
}
NEVER_GOES = (ItemState.INVALID, ItemState.LEFT_OUT)
SETTLED = (ItemState.CONFIRMED, ItemState.REJECTED, ItemState.SKIPPED, ItemState.NOT_SENT)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that leads to its items."""

    outcome: Outcome
    number: int
    sub: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of how many are settled, and what the page says beside it."""

    settled: int
    total: int
    heading: str
    sentence: str
    figures: list[Figure]
    tone: str


def settled_of(counts: Counts) -> tuple[int, int]:
    """How many are settled, and of how many that were to be sent."""
    total = sum(number for state, number in counts.items() if state not in NEVER_GOES)
    return sum(counts.get(state, 0) for state in SETTLED), total


def progress_of(batch: Batch, counts: Counts) -> Progress:
    """Everything the head of the page says about it."""
    settled, total = settled_of(counts)
    planned = batch.state == BatchState.PLANNED
    return Progress(
        settled=settled,
        total=total,
        heading=f"{plural(total, 'item')}, nothing sent yet" if planned else f"{settled:,} of {total:,} settled",
        sentence=_sentence(batch, counts, batches.eta(batch)),
        figures=[Figure(each, each.number(counts), _sub(batch, each, counts)) for each in figured(counts)],
        tone=tone_of(batch),
    )


def tone_of(batch: Batch) -> str:
    """The colour of the bar."""
    return {BatchState.PAUSED: "warning", BatchState.DONE: "good"}.get(BatchState(batch.state), "running")


def figured(counts: Counts, chosen: str = "") -> list[Outcome]:
    """The outcomes to name: the usual ones always, so that nothing moves; the others when there is something."""
    return [each for each in OUTCOMES if each.is_always or each.number(counts) or each.key == chosen]


def _sub(batch: Batch, outcome: Outcome, counts: Counts) -> str:
    """What the number means, in a few words."""
    sending = counts.get(ItemState.SENT, 0) + counts.get(ItemState.PLANNED, 0)
    person = counts.get(ItemState.NEEDS_PERSON, 0)
    words = {
        "done": DONE_WORDS[OperationKind(batch.kind)],
        "skipped": "ended or changed since",
        "refused": "were not done",
        "unknown": f"{person:,} need a person" if person else "being read back",
        "waiting": f"{sending:,} being sent" if sending else "not sent yet",
        "not_sent": "left when it was stopped",
        "invalid": "never sent",
        "left_out": "not chosen to be sent",
    }
    return words[outcome.key]


def _sentence(batch: Batch, counts: Counts, eta: Eta) -> str:
    """When it will be over, or why nobody can say."""
    if batch.state == BatchState.PLANNED:
        return ""
    if batch.is_over:
        took = batch.ended_at - batch.confirmed_at if batch.ended_at and batch.confirmed_at else None
        ended = f"ended {clock_text(batch.ended_at)}" if batch.ended_at else "ended"
        return f"{ended}, {duration_text(took)} after the start" if took is not None else ended
    if batch.state == BatchState.PAUSED:
        return "nothing is sent until it goes on"
    waiting = counts.get(ItemState.WAITING, 0) + counts.get(ItemState.PLANNED, 0)
    if not waiting:
        return "the last answers are awaited"
    if is_undoable(batch) and batch.starts_at:
        return f"the first one is sent at {timezone.localtime(batch.starts_at):%H:%M:%S}"
    return f"{about(eta.seconds)} left at {pace(eta.per_second)}" if eta.seconds is not None else ""


def about(seconds: float) -> str:
    """In minutes where it is long: nobody can promise seconds then."""
    if seconds < 60:
        return "less than a minute"
    return f"about {_long(seconds)}"


def _long(seconds: float) -> str:
    minutes = round(seconds / 60)
    return plural(minutes, "minute") if minutes < 60 else duration_text(minutes * 60)


def pace(per_second: float) -> str:
    """One every 2 seconds, 5 a second."""
    if per_second <= 0:
        return "no pace yet"
    if per_second >= 0.95:
        return f"{round(per_second):,} a second"
    every = 1 / per_second
    return f"one every {round(every)} seconds" if every < 90 else f"one every {plural(round(every / 60), 'minute')}"


@dataclass(frozen=True, slots=True)
class Retry:
    """What can be sent again: how many, how the button says it, and about how many calls it takes."""

    number: int
    verb: str
    calls: int


def retry_of(batch: Batch, counts: Counts) -> Retry:
    """Only what surely did not run, and only when the run stands in a state that can take it up again."""
    may = batch.state in (BatchState.DONE, BatchState.RUNNING, BatchState.PAUSED) and not is_undoable(batch)
    refused, not_sent = counts.get(ItemState.REJECTED, 0), counts.get(ItemState.NOT_SENT, 0)
    number = batch_states.retriable(batch).count() if may and refused + not_sent else 0
    if number == refused:
        verb = f"Retry {number:,} refused"
    elif number == not_sent:
        verb = f"Send {number:,} not sent"
    else:
        verb = f"Retry {plural(number, 'item')}"
    return Retry(number, verb, number * batches.CALLS[OperationKind(batch.kind)])


def calls_of(batch: Batch, counts: Counts) -> tuple[int, int]:
    """About how many calls to Docusign were made, and how many are to be made."""
    each = batches.CALLS[OperationKind(batch.kind)]
    to_go = counts.get(ItemState.WAITING, 0) + counts.get(ItemState.PLANNED, 0)
    untouched = to_go + sum(counts.get(state, 0) for state in (*NEVER_GOES, ItemState.NOT_SENT))
    return (sum(counts.values()) - untouched) * each, to_go * each
