"""The control calls of the simulator, each through its address."""

from typing import Any

import pytest

from maestro_api.simulator import MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID, SimRequest, Simulator
from tests.maestro_api.simulator_calls import NDA, Caller, authorize, control, json_of, sub_of


@pytest.fixture
def sim() -> Simulator:
    return Simulator(instances=40)


def test_a_token_comes_without_a_browser(sim: Simulator) -> None:
    answer = control(sim, "POST", "/token", {"person": "Pia Preparer", "expires_in": 60})
    assert {"access_token", "refresh_token", "account_id", "user_id"} <= answer.keys()
    assert (answer["account_id"], answer["user_id"]) == (MAIN_ACCOUNT_ID, sub_of(sim, "Pia Preparer"))
    assert answer["expires_in"] == 60


def test_the_ledger_is_a_list_that_can_be_cut_and_emptied(sim: Simulator) -> None:
    ada = Caller(sim)
    ada.workflows()
    ada.workflows()
    entries = control(sim, "GET", "/ledger")
    assert [set(entry) for entry in entries] == [
        {"seq", "at", "method", "path", "query", "status", "token", "body", "fault"}
    ] * 2
    assert len(control(sim, "GET", f"/ledger?since={entries[0]['seq']}")) == 1
    control(sim, "DELETE", "/ledger")
    assert control(sim, "GET", "/ledger") == []


def test_control_calls_are_not_in_the_ledger_and_are_hit_by_no_fault(sim: Simulator) -> None:
    control(sim, "POST", "/faults", [{"match": {}, "do": {"status": 500}}])
    control(sim, "DELETE", "/faults")
    assert control(sim, "GET", "/ledger") == []
    assert Caller(sim).send("GET", "/workflows").status == 200


def test_the_state_names_every_instance_of_every_workflow(sim: Simulator) -> None:
    ada = Caller(sim)
    new = ada.started("look for me")
    state = control(sim, "GET", "/state")
    assert state["counts"]["by_account"][MAIN_ACCOUNT_ID] == 41
    workflow = next(item for item in state["workflows"] if item["id"] == ada.workflow_id())
    assert (workflow["name"], workflow["status"]) == ("Supplier NDA", "active")
    found = next(item for item in workflow["instances"] if item["id"] == new)
    assert (found["name"], found["status"]) == ("look for me", "Created")


def test_data_can_be_added(sim: Simulator) -> None:
    control(sim, "POST", "/state", {"workflows": 3, "instances": 500})
    ada = Caller(sim)
    workflows = ada.workflows()
    assert len(workflows) == 15
    assert len({item["name"] for item in workflows}) == 15
    assert ada.get("/workflow-instances?page_size=1")["total_set_size"] == 540
    assert ada.get(f"/workflows/{workflows[14]['id']}/instances")["data"]


def test_data_can_be_added_to_another_account(sim: Simulator) -> None:
    control(sim, "POST", "/state", {"instances": 10, "account_id": SECOND_ACCOUNT_ID})
    assert Caller(sim, account_id=SECOND_ACCOUNT_ID).get("/workflow-instances?page_size=1")["total_set_size"] == 34


def test_members_of_a_workflow_can_be_overwritten(sim: Simulator) -> None:
    ada = Caller(sim)
    workflow_id = ada.workflow_id()
    schema = [{"field_name": "New", "field_data_type": "Number"}]
    control(sim, "POST", f"/workflows/{workflow_id}", {"name": "Renamed", "input_schema": schema, "color": "blue"})
    listed = ada.workflows()[0]
    assert (listed["name"], listed["color"]) == ("Renamed", "blue")
    assert ada.get(f"/workflows/{workflow_id}/trigger-requirements")["trigger_input_schema"] == schema
    assert ada.trigger("x", NDA, workflow_id).status == 400
    assert ada.trigger("x", {"New": 1}, workflow_id).status == 201


@pytest.mark.parametrize("status", ["archived", "publishing", "inactive", "Something New"])
def test_a_workflow_can_be_put_into_any_state(sim: Simulator, status: str) -> None:
    ada = Caller(sim)
    control(sim, "POST", f"/workflows/{ada.workflow_id()}", {"status": status})
    assert ada.workflows()[0]["status"] == status
    assert ada.trigger().status == 400


def test_a_workflow_can_name_another_address_to_trigger(sim: Simulator) -> None:
    """E-1: what a caller must not follow."""
    ada = Caller(sim)
    config = {"method": "POST", "url": "https://evil.example/start"}
    control(sim, "POST", f"/workflows/{ada.workflow_id()}", {"trigger_http_config": config})
    assert ada.get(f"/workflows/{ada.workflow_id()}/trigger-requirements")["trigger_http_config"] == config


def test_members_of_an_instance_can_be_overwritten(sim: Simulator) -> None:
    ada = Caller(sim)
    new = ada.started()
    members = {
        "workflow_status": "Completed",
        "last_completed_step": 5,
        "started_by_name": "Somebody",
        "omit": ["tags"],
    }
    control(sim, "POST", f"/instances/{new}", members)
    body = ada.get(ada.path_of(new))
    assert (body["workflow_status"], body["last_completed_step"], body["started_by_name"]) == (
        "Completed",
        5,
        "Somebody",
    )
    assert body["ended_at"]
    assert "tags" not in body
    assert ada.send("POST", ada.path_of(new) + "/actions/cancel").status == 409


def test_an_invented_status_is_shown_as_it_is(sim: Simulator) -> None:
    ada = Caller(sim)
    new = ada.started()
    sim.clock.advance(2)
    control(sim, "POST", f"/instances/{new}", {"workflow_status": "On Hold"})
    sim.clock.advance(10_000)
    assert ada.status_of(new) == "On Hold"
    assert [row["id"] for row in ada.get("/workflow-instances?status=onhold")["instances"]] == [new]


def test_a_level_can_be_changed_for_one_account(sim: Simulator) -> None:
    control(sim, "POST", "/people/Ada%20Admin", {"level": "none", "account_id": SECOND_ACCOUNT_ID})
    assert Caller(sim).send("GET", "/workflows").status == 200
    assert Caller(sim, account_id=SECOND_ACCOUNT_ID).send("GET", "/workflows").status == 403


def test_a_grant_can_be_revoked(sim: Simulator) -> None:
    ada = Caller(sim)
    assert control(sim, "POST", "/revoke", {"person": "Ada Admin"}) == {"revoked": 1}
    assert ada.send("GET", "/workflows").status == 401


def test_the_clock_can_be_moved(sim: Simulator) -> None:
    before = control(sim, "GET", "/clock")["now"]
    assert control(sim, "POST", "/clock", {"advance_seconds": 3600})["now"] - before == pytest.approx(3600, abs=5)


def test_limits_can_be_set_and_read(sim: Simulator) -> None:
    answer = control(sim, "POST", "/limits", {"hourly": 10, "burst": 5, "status": 400, "spent_by_others": 9})
    assert (answer["hourly"], answer["burst"], answer["status"]) == (10, 5, 400)
    assert [Caller(sim).send("GET", "/workflows").status for _ in range(2)] == [200, 400]


def test_calls_of_others_use_up_the_hour_and_not_the_burst(sim: Simulator) -> None:
    """R-3: five hundred calls left of the hour, as after a busy morning of other apps."""
    control(sim, "POST", "/limits", {"spent_by_others": 2500})
    headers = Caller(sim).send("GET", "/workflows").headers
    assert (headers["X-RateLimit-Remaining"], headers["X-BurstLimit-Remaining"]) == ("499", "199")


def test_retry_after_may_be_a_number_of_seconds(sim: Simulator) -> None:
    control(sim, "POST", "/limits", {"hourly": 0, "retry_after": 17})
    assert Caller(sim).send("GET", "/workflows").headers["Retry-After"] == "17"


def test_the_profile_can_be_switched(sim: Simulator) -> None:
    assert control(sim, "POST", "/profile", {"profile": "wb100"})["profile"] == "wb100"
    response = Caller(sim).send("GET", "/nothing")
    assert json_of(response)["type"].startswith("https://developers.docusign.com/errors/")


@pytest.mark.parametrize(
    ("settings", "kept"),
    [({"name_limit": 5}, "Cafe\u0301"), ({"name_form": "NFC"}, "Café – a long name")],
)
def test_names_can_be_trimmed_or_normalised(sim: Simulator, settings: dict[str, Any], kept: str) -> None:
    """U-5: a name that does not come back as it was sent."""
    control(sim, "POST", "/profile", settings)
    ada = Caller(sim)
    assert ada.get(ada.path_of(ada.started("Cafe\u0301 – a long name")))["name"] == kept


def test_faults_may_come_as_a_list_or_as_a_member(sim: Simulator) -> None:
    rules = [{"match": {"path": "workflows"}, "do": {"status": 504}}]
    for body in (rules, {"faults": rules}, rules[0]):
        control(sim, "POST", "/faults", body)
        assert Caller(sim).send("GET", "/workflows").status == 504
        control(sim, "DELETE", "/faults")


def test_an_instance_takes_its_state_under_both_names(sim: Simulator) -> None:
    ada = Caller(sim)
    instance_id = ada.started()
    for member, state in (("workflow_status", "Failed"), ("status", "Completed")):
        control(sim, "POST", f"/instances/{instance_id}", {member: state})
        assert ada.status_of(instance_id) == state


def test_the_account_list_can_be_switched_off_and_on(sim: Simulator) -> None:
    ada = Caller(sim)
    control(sim, "POST", "/account-list", {"enabled": False})
    assert ada.send("GET", "/workflow-instances").status == 404
    control(sim, "POST", "/account-list", {"enabled": True})
    assert ada.send("GET", "/workflow-instances").status == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/token", {"person": "Nobody"}, 404),
        ("/people/Ada Admin", {"level": "king"}, 400),
        ("/people/Nobody", {"level": "manage"}, 404),
        ("/workflows/x", {"name": "x"}, 404),
        (f"/instances/{MAIN_ACCOUNT_ID}", {"name": "x"}, 404),
        ("/profile", {"profile": "v9"}, 400),
        ("/profile", {"nonsense": 1}, 400),
        ("/limits", {"nonsense": 1}, 400),
        ("/faults", [{"do": {"explode": True}}], 400),
        ("/connect", {"url": "https://hooks.example/"}, 400),
        ("/connect", {"key": "k"}, 400),
        ("/faults", {"faults": 7}, 400),
        ("/nothing", {}, 404),
        ("/clock", [], 400),
    ],
)
def test_a_control_call_that_makes_no_sense_says_why(sim: Simulator, path: str, body: Any, status: int) -> None:
    raw = str(body).replace("'", '"').replace("True", "true").encode()
    response = sim.handle(SimRequest("POST", "/_control" + path.replace(" ", "%20"), {}, raw))
    assert response.status == status
    assert json_of(response)["error"]


@pytest.mark.parametrize(("peer", "host"), [("192.0.2.7", "127.0.0.1:9000"), ("127.0.0.1", "evil.example:9000")])
def test_the_control_calls_answer_on_the_loopback_only(sim: Simulator, peer: str, host: str) -> None:
    response = sim.handle(SimRequest("GET", "/_control/state", {"Host": host}, peer=peer))
    assert response.status == 403


def test_people_can_be_chosen_and_invented() -> None:
    sim = Simulator(people=["Ada Admin", "Nia New:prepare"], instances=0)
    page = authorize(sim).body.decode()
    assert ">Nia New<" in page
    assert "Olu Operator" not in page
    assert Caller(sim, "Nia New").send("POST", f"/workflows/{Caller(sim).workflow_id()}/actions/pause").status == 403
