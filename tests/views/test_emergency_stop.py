"""The page of an emergency stop: guarded, the same for everybody who opens it, and nothing happens by looking."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from dashboard.models import Batch, BatchItem, Instance, Membership, Operation, Rights, Role, Workflow
from dashboard.services import batches, emergency
from maestro_api.simulator import Simulator
from tests.factories import lists, person

SignIn = Callable[..., Client]


@pytest.fixture(autouse=True)
def still(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    simulator.world.settings.moving = False
    monkeypatch.setattr(emergency.jobs, "enqueue", lambda *_, **__: None)


def page(workflow: Workflow, name: str = "workflow-stop") -> str:
    return reverse(name, args=[workflow.pk])


def begin(client: Client, workflow: Workflow, **changes: str) -> int:
    form = {"key": "0" * 32, "reason": "Wrong template", "name": workflow.name}
    return client.post(page(workflow), form | changes).status_code


@pytest.fixture
def frozen(browser_of_ada: Client, workflow: Workflow) -> Batch:
    begin(browser_of_ada, workflow)
    emergency.freeze(Batch.objects.select_related("workflow", "account", "actor").get())
    return Batch.objects.get()


@pytest.mark.parametrize("change", [{"name": "supplier"}, {"name": ""}, {"reason": " "}, {"state": "done"}])
def test_it_begins_only_with_the_name_and_a_reason(
    browser_of_ada: Client, workflow: Workflow, change: dict[str, str]
) -> None:
    assert begin(browser_of_ada, workflow, **change) == 422
    assert not Batch.objects.exists()
    assert not Operation.objects.exists()


def test_it_shows_the_same_after_a_reload_and_changes_nothing_by_looking(
    browser_of_ada: Client, workflow: Workflow
) -> None:
    assert begin(browser_of_ada, workflow) == 302
    for _ in range(2):
        assert "1. Pause the workflow" in browser_of_ada.get(page(workflow)).content.decode()
    assert begin(browser_of_ada, workflow, key="1" * 32) == 302
    assert (Batch.objects.count(), Operation.objects.count()) == (1, 1)


def test_from_the_frozen_list_it_leads_to_the_question(
    browser_of_ada: Client, workflow: Workflow, frozen: Batch
) -> None:
    body = browser_of_ada.get(page(workflow)).content.decode()
    assert reverse("batch-confirm", args=[frozen.pk]) in body
    assert not Instance.objects.filter(workflow=workflow, status="canceled", is_from_here=True).exists()
    question = browser_of_ada.get(reverse("batch-confirm", args=[frozen.pk])).content.decode()
    assert f"Cancel {frozen.total} instance" in question


def test_the_page_shows_how_far_the_cancels_are(
    browser_of_ada: Client, ada: Membership, workflow: Workflow, frozen: Batch
) -> None:
    batches.confirm(frozen, membership=ada, key="k" * 32)
    BatchItem.objects.filter(batch=frozen, position=1).update(state="confirmed")
    body = browser_of_ada.get(page(workflow)).content.decode()
    assert f"1 of {frozen.total} settled" in body
    assert f'<progress class="thick" value="1" max="{frozen.total}"' in body


def test_rows_are_unticked_on_the_list(browser_of_ada: Client, workflow: Workflow, frozen: Batch) -> None:
    place = page(workflow, "workflow-stop-list")
    assert BatchItem.objects.get(position=1).label in browser_of_ada.get(place).content.decode()
    everything = list(BatchItem.objects.values_list("position", flat=True))
    assert browser_of_ada.post(place, {"shown": everything, "taken": everything[1:]}).status_code == 302
    assert BatchItem.objects.get(position=1).state == "left_out"
    assert browser_of_ada.post(place, {"shown": ["999999"]}).status_code == 422
    assert browser_of_ada.post(page(workflow, "workflow-stop-step"), {"do": "take_none"}).status_code == 302
    assert set(BatchItem.objects.values_list("state", flat=True)) == {"left_out"}


def test_a_second_person_sees_it_and_cannot_go_on_with_it(
    ada: Membership, workflow: Workflow, frozen: Batch, signed_in: SignIn
) -> None:
    """V-5: it runs with the token of the person who began it."""
    other = person(ada.account, Role.OPERATOR)
    lists(other, workflow)
    client = signed_in(other)
    body = client.get(page(workflow)).content.decode()
    assert "Ada Admin" in body
    assert reverse("batch-confirm", args=[frozen.pk]) not in body
    assert client.post(page(workflow, "workflow-stop-step"), {"do": "take_none"}).status_code == 422
    assert begin(client, workflow, key="2" * 32) == 302
    assert Batch.objects.get() == frozen


def test_who_sees_only_own_instances_learns_no_number_of_a_stop(
    ada: Membership, workflow: Workflow, frozen: Batch, signed_in: SignIn
) -> None:
    """V-3: counts are of what others run."""
    other = person(ada.account, Role.OPERATOR, rights=Rights.OWN)
    lists(other, workflow)
    Batch.objects.filter(pk=frozen.pk).update(total=4711)
    said = signed_in(other).get(page(workflow)).content.decode()
    assert "What ran is shown to Ada Admin." in said
    assert "4,711" not in said
    assert "would be canceled" not in said


def test_a_viewer_cannot_stop(ada: Membership, workflow: Workflow, signed_in: SignIn) -> None:
    viewer = person(ada.account, Role.VIEWER)
    lists(viewer, workflow)
    assert begin(signed_in(viewer), workflow) == 403
    assert not Batch.objects.exists()


def test_a_workflow_that_one_does_not_see_cannot_be_stopped(
    workflow: Workflow, outsider: Membership, signed_in: SignIn
) -> None:
    """S-11."""
    assert begin(signed_in(outsider), workflow) == 404
