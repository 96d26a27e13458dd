"""Strings that try to be more than text, as every name that Docusign can give, on every page."""

import re
import uuid
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from dashboard.models import InstanceChange, InstanceState, Membership, Operation
from dashboard.services import audit
from tests.factories import ContractFactory, InstanceFactory, WorkflowFactory, lists

CORPUS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '" hx-get="/evil" hx-trigger="load',
    '" data-hx-get="/evil" x="',
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</pre></code><svg/onload=alert(1)>",
    "{{ request }}{% debug %}",
    "${7*7}{{7*7}}#{7*7}",
    "\u202egnp.exe\u202c",
    "zero\u200bwidth\ufeffjoin",
    "line\nbreak\r\n2026 admin ok",
    "\x1b[31mred\x1b[0m\x07",
    "<!-- --><![CDATA[x]]>",
    "&lt;b&gt;&amp;amp;&#x3c;",
    "=cmd|' /C calc'!A0",
    "../../../etc/passwd",
    "a" * 3000,
    "名前 ñ 😀 \U000e0001",
    "' OR 1=1 --",
    "%s%n%(name)s{0}",
    "<b hx-on:click='alert(1)'>x</b>",
    "<form action=//evil><input name=csrfmiddlewaretoken>",
]
VALUES = re.compile(r"(?s)<input[^>]*>|<textarea.*?</textarea>")


class Shape(HTMLParser):
    """What the browser would build: tags with the names of their attributes, without text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in {"span", "bdi"}:  # the marks of unseen characters
            self.tags.append((tag, tuple(name for name, _ in attrs)))


def shape_of(body: str) -> list[tuple[str, tuple[str, ...]]]:
    parser = Shape()
    parser.feed(body)
    return parser.tags


def pages_with(text: str, membership: Membership) -> list[str]:
    """Rows whose every name is the text, and the addresses of all pages that show them."""
    workflow = WorkflowFactory(account=membership.account, name=text, raw_status=text, status="unknown")
    lists(membership, workflow)
    field = {
        "name": text,
        "data_type": text,
        "kind": "unknown",
        "default": text,
        "has_default": True,
        "is_system": False,
    }
    ContractFactory(workflow=workflow, fields=[field], notes=[text])
    instance = InstanceFactory(
        workflow=workflow, name=text, status=InstanceState.UNKNOWN, raw_status=text, started_by_name=text,
        started_by_role=text, last_completed_step_name=text, trigger_inputs={text: text}, tags=[text],
        metadata={text: text}, extra={text: text}, canceled_by=text,
    )  # fmt: skip
    InstanceChange.objects.create(
        instance=instance, account=instance.account, observed_at=timezone.now(), source="list",
        status_before="x", status_after=text, step_name=text,
    )  # fmt: skip
    operation = Operation.objects.create(
        key=uuid.uuid4().hex, kind="cancel", state="unknown", account=membership.account, actor=membership.user,
        workflow=workflow, instance=instance, message=text, reason=text, docusign_request_id=text,
    )  # fmt: skip
    with transaction.atomic():
        audit.record("x.y", actor=membership.user, account=membership.account, subject=instance, reason=text)
    one = [reverse(name, args=[workflow.pk]) for name in ("workflow", "workflow-pause", "workflow-trigger")]
    two = [reverse(name, args=[instance.pk]) for name in ("instance", "instance-cancel")]
    three = [reverse(name, args=[operation.pk]) for name in ("operation", "operation-settle")]
    return [reverse(name) for name in ("overview", "workflows", "instances", "audit")] + one + two + three


@pytest.mark.parametrize("number", range(len(CORPUS)))
def test_a_hostile_name_changes_no_tag_and_no_attribute(
    number: int, operator: Membership, signed_in: Callable[..., Client], account: object
) -> None:
    """S-3, S-4: the page has the same shape with a hostile name as with a plain one; unseen characters are shown."""
    client, text = signed_in(operator), CORPUS[number]
    for url in pages_with(text, operator):
        answer = client.get(url)
        body = answer.content.decode()
        assert answer.status_code == 200, url
        shown = VALUES.sub("", body)  # a field holds its value byte for byte
        assert not any(sign in shown for sign in "\u202e\u200b\x1b\x07\ufeff"), url
        for tag, attributes in shape_of(body):
            assert not any(name.startswith("on") for name in attributes), (url, tag)
            assert not (tag == "script" and "src" not in attributes), url
            assert tag != "img", url
            assert "/evil" not in " ".join(attributes), url
        assert 'hx-get="/evil"' not in body, url
