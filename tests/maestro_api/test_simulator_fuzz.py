"""Nothing that can be sent makes the simulator raise or answer with a server error of its own."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from maestro_api.simulator import SimRequest, Simulator
from tests.maestro_api.simulator_calls import Caller

SIM = Simulator(instances=60)
SIM.set_limits(enabled=False)
ADA = Caller(SIM)
KNOWN = ADA.workflow_id()
INSTANCE = ADA.get(f"/workflows/{KNOWN}/instances")["data"][0]["id"]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(2**60, 2**80) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PIECES = st.sampled_from(
    [
        KNOWN,
        INSTANCE,
        "{" + KNOWN + "}",
        "workflows",
        "instances",
        "actions",
        "trigger",
        "cancel",
        "pause",
        "workflow-instances",
    ]
) | st.text(max_size=12)
PATHS = st.one_of(
    st.lists(PIECES, max_size=6).map(lambda parts: ADA.base + "/" + "/".join(parts)),
    st.sampled_from(
        ["/oauth/auth", "/oauth/token", "/oauth/userinfo", "/oauth/revoke", "/oauth/logout", "//[", "*", ""]
    ),
    st.text(max_size=30).map(lambda text: f"/api/maestro/v1/accounts/x/instances/{text}/execution"),
    st.text(alphabet="-0123456789abcdef", min_size=36, max_size=36).map(
        lambda text: f"/api/maestro/v1/accounts/x/instances/{text}/execution"
    ),
)
QUERIES = st.dictionaries(
    st.sampled_from(
        ["status", "ctoken", "page_size", "started_by_id", "workflow_definition_id", "client_id", "redirect_uri"]
    ),
    st.text(max_size=12),
    max_size=4,
).map(lambda query: "&".join(f"{name}={value}" for name, value in query.items()))
BODIES = st.one_of(
    st.binary(max_size=60),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(st.text(max_size=10), JSON, max_size=4).map(
        lambda inputs: json.dumps({"instance_name": "fuzz", "trigger_inputs": inputs}).encode()
    ),
)
HEADERS = st.fixed_dictionaries(
    {
        "Authorization": st.sampled_from(
            ["", "Bearer", "Basic !!", "Basic eDp5", f"Bearer {ADA.token['access_token']}"]
        ),
        "Content-Type": st.sampled_from(["application/json", "application/x-www-form-urlencoded", "", "text/plain"]),
        "Cookie": st.sampled_from(["", "docusign_simulator=x", "=;=\x00"]),
    }
)


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD"]),
    path=PATHS,
    query=QUERIES,
    headers=HEADERS,
    body=BODIES,
)
def test_any_request_gets_an_answer_below_500(
    method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    response = SIM.handle(SimRequest(method, f"{path}?{query}", headers, body))
    assert 200 <= response.status < 500


@settings(max_examples=100, deadline=None)
@given(body=BODIES)
def test_any_trigger_leaves_lists_and_ledger_readable(body: bytes) -> None:
    headers = {"Authorization": f"Bearer {ADA.token['access_token']}", "Content-Type": "application/json"}
    workflow_id = ADA.workflow_id("Employee leaver checklist")
    SIM.set_workflow(workflow_id, input_schema=[])
    SIM.handle(SimRequest("POST", f"{ADA.base}/workflows/{workflow_id}/actions/trigger", headers, body))
    assert ADA.get(f"/workflows/{workflow_id}/instances")["data"]
    assert SIM.handle(SimRequest("GET", "/_control/ledger")).status == 200


@settings(max_examples=100, deadline=None)
@given(
    path=st.sampled_from(
        [
            "token",
            "state",
            "faults",
            "clock",
            "limits",
            "profile",
            "account-list",
            "connect",
            "connect/send",
            "clients",
            "revoke",
        ]
    ),
    body=BODIES,
)
def test_any_control_call_is_answered(path: str, body: bytes) -> None:
    sim = Simulator(instances=3)
    assert 200 <= sim.handle(SimRequest("POST", f"/_control/{path}", {}, body)).status < 500
