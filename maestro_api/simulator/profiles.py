"""Three generations of answers. Rule: each body satisfies the published description of its generation, and nothing else is added.

seed2025  what the announcement of mid 2025 shows: camelCase action replies, no metadata on the workflow list, plain JSON errors
spec107   the published specification 1.0.7: `{error, code, timestamp}` as problem+json
wb100     the renamed specification 1.0.0: problem details of RFC 9457, one l in "canceled"
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from .clock import iso, iso_ticks
from .messages import SimResponse, json_response, text_response
from .state import Workflow, World

PROFILES = ("seed2025", "spec107", "wb100")
PROBLEM_JSON = "application/problem+json"
UNAUTHORIZED_TEXT = "Unauthorized - Please provide a valid access token."

TITLES = {
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 415: "Unsupported Media Type", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable",
}  # fmt: skip
KINDS = {400: "invalid-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 409: "conflict"}


class ApiError(Exception):
    """An answer other than success; `fields` are (target, code, message) of inputs at fault."""

    def __init__(self, status: int, detail: str, fields: list[tuple[str, str, str]] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.fields = fields or []


def error_response(world: World, path: str, error: ApiError) -> SimResponse:
    profile, status = world.settings.profile, error.status
    now = iso(world.clock.now())
    if status == 401 and profile != "wb100":
        return text_response(401, UNAUTHORIZED_TEXT)
    if profile == "wb100":
        kind = KINDS.get(status)
        problem: dict[str, Any] = {
            "type": f"https://developers.docusign.com/errors/{kind}" if kind else "about:blank",
            "title": TITLES.get(status, "Error"),
            "status": status,
            "detail": error.detail,
            "instance": path,
            "timestamp": now,
            "request_id": str(uuid4()),
        }
        if error.fields:
            problem["errors"] = [
                {"code": code, "message": message, "target": target} for target, code, message in error.fields
            ]
        return json_response(status, problem, PROBLEM_JSON)
    detail = " ".join([error.detail, *(message for _, _, message in error.fields)])
    body = {"error": detail, "code": str(status), "timestamp": now}
    return json_response(status, body, PROBLEM_JSON if profile == "spec107" else "application/json")


def response_metadata(world: World) -> dict[str, Any]:
    return {
        "response_timestamp": iso_ticks(world.clock.now()),
        "response_duration_ms": int(world.settings.latency_ms) or 12,
        "request_id": str(uuid4()),
    }


def workflow_body(world: World, workflow: Workflow) -> dict[str, Any]:
    body = {
        "id": workflow.id,
        "name": workflow.name,
        "account_id": workflow.account_id,
        "status": world.listed_status(workflow),
        "metadata": workflow_metadata(world, workflow),
    }
    return body | workflow.extra


def workflow_metadata(world: World, workflow: Workflow) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "created_at": iso(workflow.created_at),
        "created_by": workflow.created_by,
        "modified_at": iso(workflow.modified_at),
    }
    if workflow.modified_by and world.settings.profile != "seed2025":
        metadata["modified_by"] = workflow.modified_by
    return metadata


def workflow_list(world: World, items: list[dict[str, Any]]) -> dict[str, Any]:
    body: dict[str, Any] = {"data": items}
    if world.settings.profile != "seed2025":
        body["response_metadata"] = response_metadata(world)
    return body


def requirements_body(world: World, workflow: Workflow) -> dict[str, Any]:
    """The generations disagree where the response metadata goes; the schema says top level, both examples say inside."""
    url = workflow.url
    if url is None and workflow.method == "POST":
        url = f"{world.base_url}/v1/accounts/{workflow.account_id}/workflows/{workflow.id}/actions/trigger"
    metadata, answer = workflow_metadata(world, workflow), response_metadata(world)
    body: dict[str, Any] = {
        "trigger_id": workflow.trigger_id,
        "trigger_event_type": "HTTP",
        "trigger_http_config": {"method": workflow.method, "url": url},
        "trigger_input_schema": workflow.input_schema,
        "metadata": metadata,
    }
    if world.settings.profile == "spec107":
        return body | answer
    if world.settings.profile == "seed2025":
        del answer["request_id"]
    metadata.update(answer)
    return body


def triggered_body(world: World, instance_id: str, url: str) -> dict[str, Any]:
    body: dict[str, Any] = {"instance_id": instance_id, "instance_url": url}
    return body if world.settings.profile == "seed2025" else body | response_metadata(world)


def instances_metadata(world: World) -> dict[str, Any]:
    metadata = response_metadata(world)
    if world.settings.profile == "seed2025":
        del metadata["request_id"]
    return metadata


def paused_body(world: World, workflow: Workflow, status: str) -> dict[str, Any]:
    if world.settings.profile == "seed2025":
        return {"workflowDefinitionId": workflow.id, "status": status}
    return {"status": status}


def canceled_body(world: World, workflow: Workflow, instance_id: str) -> dict[str, Any]:
    if world.settings.profile == "seed2025":
        return {"instanceId": instance_id, "status": "canceled"}
    word = "cancelled" if world.settings.profile == "spec107" else "canceled"
    return {"message": f"Successfully {word} the workflow instance {instance_id} in {workflow.id}"}
