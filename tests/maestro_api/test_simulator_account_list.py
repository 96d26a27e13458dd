"""The account-level list of the simulator: paging, filters, and who may ask for what."""

from collections.abc import Iterator
from typing import Any

import pytest

from maestro_api.simulator import OTHER_ACCOUNT_ID, SECOND_ACCOUNT_ID, Simulator
from tests.maestro_api.simulator_calls import NDA, Caller, sub_of

SOMEBODY = "00000000-1111-4222-8333-444444444444"


@pytest.fixture
def ada() -> Caller:
    return Caller(Simulator(instances=230))


def pages(caller: Caller, query: str = "page_size=50") -> Iterator[dict[str, Any]]:
    page = caller.get(f"/workflow-instances?{query}")
    yield page
    while page.get("ctoken"):
        page = caller.get(f"/workflow-instances?{query}&ctoken={page['ctoken']}")
        yield page


def ids(caller: Caller, query: str = "page_size=50") -> list[str]:
    return [item["id"] for page in pages(caller, query) for item in page["instances"]]


def test_paging_shows_every_instance_once(ada: Caller) -> None:
    sizes = [page["result_set_size"] for page in pages(ada)]
    assert sizes == [50, 50, 50, 50, 30]
    assert len(set(ids(ada))) == 230


@pytest.mark.parametrize(("profile", "last"), [("spec107", {}), ("wb100", {"ctoken": None})])
def test_the_last_page_has_no_page_token_or_a_null_one(profile: str, last: dict[str, None]) -> None:
    page = Caller(Simulator(instances=5, profile=profile)).get("/workflow-instances")
    assert {name: value for name, value in page.items() if name == "ctoken"} == last


def test_a_page_token_stays_good_while_new_instances_arrive(ada: Caller) -> None:
    before = set(ids(ada))
    first = ada.get("/workflow-instances?page_size=100")
    new = ada.started()
    rest = ada.get(f"/workflow-instances?page_size=1000&ctoken={first['ctoken']}")
    assert {item["id"] for item in first["instances"] + rest["instances"]} == before
    assert rest["total_set_size"] == 230
    assert new in ids(ada)


def test_the_status_filter_ignores_case_and_spaces_and_repeats(ada: Caller) -> None:
    wanted = ids(ada, "status=in%20progress&status=Failed")
    every = [item for page in pages(ada) for item in page["instances"]]
    expected = [
        item["id"] for item in every if item["workflow_status"].lower().replace("_", " ") in ("in progress", "failed")
    ]
    assert wanted == expected
    assert wanted


def test_a_status_that_only_one_odd_instance_has_is_found(ada: Caller) -> None:
    page = ada.get("/workflow-instances?status=Awaiting%20Sync")
    assert [item["workflow_status"] for item in page["instances"]] == ["Awaiting Sync"]


def test_the_workflow_filter_may_be_repeated(ada: Caller) -> None:
    some = [item["id"] for item in ada.workflows()[:2]]
    query = "&".join(f"workflow_definition_id={one}" for one in some)
    found = [item for page in pages(ada, query) for item in page["instances"]]
    listed = [row["id"] for one in some for row in ada.get(f"/workflows/{one}/instances")["data"]]
    assert {item["template_id"] for item in found} == set(some)
    assert sorted(item["id"] for item in found) == sorted(listed)


@pytest.mark.parametrize("query", ["page_size=0", "page_size=x", "ctoken=nonsense", "started_by_id=nonsense"])
def test_a_parameter_that_means_nothing_is_a_400(ada: Caller, query: str) -> None:
    assert ada.send("GET", f"/workflow-instances?{query}").status == 400


def test_a_page_token_of_another_listing_is_refused(ada: Caller) -> None:
    token = ada.get("/workflow-instances?page_size=5")["ctoken"]
    assert ada.send("GET", f"/workflow-instances?status=Failed&ctoken={token}").status == 400


def test_a_manager_may_ask_for_what_others_started(ada: Caller) -> None:
    olu = sub_of(ada.sim, "Olu Operator")
    starters = {item["started_by"] for page in pages(ada, f"started_by_id={olu}") for item in page["instances"]}
    assert starters == {olu}
    assert ada.get(f"/workflow-instances?started_by_id={SOMEBODY}")["instances"] == []


def test_a_preparer_is_shown_only_their_own_instances_everywhere(ada: Caller) -> None:
    """V-1: the simulator limits a preparer in lists, single reads and writes alike."""
    pia = Caller(ada.sim, "Pia Preparer")
    own = sub_of(ada.sim, "Pia Preparer")
    assert {item["started_by"] for page in pages(pia) for item in page["instances"]} == {own}
    assert {row["started_by"] for row in pia.get(f"/workflows/{pia.workflow_id()}/instances")["data"]} <= {own}
    foreign = ada.started()
    assert pia.send("GET", ada.path_of(foreign)).status == 404
    assert pia.send("POST", ada.path_of(foreign) + "/actions/cancel").status == 404
    assert ada.status_of(foreign) == "Created"


def test_a_preparer_who_asks_for_somebody_else_is_refused(ada: Caller) -> None:
    """V-2: the probe by which a manager is told from others answers 403."""
    pia = Caller(ada.sim, "Pia Preparer")
    assert pia.send("GET", f"/workflow-instances?started_by_id={SOMEBODY}").status == 403
    assert pia.send("GET", f"/workflow-instances?started_by_id={sub_of(ada.sim, 'Pia Preparer')}").status == 200


def test_a_preparer_may_trigger_but_not_pause(ada: Caller) -> None:
    pia = Caller(ada.sim, "Pia Preparer")
    assert pia.trigger("mine", NDA).status == 201
    assert pia.send("POST", f"/workflows/{pia.workflow_id()}/actions/pause").status == 403


def test_somebody_without_a_permission_level_is_refused_by_every_operation(ada: Caller) -> None:
    vic = Caller(ada.sim, "Vic Viewer")
    workflow, instance = f"/workflows/{ada.workflow_id()}", ada.path_of(ada.started())
    reads = ["/workflows", f"{workflow}/trigger-requirements", f"{workflow}/instances", instance, "/workflow-instances"]
    writes = [f"{workflow}/actions/{action}" for action in ("trigger", "pause", "resume")] + [
        f"{instance}/actions/cancel"
    ]
    assert {vic.send("GET", path).status for path in reads} == {403}
    assert {vic.send("POST", path, {}).status for path in writes} == {403}


def test_a_level_changed_in_the_middle_counts_at_once(ada: Caller) -> None:
    ada.sim.set_level("Ada Admin", "prepare")
    assert ada.send("GET", f"/workflow-instances?started_by_id={SOMEBODY}").status == 403


@pytest.mark.parametrize(
    ("person", "account_id"),
    [("Olu Operator", SECOND_ACCOUNT_ID), ("Ada Other", SECOND_ACCOUNT_ID), ("Sam Second", OTHER_ACCOUNT_ID)],
)
def test_an_account_that_is_not_theirs_answers_403(person: str, account_id: str) -> None:
    assert Caller(Simulator(), person, account_id).send("GET", "/workflows").status == 403


def test_the_account_list_can_be_switched_off() -> None:
    assert Caller(Simulator(account_list=False)).send("GET", "/workflow-instances").status == 404


def test_items_may_come_with_other_names(ada: Caller) -> None:
    ada.sim.set_profile(account_list_shape="renamed")
    item = ada.get("/workflow-instances?page_size=1")["instances"][0]
    assert {"instance_id", "instance_name", "status", "workflow_definition_id"} <= item.keys()
    assert "id" not in item
