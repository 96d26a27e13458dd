"""The Maestro API, one method an operation.

The one rule: a method either returns a typed answer or raises one typed error; ids are checked before sending, a write
is sent once, and no address ever comes from an answer.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypedDict, TypeVar, Unpack
from urllib.parse import quote, urlencode

from maestro_api import errors
from maestro_api.answers import account_page_of, action_of, check_type, listing_of, triggered_of, with_request_id
from maestro_api.bodies import BODY_CAP, LIST_CAP
from maestro_api.decoding import UUID_PATTERN, Unfit, instance_of, instances_of, workflows_of
from maestro_api.environments import Environment
from maestro_api.errors import Facts
from maestro_api.limits import LimitState
from maestro_api.requirements import requirements_of
from maestro_api.resources import (
    AccountPage,
    ActionResult,
    Instance,
    Listing,
    Triggered,
    TriggerRequirements,
    Workflow,
)
from maestro_api.retries import RetryPolicy
from maestro_api.statuses import WORKFLOW_FILTERS
from maestro_api.telemetry import Hook
from maestro_api.transport import DEADLINE, Answer, Call, Session, Transport

T = TypeVar("T")
Query = Sequence[tuple[str, str]]

_ACCOUNT: Final = "/v1/accounts/{account_id}"
_WORKFLOW: Final = _ACCOUNT + "/workflows/{workflow_id}"
_INSTANCE: Final = _WORKFLOW + "/instances/{instance_id}"
_LONGEST_QUERY_VALUE: Final = 4096
_LONGEST_NAME: Final = 64 * 1024


class CallOptions(TypedDict, total=False):
    """What any single call may change: `deadline` in seconds for all of it, further `headers`, its own `retry` rule."""

    deadline: float | None
    headers: Mapping[str, str]
    retry: RetryPolicy


class MaestroClient:
    """A client of one account, acting as the user whose token it is given. Safe to share between threads.

    `token` is the access token or a callable that returns it. After a 401 the client asks once for another one (from
    `refresh(dead_token)`, else from the callable again) and repeats the call once. `deadline` is the wall clock of a whole
    call in seconds (30). `on_limits` hears every quota that Docusign states. `gate` is called before each attempt and may
    hold it back by raising BudgetRefused. Raises InvalidRequest for a bad account id.
    """

    def __init__(
        self,
        environment: Environment,
        account_id: str,
        token: str | Callable[[], str],
        *,
        refresh: Callable[[str], str] | None = None,
        session: Session | None = None,
        user_agent: str | None = None,
        correlation_id: str | None = None,
        deadline: float | None = None,
        hooks: Sequence[Hook] = (),
        on_limits: Callable[[LimitState], None] | None = None,
        retry: RetryPolicy | None = None,
        gate: Callable[[], None] | None = None,
    ) -> None:
        self.environment = environment
        self.account_id = _uuid(account_id, "account_id", "MaestroClient")
        self._token = token
        self._refresh = refresh
        self._correlation_id = correlation_id or ""
        self._deadline = DEADLINE if deadline is None else deadline
        self._account_list: bool | None = None
        self._transport = Transport(
            environment,
            session=session,
            user_agent=user_agent,
            hooks=hooks,
            on_limits=on_limits,
            retry=retry,
            gate=gate,
        )

    def __repr__(self) -> str:
        return f"MaestroClient(environment={self.environment.name!r}, account_id={self.account_id!r})"

    # Workflows

    def list_workflows(self, *, status: str | None = None, **options: Unpack[CallOptions]) -> Listing[Workflow]:
        """All workflows that the user may see, in one answer (GetWorkflowsList).

        `status` is one of WORKFLOW_FILTERS; `paused` is no filter value at Docusign.
        """
        operation = "list_workflows"
        if status is not None and status not in WORKFLOW_FILTERS:
            raise errors.InvalidRequest(f"status must be one of {sorted(WORKFLOW_FILTERS)}", operation=operation)
        query = [] if status is None else [("status", status)]
        answer = self._send(operation, "GET", _ACCOUNT + "/workflows", {}, options, query=query)
        return self._read(answer, operation, {}, lambda: listing_of(answer, workflows_of))

    def get_trigger_requirements(self, workflow_id: str, **options: Unpack[CallOptions]) -> TriggerRequirements:
        """What the workflow wants to be triggered with (GetWorkflowTriggerRequirements). Its url is never called."""
        operation = "get_trigger_requirements"
        ids = self._ids(operation, workflow_id)
        answer = self._send(operation, "GET", _WORKFLOW + "/trigger-requirements", ids, options)
        response = with_request_id(answer)
        return self._read(answer, operation, ids, lambda: requirements_of(answer.body, response))

    def trigger_workflow(
        self,
        workflow_id: str,
        *,
        instance_name: str,
        trigger_inputs: Mapping[str, Any],
        **options: Unpack[CallOptions],
    ) -> Triggered:
        """Start an instance (TriggerWorkflow). Sent once; success is any 2xx with an instance id.

        When the error's `may_have_happened` is True, the instance may exist: look for its name before sending again.
        """
        operation = "trigger_workflow"
        ids = self._ids(operation, workflow_id)
        if not instance_name.strip() or len(instance_name) > _LONGEST_NAME:
            raise errors.InvalidRequest("instance_name must not be empty", operation=operation, ids=ids)
        try:
            payload = {"instance_name": instance_name, "trigger_inputs": dict(trigger_inputs)}
            body = json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, TypeError, RecursionError):
            body = b""
        if not body:
            raise errors.InvalidRequest("trigger_inputs cannot be written as JSON", operation=operation, ids=ids)
        answer = self._send(operation, "POST", _WORKFLOW + "/actions/trigger", ids, options, body=body)
        return self._read(answer, operation, ids, lambda: triggered_of(answer, self.environment), writes=True)

    def trigger_url(self, workflow_id: str) -> str:
        """The address that `trigger_workflow` posts to, for comparison with the stated one."""
        return self._url(_WORKFLOW + "/actions/trigger", self._ids("trigger_url", workflow_id))

    def pause_workflow(self, workflow_id: str, **options: Unpack[CallOptions]) -> ActionResult:
        """Stop new instances; running ones go on (pauseNewWorkflowInstances). Sent once: read the state back."""
        ids = self._ids("pause_workflow", workflow_id)
        return self._act("pause_workflow", _WORKFLOW + "/actions/pause", ids, options)

    def resume_workflow(self, workflow_id: str, **options: Unpack[CallOptions]) -> ActionResult:
        """Allow new instances again (resumePausedWorkflow). Sent once: read the state back."""
        ids = self._ids("resume_workflow", workflow_id)
        return self._act("resume_workflow", _WORKFLOW + "/actions/resume", ids, options)

    # Instances

    def list_instances(self, workflow_id: str, **options: Unpack[CallOptions]) -> Listing[Instance]:
        """All instances of one workflow that the user may see, in one answer of up to 32 MiB (getWorkflowInstancesList)."""
        operation = "list_instances"
        ids = self._ids(operation, workflow_id)
        answer = self._send(operation, "GET", _WORKFLOW + "/instances", ids, options, cap=LIST_CAP)
        return self._read(answer, operation, ids, lambda: listing_of(answer, instances_of))

    def get_instance(self, workflow_id: str, instance_id: str, **options: Unpack[CallOptions]) -> Instance:
        """One instance (getWorkflowInstance)."""
        operation = "get_instance"
        ids = self._ids(operation, workflow_id, instance_id)
        answer = self._send(operation, "GET", _INSTANCE, ids, options)
        response = with_request_id(answer)
        return self._read(answer, operation, ids, lambda: instance_of(answer.body, response))

    def cancel_instance(self, workflow_id: str, instance_id: str, **options: Unpack[CallOptions]) -> ActionResult:
        """End all remaining steps at once; cannot be undone (cancelWorkflowInstance). Sent once: read the state back."""
        ids = self._ids("cancel_instance", workflow_id, instance_id)
        return self._act("cancel_instance", _INSTANCE + "/actions/cancel", ids, options)

    # The account-level list: newest operation, described on its reference page only, absent in older installations

    def list_account_instances(
        self,
        *,
        started_by_id: str | None = None,
        workflow_ids: Iterable[str] = (),
        status: str | None = None,
        page_size: int | None = None,
        ctoken: str | None = None,
        **options: Unpack[CallOptions],
    ) -> AccountPage:
        """One page of all instances of the account (getWorkflowInstancesForAccount).

        A user without manage rights sees only own instances, and gets Forbidden when asking for another user's.
        Raises NotFound where the operation does not exist, see `supports_account_list`.
        """
        operation = "list_account_instances"
        query: list[tuple[str, str]] = []
        if started_by_id is not None:
            query.append(("started_by_id", _uuid(started_by_id, "started_by_id", operation)))
        query += [("workflow_definition_id", _uuid(each, "workflow_ids", operation)) for each in workflow_ids]
        if page_size is not None and page_size < 1:
            raise errors.InvalidRequest("page_size must be at least 1", operation=operation)
        for name, value in (("status", status), ("page_size", page_size), ("ctoken", ctoken)):
            if value is not None:
                query.append((name, str(value)))
        if any(len(value) > _LONGEST_QUERY_VALUE or not value.isprintable() for _, value in query):
            raise errors.InvalidRequest("a filter is too long or not plain text", operation=operation)
        answer = self._send(operation, "GET", _ACCOUNT + "/workflow-instances", {}, options, query=query)
        return self._read(answer, operation, {}, lambda: account_page_of(answer))

    def iter_account_instances(
        self,
        *,
        started_by_id: str | None = None,
        workflow_ids: Iterable[str] = (),
        status: str | None = None,
        page_size: int | None = None,
        max_pages: int = 1000,
        **options: Unpack[CallOptions],
    ) -> Iterator[AccountPage]:
        """Page after page until no ctoken comes. Raises PagingLoop on a repeated ctoken or after `max_pages`.

        Only when the iterator ends by itself is the list complete; `deadline` counts for each page.
        """
        wanted = tuple(workflow_ids)
        seen: set[str] = set()
        ctoken: str | None = None
        for _ in range(max_pages):
            page = self.list_account_instances(
                started_by_id=started_by_id,
                workflow_ids=wanted,
                status=status,
                page_size=page_size,
                ctoken=ctoken,
                **options,
            )
            yield page
            ctoken = page.ctoken
            if ctoken is None:
                return
            if ctoken in seen:
                raise errors.PagingLoop("a page token came twice", operation="iter_account_instances")
            seen.add(ctoken)
        raise errors.PagingLoop(f"no end after {max_pages} pages", operation="iter_account_instances")

    def supports_account_list(self, **options: Unpack[CallOptions]) -> bool:
        """Whether the account-level list exists here; asked once with one row, then remembered by this object."""
        if self._account_list is None:
            try:
                self.list_account_instances(page_size=1, **options)
            except (errors.NotFound, errors.UnexpectedStatus) as error:
                if error.status not in (404, 405):
                    raise
                self._account_list = False
            else:
                self._account_list = True
        return self._account_list

    def manages_account(self, own_user_id: str, **options: Unpack[CallOptions]) -> bool | None:
        """Whether Docusign shows this user everybody's instances; None where it cannot be asked.

        Asks for the instances of a user who does not exist: only a manager gets an (empty) answer, others Forbidden.
        """
        stranger = str(uuid.uuid4())
        if stranger == own_user_id.lower():
            raise errors.InvalidRequest("own_user_id is not a real user", operation="manages_account")
        try:
            self.list_account_instances(started_by_id=stranger, page_size=1, **options)
        except errors.Forbidden:
            return False
        except (errors.NotFound, errors.UnexpectedStatus) as error:
            if error.status not in (404, 405):
                raise
            return None
        return True

    # How calls are made

    def _act(self, operation: str, path: str, ids: dict[str, str], options: CallOptions) -> ActionResult:
        answer = self._send(operation, "POST", path, ids, options)
        return self._read(answer, operation, ids, lambda: action_of(answer), writes=True)

    def _ids(self, operation: str, workflow_id: str, instance_id: str | None = None) -> dict[str, str]:
        ids = {"workflow_id": _uuid(workflow_id, "workflow_id", operation)}
        if instance_id is not None:
            ids["instance_id"] = _uuid(instance_id, "instance_id", operation)
        return ids

    def _url(self, path: str, ids: Mapping[str, str], query: Query = ()) -> str:
        filled = path.format(account_id=self.account_id, **{name: quote(value, safe="") for name, value in ids.items()})
        url = self.environment.api_url + filled
        return f"{url}?{urlencode(query, quote_via=quote)}" if query else url

    def _send(
        self,
        operation: str,
        method: str,
        path: str,
        ids: dict[str, str],
        options: CallOptions,
        *,
        query: Query = (),
        body: bytes | None = None,
        cap: int = BODY_CAP,
    ) -> Answer:
        """Send with the token; after a 401 (nothing ran) once more with another token, within the same deadline."""
        chosen = options.get("deadline")
        wall_clock = self._deadline if chosen is None else chosen
        ends = time.monotonic() + wall_clock
        token = self._token() if callable(self._token) else self._token
        call = Call(
            operation=operation,
            method=method,
            url=self._url(path, ids, query),
            path=path,
            writes=method != "GET",
            ids={"account_id": self.account_id, **ids},
            authorization=_bearer(token, operation),
            body=body,
            headers=options.get("headers", {}),
            cap=cap,
            deadline=ends - time.monotonic(),
            correlation_id=self._correlation_id,
            retry=options.get("retry"),
        )
        try:
            return self._transport.request(call)
        except errors.Unauthorized as error:
            refused = error
        fresh = self._another_token(token)
        if fresh is None:
            raise refused
        call = replace(call, authorization=_bearer(fresh, operation), deadline=ends - time.monotonic())
        answer = self._transport.request(call)
        attempts = refused.attempts + answer.response.attempts
        return replace(answer, response=replace(answer.response, attempts=attempts))

    def _another_token(self, dead: str) -> str | None:
        if self._refresh is not None:
            fresh = self._refresh(dead)
            if not callable(self._token):
                self._token = fresh
        elif callable(self._token):
            fresh = self._token()
        else:
            return None
        return fresh if fresh != dead else None

    def _read(
        self, answer: Answer, operation: str, ids: Mapping[str, str], read: Callable[[], T], *, writes: bool = False
    ) -> T:
        """Read a 2xx answer; one that does not fit becomes UnreadableResponse, after a write with an open outcome."""
        try:
            check_type(answer)
            return read()
        except Unfit as unfit:
            reason = str(unfit)
        response = answer.response
        facts = Facts(response.status, response.request_id, response.attempts, may_have_happened=writes)
        all_ids = {"account_id": self.account_id, **ids}
        raise errors.UnreadableResponse(reason, operation=operation, ids=all_ids, facts=facts)


def _uuid(text: str, name: str, operation: str) -> str:
    found = UUID_PATTERN.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise errors.InvalidRequest(f"{name} is not a UUID", operation=operation)
    return found[1].lower()


def _bearer(token: str, operation: str) -> str:
    if not isinstance(token, str) or not token.strip() or not token.isascii() or not token.isprintable():
        raise errors.InvalidRequest("there is no usable access token", operation=operation)
    return f"Bearer {token}"
