"""Requests that no browser of ours sends: whatever they hold, the answer is a page, never a failure of the server."""

import base64
from collections.abc import Callable

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from dashboard.models import Membership
from tests.factories import InstanceFactory, WorkflowFactory, lists

LISTS = [reverse("instances"), reverse("audit"), reverse("workflows")]
ID = "00000000-0000-0000-0000-000000000000"
CURSORS = [
    "[" * 2500,
    '[{"is":Infinity},"5"]',
    '[{"is":5},"1' + "0" * 400 + '"]',
    '[{"is":5},1e400]',
    '[{"is":"\\ud800"},"ID"]',
    '[{"is":"x"},"\\ud800"]',
    '[{"at":"0001-01-01T00:00:00+14:00"},"ID"]',
    '[{"at":"9999-12-31T23:59:59-14:00"},"ID"]',
    '[{"at":"2026-01-01T00:00:00"},"ID"]',
]


@pytest.mark.parametrize("cursor", CURSORS)
@pytest.mark.parametrize("sort", ["-changed", "name", "expires"])
def test_a_cursor_that_no_list_wrote_never_fails(
    cursor: str, sort: str, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    workflow = WorkflowFactory(account=operator.account)
    lists(operator, workflow)
    InstanceFactory(workflow=workflow)
    client = signed_in(operator)
    text = base64.urlsafe_b64encode(cursor.replace("ID", ID).encode()).decode().rstrip("=")
    query = {"sort": sort}
    for page in [*LISTS, reverse("workflow", args=[workflow.pk])]:
        assert client.get(page, {**query, "after": text}).status_code == 200
        assert client.get(page, {**query, "before": text}).status_code == 200


@pytest.mark.parametrize("codec", ["utf-7", "unicode_escape", "utf-16"])
def test_text_is_read_as_utf_8_whatever_codec_the_sender_names(
    codec: str, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    workflow = WorkflowFactory(account=operator.account)
    lists(operator, workflow)
    instance = InstanceFactory(workflow=workflow, name="Straße")
    client = signed_in(operator)
    found = client.get(f"{LISTS[0]}?name=Stra%C3%9Fe", headers={"Content-Type": f"text/plain; charset={codec}"})
    assert [row.pk for row, *_ in found.context["rows"]] == [instance.pk]
    part = '--x\r\nContent-Disposition: form-data; name="reason"\r\n\r\n\\ud800+2AA-\r\n--x--\r\n'
    answer = client.generic(
        "POST",
        reverse("instance-cancel", args=[instance.pk]),
        part,
        content_type=f"multipart/form-data; boundary=x; charset={codec}",
    )
    assert answer.status_code == 422
    assert "\\ud800+2AA-" in answer.content.decode()


def test_a_current_url_that_is_no_address_is_left_out(client: Client) -> None:
    answer = client.get("/team/", headers={"HX-Request": "true", "HX-Current-URL": "http://["})
    assert answer.headers["HX-Redirect"] == "/signin/?next=%2Fteam%2F"


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_a_file_larger_than_any_form_is_refused_before_it_is_read(
    is_signed_in: bool, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """S-13: Django alone takes files of any size, also from somebody who is not signed in."""
    client = signed_in(operator) if is_signed_in else Client()
    file = SimpleUploadedFile("big.bin", b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1))
    answer = client.post(reverse("theme"), {"theme": "dark", "file": file})
    assert answer.status_code == 400
    assert "Content-Security-Policy" in answer.headers


def test_a_page_of_a_wrong_method_is_not_stored(client: Client) -> None:
    """S-9: no answer of a page belongs into a shared store."""
    answer = client.get(reverse("signin-start"))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (405, "no-store")


PARAMETERS = [
    *("name", "workflow", "state", "by", "started_from", "changed_until", "expires", "steps", "key", "origin"),
    *("sort", "size", "cols", "after", "before"),
]


@pytest.mark.parametrize("word", ["%00", "%ED%A0%80", "9" * 30, "-" + "9" * 30])
def test_words_that_no_database_takes_never_fail_a_list(
    word: str, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    """PostgreSQL takes no NUL in a text and no number beyond its range; SQLite takes both."""
    client = signed_in(operator)
    every = "&".join(f"{name}={word}" for name in PARAMETERS)
    for page in LISTS:
        assert client.get(f"{page}?{every}").status_code < 500


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_nul_in_one_filter_never_fails_the_list(
    name: str, operator: Membership, signed_in: Callable[..., Client]
) -> None:
    client = signed_in(operator)
    assert client.get(f"{LISTS[0]}?{name}=a%00b").status_code < 500
    assert client.get(f"{LISTS[0]}?{name}=a:b%00c").status_code < 500


def test_a_session_cookie_that_spells_nul_is_no_session(client: Client) -> None:
    client.cookies[settings.SESSION_COOKIE_NAME] = "12345678\0"
    assert client.get(reverse("workflows")).status_code == 302
