"""Every generation of Docusign's answers is understood, and nothing odd loses more than itself."""

import json
from datetime import UTC, datetime

import pytest

from maestro_api import (
    InstanceStatus,
    UnreadableResponse,
    WorkflowStatus,
)
from tests.maestro_api.conftest import ACCOUNT, API, INSTANCE, USER, WORKFLOW

LIST = f"{API}/workflows"
ONE = f"{LIST}/{WORKFLOW}"
INSTANCES = f"{ONE}/instances"
ACCOUNT_LIST = f"{API}/workflow-instances"
REQUIREMENTS = f"{ONE}/trigger-requirements"

SEED_ROW = {
    "id": INSTANCE,
    "name": "jane Test Trigger",
    "workflow_status": "In Progress",
    "template_id": WORKFLOW,
    "account_id": ACCOUNT,
    "started_at": "2025-07-31T22:15:07.941+00:00",
    "started_by": USER,
    "started_by_name": "jane doe",
    "started_by_role": "Preparer",
    "expires_at": "2025-10-29T22:15:10.449+00:00",
    "last_modified_at": "2025-07-31T22:15:10.803+00:00",
    "trigger_inputs": {"Email": "jane.doe@example.com", "dacId": INSTANCE},
    "total_steps": 1,
    "last_completed_step": 0,
}


def test_a_list_of_workflows_is_read(docusign, client):
    docusign.get(
        LIST,
        json={
            "data": [
                {
                    "id": "{" + WORKFLOW.upper() + "}",
                    "name": "Onboarding",
                    "account_id": ACCOUNT,
                    "status": "active",
                    "metadata": {"created_at": "2024-07-01T00:00:00+02:00", "created_by": USER.upper()},
                    "color": "green",
                }
            ],
            "response_metadata": {"request_id": "req-1", "total_items": 1},
        },
    )
    listing = client.list_workflows(status="active")
    workflow = listing[0]
    assert (workflow.id, workflow.status, workflow.raw_status) == (WORKFLOW, WorkflowStatus.ACTIVE, "active")
    assert workflow.created_at == datetime(2024, 6, 30, 22, tzinfo=UTC)
    assert (workflow.created_by, workflow.modified_at, workflow.modified_by) == (USER, None, None)
    assert workflow.raw["color"] == "green"
    assert listing.response.request_id == "req-1"
    assert docusign.calls[0].request.url.endswith("?status=active")


def test_a_seed_style_list_without_metadata_is_read(docusign, client):
    docusign.get(INSTANCES, json={"data": [SEED_ROW]})
    instance = client.list_instances(WORKFLOW)[0]
    assert instance.status is InstanceStatus.IN_PROGRESS
    assert instance.workflow_id == WORKFLOW
    assert instance.trigger_inputs == {"Email": "jane.doe@example.com", "dacId": INSTANCE}
    assert (instance.tags, instance.metadata, instance.ended_at, instance.last_completed_step_name) == (
        (),
        {},
        None,
        None,
    )
    assert (instance.total_steps, instance.last_completed_step) == (1, 0)


def test_one_instance_comes_bare_and_with_the_other_spelling_of_inputs(docusign, client):
    row = SEED_ROW | {
        "trigger_inputs": None,
        "trigger_input": {"a": [1, None, "x"]},
        "tags": ["t"],
        "metadata": {"workflow_version": "1.0.0"},
        "canceled_by": "",
        "canceled_at": None,
        "last_completed_step_name": None,
        "started_at": "2025-07-31T22:36:03.7781299Z",
        "request_id": "req-2",
    }
    del row["trigger_inputs"]
    docusign.get(f"{INSTANCES}/{INSTANCE}", json=row)
    instance = client.get_instance(WORKFLOW, INSTANCE)
    assert instance.trigger_inputs == {"a": [1, None, "x"]}
    assert (instance.tags, instance.metadata) == (("t",), {"workflow_version": "1.0.0"})
    assert (instance.canceled_by, instance.canceled_at) == (None, None)
    assert instance.started_at == datetime(2025, 7, 31, 22, 36, 3, 778130, tzinfo=UTC)
    assert instance.response.request_id == "req-2"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-07-31T22:15:07.941+00:00", datetime(2025, 7, 31, 22, 15, 7, 941000, UTC)),
        ("2025-07-31T22:15:06.759Z", datetime(2025, 7, 31, 22, 15, 6, 759000, UTC)),
        ("2025-07-31T22:15:06+02:00", datetime(2025, 7, 31, 20, 15, 6, 0, UTC)),
        ("2025-07-31T22:15:06", datetime(2025, 7, 31, 22, 15, 6, 0, UTC)),
        ("", None),
        (None, None),
        ("0001-01-01T00:00:00", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-12:00", None),
    ],
)
def test_each_form_of_time_becomes_utc(docusign, client, text, expected):
    docusign.get(INSTANCES, json={"data": [SEED_ROW | {"ended_at": text}]})
    listing = client.list_instances(WORKFLOW)
    assert listing[0].ended_at == expected
    assert listing.oddities == ()


def test_one_bad_row_never_loses_the_list(docusign, client):
    """E-9: bad members cost themselves, bad rows cost themselves, and each is told."""
    rows = [
        SEED_ROW,
        SEED_ROW | {"started_at": "yesterday", "total_steps": 10**30, "tags": "x"},
        {"name": "no id"},
        "text",
        None,
        SEED_ROW | {"id": "{" + INSTANCE.upper() + "}", "workflow_status": "Hibernating"},
    ]
    docusign.get(INSTANCES, json={"data": rows})
    listing = client.list_instances(WORKFLOW)
    assert [instance.id for instance in listing] == [INSTANCE] * 3
    assert (listing[1].started_at, listing[1].total_steps, listing[1].name) == (None, None, "jane Test Trigger")
    assert (listing[2].status, listing[2].raw_status) == (InstanceStatus.UNKNOWN, "Hibernating")
    assert len(listing.oddities) == 6
    assert any("started_at" in oddity for oddity in listing.oddities)


def test_text_that_is_no_unicode_costs_only_itself(docusign, client):
    """E-9: half a surrogate pair, and bytes that are no UTF-8."""
    body = json.dumps(
        {"data": [SEED_ROW | {"name": "half \ud800 pair, whole \U0001f600, C:\\ud800"}, SEED_ROW]}
    ).encode()
    body = body.replace(b"jane doe", b"jane \xff doe", 1)
    docusign.get(INSTANCES, body=body, content_type="application/json")
    listing = client.list_instances(WORKFLOW)
    assert len(listing) == 2
    assert listing[0].name == "half \ufffd pair, whole \U0001f600, C:\\ud800"


def test_a_nul_in_a_text_is_shown_as_what_cannot_be_kept(docusign, client):
    """E-9: PostgreSQL takes no NUL in a text, so one name with it must not stop a whole list from being stored."""
    row = SEED_ROW | {"name": "a \0 b, not \\u0000", "trigger_inputs": {"key \0": ["deep \0"]}}
    docusign.get(INSTANCES, json={"data": [row]})
    [instance] = client.list_instances(WORKFLOW)
    assert instance.name == "a \ufffd b, not \\u0000"
    assert instance.raw["trigger_inputs"] == {"key \ufffd": ["deep \ufffd"]}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"data":null}',
        b'{"data":{}}',
        b'{"data":[',
        b'{"data":[]} trailing',
        b'{"data":[NaN]}',
        b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"data":' + b'{"a":' * 100_000,
    ],
    ids=lambda body: repr(body[:24]),
)
def test_an_answer_that_does_not_fit_is_a_typed_error(docusign, client, body):
    """E-9: half, deep, NaN, wrong shape."""
    docusign.get(INSTANCES, body=body, content_type="application/json")
    with pytest.raises(UnreadableResponse):
        client.list_instances(WORKFLOW)
    assert len(docusign.calls) == 1


@pytest.mark.parametrize("value", ["[" * 900 + "]" * 900, "1" * 5000, "1e999"], ids=["deep", "huge int", "huge float"])
def test_a_wild_value_inside_a_row_keeps_the_row(docusign, client, value):
    """E-9: the row is listed; only what is wild reads as empty."""
    row = json.dumps(SEED_ROW).replace('"jane.doe@example.com"', value)
    docusign.get(INSTANCES, body='{"data":[' + row + "]}", content_type="application/json")
    listing = client.list_instances(WORKFLOW)
    assert listing[0].id == INSTANCE
    assert isinstance(listing[0].trigger_inputs, dict)
    assert isinstance(listing[0].raw, dict)


@pytest.mark.parametrize("content_type", ["text/html", "text/plain", "application/xml"])
def test_a_success_of_another_type_is_refused(docusign, client, content_type):
    """E-9: a sign-in page with status 200, or JSON that says it is something else."""
    docusign.get(LIST, body=b'{"data":[]}', content_type=content_type)
    with pytest.raises(UnreadableResponse):
        client.list_workflows()


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=utf-8", "application/hal+json"]
)
def test_json_types_are_accepted(docusign, client, content_type):
    docusign.get(LIST, body=b'\xef\xbb\xbf{"data":[]}', content_type=content_type)
    assert len(client.list_workflows()) == 0


def test_a_page_token_that_cannot_be_followed_is_a_warning(docusign, client):
    docusign.get(LIST, json={"data": [], "response_metadata": {"page_limit": 25, "page_token_next": "abc"}})
    docusign.get(INSTANCES, json={"data": [], "response_metadata": {"page_limit": 25, "page_token_next": None}})
    assert len(client.list_workflows().warnings) == 1
    assert client.list_instances(WORKFLOW).warnings == ()


@pytest.mark.parametrize("place", ["top", "metadata", "response_metadata", "header"])
def test_the_request_id_is_found_wherever_it_stands(docusign, client, place):
    body = {"trigger_id": WORKFLOW}
    if place in ("metadata", "response_metadata"):
        body[place] = {"request_id": "req-9", "created_at": "2025-04-11T17:30:46.477+00:00"}
    elif place == "top":
        body["request_id"] = "req-9"
    headers = {"X-DocuSign-TraceToken": "req-9"} if place == "header" else {}
    docusign.get(REQUIREMENTS, json=body, headers=headers)
    assert client.get_trigger_requirements(WORKFLOW).response.request_id == "req-9"


def test_inputs_of_every_type_are_read(docusign, client):
    schema = [
        {"field_name": "Email", "field_data_type": "String", "default_value": "a@b.c"},
        {"field_name": "fields.Manager.Full Name.value", "field_data_type": "string", "default_value": ""},
        {"field_name": "n", "field_data_type": "Number", "default_value": 0},
        {"field_name": "b", "field_data_type": "Boolean", "default_value": False},
        {"field_name": "d", "field_data_type": "Date"},
        {"field_name": "o", "field_data_type": "object", "default_value": {"a": 1}},
        {"field_name": "a", "field_data_type": "array", "default_value": None},
        {"field_name": "?", "field_data_type": "CheckboxGroup"},
        {"field_name": "startDate", "field_data_type": "String"},
        {"field_name": "n", "field_data_type": "String"},
        {"field_data_type": "String"},
        {"field_name": "t"},
    ]
    docusign.get(
        REQUIREMENTS, json={"trigger_id": WORKFLOW, "trigger_event_type": "MQ", "trigger_input_schema": schema}
    )
    requirements = client.get_trigger_requirements(WORKFLOW)
    kinds = {each.name: each.kind for each in requirements.fields}
    assert list(kinds.values()) == [
        "string", "string", "number", "boolean", "date", "object", "array", "unknown", "string", "unknown"
    ]  # fmt: skip
    defaults = {each.name: each.default for each in requirements.fields if each.has_default}
    assert defaults == {"Email": "a@b.c", "n": 0, "b": False, "o": {"a": 1}}
    assert [each.name for each in requirements.fields if each.is_system] == ["startDate"]
    assert len(requirements.oddities) == 5


@pytest.mark.parametrize("schema", [None, []])
def test_a_workflow_without_inputs_is_fine(docusign, client, schema):
    docusign.get(REQUIREMENTS, json={"trigger_id": WORKFLOW, "trigger_input_schema": schema})
    assert client.get_trigger_requirements(WORKFLOW).fields == ()


@pytest.mark.parametrize("body", [{}, {"trigger_id": WORKFLOW, "trigger_input_schema": "x"}])
def test_requirements_that_are_none_are_refused(docusign, client, body):
    docusign.get(REQUIREMENTS, json=body)
    with pytest.raises(UnreadableResponse):
        client.get_trigger_requirements(WORKFLOW)


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_of_a_trigger_counts(docusign, client, status):
    link = f"http://127.0.0.1:9000/api/maestro/v1/accounts/{ACCOUNT}/instances/{INSTANCE}/execution?mtid=a&mtsec=canary"
    docusign.post(f"{ONE}/actions/trigger", json={"instance_id": INSTANCE.upper(), "instance_url": link}, status=status)
    triggered = client.trigger_workflow(WORKFLOW, instance_name="näme", trigger_inputs={"a b": [1, {"c": None}]})
    assert (triggered.instance_id, triggered.instance_url, triggered.oddities) == (INSTANCE, link, ())
    assert "canary" not in repr(triggered)
    assert json.loads(docusign.calls[0].request.body) == {
        "instance_name": "näme",
        "trigger_inputs": {"a b": [1, {"c": None}]},
    }


@pytest.mark.parametrize("link", [None, 7, "https://evil.test/x", "javascript:alert(1)"])
def test_a_missing_or_foreign_link_is_an_oddity_and_the_instance_still_counts(docusign, client, link):
    docusign.post(f"{ONE}/actions/trigger", json={"instance_id": INSTANCE, "instance_url": link}, status=201)
    triggered = client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={})
    assert triggered.instance_id == INSTANCE
    assert len(triggered.oddities) == 1


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"instanceId": INSTANCE, "status": "canceled"}, "canceled", None),
        (
            {"message": "Successfully cancelled the workflow instance"},
            None,
            "Successfully cancelled the workflow instance",
        ),
        ({"workflowDefinitionId": WORKFLOW, "status": "paused"}, "paused", None),
        ({"status": "active"}, "active", None),
        ({}, None, None),
    ],
)
def test_each_generation_of_action_replies_is_accepted(docusign, client, body, status, message):
    docusign.post(f"{INSTANCES}/{INSTANCE}/actions/cancel", json=body)
    result = client.cancel_instance(WORKFLOW, INSTANCE)
    assert (result.status, result.message, result.raw) == (status, message, body)
    assert docusign.calls[0].request.body is None


def test_an_accepted_action_without_a_body_is_accepted(docusign, client):
    docusign.post(f"{ONE}/actions/pause", status=204)
    assert client.pause_workflow(WORKFLOW).status is None
