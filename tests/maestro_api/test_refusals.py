"""Every generation of error bodies, and requests that are refused before sending."""

import json

import pytest
import responses

from maestro_api import (
    BadRequest,
    Conflict,
    FieldError,
    Forbidden,
    InvalidRequest,
    NotFound,
    ServerError,
    Unauthorized,
    UnexpectedStatus,
)
from tests.maestro_api.conftest import ACCOUNT, API, INSTANCE, WORKFLOW

LIST = f"{API}/workflows"
ONE = f"{LIST}/{WORKFLOW}"
INSTANCES = f"{ONE}/instances"
SEED_ROW = {"id": INSTANCE, "name": "n", "workflow_status": "In Progress", "template_id": WORKFLOW}


@pytest.mark.parametrize(
    ("status", "kind", "answer", "code", "detail"),
    [
        (400, BadRequest, {"json": {"error": "Name is missing", "code": "400"}}, "400", "Name is missing"),
        (500, ServerError, {"json": {"error": "unexpected", "code": 500}}, "500", "unexpected"),
        (404, NotFound, {"json": {"type": "https://d/not-found", "title": "Not Found", "status": 404, "detail": "No w."}},
         "https://d/not-found", "No w."),
        (403, Forbidden, {"json": {"errorCode": "ERR_10001", "message": "No right"}}, "ERR_10001", "No right"),
        (409, Conflict, {"json": {"message": "Already", "error_code": "state"}}, "state", "Already"),
        (401, Unauthorized, {"body": "Unauthorized - valid token please.", "content_type": "text/plain"},
         None, "Unauthorized - valid token please."),
        (502, ServerError, {"body": "<html><h1>Bad gateway</h1>", "content_type": "text/html"}, None, ""),
        (422, BadRequest, {"json": []}, None, ""),
        (444, UnexpectedStatus, {"body": ""}, None, ""),
        (400, BadRequest, {"body": b"\xff\xfe" + b"x" * 9000, "content_type": "application/json"}, None, None),
    ],
)  # fmt: skip
def test_each_generation_of_errors_is_understood(docusign, client, status, kind, answer, code, detail):
    docusign.add(responses.Response("POST", f"{ONE}/actions/pause", status=status, **answer))
    with pytest.raises(kind) as caught:
        client.pause_workflow(WORKFLOW)
    error = caught.value
    assert (error.status, error.code, error.operation) == (status, code, "pause_workflow")
    assert detail is None or error.detail == detail
    assert len(error.detail) <= 500
    assert error.ids == {"account_id": ACCOUNT, "workflow_id": WORKFLOW}
    assert error.user_message.endswith(".")


def test_a_problem_names_the_fields_it_is_about(docusign, client):
    docusign.post(
        f"{ONE}/actions/trigger",
        status=400,
        content_type="application/problem+json",
        body=json.dumps(
            {
                "type": "about:blank",
                "title": "Bad Request",
                "status": 400,
                "request_id": "0HNIITVKLNCS9:0000004A",
                "errors": [{"code": "required", "message": "is missing", "target": "Email"}, "odd", {"message": 7}],
            }
        ),
    )
    with pytest.raises(BadRequest) as caught:
        client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={})
    assert caught.value.field_errors == (FieldError("Email", "is missing", "required"), FieldError(None, "", None))
    assert caught.value.request_id == "0HNIITVKLNCS9:0000004A"
    assert "0HNIITVKLNCS9" in str(caught.value)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.get_instance("../../x y", INSTANCE),
        lambda client: client.get_instance(WORKFLOW, "1234"),
        lambda client: client.cancel_instance(WORKFLOW, INSTANCE + "\n"),
        lambda client: client.list_instances("{" * 3),
        lambda client: client.list_workflows(status="paused"),
        lambda client: client.list_account_instances(page_size=0),
        lambda client: client.list_account_instances(ctoken="x\r\ny"),
        lambda client: client.list_account_instances(started_by_id="me"),
        lambda client: client.trigger_workflow(WORKFLOW, instance_name=" ", trigger_inputs={}),
        lambda client: client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={"a": float("nan")}),
        lambda client: client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={"a": object()}),
        lambda client: client.trigger_workflow(WORKFLOW, instance_name="\ud800", trigger_inputs={}),
        lambda client: client.list_workflows(headers={"Authorization": "x"}),
        lambda client: client.list_workflows(headers={"X-A": "b\r\nc: d"}),
    ],
)
def test_a_bad_request_is_refused_before_sending(docusign, client, call):
    with pytest.raises(InvalidRequest) as caught:
        call(client)
    assert not caught.value.may_have_happened
    assert len(docusign.calls) == 0


def test_ids_in_braces_are_sent_plain(docusign, client):
    docusign.get(f"{INSTANCES}/{INSTANCE}", json=SEED_ROW)
    assert client.get_instance("{" + WORKFLOW.upper() + "}", INSTANCE.upper()).id == INSTANCE


def test_further_headers_and_ids_are_sent(docusign, client):
    docusign.get(LIST, json={"data": []})
    client.list_workflows(headers={"X-Extra": "1"})
    sent = docusign.calls[0].request.headers
    assert sent["X-Extra"] == "1"
    assert len(sent["X-Correlation-Id"]) == 36
