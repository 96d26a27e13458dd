"""Roles: everybody looks, admins change, and the last admin stays."""

import json
from collections.abc import Callable
from io import StringIO

import pytest
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from dashboard.models import Account, AuditEntry, Membership, Role
from dashboard.services import team
from dashboard.services.errors import Refused
from tests.factories import person

pytestmark = pytest.mark.django_db
SignedIn = Callable[..., Client]


def role_url(member: Membership) -> str:
    return f"/team/{member.pk}/role/"


def test_everybody_sees_the_members_of_their_account_only(
    viewer: Membership, admin: Membership, outsider: Membership, signed_in: SignedIn
) -> None:
    text = signed_in(viewer).get("/team/").content.decode()
    assert "Alma Admin" in text
    assert "Otto Outsider" not in text


def test_whoever_may_not_change_roles_reads_why_and_who_can_help(
    viewer: Membership, admin: Membership, signed_in: SignedIn
) -> None:
    text = signed_in(viewer).get("/team/").content.decode()
    assert "Your role here is viewer; to change roles you need the role admin." in text
    assert 'aria-disabled="true"' in text
    assert role_url(admin) not in text


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_role_is_not_changed_by_a_viewer_or_operator(
    viewer: Membership, operator: Membership, admin: Membership, signed_in: SignedIn, method: str
) -> None:
    for member in (viewer, operator):
        answer = getattr(signed_in(member), method)(role_url(member), {"role": "admin"})
        assert answer.status_code == 403
        member.refresh_from_db()
        assert member.role != Role.ADMIN


def test_the_question_says_who_and_what_and_changes_nothing(
    viewer: Membership, admin: Membership, signed_in: SignedIn
) -> None:
    text = signed_in(admin).get(role_url(viewer), {"role": "admin"}).content.decode()
    assert "Change the role of Vera Viewer?" in text
    assert "Keep it as it is" in text
    viewer.refresh_from_db()
    assert viewer.role == Role.VIEWER


def test_an_admin_changes_a_role_and_the_audit_holds_it(
    viewer: Membership, admin: Membership, signed_in: SignedIn
) -> None:
    answer = signed_in(admin).post(role_url(viewer), {"role": "operator"})
    assert answer.headers["Location"] == "/team/"
    viewer.refresh_from_db()
    assert viewer.role == Role.OPERATOR
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_name) == ("membership.role_changed", "Alma Admin")
    assert entry.detail == {"from": "viewer", "to": "operator"}


def test_by_htmx_the_dialog_closes_and_the_list_reloads(
    viewer: Membership, admin: Membership, signed_in: SignedIn
) -> None:
    answer = signed_in(admin, htmx=True).post(role_url(viewer), {"role": "operator"})
    assert answer.status_code == 204
    assert {"teamChanged", "closeDialog", "toast"} <= set(json.loads(answer.headers["HX-Trigger"]))


def test_the_last_admin_cannot_step_down(admin: Membership, viewer: Membership, signed_in: SignedIn) -> None:
    answer = signed_in(admin).post(role_url(admin), {"role": "viewer"})
    assert answer.status_code == 422
    assert "last admin" in answer.content.decode()
    admin.refresh_from_db()
    assert admin.role == Role.ADMIN
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.result) == ("membership.role_rejected", "refused")


def test_with_a_second_admin_the_first_may_step_down(admin: Membership, account: Account) -> None:
    second = person(account, Role.ADMIN)
    team.change_role(admin, actor=second.user, role=Role.VIEWER)
    assert Membership.objects.filter(role=Role.ADMIN).get() == second
    with pytest.raises(Refused, match="last admin"):
        team.change_role(second, actor=second.user, role=Role.OPERATOR)


def test_an_admin_who_left_or_was_switched_off_does_not_count(admin: Membership, account: Account) -> None:
    left, off = person(account, Role.ADMIN), person(account, Role.ADMIN)
    Membership.objects.filter(pk=left.pk).update(is_active=False)
    off.user.is_active = False
    off.user.save()
    with pytest.raises(Refused, match="last admin"):
        team.change_role(admin, actor=admin.user, role=Role.VIEWER)


def test_who_was_switched_off_meanwhile_gets_no_role(admin: Membership, viewer: Membership) -> None:
    Membership.objects.filter(pk=viewer.pk).update(is_active=False)
    with pytest.raises(Refused, match="does not belong to"):
        team.change_role(viewer, actor=admin.user, role=Role.OPERATOR)
    viewer.refresh_from_db()
    assert viewer.role == Role.VIEWER


def test_the_same_role_again_is_no_change_and_no_entry(admin: Membership, viewer: Membership) -> None:
    team.change_role(viewer, actor=admin.user, role=Role.VIEWER)
    assert not AuditEntry.objects.exists()


def test_a_member_of_another_account_is_not_there(admin: Membership, outsider: Membership, signed_in: SignedIn) -> None:
    """S-11: a foreign id answers like one that never was."""
    client = signed_in(admin)
    assert client.get(role_url(outsider)).status_code == client.get("/team/999999/role/").status_code == 404
    assert client.post(role_url(outsider), {"role": "viewer"}).status_code == 404


@pytest.mark.parametrize(
    "data", [{}, {"role": "owner"}, {"role": ["admin", "viewer"]}, {"role": "admin", "account": "x"}]
)
def test_anything_but_one_known_role_is_refused(
    admin: Membership, viewer: Membership, signed_in: SignedIn, data: dict[str, object]
) -> None:
    """S-12: no other field, no second value, no unknown role."""
    assert signed_in(admin).post(role_url(viewer), data).status_code == 422
    viewer.refresh_from_db()
    assert viewer.role == Role.VIEWER
    assert not AuditEntry.objects.exists()


def test_a_new_role_counts_from_the_next_click(admin: Membership, viewer: Membership, signed_in: SignedIn) -> None:
    client = signed_in(viewer)
    assert client.get(role_url(admin)).status_code == 403
    team.change_role(viewer, actor=admin.user, role=Role.ADMIN)
    assert client.get(role_url(admin)).status_code == 200


def test_a_hostile_name_stays_text(admin: Membership, account: Account, signed_in: SignedIn) -> None:
    """S-3, S-4: in the list, the question and the toast."""
    name = "<img src=x onerror=alert(1)>\u202egro"
    member = person(account, Role.VIEWER, name=name)
    client = signed_in(admin)
    answer = client.post(role_url(member), {"role": "operator"})
    assert name in str(next(iter(get_messages(answer.wsgi_request))))
    for path in ("/team/", role_url(member)):
        text = client.get(path).content.decode()
        assert "<img" not in text
        assert "U+202E" in text


def test_fifty_members_cost_as_many_queries_as_one(admin: Membership, account: Account, signed_in: SignedIn) -> None:
    client = signed_in(admin)
    person(account, Role.VIEWER)
    with CaptureQueriesContext(connection) as with_one:
        client.get("/team/")
    for _ in range(49):
        person(account, Role.VIEWER)
    with CaptureQueriesContext(connection) as with_fifty:
        client.get("/team/")
    assert len(with_fifty) <= len(with_one) <= 20


def test_the_server_can_make_an_admin_when_the_last_one_has_left(viewer: Membership, admin: Membership) -> None:
    Membership.objects.filter(pk=admin.pk).update(is_active=False)
    out = StringIO()
    call_command("make_admin", viewer.user.sub, stdout=out)
    viewer.refresh_from_db()
    assert viewer.role == Role.ADMIN
    assert "Vera Viewer is now admin" in out.getvalue()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_name) == ("membership.role_changed", "")


def test_nobody_unknown_is_made_an_admin(db: None) -> None:
    with pytest.raises(CommandError, match="unknown here"):
        call_command("make_admin", "a1000000-5eed-4a01-8c01-0a1b2c3d4e01")


def test_an_admin_says_whose_connection_reads_and_it_is_recorded(
    viewer: Membership, admin: Membership, signed_in: SignedIn
) -> None:
    """A-1: once per change, with who and whom."""
    browser = signed_in(admin)
    for _ in range(2):
        assert browser.post(f"/team/{viewer.pk}/reading/", {"may_sync": "no"}).status_code == 302
    viewer.refresh_from_db()
    assert viewer.may_sync is False
    entry = AuditEntry.objects.get(action="membership.reading_changed")
    assert (entry.actor_name, entry.detail) == ("Alma Admin", {"from": True, "to": False})
    assert "Allow<span" in browser.get("/team/").content.decode()


def test_whose_connection_reads_is_not_changed_by_others_or_by_nonsense(
    viewer: Membership, operator: Membership, admin: Membership, signed_in: SignedIn
) -> None:
    assert signed_in(operator).post(f"/team/{viewer.pk}/reading/", {"may_sync": "no"}).status_code == 403
    assert signed_in(admin).post(f"/team/{viewer.pk}/reading/", {"may_sync": "perhaps"}).status_code == 422
    assert signed_in(admin).get(f"/team/{viewer.pk}/reading/").status_code == 405
    viewer.refresh_from_db()
    assert viewer.may_sync is True
    assert not AuditEntry.objects.exists()
