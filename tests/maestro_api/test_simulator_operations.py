"""The nine operations of the simulator, held against what the specifications promise."""

import pytest

from maestro_api.simulator import MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID, SimRequest, Simulator
from tests.maestro_api import simulator_schemas as schemas
from tests.maestro_api.simulator_calls import NDA, Caller, json_of

SPECIFICATIONS = ("spec107", "wb100")


@pytest.fixture
def ada() -> Caller:
    return Caller(Simulator(instances=120))


def caller(profile: str, person: str = "Ada Admin") -> Caller:
    return Caller(Simulator(instances=120, profile=profile), person)


@pytest.mark.parametrize("profile", SPECIFICATIONS)
def test_the_workflow_list_is_what_the_specification_says(profile: str) -> None:
    response = caller(profile).send("GET", "/workflows")
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert schemas.faults_of(schemas.WORKFLOWS, json_of(response)) == []
    assert len(json_of(response)["data"]) == 12


def test_the_announcement_of_2025_has_no_metadata_beside_the_workflows() -> None:
    body = caller("seed2025").get("/workflows")
    assert list(body) == ["data"]
    assert all("modified_by" not in item["metadata"] for item in body["data"])


@pytest.mark.parametrize("profile", SPECIFICATIONS)
def test_the_trigger_requirements_of_every_workflow_are_what_the_specification_says(profile: str) -> None:
    ada = caller(profile)
    for workflow in ada.workflows():
        body = ada.get(f"/workflows/{workflow['id']}/trigger-requirements")
        assert schemas.faults_of(schemas.REQUIREMENTS, body) == [], workflow["name"]


def test_the_generations_disagree_about_the_place_of_the_response_metadata() -> None:
    top = caller("spec107")
    inside = caller("wb100")
    assert "response_timestamp" in top.get(f"/workflows/{top.workflow_id()}/trigger-requirements")
    assert "response_timestamp" in inside.get(f"/workflows/{inside.workflow_id()}/trigger-requirements")["metadata"]


@pytest.mark.parametrize("profile", SPECIFICATIONS)
def test_a_trigger_answers_201_with_response_metadata(profile: str) -> None:
    response = caller(profile).trigger()
    assert (response.status, response.headers["Content-Type"]) == (201, "application/json")
    assert schemas.faults_of(schemas.TRIGGERED, json_of(response)) == []


def test_a_trigger_of_2025_answers_two_members() -> None:
    response = caller("seed2025").trigger()
    assert response.status == 201
    assert list(json_of(response)) == ["instance_id", "instance_url"]


@pytest.mark.parametrize("profile", SPECIFICATIONS)
def test_every_instance_of_every_workflow_is_what_the_specification_says(profile: str) -> None:
    ada = caller(profile)
    ada.sim.set_limits(enabled=False)
    seen = 0
    for workflow in ada.workflows():
        body = ada.get(f"/workflows/{workflow['id']}/instances")
        assert schemas.faults_of(schemas.instances(profile), body) == [], workflow["name"]
        for row in body["data"]:
            detail = ada.get(f"/workflows/{workflow['id']}/instances/{row['id']}")
            assert schemas.faults_of(schemas.instance(profile), detail) == []
            assert detail == row
            seen += 1
    assert seen == 120


def test_a_read_back_holds_the_system_inputs_and_overwrites_the_start_date(ada: Caller) -> None:
    instance_id = json_of(ada.trigger("x", NDA | {"startDate": "2020-01-01"}))["instance_id"]
    inputs = ada.get(ada.path_of(instance_id))["trigger_inputs"]
    assert inputs["dacId"] == instance_id
    assert inputs["startDate"] != "2020-01-01"
    assert isinstance(inputs["participantIdMap"], dict)
    assert inputs["Supplier name"] == NDA["Supplier name"]


def test_inputs_left_out_take_their_defaults(ada: Caller) -> None:
    inputs = ada.get(ada.path_of(ada.started()))["trigger_inputs"]
    assert (inputs["Mutual"], inputs["Governing law"]) == (True, "England and Wales")


@pytest.mark.parametrize("profile", ["seed2025", "spec107", "wb100"])
def test_a_missing_input_is_a_400_in_the_words_of_the_generation(profile: str) -> None:
    response = caller(profile).trigger("x", {"Supplier name": "Kestrel"})
    assert response.status == 400
    assert response.headers["Content-Type"] == (
        "application/json" if profile == "seed2025" else "application/problem+json"
    )
    assert schemas.faults_of(schemas.ERRORS[profile], json_of(response)) == []


def test_problem_details_name_each_input_at_fault() -> None:
    body = json_of(caller("wb100").trigger("x", NDA | {"Effective date": 5, "Mutual": "yes"} | {"Contact name": "Mei"}))
    assert [(error["target"], error["code"]) for error in body["errors"]] == [
        ("Effective date", "FIELD_INVALID"),
        ("Mutual", "FIELD_INVALID"),
    ]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"instance_name":"x"}', b'{"instance_name":"","trigger_inputs":{}}']
)
def test_a_trigger_body_that_is_no_trigger_is_a_400(ada: Caller, body: bytes) -> None:
    path = f"{ada.base}/workflows/{ada.workflow_id()}/actions/trigger"
    headers = {"Authorization": f"Bearer {ada.token['access_token']}", "Content-Type": "application/json"}
    assert ada.sim.handle(SimRequest("POST", path, headers, body)).status == 400


@pytest.mark.parametrize(
    ("profile", "paused", "canceled"),
    [
        ("seed2025", {"workflowDefinitionId", "status"}, {"instanceId", "status"}),
        ("spec107", {"status"}, {"message"}),
        ("wb100", {"status"}, {"message"}),
    ],
)
def test_actions_answer_in_the_words_of_their_generation(profile: str, paused: set[str], canceled: set[str]) -> None:
    ada = caller(profile)
    path = f"/workflows/{ada.workflow_id()}/actions"
    instance_id = ada.started()
    assert json_of(ada.send("POST", path + "/pause")).keys() == paused
    assert json_of(ada.send("POST", path + "/resume"))["status"] == "active"
    assert json_of(ada.send("POST", ada.path_of(instance_id) + "/actions/cancel")).keys() == canceled
    assert ada.status_of(instance_id) == "Canceled"


@pytest.mark.parametrize("actions", [["resume"], ["pause", "pause"]])
def test_a_workflow_that_is_there_already_is_a_conflict(ada: Caller, actions: list[str]) -> None:
    path = f"/workflows/{ada.workflow_id()}/actions/"
    assert [ada.send("POST", path + action).status for action in actions][-1] == 409


def test_a_finished_instance_cannot_be_canceled(ada: Caller) -> None:
    instance_id = ada.started()
    cancel = ada.path_of(instance_id) + "/actions/cancel"
    assert [ada.send("POST", cancel).status for _ in range(2)] == [200, 409]


def test_a_paused_workflow_starts_nothing_and_lets_running_instances_go_on(ada: Caller) -> None:
    instance_id = ada.started()
    ada.send("POST", f"/workflows/{ada.workflow_id()}/actions/pause")
    assert ada.trigger().status == 400
    ada.sim.clock.advance(2)
    assert ada.status_of(instance_id) == "In Progress"


@pytest.mark.parametrize("shown", ["paused", "inactive", "active"])
def test_how_a_paused_workflow_is_listed_can_be_chosen(ada: Caller, shown: str) -> None:
    ada.sim.set_profile(paused_as=shown)
    ada.send("POST", f"/workflows/{ada.workflow_id()}/actions/pause")
    assert ada.workflows()[0]["status"] == shown
    assert len(ada.get("/workflows?status=active")["data"]) == (11 if shown == "active" else 10)


def test_an_unpublished_workflow_is_listed_but_cannot_be_triggered(ada: Caller) -> None:
    workflow_id = ada.workflow_id("Volunteer agreement 2024")
    inputs = {"Volunteer": "Mei Chen", "Volunteer email": "mei.chen@example.com"}
    assert ada.trigger("x", inputs, workflow_id).status == 400


def test_an_unknown_status_filter_is_a_400(ada: Caller) -> None:
    assert ada.send("GET", "/workflows?status=paused").status == 400


def test_identifiers_in_braces_and_capitals_are_understood(ada: Caller) -> None:
    workflow_id, instance_id = ada.workflow_id(), ada.started()
    path = f"/workflows/%7B{workflow_id.upper()}%7D/instances/%7B{instance_id.upper()}%7D"
    assert ada.get(path)["id"] == instance_id


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/workflows/nonsense/instances", 400),
        (f"/workflows/{MAIN_ACCOUNT_ID}/instances", 404),
        ("/workflows/{known}/instances/nonsense", 400),
        (f"/workflows/{{known}}/instances/{MAIN_ACCOUNT_ID}", 404),
        ("/nothing-here", 404),
    ],
)
def test_a_wrong_path_is_a_400_and_an_unknown_one_a_404(ada: Caller, path: str, status: int) -> None:
    assert ada.send("GET", path.replace("{known}", ada.workflow_id())).status == status


@pytest.mark.parametrize(
    ("profile", "kind"),
    [("seed2025", "text/plain"), ("spec107", "text/plain"), ("wb100", "application/problem+json")],
)
def test_without_a_good_token_the_answer_is_401(profile: str, kind: str) -> None:
    response = caller(profile).send("GET", "/workflows", Authorization="Bearer nonsense")
    assert response.status == 401
    assert response.headers["Content-Type"].startswith(kind)


def test_a_token_lives_as_long_as_it_says(ada: Caller) -> None:
    ada.token = ada.sim.token("Ada Admin", expires_in=60)
    ada.sim.clock.advance(59)
    assert ada.send("GET", "/workflows").status == 200
    ada.sim.clock.advance(1)
    assert ada.send("GET", "/workflows").status == 401


def test_a_token_without_the_scope_of_the_api_is_refused(ada: Caller) -> None:
    ada.token = ada.sim.token("Ada Admin", scopes=frozenset({"signature"}))
    assert ada.send("GET", "/workflows").status == 403


def test_the_accounts_of_one_person_have_different_workflows() -> None:
    sim = Simulator()
    names = [
        {item["name"] for item in Caller(sim, "Ada Admin", account).workflows()}
        for account in (MAIN_ACCOUNT_ID, SECOND_ACCOUNT_ID)
    ]
    assert names[0] != names[1]
    assert names[1]


def test_the_seed_makes_the_same_workflows_each_time_and_another_seed_others() -> None:
    first, again, other = (Caller(Simulator(seed=seed)).workflow_id() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_triggered_instance_never_gets_the_id_that_another_run_gave() -> None:
    assert Caller(Simulator(seed=1)).started() != Caller(Simulator(seed=1)).started()
