"""Instances that move by themselves, and the page on which a participant moves them."""

import re
from urllib.parse import urlencode, urlsplit

import pytest

from maestro_api.simulator import SimRequest, SimResponse, Simulator
from tests.maestro_api.simulator_calls import Caller, json_of

DAY = 86_400


@pytest.fixture
def ada() -> Caller:
    sim = Simulator(instances=0)
    sim.set_limits(enabled=False)
    sim.clock.freeze()
    return Caller(sim)


def test_an_instance_goes_through_its_steps_to_the_end(ada: Caller) -> None:
    ada.sim.set_profile(fail_percent=0, step_seconds=[10, 10])
    new = ada.started()
    seen = [ada.get(ada.path_of(new))]
    for seconds in (1, 10, 10, 10, 10, 10):
        ada.sim.clock.advance(seconds)
        seen.append(ada.get(ada.path_of(new)))
    assert [row["workflow_status"] for row in seen] == ["Created", *["In Progress"] * 5, "Completed"]
    assert [row["last_completed_step"] for row in seen] == [0, 0, 1, 2, 3, 4, 5]
    assert seen[2]["last_completed_step_name"] == "Collect supplier details"
    assert "ended_at" not in seen[5]
    assert seen[6]["ended_at"] == seen[6]["last_modified_at"]


def test_some_instances_fail_on_the_way(ada: Caller) -> None:
    ada.sim.set_profile(fail_percent=100, step_seconds=[10, 10])
    new = ada.started()
    ada.sim.clock.advance(60)
    body = ada.get(ada.path_of(new))
    assert (body["workflow_status"], body["last_completed_step"]) == ("Failed", 1)


@pytest.mark.parametrize("word", ["Expired", "Failed", "Timed Out"])
def test_an_instance_that_nobody_finishes_expires_under_a_chosen_word(ada: Caller, word: str) -> None:
    ada.sim.set_profile(moving=False, expired_as=word)
    new = ada.started()
    ada.sim.clock.advance(90 * DAY - 60)
    ada.token = ada.sim.token("Ada Admin")
    assert ada.status_of(new) == "Created"
    ada.sim.clock.advance(120)
    assert ada.status_of(new) == word


def test_a_canceled_instance_stays_canceled(ada: Caller) -> None:
    new = ada.started()
    ada.send("POST", ada.path_of(new) + "/actions/cancel")
    ada.sim.clock.advance(3600)
    body = ada.get(ada.path_of(new))
    assert body["workflow_status"] == "Canceled"
    assert body["canceled_by"] == body["started_by"]
    assert body["canceled_at"] == body["ended_at"]


def test_a_seeded_account_holds_every_ordinary_status_and_goes_on_moving() -> None:
    sim = Simulator(instances=400)
    before = sim.state(counts_only=True)["counts"]["by_status"]
    assert before.keys() == {"Created", "In Progress", "Completed", "Failed", "Canceled", "Expired"}
    sim.clock.advance(2 * 3600)
    after = sim.state(counts_only=True)["counts"]["by_status"]
    assert after["Completed"] > before["Completed"]
    assert after["In Progress"] > 0


def test_no_seeded_moment_lies_in_the_future_or_out_of_order() -> None:
    ada = Caller(Simulator(instances=400))
    ada.sim.set_limits(enabled=False)
    now = ada.get("/workflows")["response_metadata"]["response_timestamp"][:19]
    rows = ada.get("/workflow-instances?page_size=1000")["instances"]
    plain = [row for row in rows if not row.get("name", "Zz").lstrip("\u202e").startswith(("Zz", "="))]
    assert len(plain) > 350
    for row in plain:
        assert row["started_at"] <= row["last_modified_at"] <= row["expires_at"]
        assert row["last_modified_at"][:19] <= now
        if row["workflow_status"] in ("Created", "In Progress"):
            assert row["expires_at"][:19] > now


def open_page(sim: Simulator, url: str, action: str = "") -> SimResponse:
    parts = urlsplit(url)
    if not action:
        return sim.handle(SimRequest("GET", f"{parts.path}?{parts.query}"))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return sim.handle(
        SimRequest("POST", parts.path, headers, f"{parts.query}&{urlencode({'action': action})}".encode())
    )


@pytest.mark.parametrize(("action", "status"), [("complete", "Completed"), ("fail", "Failed"), ("close", "Created")])
def test_a_participant_completes_fails_or_leaves_an_instance(ada: Caller, action: str, status: str) -> None:
    triggered = json_of(ada.trigger())
    page = open_page(ada.sim, triggered["instance_url"])
    assert re.findall(r"<button[^>]*>([^<]*)</button>", page.body.decode()) == ["Complete", "Fail", "Close"]
    assert open_page(ada.sim, triggered["instance_url"], action).status == 200
    assert ada.status_of(triggered["instance_id"]) == status


def test_the_link_is_secret_and_opens_nothing_without_both_halves(ada: Caller) -> None:
    """O-16: whoever has the link can act; whoever has part of it cannot."""
    triggered = json_of(ada.trigger())
    url = triggered["instance_url"]
    mtsec = url.rpartition("mtsec=")[2]
    assert re.fullmatch(r"[\w-]{43}", mtsec)
    for wrong in (url.replace(mtsec, "A" * 43), url.partition("&mtsec")[0], re.sub(r"mtid=[^&]*&", "", url)):
        assert open_page(ada.sim, wrong, "complete").status == 403
    assert ada.status_of(triggered["instance_id"]) == "Created"
    assert mtsec not in str(ada.sim.ledger())


def test_no_read_gives_the_link_again(ada: Caller) -> None:
    new = ada.started()
    assert "mtsec" not in str([ada.get(ada.path_of(new)), ada.get("/workflow-instances")])


def test_a_hostile_name_is_escaped_on_the_page(ada: Caller) -> None:
    triggered = json_of(ada.trigger("<script>alert(1)</script>"))
    page = open_page(ada.sim, triggered["instance_url"])
    assert b"<script" not in page.body
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert page.headers["Referrer-Policy"] == "no-referrer"
