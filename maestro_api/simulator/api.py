"""The nine operations. Rule: true to the published specifications, and shows each person only what Docusign would."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from . import instances as column
from . import profiles
from .account_list import account_page
from .inputs import filled, problems
from .messages import SimRequest, SimResponse, json_response
from .movement import Movement
from .people import Person
from .profiles import ApiError
from .rows import encode_rows, instance_body
from .state import Workflow, World

UUID_PATTERN = re.compile(r"^[{]?[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}[}]?$")
WORKFLOW_FILTERS = ("active", "inactive", "publishing", "unpublishing", "archived", "archiving")
ROUTE = re.compile(
    r"^/v1/accounts/(?P<account>[^/]+)/(?:(?P<all>workflow-instances)|workflows(?:/(?P<workflow>[^/]+)"
    r"(?:/(?P<requirements>trigger-requirements)|/actions/(?P<action>trigger|pause|resume)"
    r"|/instances(?:/(?P<instance>[^/]+)(?P<cancel>/actions/cancel)?)?))?)/?$"
)
ALL_SCOPES = frozenset({"signature", "aow_manage"})


class Api:
    """Turns a request with a known person into an answer."""

    def __init__(self, world: World, movement: Movement, list_lag: Callable[[], float]) -> None:
        self.world = world
        self.movement = movement
        self.list_lag = list_lag

    def account_id(self, request: SimRequest) -> str | None:
        match = re.match(r"^/v1/accounts/([^/]+)", request.route)
        return match[1].strip("{}").lower() if match else None

    def answer(self, request: SimRequest, person: Person | None, scopes: frozenset[str]) -> SimResponse:
        """Refusals come in the order in which a gateway gives them: token, path, account, then the operation's own."""
        try:
            if person is None:
                raise ApiError(401, "Authentication credentials are missing or invalid.")
            match = ROUTE.match(request.route)
            if match is None:
                raise ApiError(404, "The requested resource could not be found.")
            account_id = self._uuid(match["account"], "accountId")
            level = self._level(person, account_id, scopes)
            return self._route(request, match, account_id, person, level)
        except ApiError as error:
            return profiles.error_response(self.world, request.route, error)

    def _level(self, person: Person, account_id: str, scopes: frozenset[str]) -> str:
        if not scopes >= ALL_SCOPES:
            raise ApiError(403, "The access token lacks a scope that this operation needs.")
        if account_id not in person.account_ids:
            raise ApiError(403, "The user does not belong to this account.")
        level = person.level_for(account_id)
        if level == "none":
            raise ApiError(403, "You do not have permission to perform this action.")
        return level

    def _route(
        self, request: SimRequest, match: re.Match[str], account_id: str, person: Person, level: str
    ) -> SimResponse:
        writes = bool(match["action"] or match["cancel"])
        if request.method != ("POST" if writes else "GET"):
            raise ApiError(405, "The method is not allowed for this resource.")
        if match["all"]:
            return self._account_list(request, account_id, person, level)
        if match["workflow"] is None:
            return self._workflows(request, account_id)
        workflow = self._workflow(match["workflow"], account_id)
        if match["requirements"]:
            return json_response(200, profiles.requirements_body(self.world, workflow))
        if match["action"] == "trigger":
            return self._trigger(request, workflow, person)
        if match["action"]:
            return self._switch(workflow, level, match["action"])
        if match["instance"] is None:
            return self._instances(workflow, person, level)
        row = self._row(match["instance"], workflow, person, level)
        if match["cancel"]:
            return self._cancel(workflow, row, person)
        return json_response(200, instance_body(self.world, row))

    def _uuid(self, text: str, name: str) -> str:
        if not UUID_PATTERN.match(text):
            raise ApiError(
                400, f"The value of {name} is not a valid identifier.", [(name, "INVALID_FORMAT", "Not a UUID.")]
            )
        return text.strip("{}").lower()

    def _workflow(self, text: str, account_id: str) -> Workflow:
        workflow = self.world.workflow(self._uuid(text, "workflowId"))
        if workflow is None or workflow.account_id != account_id:
            raise ApiError(404, "The requested workflow could not be found.")
        return workflow

    def _row(self, text: str, workflow: Workflow, person: Person, level: str) -> int:
        row = self.world.instances.row_of(self._uuid(text, "instanceId"))
        if row is None or self.world.instances.workflow[row] != workflow.number:
            raise ApiError(404, "The requested workflow instance could not be found.")
        if level != "manage" and self.world.starters[self.world.instances.starter[row]] != person.sub:
            raise ApiError(self.world.settings.hidden_as, "The requested workflow instance could not be found.")
        return row

    def _workflows(self, request: SimRequest, account_id: str) -> SimResponse:
        wanted = request.param("status")
        if wanted is not None and wanted not in WORKFLOW_FILTERS:
            raise ApiError(400, "The value of status is not known.", [("status", "INVALID_VALUE", f"{wanted[:80]!r}")])
        items = [
            profiles.workflow_body(self.world, workflow)
            for workflow in self.world.workflows
            if workflow.account_id == account_id and wanted in (None, self.world.listed_status(workflow))
        ]
        return json_response(200, profiles.workflow_list(self.world, items))

    def _trigger(self, request: SimRequest, workflow: Workflow, person: Person) -> SimResponse:
        name, inputs = self._trigger_body(request)
        if workflow.status != "active":
            raise ApiError(
                self.world.settings.blocked_trigger,
                f"The workflow cannot be triggered: its status is {workflow.status}.",
            )
        if workflow.method != "POST":
            raise ApiError(400, "The start method of this workflow does not allow it to be triggered by an API call.")
        wrong = problems(workflow.input_schema, inputs)
        if wrong:
            raise ApiError(400, "The trigger inputs do not match the trigger input schema.", wrong)
        row = self.world.instances.add(
            workflow.number,
            workflow.account_id,
            self.world.starter_number(person.sub),
            self.world.clock.now(),
            self.world.stored_name(name),
            filled(workflow.input_schema, inputs),
        )
        self.movement.start(row)
        body = profiles.triggered_body(self.world, self.world.instances.id_of(row), execution_url(self.world, row))
        return json_response(201, body)

    def _trigger_body(self, request: SimRequest) -> tuple[str, dict[str, Any]]:
        if "json" not in request.header("content-type").lower():
            raise ApiError(400, "The content type must be application/json.")
        try:
            body = request.json()
        except ValueError as error:
            raise ApiError(400, str(error)) from error
        if not isinstance(body, dict):
            raise ApiError(400, "The request body must be a JSON object.")
        wrong = []
        if not isinstance(body.get("instance_name"), str) or not body["instance_name"]:
            wrong.append(("instance_name", "FIELD_REQUIRED", 'The field "instance_name" is required.'))
        if not isinstance(body.get("trigger_inputs"), dict):
            wrong.append(("trigger_inputs", "FIELD_REQUIRED", 'The field "trigger_inputs" is required.'))
        if wrong:
            raise ApiError(400, "The request body is missing required fields or contains invalid values.", wrong)
        return body["instance_name"], body["trigger_inputs"]

    def _switch(self, workflow: Workflow, level: str, action: str) -> SimResponse:
        if level != "manage":
            raise ApiError(403, "You do not have permission to perform this action.")
        before, after = ("active", "paused") if action == "pause" else ("paused", "active")
        if workflow.status != before and not (workflow.status == after and self.world.settings.repeat_action == 200):
            raise ApiError(409, f"The workflow cannot be {action}d: its status is {workflow.status}.")
        workflow.status = after
        workflow.modified_at = self.world.clock.now()
        return json_response(200, profiles.paused_body(self.world, workflow, after))

    def _visible(self, row: int, person: Person, level: str) -> bool:
        data = self.world.instances
        return level == "manage" or self.world.starters[data.starter[row]] == person.sub

    def _instances(self, workflow: Workflow, person: Person, level: str) -> SimResponse:
        rows: list[int] = list(self.world.instances.by_workflow.get(workflow.number, ()))
        rows.reverse()
        if level != "manage":
            rows = [row for row in rows if self._visible(row, person, level)]
        lag = self.list_lag()
        if lag:
            newest = self.world.clock.now() - lag
            rows = [row for row in rows if self.world.instances.started[row] <= newest]
        return SimResponse(200, {"Content-Type": "application/json"}, defer=lambda: self._encode(rows))

    def _encode(self, rows: list[int]) -> bytes:
        metadata = json_response(200, profiles.instances_metadata(self.world)).body
        return b'{"data":' + encode_rows(self.world, rows) + b',"response_metadata":' + metadata + b"}"

    def _cancel(self, workflow: Workflow, row: int, person: Person) -> SimResponse:
        data = self.world.instances
        if data.status[row] in column.TERMINAL:
            repeated = data.status[row] == column.CANCELED and self.world.settings.repeat_action == 200
            if not repeated:
                raise ApiError(409, f"The workflow instance cannot be canceled: its status is {data.raw_status(row)}.")
        else:
            self.movement.finish(row, column.CANCELED, self.world.clock.now(), canceled_by=person.sub)
            data.extra.get(row, {}).pop("workflow_status", None)
        return json_response(200, profiles.canceled_body(self.world, workflow, data.id_of(row)))

    def _account_list(self, request: SimRequest, account_id: str, person: Person, level: str) -> SimResponse:
        if not self.world.settings.account_list:
            raise ApiError(404, "The requested resource could not be found.")
        starter = request.param("started_by_id")
        own = starter is not None and self._uuid(starter, "started_by_id") == person.sub
        if level != "manage":
            if starter is not None and not own:
                raise ApiError(403, "You do not have permission to list instances that others have started.")
            starter = person.sub
        numbers = [
            self._workflow(text, account_id).number for text in request.params().get("workflow_definition_id", [])
        ]
        return account_page(self.world, request, account_id, starter, numbers, self.list_lag())


def execution_url(world: World, row: int) -> str:
    """The participant's link: whoever has it can act in the instance."""
    instance_id = world.instances.id_of(row)
    account_id = world.workflow_of(row).account_id
    mtid, mtsec = link_secrets(world, instance_id)
    base = f"{world.base_url}/api/maestro/v1/accounts/{account_id}/instances/{instance_id}/execution"
    return f"{base}?mtid={mtid}&mtsec={mtsec}"


def link_secrets(world: World, instance_id: str) -> tuple[str, str]:
    """`mtid` and the 43 characters of `mtsec`, worked out from the instance instead of stored."""
    digest = hashlib.sha256(f"link:{world.instances.salt}:{instance_id}".encode()).digest()
    mtid = UUID(bytes=hashlib.sha256(digest).digest()[:16], version=4)
    return str(mtid), base64.urlsafe_b64encode(digest).decode().rstrip("=")
