"""The gate: what a caller's own budget holds back is not sent, whichever attempt it is."""

import pytest
import requests

from maestro_api import BudgetRefused, MaestroClient, RateLimited, RetryBudget, RetryPolicy
from tests.maestro_api.conftest import ACCOUNT, API, TOKEN, WORKFLOW

LIST = f"{API}/workflows"
TRIGGER = f"{LIST}/{WORKFLOW}/actions/trigger"


class Gate:
    """Lets so many attempts through."""

    def __init__(self, passes):
        self.left = passes
        self.asked = 0

    def __call__(self):
        self.asked += 1
        self.left -= 1
        if self.left < 0:
            raise BudgetRefused("no calls are left")


@pytest.fixture
def gated(environment, waits):
    def client(gate, **policy):
        return MaestroClient(
            environment, ACCOUNT, TOKEN, gate=gate, retry=RetryPolicy(sleep=waits, budget=RetryBudget(), **policy)
        )

    return client


def trigger(client):
    return client.trigger_workflow(WORKFLOW, instance_name="x", trigger_inputs={})


def test_a_call_that_is_held_back_sends_nothing_and_says_so(docusign, gated):
    """R-1: a refused claim means that nothing was sent, so a write surely did not happen."""
    with pytest.raises(BudgetRefused) as caught:
        trigger(gated(Gate(0)))
    assert not caught.value.may_have_happened
    assert caught.value.operation == "trigger_workflow"
    assert len(docusign.calls) == 0


def test_every_attempt_passes_the_gate(docusign, gated):
    """R-1: retries are claimed like first attempts."""
    docusign.get(LIST, status=503)
    docusign.get(LIST, json={"data": []})
    gate = Gate(5)
    gated(gate).list_workflows()
    assert gate.asked == len(docusign.calls) == 2


def test_a_repeat_that_is_held_back_ends_the_call(docusign, gated):
    docusign.get(LIST, status=503)
    with pytest.raises(BudgetRefused):
        gated(Gate(1)).list_workflows()
    assert len(docusign.calls) == 1


def test_a_write_whose_repeat_is_held_back_surely_did_not_happen(docusign, gated):
    """R-1: a write is repeated only after an attempt that sent nothing."""
    docusign.post(TRIGGER, body=requests.ConnectTimeout())
    with pytest.raises(BudgetRefused) as caught:
        trigger(gated(Gate(1)))
    assert not caught.value.may_have_happened


def test_after_a_401_the_call_with_the_fresh_token_passes_the_gate_too(docusign, environment):
    docusign.get(LIST, status=401)
    docusign.get(LIST, json={"data": []})
    gate = Gate(5)
    MaestroClient(environment, ACCOUNT, TOKEN, refresh=lambda dead: "fresh", gate=gate).list_workflows()
    assert gate.asked == len(docusign.calls) == 2


def test_a_caller_with_a_gate_may_have_limits_told_instead_of_waited_for(docusign, gated, waits):
    """R-5: no thread sleeps on a refusal that concerns everybody."""
    docusign.get(LIST, status=429, headers={"Retry-After": "2"})
    with pytest.raises(RateLimited) as caught:
        gated(Gate(5), waits_for_limits=False).list_workflows()
    assert (caught.value.retry_after, waits.seconds, len(docusign.calls)) == (2.0, [], 1)
