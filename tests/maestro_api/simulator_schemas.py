"""What the published specifications promise about answers, in our own words. The one rule: nothing here comes from the client."""

import re
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

UUID = {"type": "string", "pattern": "^[{]?[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}[}]?$"}
TEXT = {"type": "string"}
MOMENT = {"type": "string", "format": "date-time"}
CHECKER = FormatChecker(formats=())


@CHECKER.checks("date-time")
def _is_moment(value: object) -> bool:
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"
    return not isinstance(value, str) or re.fullmatch(pattern, value) is not None


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": properties}


def _or_null(schema: dict[str, Any], profile: str) -> dict[str, Any]:
    """Only the specification of 3.0 has null; in the one of 3.1 such a member is left out."""
    return schema if profile == "spec107" else {"anyOf": [schema, {"type": "null"}]}


METADATA = _object(
    ["response_timestamp", "response_duration_ms", "request_id"],
    response_timestamp=MOMENT,
    response_duration_ms={"type": "integer", "minimum": 0},
    request_id=UUID,
)
RESOURCE = _object(["created_at"], created_at=MOMENT, created_by=TEXT, modified_at=MOMENT, modified_by=TEXT)
WORKFLOW = _object(
    ["id", "name", "account_id", "status"], id=UUID, name=TEXT, account_id=UUID, status=TEXT, metadata=RESOURCE
)
WORKFLOWS = _object(
    ["data", "response_metadata"], data={"type": "array", "items": WORKFLOW}, response_metadata=METADATA
)
FIELD = _object(
    ["field_name", "field_data_type"],
    field_name=TEXT,
    field_data_type=TEXT,
    default_value={"type": ["string", "number", "boolean", "object", "array"]},
)
REQUIREMENTS = _object(
    ["trigger_id", "trigger_event_type", "trigger_http_config", "trigger_input_schema"],
    trigger_id=UUID,
    trigger_event_type={"const": "HTTP"},
    trigger_http_config=_object(
        ["method", "url"],
        method={"enum": ["GET", "POST", "PUT", "PATCH", "DELETE"]},
        url={"type": "string", "maxLength": 1024},
    ),
    trigger_input_schema={"type": "array", "items": FIELD},
    metadata=RESOURCE,
)
TRIGGERED = {
    "allOf": [
        _object(["instance_id", "instance_url"], instance_id=UUID, instance_url={"type": "string", "format": "uri"}),
        METADATA,
    ]
}


def instance(profile: str) -> dict[str, Any]:
    moment, text = _or_null(MOMENT, profile), _or_null(TEXT, profile)
    return _object(
        ["id"],
        id=UUID,
        name=TEXT,
        workflow_status=TEXT,
        template_id=UUID,
        account_id=UUID,
        started_at=MOMENT,
        started_by=UUID,
        started_by_name=TEXT,
        started_by_role=TEXT,
        ended_at=moment,
        expires_at=moment,
        last_modified_at=MOMENT,
        canceled_at=moment,
        canceled_by=text,
        trigger_inputs={"type": "object"},
        total_steps={"type": "integer"},
        last_completed_step={"type": "integer"},
        last_completed_step_name=text,
        tags={"type": "array", "items": TEXT},
        metadata=_object([], workflow_created_by=UUID, workflow_version=TEXT, workflow_metadata_id=TEXT),
    )


def instances(profile: str) -> dict[str, Any]:
    rows = {"type": "array", "items": instance(profile)}
    return _object(["data", "response_metadata"], data=rows, response_metadata=METADATA)


SPEC107_ERROR = _object(["error", "code", "timestamp"], error=TEXT, code=TEXT, timestamp=MOMENT)
WB100_ERROR = _object(
    ["type", "title", "status"],
    type=TEXT,
    title=TEXT,
    status={"type": "integer"},
    detail=TEXT,
    instance=TEXT,
    timestamp=MOMENT,
    errors={"type": "array", "items": _object(["code", "message"], code=TEXT, message=TEXT, target=TEXT)},
)
ERRORS = {"seed2025": SPEC107_ERROR, "spec107": SPEC107_ERROR, "wb100": WB100_ERROR}


def faults_of(schema: dict[str, Any], body: object) -> list[str]:
    """Every way in which a body breaks the schema; nothing when it is right."""
    found = Draft202012Validator(schema, format_checker=CHECKER).iter_errors(body)
    return [f"{list(error.path)}: {error.message[:120]}" for error in found]
