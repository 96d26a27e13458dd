"""Every address against every role. A new address without a row here fails the first test."""

import uuid
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import get_resolver, reverse
from django.utils import timezone

from dashboard.models import (
    Approval,
    Batch,
    BatchState,
    Delivery,
    Membership,
    Operation,
    OperationKind,
    OperationState,
    Policy,
    Role,
    SavedView,
)
from dashboard.permissions import ACTIONS
from dashboard.services import sheet_rows
from dashboard.services.sheets import Table
from maestro_api.simulator import Simulator
from tests.connect_events import hook_for
from tests.factories import (
    BatchFactory,
    BatchItemFactory,
    ContractFactory,
    InstanceFactory,
    WorkflowFactory,
    lists,
    preset_of,
)

# name: (action, or None for a view that is open to anybody or needs only a session; kind of object in the address)
PUBLIC = {"signin", "signin-start", "signout", "theme", "oauth-callback", "hook", "livez", "readyz", "metrics"}
SIGNED_IN = {"preferences", "zone"}
GUARDED: dict[str, tuple[str, str]] = {
    "overview": ("overview.view", ""),
    "overview-seen": ("overview.view", ""),
    "account-switch": ("account.switch", ""),
    "connections": ("connection.view", ""),
    "connection-disconnect": ("connection.disconnect", ""),
    "connect": ("connect.view", ""),
    "connect-create": ("connect.change", ""),
    "connect-renew": ("connect.change", ""),
    "connect-key-add": ("connect.change", ""),
    "connect-key-remove": ("connect.change", "key"),
    "connect-replay": ("connect.change", "delivery"),
    "team": ("team.view", ""),
    "team-switch-off": ("team.change", "membership"),
    "team-switch-on": ("team.change", "membership"),
    "sessions": ("session.view", ""),
    "session-end": ("session.end", "session"),
    "sessions-end-others": ("session.end", ""),
    "team-role": ("team.change", "membership"),
    "team-reading": ("team.change", "membership"),
    "workflows": ("workflow.view", ""),
    "workflows-refresh": ("workflow.view", ""),
    "workflow": ("workflow.view", "workflow"),
    "workflow-refresh": ("workflow.view", "workflow"),
    "workflow-pause": ("workflow.pause", "workflow"),
    "workflow-resume": ("workflow.resume", "workflow"),
    "workflow-trigger": ("workflow.trigger", "workflow"),
    "workflow-trigger-preview": ("workflow.trigger", "workflow"),
    "workflow-trigger-refresh": ("workflow.trigger", "workflow"),
    "presets": ("preset.use", "workflow"),
    "preset-save": ("preset.save", "workflow"),
    "preset-change": ("preset.save", "preset"),
    "preset-delete": ("preset.save", "preset"),
    "input-rules": ("workflow.view", "workflow"),
    "input-retention": ("input_retention.change", "workflow"),
    "input-rule": ("input_rule.change", "workflow"),
    "instances": ("instance.view", ""),
    "instance-find": ("instance.view", ""),
    "views": ("view.use", ""),
    "view-save": ("view.save", ""),
    "view-change": ("view.save", "view"),
    "view-delete": ("view.save", "view"),
    "view-pin": ("view.use", "view"),
    "view-default": ("view.use", "view"),
    "workflow-key-mark": ("workflow.mark_key", "workflow"),
    "workflow-key-unmark": ("workflow.mark_key", "workflow"),
    "instance-export": ("instance.export", ""),
    "instance-workflows": ("instance.view", ""),
    "instance-people": ("instance.view", ""),
    "instance": ("instance.view", "instance"),
    "instance-refresh": ("instance.view", "instance"),
    "instance-cancel": ("instance.cancel", "instance"),
    "instance-reveal": ("instance.reveal", "instance"),
    "operation": ("operation.view", "operation"),
    "operation-settle": ("operation.settle", "operation"),
    "instance-selection": ("instance.cancel", ""),
    "workflow-selection": ("workflow.pause", ""),
    "batches": ("batch.view", ""),
    "batch": ("batch.view", "batch"),
    "batch-pause": ("batch.run", "batch"),
    "batch-resume": ("batch.run", "batch"),
    "batch-stop": ("batch.run", "batch"),
    "batch-retry": ("batch.run", "batch"),
    "batch-undo": ("batch.run", "batch"),
    "batch-now": ("batch.run", "batch"),
    "batch-results": ("batch.view", "batch"),
    "batch-confirm": ("batch.run", "batch"),
    "bulk-start": ("batch.run", "workflow"),
    "bulk-template": ("batch.run", "workflow"),
    "batch-columns": ("batch.run", "sheet"),
    "batch-check": ("batch.run", "sheet"),
    "batch-rows": ("batch.run", "sheet"),
    "batch-item": ("batch.run", "row"),
    "operation-undo": ("instance.cancel", "operation"),
    "operation-now": ("instance.cancel", "operation"),
    "workflow-stop": ("workflow.stop", "workflow"),
    "workflow-stop-step": ("workflow.stop", "workflow"),
    "workflow-stop-list": ("workflow.stop", "workflow"),
    "approvals": ("batch.view", ""),
    "approval": ("batch.view", "approval"),
    "approval-approve": ("batch.approve", "approval"),
    "approval-decline": ("batch.approve", "approval"),
    "approval-withdraw": ("batch.run", "approval"),
    "approval-inputs": ("batch.approve", "approval"),
    "batch-ask": ("batch.run", "batch"),
    "batch-break-glass": ("batch.break_glass", "batch"),
    "policies": ("policy.change", ""),
    "policy-add": ("policy.change", ""),
    "policy-remove": ("policy.change", "policy"),
    "audit": ("audit.view", ""),
}
ANSWERS = {200, 204, 302, 400, 404, 405, 409, 422, 502}
ORDER = [Role.VIEWER, Role.OPERATOR, Role.ADMIN]


def names() -> set[str]:
    return {pattern.name for pattern in get_resolver().url_patterns if getattr(pattern, "name", None)}


@pytest.fixture
def address(operator: Membership, admin: Membership, viewer: Membership) -> Callable[[str], str]:
    """The path of a named address, with an object that everybody of the account may see."""
    workflow = WorkflowFactory(account=operator.account)
    ContractFactory(workflow=workflow)
    instance = InstanceFactory(workflow=workflow)
    operation = Operation.objects.create(
        key=uuid.uuid4().hex,
        kind=OperationKind.CANCEL,
        state=OperationState.UNKNOWN,
        account=operator.account,
        actor=operator.user,
        workflow=workflow,
        instance=instance,
    )
    for membership in (operator, admin, viewer):
        lists(membership, workflow)
    key = hook_for(operator.account).keys.get()
    delivery = Delivery.objects.create(account=operator.account, body=b"{}", received_at=timezone.now(), state="dead")
    view = SavedView.objects.create(account=operator.account, owner=operator.user, name="Failed", is_shared=True)
    batch = BatchFactory(account=operator.account, actor=operator.user, workflow=workflow)
    BatchItemFactory(batch=batch, workflow=workflow, instance=instance)
    tomorrow = timezone.now() + timedelta(days=1)
    approval = Approval.objects.create(batch=batch, expires_at=tomorrow, list_digest="0" * 64)
    policy = Policy.objects.create(
        account=operator.account, kind=OperationKind.CANCEL, least_count=1000, created_by=admin.user
    )
    sheet = BatchFactory(
        account=operator.account,
        actor=operator.user,
        workflow=workflow,
        kind=OperationKind.TRIGGER,
        source=Batch.Source.SHEET,
        state=BatchState.PLANNED,
        confirmed_at=None,
    )
    sheet_rows.start_sheet(sheet, Table(["Name"], [["NDA"]], [2]), "rows.csv")
    objects = {"key": key.pk, "delivery": delivery.pk, "approval": approval.pk, "policy": policy.pk} | {
        "workflow": workflow.pk,
        "instance": instance.pk,
        "operation": operation.pk,
        "membership": operator.pk,
        "view": view.pk,
        "preset": preset_of(operator, workflow, {}, is_shared=True).pk,
        "batch": batch.pk,
        "sheet": sheet.pk,
        "row": (sheet.pk, 1),
        "session": "0123456789abcdef",
    }

    def path(name: str) -> str:
        kind = GUARDED.get(name, ("", ""))[1]
        return reverse(name, args=parts(objects[kind]) if kind else [])

    return path


def parts(ids: object) -> list[object]:
    """What fills an address: an id, or several."""
    return list(ids) if isinstance(ids, tuple) else [ids]


def test_every_address_has_a_row() -> None:
    assert names() == PUBLIC | SIGNED_IN | set(GUARDED)


@pytest.mark.parametrize("name", sorted(SIGNED_IN | set(GUARDED)))
@pytest.mark.parametrize("method", ["get", "post"])
def test_signed_out_people_are_sent_to_the_sign_in(name: str, method: str, address: Callable[[str], str]) -> None:
    """S-11: nothing is shown without a session."""
    answer = getattr(Client(), method)(address(name))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(reverse("signin"))


@pytest.mark.parametrize("name", sorted(SIGNED_IN | set(GUARDED)))
def test_a_signed_out_htmx_request_leaves_the_page(name: str, address: Callable[[str], str]) -> None:
    """S-6: never a login page inside a table."""
    answer = Client(headers={"HX-Request": "true"}).get(address(name))
    assert answer.headers["HX-Redirect"].startswith(reverse("signin"))
    assert answer.content == b""


@pytest.mark.parametrize("name", sorted(GUARDED))
@pytest.mark.parametrize("role", ORDER)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_role_reaches_exactly_what_the_table_gives_it(
    name: str,
    role: Role,
    method: str,
    address: Callable[[str], str],
    signed_in: Callable[..., Client],
    request: pytest.FixtureRequest,
    simulator: Simulator,
) -> None:
    """S-11: rights are checked on every address and method."""
    action = GUARDED[name][0]
    membership = request.getfixturevalue(role.value)
    answer = getattr(signed_in(membership), method)(address(name))
    if ORDER.index(role) < ORDER.index(ACTIONS[action].role):
        assert answer.status_code == 403
        assert "role" in answer.content.decode()
    else:
        assert answer.status_code in ANSWERS


@pytest.mark.parametrize("name", sorted(name for name, row in GUARDED.items() if row[1]))
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_foreign_id_answers_like_a_random_one(
    name: str, method: str, address: Callable[[str], str], outsider: Membership, signed_in: Callable[..., Client]
) -> None:
    """S-11: a foreign id is a 404, and its body is the body of a random id."""
    client = signed_in(outsider)
    foreign = getattr(client, method)(address(name))
    kind = GUARDED[name][1]
    random_id = (
        10**9 if kind in {"membership", "key", "delivery", "view", "approval", "policy", "preset"} else uuid.uuid4()
    )
    random_ids = (random_id, 1) if kind == "row" else random_id
    random = getattr(client, method)(reverse(name, args=parts(random_ids)))
    assert foreign.status_code in {404, 405}
    assert (foreign.status_code, strip(foreign.content)) == (random.status_code, strip(random.content))


def strip(body: bytes) -> bytes:
    """A page without what differs from request to request: its tokens and ids."""
    lines = body.split(b"\n")
    return b"\n".join(
        line for line in lines if b"csrf" not in line.lower() and b'name="next"' not in line and b"equest" not in line
    )


def test_every_guarded_view_names_its_action() -> None:
    views = {
        pattern.name: pattern.callback for pattern in get_resolver().url_patterns if getattr(pattern, "name", None)
    }
    assert {name: getattr(views[name], "action", None) for name in GUARDED} == {
        name: row[0] for name, row in GUARDED.items()
    }
