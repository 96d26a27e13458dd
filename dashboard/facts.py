"""Facts of the request or job at hand that records need: its id, address and session. Its one rule: no secret is among them."""

from contextvars import ContextVar
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """`request_id` also travels to Docusign as our correlation id; `session_hash` is keyed, so it opens nothing."""

    request_id: str
    ip: str = ""
    session_hash: str = ""


_facts: ContextVar[RequestFacts | None] = ContextVar("request_facts", default=None)


def current_facts() -> RequestFacts:
    """The facts of this request or job; a job that set none gets an id of its own."""
    facts = _facts.get()
    if facts is None:
        facts = RequestFacts(request_id=uuid4().hex)
        _facts.set(facts)
    return facts


def set_facts(facts: RequestFacts | None) -> None:
    """Remember the facts for what runs next in this context; None forgets them."""
    _facts.set(facts)


def current_request_id() -> str:
    """The id of this request or job."""
    return current_facts().request_id
