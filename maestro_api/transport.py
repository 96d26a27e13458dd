"""The single door to Docusign: `Transport.request` sends, and nothing else does.

The one rule: a credential goes only to an exact (scheme, host, port) of its environment, over verified TLS (plain http only
to a simulator on loopback), without redirects; the answer is read whole within time and size, or the call fails with one
typed error that says whether a write may have happened.
"""

from __future__ import annotations

import http.client
import itertools
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import requests
import urllib3
from requests.structures import CaseInsensitiveDict

from maestro_api import errors
from maestro_api.bodies import BODY_CAP, BodyIncomplete, BodyTooLarge, read_body
from maestro_api.environments import Environment, is_loopback, origin_of
from maestro_api.errors import Facts, MaestroError
from maestro_api.limits import LimitState, read_limits
from maestro_api.problems import problem, request_id, request_id_in
from maestro_api.resources import Response
from maestro_api.retries import RetryPolicy
from maestro_api.session import Attempt, secured, shared_session, watched
from maestro_api.telemetry import CallEvent, Hook, announce, tell, write_line

CONNECT_TIMEOUT: Final = 3.05
READ_TIMEOUT: Final = {"GET": 10.0, "POST": 20.0}
DEADLINE: Final = 30.0
USER_AGENT: Final = "maestro-console/0.1 (python-requests)"
Session = requests.Session

_RESERVED_HEADERS: Final = frozenset(
    {"authorization", "host", "cookie", "content-length", "transfer-encoding", "accept-encoding", "connection"}
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call to make. `path` is the template for logs, `ids` go into errors; `deadline` is seconds for the whole call."""

    operation: str
    method: str
    url: str = field(repr=False)
    path: str
    writes: bool
    ids: Mapping[str, str] = field(default_factory=dict)
    authorization: str = field(default="", repr=False)
    body: bytes | None = field(default=None, repr=False)
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    cap: int = BODY_CAP
    deadline: float = DEADLINE
    correlation_id: str = ""
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete 2xx answer, body unread."""

    body: bytes = field(repr=False)
    response: Response


class Transport:
    """Sends calls of one environment. Safe to share between threads.

    A session that is handed in is brought under the same rules: its adapters are replaced, its environment reading is
    switched off, its own headers, cookies, proxies and hooks are not used. `gate` is called before every attempt, the
    repeated ones too; when it raises BudgetRefused the attempt is not sent and the call fails with that error.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        session: Session | None = None,
        user_agent: str | None = None,
        hooks: Sequence[Hook] = (),
        on_limits: Callable[[LimitState], None] | None = None,
        retry: RetryPolicy | None = None,
        gate: Callable[[], None] | None = None,
    ) -> None:
        loopback = environment.is_simulator
        for scheme, host, _ in environment.allowed_origins:
            if (scheme != "https" and not loopback) or (loopback and not is_loopback(host)):
                raise ValueError(f"{environment.name}: {scheme}://{host} is not an address it may have")
        self.environment = environment
        self._allowed = environment.allowed_origins
        self._session = shared_session(loopback=loopback) if session is None else secured(session, loopback=loopback)
        self._user_agent = user_agent or USER_AGENT
        self._hooks = tuple(hooks)
        self._on_limits = on_limits
        self._retry = retry or RetryPolicy()
        self._gate = gate

    def request(self, call: Call) -> Answer:
        """Send one call; the only place where anything is sent. Raises MaestroError and nothing else.

        Reading is repeated as RetryPolicy says, a write only when surely nothing was sent. `call.deadline` covers
        everything: attempts, waits between them, headers and body.
        """
        self._check(call)
        policy = call.retry or self._retry
        deadline = time.monotonic() + call.deadline
        call = replace(call, correlation_id=call.correlation_id or str(uuid.uuid4()))
        policy.budget.earn()
        for number in itertools.count(1):
            outcome = self._attempt(call, number, deadline)
            if isinstance(outcome, Answer):
                return outcome
            wait = policy.wait_before_next(outcome, number, reading=not call.writes)
            if wait is None or wait >= deadline - time.monotonic() or not policy.budget.spend():
                raise outcome
            policy.sleep(wait)
        raise AssertionError("unreachable")

    def _check(self, call: Call) -> None:
        reason = ""
        if origin_of(call.url) not in self._allowed:
            reason = "the address is not one of this environment"
        elif not call.authorization.isascii() or not call.authorization.isprintable():
            reason = "the credential has characters that cannot be sent"
        for name, value in call.headers.items():
            if name.lower() in _RESERVED_HEADERS:
                reason = f"the header {name} cannot be set"
            elif not (name + value).isascii() or not (name + value).isprintable() or ":" in name or " " in name:
                reason = "a header has characters that cannot be sent"
        if reason:
            raise errors.InvalidRequest(reason, operation=call.operation, ids=call.ids)
        if call.deadline <= 0:
            raise errors.DeadlineExceeded("no time is left to send it", operation=call.operation, ids=call.ids)

    def _attempt(self, call: Call, number: int, deadline: float) -> Answer | MaestroError:
        """One request and its whole answer. Errors are returned, so that they keep no chain to requests' own."""
        event = CallEvent(call.operation, call.method, call.path, number, call.correlation_id)
        if self._hooks:
            announce(self._hooks, "before", event)
        if self._gate is not None:
            try:
                self._gate()
            except errors.BudgetRefused as refusal:
                refusal.operation, refusal.ids = call.operation, dict(call.ids)
                return refusal
        attempt = Attempt(deadline, READ_TIMEOUT.get(call.method, READ_TIMEOUT["GET"]))
        if attempt.time_left() <= 0:
            # A process that was stopped meanwhile must not send what others have settled since.
            return errors.DeadlineExceeded("no time is left to send it", operation=call.operation, ids=call.ids)
        started = time.monotonic()
        status: int | None = None
        headers: Mapping[str, str] = {}
        body = b""
        outcome: Answer | MaestroError | None = None
        try:
            with watched(attempt):
                answer = self._send(call, attempt)
                status, headers = answer.status_code, answer.headers
                try:
                    body = _body_of(answer, call)
                except BaseException:
                    answer.close()
                    raise
        except BodyTooLarge:
            outcome = _failed(errors.ResponseTooLarge, call, number, call.writes, status, "reading stopped at the cap")
        except BodyIncomplete as error:
            outcome = _failed(errors.UnreadableResponse, call, number, call.writes, status, str(error))
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            outcome = _broken(error, call, attempt, number, status)
        elapsed_ms = (time.monotonic() - started) * 1000
        limits = read_limits(headers)
        if outcome is None:
            outcome = _judged(call, number, status or 0, headers, body, elapsed_ms, limits)
        event = replace(
            event,
            status=status,
            elapsed_ms=elapsed_ms,
            bytes=len(body),
            remaining=limits.hourly_remaining,
            error=None if isinstance(outcome, Answer) else type(outcome).__name__,
            retry_after=None if isinstance(outcome, Answer) else outcome.retry_after,
            request_id=_request_id_of(outcome),
        )
        write_line(event)
        if self._hooks:
            announce(self._hooks, "after" if isinstance(outcome, Answer) else "error", event)
        if self._on_limits is not None and limits.is_known:
            tell(self._on_limits, limits, call.operation)
        return outcome

    def _send(self, call: Call, attempt: Attempt) -> requests.Response:
        """Hand the request to the adapter itself: a session would follow up redirects and collect cookies."""
        prepared = requests.PreparedRequest()
        prepared.method = call.method
        prepared.url = call.url
        prepared.headers = CaseInsensitiveDict(call.headers)
        prepared.headers["Accept"] = "application/json, application/problem+json"
        prepared.headers["Accept-Encoding"] = "gzip"
        prepared.headers["User-Agent"] = self._user_agent
        prepared.headers["X-Correlation-Id"] = call.correlation_id
        if call.authorization:
            prepared.headers["Authorization"] = call.authorization
        if call.body is not None:
            prepared.headers["Content-Type"] = call.content_type
        if call.method == "POST":
            prepared.headers["Content-Length"] = str(len(call.body or b""))
        prepared.body = call.body
        left = max(attempt.time_left(), 0.001)
        timeout = (min(CONNECT_TIMEOUT, left), min(attempt.read_timeout, left))
        adapter = self._session.get_adapter(call.url)
        return adapter.send(prepared, stream=True, timeout=timeout, verify=True, proxies={})


def _request_id_of(outcome: Answer | MaestroError) -> str:
    """Docusign's own number of this attempt, from a header or the body."""
    if isinstance(outcome, Answer):
        return outcome.response.request_id or request_id_in(outcome.body)
    return outcome.request_id


def _body_of(answer: requests.Response, call: Call) -> bytes:
    """The body of an answer; for an error status a body that cannot be read is no second error."""
    if 200 <= answer.status_code < 300:
        return read_body(answer, call.cap)
    if 300 <= answer.status_code < 400:
        answer.close()
        return b""
    try:
        return read_body(answer, BODY_CAP)
    except (BodyTooLarge, BodyIncomplete, requests.RequestException, urllib3.exceptions.HTTPError, OSError):
        answer.close()
        return b""


def _judged(
    call: Call, number: int, status: int, headers: Mapping[str, str], body: bytes, elapsed_ms: float, limits: LimitState
) -> Answer | MaestroError:
    if not 200 <= status < 300:
        error = problem(status, headers, body, operation=call.operation, ids=call.ids, writes=call.writes)
        error.facts = replace(error.facts, attempts=number)
        return error
    kept = CaseInsensitiveDict({name: value for name, value in headers.items() if name.lower() != "set-cookie"})
    return Answer(body, Response(status, kept, request_id(headers, {}), elapsed_ms, number, len(body), limits))


def _broken(error: Exception, call: Call, attempt: Attempt, number: int, status: int | None) -> MaestroError:
    """The error for a call without a complete answer; what the socket level saw decides whether it was sent."""
    unsent = attempt.phase in ("connecting", "connected") or (attempt.phase == "idle" and _never_connected(error))
    happened = call.writes and not unsent
    if attempt.time_left() <= 0:
        return _failed(errors.DeadlineExceeded, call, number, happened, status, "the whole call took too long")
    if unsent:
        if isinstance(error, requests.exceptions.SSLError):
            return _failed(errors.TLSFailed, call, number, False, None, "the secure connection was refused")
        return _failed(errors.ConnectFailed, call, number, False, None, "no connection was made")
    timeouts = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if isinstance(error, timeouts):
        return _failed(errors.RequestTimedOut, call, number, happened, status, "no answer in time")
    return _failed(errors.ConnectionLost, call, number, happened, status, "the connection broke")


def _never_connected(error: Exception) -> bool:
    """Whether an error that did not come from our own sockets can only mean that no connection was made."""
    if isinstance(error, (requests.ConnectTimeout, requests.exceptions.SSLError)):
        return True
    cause = error.args[0] if error.args else None
    reason = getattr(cause, "reason", cause)
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def _failed(
    kind: type[MaestroError], call: Call, attempts: int, happened: bool, status: int | None, message: str
) -> MaestroError:
    facts = Facts(status=status, attempts=attempts, may_have_happened=happened)
    return kind(message, operation=call.operation, ids=call.ids, facts=facts)
