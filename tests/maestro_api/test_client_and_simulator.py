"""The client against the simulator on a real socket: all operations in every generation, and the fault matrix."""

import pytest

from maestro_api import (
    Conflict,
    Forbidden,
    InstanceStatus,
    MaestroClient,
    MaestroError,
    NotFound,
    OAuthClient,
    RateLimited,
    RetryPolicy,
    Unauthorized,
    WorkflowStatus,
    simulator_environment,
)
from maestro_api.simulator import DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, MAIN_ACCOUNT_ID
from tests.maestro_api.simulator_calls import NDA


@pytest.fixture
def sim(simulator_server):
    return simulator_server.simulator if hasattr(simulator_server, "simulator") else simulator_server.sim


@pytest.fixture
def connect_as(simulator_server, sim, waits):
    def make(person="Ada Admin", **options):
        token = sim.token(person)["access_token"]
        options.setdefault("retry", RetryPolicy(sleep=waits))
        return MaestroClient(simulator_environment(simulator_server.url), MAIN_ACCOUNT_ID, token, **options)

    return make


def nda(client):
    return next(workflow for workflow in client.list_workflows() if workflow.name == "Supplier NDA")


@pytest.mark.parametrize("profile", ["seed2025", "spec107", "wb100"])
def test_every_operation_works_in_every_generation(sim, connect_as, profile):
    sim.set_profile(profile)
    client = connect_as()
    workflow = nda(client)
    requirements = client.get_trigger_requirements(workflow.id)
    started = client.trigger_workflow(workflow.id, instance_name="A canary", trigger_inputs=NDA)
    instance = client.get_instance(workflow.id, started.instance_id)
    listed = client.list_instances(workflow.id)
    canceled = client.cancel_instance(workflow.id, started.instance_id)
    assert {"Supplier name", "Contact email"} <= {field.name for field in requirements.fields}
    assert requirements.differs_from(client.trigger_url(workflow.id)) == ()
    assert (instance.name, instance.workflow_id, instance.status.is_terminal) == ("A canary", workflow.id, False)
    assert instance.trigger_inputs["Supplier name"] == NDA["Supplier name"]
    assert started.instance_id in {each.id for each in listed}
    assert listed.oddities == ()
    assert canceled.response.status == 200
    assert client.get_instance(workflow.id, started.instance_id).status is InstanceStatus.CANCELED
    with pytest.raises(Conflict):
        client.cancel_instance(workflow.id, started.instance_id)
    assert client.pause_workflow(workflow.id).status == "paused"
    assert client.resume_workflow(workflow.id).status == "active"
    assert nda(client).status is WorkflowStatus.ACTIVE


def test_the_account_list_gives_what_the_single_lists_give(connect_as):
    client = connect_as()
    paged = [instance.id for page in client.iter_account_instances(page_size=7) for instance in page]
    single = [each.id for workflow in client.list_workflows() for each in client.list_instances(workflow.id)]
    assert sorted(paged) == sorted(single)
    assert len(paged) == len(set(paged)) > 7


def test_rights_are_told_apart(connect_as, sim):
    ada, pia = connect_as(), connect_as("Pia Preparer")
    assert ada.manages_account(sim.token("Ada Admin")["user_id"]) is True
    assert pia.manages_account(sim.token("Pia Preparer")["user_id"]) is False
    with pytest.raises(Forbidden):
        connect_as("Vic Viewer").list_workflows()


def test_without_the_account_list_the_client_says_so(connect_as, sim):
    sim.set_profile(account_list=False)
    client = connect_as()
    assert client.supports_account_list() is False
    assert client.manages_account(sim.token("Ada Admin")["user_id"]) is None


def calls(sim, method):
    return [entry for entry in sim.ledger() if entry["method"] == method and "/v1/" in entry["path"]]


@pytest.mark.parametrize(
    ("fault", "reads"),
    [
        ({"status": 500}, 2),
        ({"status": 502, "body": "<html>Bad gateway</html>", "content_type": "text/html"}, 3),
        ({"status": 503}, 3),
        ({"status": 504}, 3),
        ({"reset": "before"}, 3),
        ({"reset": "mid_body"}, 3),
        ({"truncate_gzip": True}, 1),
        ({"status": 200, "body": "", "content_type": "application/json"}, 1),
        ({"status": 200, "body": "<html>", "content_type": "text/html"}, 1),
        ({"status": 200, "body": '{"data":', "content_type": "application/json"}, 1),
        ({"redirect_to": "https://evil.test/"}, 1),
        ({"status": 444}, 1),
    ],
    ids=str,
)
def test_the_fault_matrix_for_reading_and_triggering(sim, connect_as, fault, reads):
    """E-10, R-6, U-2: the ledger holds exactly our attempts; a trigger is there once and its outcome is open."""
    client = connect_as()
    workflow = nda(client)
    sim.clear_ledger()
    sim.set_faults([{"match": {"path": "/workflows.*"}, "do": fault}])
    with pytest.raises(MaestroError) as reading:
        client.list_workflows()
    with pytest.raises(MaestroError) as writing:
        client.trigger_workflow(workflow.id, instance_name="x", trigger_inputs=NDA)
    assert (len(calls(sim, "GET")), reading.value.attempts) == (reads, reads)
    assert (len(calls(sim, "POST")), writing.value.attempts) == (1, 1)
    assert writing.value.may_have_happened
    assert not reading.value.may_have_happened


def test_a_trigger_whose_answer_is_lost_did_happen(sim, connect_as):
    """U-2: reset after commit: one POST, one instance, and the client does not claim otherwise."""
    client = connect_as()
    workflow = nda(client)
    sim.clear_ledger()
    sim.set_faults([{"match": {"method": "POST", "times": 1}, "do": {"reset": "after"}}])
    with pytest.raises(MaestroError) as caught:
        client.trigger_workflow(workflow.id, instance_name="only once", trigger_inputs=NDA)
    assert caught.value.may_have_happened
    assert [each.name for each in client.list_instances(workflow.id)].count("only once") == 1
    assert len(calls(sim, "POST")) == 1


@pytest.mark.parametrize("status", [400, 429])
def test_a_used_up_quota_is_a_limit_with_a_time(sim, connect_as, status):
    """R-5: with the simulator's own counting."""
    client = connect_as()
    workflow = nda(client)
    sim.set_limits(hourly=1, status=status)
    with pytest.raises(RateLimited) as caught:
        client.trigger_workflow(workflow.id, instance_name="x", trigger_inputs=NDA)
    assert caught.value.window == "hourly"
    assert 1 <= caught.value.retry_after <= 3600


def test_an_expired_token_is_renewed_in_mid_flight(sim, simulator_server, connect_as):
    """O-13: one refresh, one retry, with real rotation."""
    environment = simulator_environment(simulator_server.url)
    oauth = OAuthClient(environment, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, "http://127.0.0.1:8000/auth/callback/")
    pair = sim.token("Ada Admin", expires_in=60)
    sim.clock.advance(120)
    client = MaestroClient(
        environment,
        MAIN_ACCOUNT_ID,
        pair["access_token"],
        refresh=lambda _: oauth.refresh(pair["refresh_token"]).access_token,
    )
    assert client.list_workflows().response.attempts == 2
    assert client.list_workflows().response.attempts == 1


def test_a_revoked_grant_is_unauthorized(sim, connect_as):
    client = connect_as()
    sim.revoke("Ada Admin")
    with pytest.raises(Unauthorized):
        client.list_workflows()


def test_who_and_what_is_not_there_is_not_found(connect_as):
    client = connect_as()
    with pytest.raises(NotFound):
        client.get_instance(nda(client).id, "00000000-0000-4000-8000-000000000000")


def test_userinfo_and_revoke(sim, simulator_server):
    oauth = OAuthClient(
        simulator_environment(simulator_server.url), DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, "http://127.0.0.1:8000/"
    )
    pair = sim.token("Ada Admin")
    info = oauth.userinfo(pair["access_token"])
    assert info.sub == pair["user_id"]
    assert len(info.accounts) == 2
    assert info.default_account is not None
    assert oauth.revoke(pair["refresh_token"]) is True
