"""Key inputs: an admin chooses them, the worker takes earlier instances in, and a search never shows the value."""

import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.models import AuditEntry, Instance, InstanceKey, KeyInput, Membership, Workflow
from dashboard.services import findable, key_inputs
from tests.factories import ContractFactory, InstanceFactory, WorkflowFactory, lists

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]
CANARY = "canary.person@example.com"


def spec(name: str, *, is_system: bool = False) -> dict[str, Any]:
    said = {"name": name, "data_type": "String", "kind": "string", "default": None, "has_default": False}
    return said | {"is_system": is_system}


@pytest.fixture
def workflow(viewer: Membership, admin: Membership) -> Workflow:
    made = WorkflowFactory(account=admin.account)
    ContractFactory(workflow=made, fields=[spec("Email"), spec("Amount"), spec("startDate", is_system=True)])
    for member in (viewer, admin):
        lists(member, made)
    return made


@pytest.fixture
def console(admin: Membership, workflow: Workflow, signed_in: SignedIn) -> Client:
    return signed_in(admin)


def mark(console: Client, workflow: Workflow, name: str = "Email", deed: str = "mark") -> Any:
    return console.post(f"/workflows/{workflow.pk}/keys/{deed}/", {"input": name})


def key_of(workflow: Workflow) -> KeyInput:
    return KeyInput.objects.get(workflow=workflow)


def found(console: Client, value: str, **more: str) -> list[str]:
    answer = console.post("/instances/find/", {"input": "Email", "value": value, **more})
    assert answer.status_code == 302, answer.content
    return [line.instance.name for line in console.get(answer.headers["Location"]).context["rows"]]


def test_earlier_instances_are_taken_in_and_found(console: Client, workflow: Workflow) -> None:
    InstanceFactory(workflow=workflow, name="Hers", trigger_inputs={"Email": CANARY, "Amount": 7})
    InstanceFactory(workflow=workflow, name="His", trigger_inputs={"Email": "other@example.com"})
    InstanceFactory(workflow=workflow, name="None", trigger_inputs={"Email": {"deep": 1}})
    assert mark(console, workflow).status_code == 302
    key_inputs.work_on(key_of(workflow).pk)
    assert key_of(workflow).filled_at is not None
    assert found(console, f"  {CANARY.upper()} ") == ["Hers"]
    assert InstanceKey.objects.count() == 2


@pytest.mark.parametrize("name", [" Email ", "a: b", "q\"'<&", "E\tmail"])
def test_the_name_of_a_key_may_hold_anything(name: str, console: Client, workflow: Workflow) -> None:
    ContractFactory(workflow=workflow, fields=[spec(name)])
    InstanceFactory(workflow=workflow, name="Hers", trigger_inputs={name: CANARY})
    mark(console, workflow, name)
    key_inputs.work_on(key_of(workflow).pk)
    answer = console.post("/instances/find/", {"input": name, "value": CANARY, "query": "state=all"})
    page = console.get(answer.headers["Location"])
    assert [line.instance.name for line in page.context["rows"]] == ["Hers"]
    kept = console.post("/instances/views/new/", {"name": "Kept", "query": page.request["QUERY_STRING"]})
    assert len(console.get(kept.headers["Location"]).context["rows"]) == 1


def test_the_value_is_in_no_address_audit_log_or_page(
    console: Client, workflow: Workflow, caplog: pytest.LogCaptureFixture
) -> None:
    """V-4: only the digest travels."""
    instance = InstanceFactory(workflow=workflow, name="Hers", trigger_inputs={"Email": CANARY})
    mark(console, workflow)
    with caplog.at_level(logging.DEBUG):
        key_inputs.work_on(key_of(workflow).pk)
        answer = console.post("/instances/find/", {"input": "Email", "value": CANARY})
        page = console.get(answer.headers["Location"])
    said = f"{answer.headers} {page.content.decode()} {caplog.text} {list(AuditEntry.objects.values())}"
    said += f"{list(InstanceKey.objects.values())} {list(KeyInput.objects.values())} {dict(console.session)}"
    assert "canary.person" not in said
    assert "Email equals a value you searched for" in page.content.decode()
    assert str(instance.pk) in page.content.decode()
    assert CANARY in console.get(f"/instances/{instance.pk}/").content.decode()


def test_the_other_filters_stay(console: Client, workflow: Workflow) -> None:
    answer = console.post("/instances/find/", {"input": "Email", "value": "x", "query": "state=failed&after=zz"})
    assert answer.status_code == 422  # it is no key yet
    mark(console, workflow)
    answer = console.post("/instances/find/", {"input": "Email", "value": "x", "query": "state=failed&after=zz"})
    assert answer.headers["Location"].startswith("/instances/?state=failed&key=Email%3A")


def test_while_earlier_instances_are_taken_in_the_list_says_so(console: Client, workflow: Workflow) -> None:
    mark(console, workflow)
    answer = console.post("/instances/find/", {"input": "Email", "value": "x"})
    assert "so not all are found yet" in console.get(answer.headers["Location"]).content.decode()
    key_inputs.work_on(key_of(workflow).pk)
    assert "so not all are found yet" not in console.get(answer.headers["Location"]).content.decode()


def test_a_worker_that_is_killed_leaves_the_place_to_go_on_from(
    console: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left out, and nothing is begun anew."""
    monkeypatch.setattr(key_inputs, "BATCH", 3)
    for number in range(8):
        InstanceFactory(workflow=workflow, trigger_inputs={"Email": f"p{number}@example.com"})
    mark(console, workflow)
    key = key_of(workflow)
    assert key_inputs._one_batch(key.pk) is True
    taken: list[int] = []
    whole = findable.store_keys

    def counting(rows: Any, *, only: KeyInput | None = None) -> None:
        taken.append(len(rows))
        whole(rows, only=only)

    monkeypatch.setattr(findable, "store_keys", counting)
    KeyInput.objects.update(worked_at=timezone.now() - key_inputs.WORK_PATIENCE * 2)
    assert key_inputs.run_due() == 1
    key_inputs.work_on(key.pk)
    assert sum(taken) == 5
    assert InstanceKey.objects.count() == 8
    assert key_inputs.run_due() == 0


def test_two_workers_at_once_leave_the_rest_to_one(
    console: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_inputs, "BATCH", 3)
    for _ in range(8):
        InstanceFactory(workflow=workflow, trigger_inputs={"Email": CANARY})
    mark(console, workflow)
    slow = KeyInput.objects.select_related("workflow").get()
    assert key_inputs._one_batch(slow.pk) is True
    assert key_inputs._fill(slow) is False
    assert KeyInput.objects.get().filled_to != ""


def test_a_new_instance_is_found_before_the_earlier_ones_are_in(console: Client, workflow: Workflow) -> None:
    mark(console, workflow)
    row = InstanceFactory(workflow=workflow, name="New", trigger_inputs={"Email": CANARY})
    findable.store_keys([row])
    assert found(console, CANARY) == ["New"]


def test_another_secret_makes_all_digests_anew(console: Client, workflow: Workflow, settings: Any) -> None:
    """The digests hang on the secret key; the worker sees by itself that it has changed."""
    InstanceFactory(workflow=workflow, name="Hers", trigger_inputs={"Email": CANARY})
    mark(console, workflow)
    key_inputs.work_on(key_of(workflow).pk)
    before = InstanceKey.objects.get().digest
    settings.SECRET_KEY = "another-secret-key-that-is-long-enough-to-pass-the-start-checks"
    assert key_inputs.run_due() == 1
    assert key_of(workflow).filled_at is None
    key_inputs.work_on(key_of(workflow).pk)
    assert InstanceKey.objects.get().digest not in {before, ""}


def test_what_is_no_key_any_more_leaves_no_digest(
    console: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_inputs, "BATCH", 2)
    for _ in range(5):
        InstanceFactory(workflow=workflow, trigger_inputs={"Email": CANARY})
    mark(console, workflow)
    pk = key_of(workflow).pk
    key_inputs.work_on(pk)
    assert mark(console, workflow, deed="unmark").status_code == 302
    assert console.get("/instances/?state=all").context["find_url"] == ""
    findable.store_keys(list(Instance.objects.all()))
    key_inputs.work_on(pk)
    assert (InstanceKey.objects.count(), KeyInput.objects.count()) == (0, 0)


def test_a_key_that_is_wanted_again_while_it_is_forgotten_is_filled_anew(
    console: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_inputs, "BATCH", 2)
    for _ in range(5):
        InstanceFactory(workflow=workflow, trigger_inputs={"Email": CANARY})
    mark(console, workflow)
    pk = key_of(workflow).pk
    key_inputs.work_on(pk)
    mark(console, workflow, deed="unmark")
    key_inputs._one_batch(pk)
    mark(console, workflow)
    key_inputs.work_on(pk)
    assert InstanceKey.objects.count() == 5


def test_marking_and_unmarking_are_in_the_audit_once(console: Client, workflow: Workflow) -> None:
    for deed in ("mark", "mark", "unmark", "unmark"):
        mark(console, workflow, deed=deed)
    entries = list(AuditEntry.objects.order_by("seq").values_list("action", "object_id", "detail"))
    assert entries == [
        ("workflow.key_marked", str(workflow.pk), {"input": "Email"}),
        ("workflow.key_unmarked", str(workflow.pk), {"input": "Email"}),
    ]


@pytest.mark.parametrize("name", ["", "startDate", "Unknown"])
def test_only_an_input_that_a_person_gives_becomes_a_key(console: Client, workflow: Workflow, name: str) -> None:
    assert mark(console, workflow, name).status_code == 422
    assert not KeyInput.objects.exists()


def test_a_workflow_has_at_most_ten(console: Client, workflow: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_inputs, "MOST_KEYS", 1)
    assert mark(console, workflow, "Email").status_code == 302
    assert mark(console, workflow, "Amount").status_code == 422
    assert key_of(workflow).name == "Email"


def test_the_page_of_the_workflow_offers_it_to_admins_and_tells_others_who_can(
    console: Client, viewer: Membership, workflow: Workflow, signed_in: SignedIn
) -> None:
    text = console.get(f"/workflows/{workflow.pk}/").content.decode()
    assert text.count("Use as key") == 2
    mark(console, workflow)
    assert "Stop using as key" in console.get(f"/workflows/{workflow.pk}/").content.decode()
    text = signed_in(viewer).get(f"/workflows/{workflow.pk}/").content.decode()
    assert "Use as key" not in text
    assert "to choose key inputs you need the role admin" in text


def test_key_inputs_of_workflows_that_a_person_does_not_see_are_not_offered(
    console: Client, viewer: Membership, signed_in: SignedIn
) -> None:
    """V-3: the names of inputs tell as much as a list."""
    hidden = WorkflowFactory(account=viewer.account)
    KeyInput.objects.create(workflow=hidden, name="Salary band")
    client = signed_in(viewer)
    assert "Salary" not in client.get("/instances/find/").content.decode()
    assert client.post("/instances/find/", {"input": "Salary band", "value": "7"}).status_code == 422


def test_a_search_finds_only_what_the_person_may_see(
    console: Client, workflow: Workflow, outsider: Membership, signed_in: SignedIn
) -> None:
    """V-1: the address of a search can be passed on, its rows cannot."""
    InstanceFactory(workflow=workflow, name="Hers", trigger_inputs={"Email": CANARY})
    mark(console, workflow)
    key_inputs.work_on(key_of(workflow).pk)
    address = console.post("/instances/find/", {"input": "Email", "value": CANARY}).headers["Location"]
    assert [line.instance.name for line in console.get(address).context["rows"]] == ["Hers"]
    assert signed_in(outsider).get(address).context["rows"] == []


@pytest.mark.parametrize(
    "data", [{}, {"input": "Email"}, {"input": "Email", "value": " "}, {"value": "x", "more": "1"}]
)
def test_anything_but_one_value_is_refused(console: Client, workflow: Workflow, data: dict[str, str]) -> None:
    """S-12."""
    mark(console, workflow)
    assert console.post("/instances/find/", data).status_code == 422


def test_by_htmx_the_browser_leaves_for_the_list(
    admin: Membership, console: Client, workflow: Workflow, signed_in: SignedIn
) -> None:
    mark(console, workflow)
    answer = signed_in(admin, htmx=True).post("/instances/find/", {"input": "Email", "value": "x"})
    assert answer.headers["HX-Redirect"].startswith("/instances/?key=Email%3A")


def test_a_foreign_workflow_is_not_there(
    console: Client, workflow: Workflow, outsider: Membership, signed_in: SignedIn
) -> None:
    """S-11."""
    assert mark(signed_in(outsider), workflow).status_code == 404
    assert console.post(f"/workflows/{uuid.uuid4()}/keys/mark/", {"input": "Email"}).status_code == 404
