"""The audit page: who sees which entries, and how they are found."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from dashboard.deeds import words_for
from dashboard.models import AuditEntry, Membership, Rights
from dashboard.services import audit
from tests.factories import InstanceFactory, WorkflowFactory
from tests.processes import ROOT

LIST = reverse("audit")


def note(action: str, membership: Membership, subject: Any = None, **details: Any) -> AuditEntry:
    with transaction.atomic():
        return audit.record(action, actor=membership.user, account=membership.account, subject=subject, **details)


def deeds_in(answer: Any) -> list[str]:
    return [deed for _, deed, _, _ in answer.context["rows"]]


def test_entries_come_newest_first_in_plain_words(operator: Membership, signed_in: Callable[..., Client]) -> None:
    instance = InstanceFactory(workflow=WorkflowFactory(account=operator.account), name="NDA Brightwater")
    note("instance.canceled", operator, instance, reason="Duplicate")
    note("something.unheard", operator)
    answer = signed_in(operator).get(LIST)
    assert deeds_in(answer) == ["something.unheard", "Canceled instance"]
    assert "Duplicate" in answer.content.decode()
    assert reverse("instance", args=[instance.pk]) in answer.content.decode()


def test_entries_about_instances_that_may_not_be_seen_are_hidden(
    operator: Membership, admin: Membership, signed_in: Callable[..., Client]
) -> None:
    """V-3: own deeds always, others' only with the right to see the instance; names in filters too."""
    Membership.objects.filter(pk=operator.pk).update(rights=Rights.OWN)
    foreign = InstanceFactory(workflow=WorkflowFactory(account=operator.account), name="Canary")
    mine = InstanceFactory(
        workflow=WorkflowFactory(account=operator.account), name="Mine", started_by=operator.user.sub
    )
    note("instance.canceled", admin, foreign)
    note("instance.canceled", admin, mine)
    answer = signed_in(operator).get(LIST)
    assert [entry.object_name for entry, *_ in answer.context["rows"]] == ["Mine"]
    assert "Canary" not in answer.content.decode()
    assert [entry.object_name for entry, *_ in signed_in(admin).get(LIST).context["rows"]] == ["Mine", "Canary"]


def test_who_was_renamed_is_offered_once_by_the_newest_name(
    operator: Membership, admin: Membership, signed_in: Callable[..., Client]
) -> None:
    """A-6: and for the names no query reads all entries, of which there may be a million."""
    note("session.started", admin)
    note("session.started", operator)
    operator.user.name = "Amber Operator"
    note("session.started", operator)
    with CaptureQueriesContext(connection) as queries:
        people = signed_in(admin).get(LIST).context["filter"].fields["who"].choices[1:]
    assert people == [(str(admin.user_id), admin.user.name), (str(operator.user_id), "Amber Operator")]
    assert not [query for query in queries if "DISTINCT" in query["sql"] and "actor_name" in query["sql"]]


def test_entries_of_another_account_are_never_shown(
    operator: Membership, outsider: Membership, signed_in: Callable[..., Client]
) -> None:
    """S-11: one account's audit is closed to the other."""
    note("session.started", outsider)
    assert deeds_in(signed_in(operator).get(LIST)) == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=brightwater", ["Canceled instance"]),
        ("q=2", ["Signed in"]),
        ("deed=session.started", ["Signed in"]),
        ("deed=nonsense", ["Signed in", "Canceled instance"]),
        ("result=refused", []),
        ("since=2020-01-01&until=2020-01-02", []),
        ("since=2020-01-01&until=2999-12-31", ["Signed in", "Canceled instance"]),
        ("since=0001-01-01&until=9999-12-31&object=x", ["Signed in", "Canceled instance"]),
        ("after=x&before=y&size=9", ["Signed in", "Canceled instance"]),
    ],
)
def test_filters_come_from_the_address(
    query: str, found: list[str], operator: Membership, signed_in: Callable[..., Client]
) -> None:
    instance = InstanceFactory(workflow=WorkflowFactory(account=operator.account), name="NDA Brightwater")
    note("instance.canceled", operator, instance)
    note("session.started", operator)
    assert deeds_in(signed_in(operator).get(f"{LIST}?{query}")) == found


def test_paging_shows_every_entry_once(operator: Membership, signed_in: Callable[..., Client]) -> None:
    for number in range(60):
        note(f"test.{number}", operator)
    client, url, found = signed_in(operator), LIST, []
    while url:
        answer = client.get(url)
        found += deeds_in(answer)
        url = f"{LIST}{answer.context['older_url']}" if answer.context["older_url"] else ""
    assert found == [f"test.{number}" for number in reversed(range(60))]


def test_reading_the_audit_writes_nothing(operator: Membership, signed_in: Callable[..., Client]) -> None:
    signed_in(operator).get(LIST)
    assert not AuditEntry.objects.exists()
    assert signed_in(operator).post(LIST).status_code == 405


def test_every_deed_that_is_recorded_by_name_reads_as_words() -> None:
    """A code is for machines."""
    source = "".join(path.read_text() for path in (ROOT / "dashboard").rglob("*.py"))
    codes = set(re.findall(r'audit\.record\(\s*"([a-z_.]+)"', source))
    assert len(codes) > 20
    assert sorted(code for code in codes if words_for(code) == code) == []
